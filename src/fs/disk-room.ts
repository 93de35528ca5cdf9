/**
 * Whether the local disk has room for what waits to be saved. It is looked at now and then, in the
 * background: an answer from a little while ago will do, as what it keeps free is much.
 */
import type { StatsFs } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { GiB, MiB } from '../lib/bytes.ts';
import type { Clock } from '../lib/clock.ts';

/** Left to others: a share of the disk, and no more than this of a large one. */
const FREE_SHARE = 0.05;
const MOST_FREE_BYTES = 5 * GiB;
/** After so much time, or so many bytes, it is looked at again. */
const LOOK_MS = 1000;
const LOOK_BYTES = 16 * MiB;

export class DiskRoom {
  readonly #folder: string;
  readonly #clock: Clock;
  #hasRoom = true;
  #lookedMs = -Infinity;
  #takenBytes = 0;
  #looking = false;

  constructor(folder: string, clock: Clock) {
    this.#folder = folder;
    this.#clock = clock;
  }

  isThere(): boolean {
    const now = this.#clock.monotonic();
    if (now - this.#lookedMs > LOOK_MS || this.#takenBytes > LOOK_BYTES) void this.look();
    return this.#hasRoom;
  }

  took(bytes: number): void {
    this.#takenBytes += bytes;
  }

  /** Never fails: where nobody can tell, writing finds out. */
  async look(): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    this.#lookedMs = this.#clock.monotonic();
    this.#takenBytes = 0;
    const found = await statfsAbove(this.#folder);
    this.#hasRoom = found === undefined || hasRoom(found);
    this.#looking = false;
  }
}

/** Pure. */
function hasRoom({ blocks, bavail, bsize }: Pick<StatsFs, 'blocks' | 'bavail' | 'bsize'>): boolean {
  return bavail * bsize >= Math.min(blocks * bsize * FREE_SHARE, MOST_FREE_BYTES);
}

/** Of the folder, or of where it will be made. */
async function statfsAbove(folder: string): Promise<StatsFs | undefined> {
  for (let at = folder; ; at = dirname(at)) {
    try {
      return await statfs(at);
    } catch {
      if (at === dirname(at)) return undefined;
    }
  }
}
