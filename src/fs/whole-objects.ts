/**
 * Brings whole objects to the disk: those that somebody asks for, and those of which little was
 * left out while they were read, since only a whole object is served by the kernel.
 */
import type { DiskObject } from '../cache/block-disk.ts';
import type { BlockLoader } from '../cache/block-loader.ts';
import { BLOCK_BYTES } from '../cache/slots.ts';
import { type Extent, MiB } from '../lib/bytes.ts';
import type { PinnedVersion } from './pinned-version.ts';

/** Held at once by each step. */
const STEP_BYTES = MiB;

/** What the disk has dropped, because it had too much at once, is given to it again. */
const WARM_TRIES = 3;

/** Requests of `warm` at once: it must not be in the way of who reads. */
const WARM_STEPS = 4;

/** What is mended unasked: little, and little beside what is there already. */
const MOST_MENDED_BYTES = 16 * MiB;
const MENDED_SHARE = 16;

export class WholeObjects {
  readonly #loader: BlockLoader;

  constructor(loader: BlockLoader) {
    this.#loader = loader;
  }

  /**
   * Brings a whole object to the disk. `progress` is told the bytes that are there: not all of them
   * in the end, when the disk is full.
   *
   * @throws what the store threw; `signal.reason` once `signal` aborts.
   */
  async warm(
    pinned: PinnedVersion,
    signal: AbortSignal,
    progress: (bytes: number) => void,
  ): Promise<void> {
    await pinned.opening;
    const { disk, blocks } = pinned;
    if (disk === undefined) return;
    let next = 0;
    let there = 0;
    const step = async (): Promise<void> => {
      while (next < blocks.bytes) {
        const extent = { start: next, end: Math.min(next + STEP_BYTES, blocks.bytes) };
        next = extent.end;
        const kept = await this.#bring(pinned, disk, extent, signal);
        there += kept;
        progress(there);
      }
    };
    await Promise.all(Array.from({ length: WARM_STEPS }, step));
  }

  /**
   * Brings what the disk lacks of an object, if that is little: memory was short, or the disk late.
   *
   * @throws as `warm`.
   */
  async mend(pinned: PinnedVersion, signal: AbortSignal): Promise<void> {
    const { disk, blocks } = pinned;
    if (disk === undefined) return;
    const most = Math.min(MOST_MENDED_BYTES, blocks.bytes / MENDED_SHARE);
    for (const extent of lacking(disk, blocks.bytes, most)) {
      const kept = await this.#bring(pinned, disk, extent, signal);
      // A disk that is full, or broken, takes no more.
      if (kept < extent.end - extent.start) return;
    }
  }

  /** Brings one piece to the disk; gives how much of it is there. */
  async #bring(
    pinned: PinnedVersion,
    disk: DiskObject,
    extent: Extent,
    signal: AbortSignal,
  ): Promise<number> {
    signal.throwIfAborted();
    const first = Math.floor(extent.start / BLOCK_BYTES);
    const count = Math.ceil((extent.end - extent.start) / BLOCK_BYTES);
    const indexes = Array.from({ length: count }, (_, at) => first + at);
    const isThere = (): boolean => indexes.every((index) => disk.has(index));
    if (!isThere()) {
      this.#loader.want(pinned, { extent, partBytes: STEP_BYTES, distance: Infinity });
      const held = await this.#loader.hold(pinned, extent, signal);
      try {
        // Most were written behind their load; who reads on does not wait for that, this does.
        await this.#loader.written(pinned);
        for (let tries = 0; tries < WARM_TRIES && !isThere(); tries += 1) {
          await disk.write(first, held.pieces);
        }
      } finally {
        held.release();
      }
    }
    return indexes
      .filter((index) => disk.has(index))
      .reduce((sum, index) => sum + blockLength(pinned.blocks.bytes, index), 0);
  }
}

/** Runs of blocks that the disk lacks, none longer than a step; nothing if it lacks over `most`. */
function lacking(disk: DiskObject, objectBytes: number, most: number): readonly Extent[] {
  const runs: Extent[] = [];
  let bytes = 0;
  for (let index = 0; index * BLOCK_BYTES < objectBytes; index += 1) {
    if (disk.has(index)) continue;
    const start = index * BLOCK_BYTES;
    const end = start + blockLength(objectBytes, index);
    bytes += end - start;
    if (bytes > most) return [];
    const last = runs.at(-1);
    const goesOn = last?.end === start && end - last.start <= STEP_BYTES;
    if (goesOn) runs[runs.length - 1] = { start: last.start, end };
    else runs.push({ start, end });
  }
  return runs;
}

function blockLength(objectBytes: number, index: number): number {
  return Math.min(BLOCK_BYTES, objectBytes - index * BLOCK_BYTES);
}
