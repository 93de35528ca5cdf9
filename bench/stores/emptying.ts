/** Takes away what a measurement left, so that the next one finds the server as it was. */
import { DeleteObjectsCommand, paginateListObjectsV2 } from '@aws-sdk/client-s3';
import type { BenchStore } from './bench-store.ts';

/** Deletes everything below `prefix`, as root. */
export async function emptyPrefix(
  { client, bucket: Bucket }: Pick<BenchStore, 'client' | 'bucket'>,
  prefix: string,
  abortSignal: AbortSignal,
): Promise<void> {
  const options = { abortSignal };
  const pages = paginateListObjectsV2({ client }, { Bucket, Prefix: prefix }, options);
  for await (const { Contents = [] } of pages) {
    if (Contents.length === 0) continue;
    const Objects = Contents.map(({ Key }) => ({ Key }));
    await client.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects } }), options);
  }
}
