/** A version that handles have open, as the source of its blocks: the disk, or the store. */

import type { ObjectBlocks } from '../cache/block.ts';
import type { BlockDisk, DiskObject } from '../cache/block-disk.ts';
import type { ByteSink } from '../cache/load.ts';
import type { Extent } from '../lib/bytes.ts';
import { StoreError } from '../store/errors.ts';
import type { ObjectVersion } from '../store/object-store.ts';
import type { Place } from './directory-source.ts';
import { FsError } from './errno.ts';
import type { PinnedVersion } from './pinned-version.ts';

export interface PinnedObjectOptions {
  readonly endpoint: string;
  readonly place: () => Place;
  readonly version: ObjectVersion;
  readonly disk: BlockDisk | undefined;
  readonly pinBlocks: (object: string, bytes: number) => ObjectBlocks;
  /** Told of each read that the store refused because the object is in cold storage. */
  readonly onArchived: (key: string) => void;
}

export class PinnedObject implements PinnedVersion, AsyncDisposable {
  readonly object: string;
  readonly blocks: ObjectBlocks;
  readonly place: () => Place;
  version: ObjectVersion;
  renewing: Promise<void> | undefined;
  opens = 1;
  /** Something of it was asked of the store. */
  hasFetched = false;
  #disk: DiskObject | undefined;
  #opening: Promise<void> | undefined;
  readonly #closed = new AbortController();
  readonly #onArchived: (key: string) => void;

  constructor({ endpoint, place, version, disk, pinBlocks, onArchived }: PinnedObjectOptions) {
    const { store, key } = place();
    const { bucket } = store;
    const { etag, bytes } = version;
    this.place = place;
    this.version = version;
    this.#onArchived = onArchived;
    this.object = objectName(endpoint, bucket, key, version);
    this.blocks = pinBlocks(this.object, bytes);
    if (disk === undefined) return;
    this.#opening = disk
      .open({ endpoint, bucket, key, etag, bytes }, this.#closed.signal)
      .then((object) => {
        this.#disk = object;
      })
      // Without the disk everything comes from the store.
      .catch(() => undefined)
      .finally(() => {
        this.#opening = undefined;
      });
  }

  get disk(): DiskObject | undefined {
    return this.#disk;
  }

  get opening(): Promise<void> | undefined {
    return this.#opening;
  }

  /** @throws FsError ESTALE when the object is another by now, EIO when it gives too few bytes. */
  async fetch(extent: Extent, sink: ByteSink, signal: AbortSignal): Promise<void> {
    this.hasFetched = true;
    const asked = this.version;
    try {
      await this.#read(extent, sink, signal);
    } catch (error) {
      if (isGone(error)) await this.renewing;
      // It has moved, or become another version, between our question and the answer: ask again.
      const moved = this.version !== asked && isGone(error);
      if (!moved) throw goneIsStale(error);
      const left = { start: extent.start + sink.taken, end: extent.end };
      await this.#read(left, sink, signal).catch((again: unknown) => {
        throw goneIsStale(again);
      });
    }
  }

  isSlowDown(error: unknown): boolean {
    return error instanceof StoreError && isThrottling(error);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed.abort();
    await this.#opening;
    await this.#disk?.[Symbol.asyncDispose]();
    this.#disk = undefined;
  }

  async #read(extent: Extent, sink: ByteSink, signal: AbortSignal): Promise<void> {
    const { store, key } = this.place();
    const { etag } = this.version;
    const before = sink.taken;
    const got = await store.read(key, extent, etag, sink, signal).catch((error: unknown) => {
      if (error instanceof StoreError && error.kind === 'archived') this.#onArchived(key);
      throw error;
    });
    const bytes = sink.taken - before;
    const wanted = extent.end - extent.start;
    if (bytes < wanted) throw new FsError('EIO', `read ${key}: ${bytes} of ${wanted} bytes came`);
    if (got.etag !== etag) throw new FsError('ESTALE', `read ${key}: another version came`);
  }
}

/** NUL is in no name and no ETag, so that no two objects share a name. */
function objectName(endpoint: string, bucket: string, key: string, version: ObjectVersion): string {
  return [endpoint, bucket, key, version.etag, version.bytes].join('\0');
}

/** RFC 6585 section 4, RFC 9110 section 15.6.4, and S3's own words for it. */
function isThrottling({ kind, detail }: StoreError): boolean {
  if (kind !== 'unavailable') return false;
  const { code, status } = detail;
  return status === 429 || status === 503 || code === 'SlowDown' || code === 'TooManyRequests';
}

function isGone(error: unknown): boolean {
  if (!(error instanceof StoreError)) return false;
  return error.kind === 'not-found' || error.kind === 'precondition-failed';
}

/** To somebody who has the file open, "not found" means that it changed. */
function goneIsStale(error: unknown): unknown {
  if (!isGone(error)) return error;
  return new FsError('ESTALE', 'read an object that changed', { cause: error });
}
