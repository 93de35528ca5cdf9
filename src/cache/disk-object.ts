/** One who has an object version open on the disk. */
import type { DiskObject } from './block-disk.ts';
import type { DiskCounts, DiskVersion } from './disk-version.ts';
import type { DiskWrites } from './disk-writes.ts';

/** Keeps a version's files open until it ends. */
export interface DiskLease {
  readonly version: DiskVersion;
  /** Another lease of the same version, that ends for itself. */
  readonly again: () => DiskLease;
  readonly end: () => Promise<void>;
}

export class OpenObject implements DiskObject {
  readonly #lease: DiskLease;
  readonly #writes: DiskWrites;
  readonly #counts: DiskCounts;
  #isDisposed = false;

  constructor(lease: DiskLease, writes: DiskWrites, counts: DiskCounts) {
    this.#lease = lease;
    this.#writes = writes;
    this.#counts = counts;
  }

  has(index: number): boolean {
    return !this.#isDisposed && this.#lease.version.has(index);
  }

  async read(first: number, rooms: readonly Uint8Array[]): Promise<readonly boolean[]> {
    if (this.#isDisposed) return rooms.map(() => false);
    // A descriptor that is closed during a read may be another file's before it ends.
    const lease = this.#lease.again();
    try {
      return await lease.version.read(first, rooms);
    } finally {
      await lease.end();
    }
  }

  async write(first: number, blocks: readonly Uint8Array[]): Promise<void> {
    this.#counts.misses += blocks.length;
    if (this.#isDisposed) return;
    const lease = this.#lease.again();
    const done = this.#writes.put(lease.version, first, blocks);
    if (done === false) this.#counts.dropped += blocks.length;
    else await done;
    await lease.end();
  }

  whole(): number | undefined {
    return this.#isDisposed ? undefined : this.#lease.version.whole();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    await this.#lease.end();
  }
}

/** An object of which nothing is there, and nothing is kept. */
export const nothingKept: DiskObject = {
  has: () => false,
  read: async (_first, rooms) => await Promise.resolve(rooms.map(() => false)),
  write: async () => await Promise.resolve(),
  whole: () => undefined,
  [Symbol.asyncDispose]: async () => await Promise.resolve(),
};
