/** Another client of the same buckets, for tests: no signature, policy, fault or count in its way. */
import { createHash } from 'node:crypto';
import type { Extent } from '../../lib/bytes.ts';
import { Bucket } from './bucket.ts';
import type { Store } from './call.ts';
import { Content, memoryBlob } from './object-data.ts';
import type { StoredObject } from './stored-object.ts';
import { SyntheticEntries, SyntheticPattern, type SyntheticSpec } from './synthetic.ts';

/** An object as a test compares it. */
export interface ObjectFacts {
  readonly key: string;
  /** Without quotes. */
  readonly etag: string;
  readonly size: number;
  readonly modifiedMs: number;
  /** Content-Type and its like, and `x-amz-meta-*`, by lower-case name. */
  readonly headers: Readonly<Record<string, string>>;
}

export class ForeignClient {
  readonly #store: Store;
  #pattern: SyntheticPattern | undefined;

  constructor(store: Store) {
    this.#store = store;
  }

  /** Nothing happens if there is one already. */
  createBucket(name: string): void {
    const { buckets, clock } = this.#store;
    if (buckets.find(name) === undefined) buckets.add(new Bucket(name, clock.now()));
  }

  /** Everything in `bucket`, in UTF-8 byte order, also what the dialect's listings hide. */
  objects(bucket: string): readonly ObjectFacts[] {
    return [...this.#store.buckets.get(bucket)].map(factsOf);
  }

  /** Uploads in progress, oldest first. */
  uploads(bucket: string): readonly { readonly key: string; readonly uploadId: string }[] {
    const { uploads } = this.#store.buckets.get(bucket);
    return [...uploads.values()].map(({ key, id }) => ({ key, uploadId: id }));
  }

  head(bucket: string, key: string): ObjectFacts | undefined {
    const object = this.#store.buckets.get(bucket).get(key);
    return object && factsOf(object);
  }

  putObject(
    bucket: string,
    key: string,
    body: Buffer | string,
    headers: Readonly<Record<string, string>> = {},
  ): ObjectFacts {
    const bytes = Buffer.from(body);
    const object: StoredObject = {
      key,
      content: Content.of(memoryBlob(bytes), bytes.length),
      etag: createHash('md5').update(bytes).digest('hex'),
      modifiedMs: this.#store.clock.now(),
      headers: { 'content-type': 'binary/octet-stream', ...headers },
    };
    this.#store.buckets.get(bucket).put(object);
    return factsOf(object);
  }

  /** All bytes, or those of `extent`; undefined when there is no such object. */
  async getObject(bucket: string, key: string, extent?: Extent): Promise<Buffer | undefined> {
    const object = this.#store.buckets.get(bucket).get(key);
    if (object === undefined) return undefined;
    object.content.retain();
    try {
      return await object.content.read(extent);
    } finally {
      object.content.release();
    }
  }

  /** Whether there was such an object. */
  deleteObject(bucket: string, key: string): boolean {
    return this.#store.buckets.get(bucket).delete(key, this.#store.clock.now()).existed;
  }

  /** A read-only bucket that needs no storage. */
  addSyntheticBucket(spec: SyntheticSpec): void {
    this.#pattern ??= new SyntheticPattern();
    const entries = new SyntheticEntries(spec, this.#pattern);
    this.#store.buckets.add(new Bucket(spec.name, this.#store.clock.now(), entries));
  }
}

function factsOf({ key, etag, content, modifiedMs, headers }: StoredObject): ObjectFacts {
  return { key, etag, size: content.size, modifiedMs, headers };
}
