/**
 * Takes blocks that came from the store to the disk, after they were given to their readers. What
 * waits for its turn holds no memory: a block that is lost before is not kept. So a disk may lie
 * behind by all of the memory. While it lies behind by a quarter, nothing is read ahead, for a
 * moment; who waits is never made to wait for the disk, and one that stays slow is left behind.
 */

import type { Clock } from '../lib/clock.ts';
import type { Block } from './block.ts';
import type { BlockCache } from './block-cache.ts';
import type { DiskObject } from './block-disk.ts';
import type { BlockSource } from './load.ts';
import { BLOCK_BYTES, type Slot } from './slots.ts';

/** Writes at once: as many as keep a disk busy. */
const MAX_WRITES = 2;

/** Blocks in one write: 4 MiB. Longer ones gain nothing. */
const MAX_WRITE_BLOCKS = 32;

/** Of all memory, what one write may hold: 1/12. */
const SHARE = 12;

/** Of all memory, what may wait before reading ahead does, too. */
const BEHIND_SHARE = 4;

/**
 * A disk that writes back what it had put off, or a file system its journal, stands still for some
 * tenths of a second. One that is behind for longer is slower than the network.
 */
const PATIENCE_MS = 500;

/** What waits of one version. */
interface Line {
  readonly source: BlockSource;
  readonly disk: DiskObject;
  /** By their places, the one that has waited longest first. */
  readonly blocks: Map<number, Block>;
  /** Under way. */
  writing: Promise<void> | undefined;
  /** Told when nothing waits and nothing is under way. */
  readonly idle: (() => void)[];
}

interface Held {
  readonly slot: Slot;
  readonly bytes: number;
}

export class WriteBehind {
  readonly #cache: BlockCache;
  readonly #clock: Clock;
  /** Called when `behind` may have changed. */
  readonly #progress: () => void;
  /** The one whose turn is next comes first. */
  readonly #lines = new Map<BlockSource, Line>();
  #writes = 0;
  #waiting = 0;
  #starting = false;
  #behindSinceMs: number | undefined;
  /** Blocks that were not kept because the disk was too far behind. */
  leftOut = 0;

  constructor(cache: BlockCache, clock: Clock, progress: () => void) {
    this.#cache = cache;
    this.#clock = clock;
    this.#progress = progress;
  }

  /** Whether reading ahead had better let the disk catch up. */
  get behind(): boolean {
    if (this.#waiting < this.#cache.pool.capacity / BEHIND_SHARE) {
      this.#behindSinceMs = undefined;
      return false;
    }
    const now = this.#clock.monotonic();
    this.#behindSinceMs ??= now;
    return now - this.#behindSinceMs < PATIENCE_MS;
  }

  /** Has a whole block kept that is in memory now. */
  add(source: BlockSource, block: Block): void {
    const { disk } = source;
    if (disk === undefined || disk.has(block.index)) return;
    const line = this.#lines.get(source) ?? newLine(source, disk);
    this.#lines.set(source, line);
    if (!line.blocks.has(block.index)) this.#waiting += 1;
    line.blocks.set(block.index, block);
    // What has been overtaken by all of the memory is not there any more.
    if (this.#waiting > this.#cache.pool.capacity) this.#forgetOne();
    this.#startSoon();
  }

  /** Resolves when nothing waits or is under way of `source`, or of anyone. */
  async settled(source?: BlockSource): Promise<void> {
    const lines = source === undefined ? [...this.#lines.values()] : [this.#lines.get(source)];
    await Promise.all(
      lines.map(async (line) => {
        if (line !== undefined) await new Promise<void>((done) => line.idle.push(done));
      }),
    );
  }

  /** More blocks may follow in this turn, and go into the same write. */
  #startSoon(): void {
    if (this.#starting) return;
    this.#starting = true;
    queueMicrotask(() => {
      this.#starting = false;
      this.#start();
    });
  }

  #start(): void {
    for (const line of this.#lines.values()) {
      if (this.#writes >= MAX_WRITES) return;
      if (line.writing === undefined) this.#startOne(line);
    }
  }

  #startOne(line: Line): void {
    const run = this.#takeRun(line);
    if (run === undefined) {
      this.#lines.delete(line.source);
      for (const done of line.idle) done();
      return;
    }
    this.#writes += 1;
    line.writing = this.#write(line.disk, run.first, run.held).finally(() => {
      this.#writes -= 1;
      line.writing = undefined;
      // Others have their turn first.
      this.#lines.delete(line.source);
      this.#lines.set(line.source, line);
      this.#start();
      this.#progress();
    });
  }

  /** What has waited longest, with its neighbours; undefined when all is done. */
  #takeRun({ blocks, disk }: Line): { first: number; held: Held[] } | undefined {
    const most = Math.min(Math.floor(this.#cache.pool.capacity / SHARE), MAX_WRITE_BLOCKS);
    for (const oldest of blocks.keys()) {
      let first = oldest;
      while (oldest - first < most - 1 && blocks.has(first - 1)) first -= 1;
      const held: Held[] = [];
      for (let index = first; held.length < Math.max(most, 1); index += 1) {
        const block = blocks.get(index);
        if (block === undefined) break;
        blocks.delete(index);
        this.#waiting -= 1;
        const { slot, bytes, complete } = block;
        if (slot !== undefined && complete && !disk.has(index)) {
          this.#cache.pool.hold(slot);
          held.push({ slot, bytes });
          continue;
        }
        if (slot === undefined) this.leftOut += 1;
        // A gap: what comes before it goes, or the run begins behind it.
        if (held.length > 0) break;
        first = index + 1;
      }
      if (held.length > 0) return { first, held };
    }
    return undefined;
  }

  async #write(disk: DiskObject, first: number, held: readonly Held[]): Promise<void> {
    try {
      await disk.write(
        first,
        held.map(({ slot, bytes }) => viewOf(slot, bytes)),
      );
    } catch {
      // What is not kept is fetched again.
    } finally {
      for (const { slot } of held) this.#cache.pool.release(slot);
    }
  }

  #forgetOne(): void {
    for (const { blocks } of this.#lines.values()) {
      for (const index of blocks.keys()) {
        blocks.delete(index);
        this.#waiting -= 1;
        this.leftOut += 1;
        return;
      }
    }
  }
}

function newLine(source: BlockSource, disk: DiskObject): Line {
  return { source, disk, blocks: new Map(), writing: undefined, idle: [] };
}

function viewOf(slot: Slot, bytes: number): Uint8Array {
  return bytes === BLOCK_BYTES ? slot.bytes : slot.bytes.subarray(0, bytes);
}
