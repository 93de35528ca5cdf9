/**
 * What is in the disk cache, for people: told, cleared, pinned. Works on a folder that live
 * processes use; what they have open stays readable to them.
 */
import type { Clock } from '../lib/clock.ts';
import type { ObjectIdentity } from './block-disk.ts';
import { closeFile, ForeignFileError, openOwn } from './disk-files.ts';
import { evictionLockPath } from './disk-folder.ts';
import { withLock } from './disk-lock.ts';
import { recordPath } from './disk-names.ts';
import { type CacheFilter, type DiskPins, matches } from './disk-pins.ts';
import type { DiskQuota } from './disk-quota.ts';
import type { DiskSeal } from './disk-seal.ts';
import type { DiskCounts } from './disk-version.ts';
import { readHead } from './disk-version-files.ts';
import { pinStored, removeStored, type StoredObject, storedObjects } from './disk-walk.ts';

export interface CacheUsage extends Readonly<DiskCounts> {
  /** Of all identities. */
  readonly objects: number;
  /** Room on the disk, of all identities. */
  readonly bytes: number;
  readonly pinnedBytes: number;
  readonly quotaBytes: number;
}

export interface CachedObject {
  readonly object: ObjectIdentity;
  /** Room on the disk: less than the object's length while not all of it is there. */
  readonly diskBytes: number;
  /** ms since the epoch. */
  readonly usedMs: number;
  readonly pinned: boolean;
}

export interface Cleared {
  readonly objects: number;
  readonly bytes: number;
}

export interface ContentsOptions {
  readonly root: string;
  readonly seal: DiskSeal;
  readonly quota: DiskQuota;
  readonly pins: DiskPins;
  readonly clock: Clock;
  readonly quotaBytes: number;
  /** Of this process. */
  readonly counts: DiskCounts;
}

export class DiskContents {
  readonly #options: ContentsOptions;

  constructor(options: ContentsOptions) {
    this.#options = options;
  }

  async usage(signal: AbortSignal): Promise<CacheUsage> {
    const { quota, quotaBytes, counts } = this.#options;
    const { objects, bytes, pinnedBytes } = await quota.measure(signal);
    return { objects, bytes, pinnedBytes, quotaBytes, ...counts };
  }

  /** This identity's objects that match, at most `limit`, those used last first. */
  async list(
    filter: CacheFilter,
    limit: number,
    signal: AbortSignal,
  ): Promise<readonly CachedObject[]> {
    const latest: CachedObject[] = [];
    for await (const { stored, object } of this.#matching(filter, signal)) {
      const { bytes: diskBytes, usedMs, pinned } = stored;
      latest.push({ object, diskBytes, usedMs, pinned });
      if (latest.length >= 2 * limit) keepLatest(latest, limit);
    }
    keepLatest(latest, limit);
    return latest;
  }

  /** Removes this identity's objects that match, pinned ones too; with `{}` all, unreadable ones too. */
  async clear(filter: CacheFilter, signal: AbortSignal): Promise<Cleared> {
    const { root, seal } = this.#options;
    const isAll = Object.keys(filter).length === 0;
    const all = storedObjects(root, seal.folder, signal);
    return await this.#remove(isAll ? all : this.#storedMatching(filter, signal), signal);
  }

  /** Removes the objects of all identities. */
  async clearAll(signal: AbortSignal): Promise<Cleared> {
    return await this.#remove(storedObjects(this.#options.root, undefined, signal), signal);
  }

  /** Objects that match are not evicted, those here and those to come; returns how many are here. */
  async pin(filter: CacheFilter, signal: AbortSignal): Promise<number> {
    return await this.#repin(async (pins) => await pins.add(filter), filter, signal);
  }

  /** Takes back pins of what `filter` says or of parts of it; returns how many match. */
  async unpin(filter: CacheFilter, signal: AbortSignal): Promise<number> {
    return await this.#repin(async (pins) => await pins.remove(filter), filter, signal);
  }

  /** What was pinned. */
  async pinned(): Promise<readonly CacheFilter[]> {
    return await this.#options.pins.refresh();
  }

  async #repin(
    change: (pins: DiskPins) => Promise<void>,
    filter: CacheFilter,
    signal: AbortSignal,
  ): Promise<number> {
    const { root, pins, clock } = this.#options;
    const repin = async (): Promise<number> => {
      await change(pins);
      let count = 0;
      for await (const { stored, object } of this.#matching(filter, signal)) {
        count += 1;
        if (stored.pinned !== pins.isPinned(object)) await pinStored(stored, !stored.pinned);
      }
      return count;
    };
    // Also against eviction, which might remove what is being pinned.
    return await withLock(evictionLockPath(root), clock, repin, signal);
  }

  async #remove(gone: AsyncIterable<StoredObject>, signal: AbortSignal): Promise<Cleared> {
    let [objects, bytes] = [0, 0];
    for await (const stored of gone) {
      await removeStored(stored);
      objects += 1;
      bytes += stored.bytes;
    }
    await this.#options.quota.recount(signal);
    return { objects, bytes };
  }

  async *#storedMatching(filter: CacheFilter, signal: AbortSignal): AsyncGenerator<StoredObject> {
    for await (const { stored } of this.#matching(filter, signal)) yield stored;
  }

  async *#matching(
    filter: CacheFilter,
    signal: AbortSignal,
  ): AsyncGenerator<{ readonly stored: StoredObject; readonly object: ObjectIdentity }> {
    const { root, seal } = this.#options;
    for await (const stored of storedObjects(root, seal.folder, signal)) {
      const object = stored.hasRecord ? await this.#identityOf(stored) : undefined;
      if (object !== undefined && matches(filter, object)) yield { stored, object };
    }
  }

  /** Undefined when the record is not whole. */
  async #identityOf({ shard, name }: StoredObject): Promise<ObjectIdentity | undefined> {
    const record = await openOwn(recordPath(shard, name)).catch((error: unknown) => {
      if (error instanceof ForeignFileError) return undefined;
      throw error;
    });
    if (record === undefined) return undefined;
    try {
      const head = await readHead(record.descriptor);
      const text = head && this.#options.seal.unsealText(head.text);
      return text === undefined ? undefined : identityOf(text);
    } finally {
      await closeFile(record.descriptor);
    }
  }
}

/** What `DiskVersion` wrote; its sum was right. */
function identityOf(text: string): ObjectIdentity | undefined {
  const parts: unknown = JSON.parse(text);
  if (!Array.isArray(parts)) return undefined;
  const [endpoint, bucket, key, etag, bytes] = parts as readonly unknown[];
  const names = [endpoint, bucket, key, etag];
  if (!names.every((name) => typeof name === 'string') || typeof bytes !== 'number') {
    return undefined;
  }
  const [ofEndpoint = '', ofBucket = '', ofKey = '', ofEtag = ''] = names;
  return { endpoint: ofEndpoint, bucket: ofBucket, key: ofKey, etag: ofEtag, bytes };
}

function keepLatest(objects: CachedObject[], limit: number): void {
  objects.sort((one, other) => other.usedMs - one.usedMs);
  objects.length = Math.min(objects.length, limit);
}
