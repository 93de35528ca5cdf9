/**
 * Takes blocks that came from the store to the disk, after they were given to their readers. What
 * the disk cannot keep up with is left out: it is a cache.
 */

import type { Block } from './block.ts';
import type { BlockCache } from './block-cache.ts';
import type { DiskObject } from './block-disk.ts';
import type { BlockSource } from './load.ts';
import { BLOCK_BYTES, type Slot } from './slots.ts';

/** Of all memory, what may be held for the disk: 1/8. */
const SHARE = 8;

/** Blocks in one write: 1 MiB. */
const WRITE_BLOCKS = 8;

interface Entry {
  readonly index: number;
  readonly slot: Slot;
  readonly bytes: number;
}

interface Line {
  readonly disk: DiskObject;
  readonly entries: Entry[];
  writing: Promise<void> | undefined;
}

export class WriteBehind {
  readonly #cache: BlockCache;
  readonly #lines = new Map<BlockSource, Line>();
  #held = 0;
  /** Blocks that were not kept because the disk was behind. */
  leftOut = 0;

  constructor(cache: BlockCache) {
    this.#cache = cache;
  }

  /** Has a whole block kept that is in `slot`. */
  add(source: BlockSource, { index, bytes }: Block, slot: Slot): void {
    const { disk } = source;
    if (disk === undefined || disk.has(index)) return;
    if (this.#held >= this.#cache.pool.capacity / SHARE) {
      this.leftOut += 1;
      return;
    }
    this.#cache.pool.hold(slot);
    this.#held += 1;
    const line = this.#lines.get(source) ?? { disk, entries: [], writing: undefined };
    this.#lines.set(source, line);
    line.entries.push({ index, slot, bytes });
    line.writing ??= this.#write(source, line);
  }

  /** Resolves when nothing is held for `source`, or for anyone. */
  async settled(source?: BlockSource): Promise<void> {
    const lines = source === undefined ? [...this.#lines.values()] : [this.#lines.get(source)];
    await Promise.all(lines.map(async (line) => await line?.writing));
  }

  async #write(source: BlockSource, line: Line): Promise<void> {
    // More blocks of the same answer may follow in this turn, and go into the same write.
    await Promise.resolve();
    while (line.entries.length > 0) {
      const batch = takeRun(line.entries);
      try {
        const blocks = batch.map(({ slot, bytes }) => viewOf(slot, bytes));
        await line.disk.write(batch[0]?.index ?? 0, blocks);
      } catch {
        // What is not kept is fetched again.
      } finally {
        this.#held -= batch.length;
        for (const { slot } of batch) this.#cache.pool.release(slot);
      }
    }
    line.writing = undefined;
    this.#lines.delete(source);
  }
}

/** The first entry and those that follow it without a gap, taken out of the list. */
function takeRun(entries: Entry[]): Entry[] {
  let count = 1;
  for (; count < Math.min(entries.length, WRITE_BLOCKS); count += 1) {
    if (entries[count]?.index !== (entries[0]?.index ?? 0) + count) break;
  }
  return entries.splice(0, count);
}

function viewOf(slot: Slot, bytes: number): Uint8Array {
  return bytes === BLOCK_BYTES ? slot.bytes : slot.bytes.subarray(0, bytes);
}
