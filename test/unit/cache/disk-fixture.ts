/** A folder with disk caches over it, and objects whose true bytes everybody can make again. */
import { createCipheriv, createHash } from 'node:crypto';
import { lstatSync, readdirSync, rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DiskObject, ObjectIdentity } from '../../../src/cache/block-disk.ts';
import { DiskCache, type DiskCacheOptions } from '../../../src/cache/disk-cache.ts';
import { KiB, MiB } from '../../../src/lib/bytes.ts';
import { type Clock, systemClock } from '../../../src/lib/clock.ts';
import { silentLog } from '../../../src/lib/log.ts';

/** Small, so that histories have many. */
export const BLOCK: number = 4 * KiB;
export const signal: AbortSignal = new AbortController().signal;

/** The system's time, with clocks that can be put on: a file's mtime is the system's too. */
export class SettableClock implements Clock {
  #aheadMs = 0;
  #laterMs = 0;

  now(): number {
    return systemClock.now() + this.#aheadMs;
  }

  monotonic(): number {
    return systemClock.monotonic() + this.#laterMs;
  }

  async sleep(ms: number, waiting: AbortSignal): Promise<void> {
    await systemClock.sleep(ms, waiting);
  }

  jumpWall(ms: number): void {
    this.#aheadMs += ms;
  }

  jumpMonotonic(ms: number): void {
    this.#laterMs += ms;
  }
}

export class DiskBench implements AsyncDisposable {
  readonly folder: string;
  readonly clock: SettableClock = new SettableClock();
  readonly #open: DiskCache[] = [];

  static async make(): Promise<DiskBench> {
    return new DiskBench(await mkdtemp(join(tmpdir(), 'wire-disk-')));
  }

  private constructor(folder: string) {
    this.folder = folder;
  }

  /** What is ours in the folder. */
  get root(): string {
    return join(this.folder, 'wire-blocks');
  }

  async cache(options: Partial<DiskCacheOptions> = {}): Promise<DiskCache> {
    const cache = await DiskCache.open(
      {
        folder: this.folder,
        owner: 'alice',
        blockBytes: BLOCK,
        quotaBytes: 64 * MiB,
        freeBytes: 0,
        clock: this.clock,
        log: silentLog,
        ...options,
      },
      signal,
    );
    this.#open.push(cache);
    return cache;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const cache of this.#open) await cache[Symbol.asyncDispose]();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export function objectOf(key: string, bytes: number, etag = '"1"'): ObjectIdentity {
  return { endpoint: 'https://s3.example', bucket: 'data', key, etag, bytes };
}

export function blocksOf(object: ObjectIdentity): number {
  return Math.ceil(object.bytes / BLOCK);
}

/** The bytes of a block: no two blocks of any objects share any. */
export function truth({ key, etag, bytes }: ObjectIdentity, index: number): Buffer {
  const seed = createHash('sha256').update(`${key} ${etag} ${bytes} ${index}`).digest();
  const cipher = createCipheriv('aes-128-ctr', seed.subarray(0, 16), seed.subarray(16));
  return cipher.update(Buffer.alloc(Math.min(BLOCK, bytes - index * BLOCK)));
}

export function truths(object: ObjectIdentity, first: number, count: number): Buffer[] {
  return Array.from({ length: count }, (_none, at) => truth(object, first + at));
}

export async function writeAll(cache: DiskCache, object: ObjectIdentity): Promise<void> {
  await using opened = await cache.open(object, signal);
  await opened.write(0, truths(object, 0, blocksOf(object)));
}

/** Which blocks are given; throws when one of them is not the truth. */
export async function given(
  opened: DiskObject,
  object: ObjectIdentity,
  first = 0,
  count: number = blocksOf(object),
): Promise<readonly boolean[]> {
  const wanted = truths(object, first, count);
  const rooms = wanted.map((block) => Buffer.alloc(block.byteLength, 0xee));
  const found = await opened.read(first, rooms);
  for (const [at, isThere] of found.entries()) {
    if (isThere && rooms[at]?.equals(wanted[at] ?? Buffer.alloc(0)) !== true) {
      throw new Error(`wrong bytes in block ${first + at} of ${object.key}`);
    }
  }
  return found;
}

/** How many of an object's blocks the cache gives, each compared. */
export async function countGiven(cache: DiskCache, object: ObjectIdentity): Promise<number> {
  await using opened = await cache.open(object, signal);
  return (await given(opened, object)).filter(Boolean).length;
}

/** All files below `folder`. */
export function filesIn(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    return entry.isDirectory() ? filesIn(path) : [path];
  });
}

/** Room on the disk of all files below `folder`, as `du` counts. */
export function diskBytes(folder: string): number {
  let bytes = 0;
  for (const file of filesIn(folder)) {
    bytes += (lstatSync(file, { throwIfNoEntry: false })?.blocks ?? 0) * 512;
  }
  return bytes;
}
