/** What is there under a key now: for conditions that a server ignores, and for answers that got lost. */
import { StoreError } from '../store/errors.ts';
import type {
  ETag,
  ListPage,
  ListRequest,
  ObjectHead,
  ObjectVersion,
  Precondition,
} from '../store/object-store.ts';
import { headOf } from './answer-fields.ts';
import { CRC_HEADER } from './body-guard.ts';
import { readListing } from './listing-document.ts';
import { listingQuery } from './listing-request.ts';
import type { S3Connection } from './s3-connection.ts';
import { sameEtag } from './s3-encoding.ts';

/** The object that a request was to make. */
export interface MadeObject {
  /** As S3 names it without KMS. */
  readonly etag: () => ETag;
  readonly bytes: number;
  /** Of S3's own form for it; undefined where none was sent. */
  readonly crc32: () => string | undefined;
}

export class PresentObjects {
  readonly #connection: S3Connection;
  readonly #bucket: string;

  constructor(connection: S3Connection, bucket: string) {
    this.#connection = connection;
    this.#bucket = bucket;
  }

  async list(request: ListRequest, signal: AbortSignal): Promise<ListPage> {
    return await this.#connection.send(
      `list ${this.#bucket}/${request.prefix}`,
      { method: 'GET', bucket: this.#bucket, query: listingQuery(request) },
      ({ body }) => readListing(body),
      signal,
    );
  }

  async head(key: string, signal: AbortSignal): Promise<ObjectHead> {
    const tried = `look up ${this.#bucket}/${key}`;
    return await this.#connection.send(
      tried,
      { method: 'HEAD', bucket: this.#bucket, key },
      (answer) => headOf(answer, tried),
      signal,
    );
  }

  /**
   * The present version; undefined when there is none. Who may list only below a prefix is told 403
   * of a key that is missing (AWS, Ceph RGW): the listing tells then.
   */
  async look(key: string, signal: AbortSignal): Promise<ObjectVersion | undefined> {
    try {
      const { etag, bytes, modifiedMs } = await this.head(key, signal);
      return { etag, bytes, modifiedMs };
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      if (error.kind === 'not-found') return undefined;
      if (error.kind !== 'access-denied') throw error;
      // Of the keys that begin so, the key itself is the first.
      const { objects } = await this.list({ prefix: key, maxKeys: 1 }, signal);
      return objects.find((object) => object.key === key);
    }
  }

  /** @throws StoreError `exists` or `precondition-failed` unless `precondition` holds now. */
  async check(
    key: string,
    precondition: Precondition | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    if (precondition === undefined) return;
    const tried = `write ${this.#bucket}/${key}`;
    if (precondition.must === 'be') {
      const { etag } = await this.head(key, signal);
      if (sameEtag(etag, precondition.etag)) return;
      throw new StoreError('precondition-failed', tried, { code: 'the target has changed' });
    }
    if ((await this.look(key, signal)) === undefined) return;
    throw new StoreError('exists', tried, { code: 'the target is there' });
  }

  /**
   * The present version, if it is the one that a request without an answer was to make: by its
   * MD5, or where the ETag is none (SSE-KMS), by its length and its CRC-32 as the store made it.
   */
  async presentIf(
    key: string,
    made: MadeObject,
    signal: AbortSignal,
  ): Promise<ObjectVersion | undefined> {
    const present = await this.look(key, signal);
    if (present === undefined) return undefined;
    if (sameEtag(present.etag, made.etag())) return present;
    const crc32 = made.crc32();
    const same = present.bytes === made.bytes && crc32 !== undefined;
    return same && (await this.#crcOf(key, present.etag, signal)) === crc32 ? present : undefined;
  }

  /** Of the version `etag`; undefined where the store has none of it. */
  async #crcOf(key: string, etag: ETag, signal: AbortSignal): Promise<string | undefined> {
    return await this.#connection.send(
      `look up ${this.#bucket}/${key}`,
      {
        method: 'HEAD',
        bucket: this.#bucket,
        key,
        headers: [['x-amz-checksum-mode', 'ENABLED']],
      },
      ({ headers }) =>
        sameEtag(headers.get('etag') ?? '', etag) && isEncrypted(headers)
          ? headers.get(CRC_HEADER)
          : undefined,
      signal,
    );
  }
}

/** Only then is the ETag of an object no MD5: elsewhere another ETag is another object. */
function isEncrypted(headers: ReadonlyMap<string, string>): boolean {
  return (headers.get('x-amz-server-side-encryption') ?? '').startsWith('aws:kms');
}
