/** S3 as an `ObjectStores`: the only place, with its folder, that knows S3. */
import { StoreError } from '../store/errors.ts';
import type { BucketSummary, ObjectStore, ObjectStores } from '../store/object-store.ts';
import { readBucketList } from './bucket-list-document.ts';
import { S3Connection, type S3Options } from './s3-connection.ts';
import { S3ObjectStore } from './s3-object-store.ts';

export type { S3Options } from './s3-connection.ts';

/** The buckets of an endpoint, until disposed: then its connections are closed. */
export type S3Stores = ObjectStores & AsyncDisposable;

/** Makes no request. */
export function createS3Stores(options: S3Options): S3Stores {
  const connection = new S3Connection(options);
  return {
    buckets: async (signal) => await listBuckets(connection, signal),
    open: (bucket): ObjectStore => new S3ObjectStore(connection, bucket),
    [Symbol.asyncDispose]: async () => await connection[Symbol.asyncDispose](),
  };
}

async function listBuckets(
  connection: S3Connection,
  signal: AbortSignal,
): Promise<readonly BucketSummary[]> {
  const tried = `list the buckets of ${connection.endpoint}`;
  try {
    return await connection.send(
      tried,
      { method: 'GET' },
      ({ body }) => readBucketList(body),
      signal,
    );
  } catch (error) {
    if (!(error instanceof StoreError) || error.kind !== 'access-denied') throw error;
    const next = 'name the bucket to mount: your rights may cover it without the list of all';
    throw new StoreError(error.kind, tried, { ...error.detail, next }, { cause: error });
  }
}
