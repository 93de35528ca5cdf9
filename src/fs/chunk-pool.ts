/**
 * Memory for content that is being written, of all mounts of a process: pieces of it are used
 * again and again.
 */
import type { BudgetShare, MemoryBudget } from '../cache/memory-budget.ts';
import { MiB } from '../lib/bytes.ts';

/** Longest piece of memory; pieces of this length are used again and again. */
export const CHUNK_BYTES: number = MiB;

/** This part of the budget at most: at 48 MiB some 10 ms of a fast disk. */
const MOST_SHARE = 1 / 4;
/** Had whatever others hold: one is written to the disk while the next one is filled. */
const LEAST_BYTES = 2 * CHUNK_BYTES;
/** Pieces that stay while somebody writes, though others want them. */
const LEAST_SPARE = 2;

export class ChunkPool {
  readonly #budget: MemoryBudget;
  readonly #share: BudgetShare;
  /** Pieces that wait to be used again; the share has them, too. */
  readonly #spare: Uint8Array[] = [];
  #used = 0;

  constructor(budget: MemoryBudget) {
    this.#budget = budget;
    const used = (): number => this.#used;
    this.#share = budget.join({
      name: 'content being written',
      floorBytes: 0,
      get busyBytes() {
        return used();
      },
      reclaim: (bytes) => {
        const fewest = this.#used === 0 ? 0 : LEAST_SPARE;
        const enough = this.#spare.length - Math.ceil(bytes / CHUNK_BYTES);
        this.#keepSpare(Math.max(fewest, enough));
      },
    });
  }

  /** Bytes in use. */
  get used(): number {
    return this.#used;
  }

  /** Memory of `bytes`, with anything in it; undefined when there is none. */
  take(bytes: number): Uint8Array | undefined {
    const used = this.#used + bytes;
    if (used > LEAST_BYTES && used > this.#most) return undefined;
    const spare = this.#spareOf(bytes);
    if (spare === undefined && !this.#charge(bytes)) return undefined;
    this.#used = used;
    return spare ?? Buffer.allocUnsafeSlow(bytes);
  }

  /** The same for bytes that are here already and must be put somewhere: never refused. */
  insist(bytes: number): Uint8Array {
    const spare = this.#spareOf(bytes);
    if (spare === undefined) this.#share.insist(bytes);
    this.#used += bytes;
    return spare ?? Buffer.allocUnsafeSlow(bytes);
  }

  /**
   * What `take` returned is not needed any more.
   *
   * @param isFree nobody refers to it: it may be used again.
   */
  give(memory: Uint8Array, isFree: boolean): void {
    const bytes = memory.byteLength;
    this.#used -= bytes;
    const isUseful = bytes === CHUNK_BYTES && this.#share.used <= this.#most + LEAST_BYTES;
    if (isFree && isUseful) this.#spare.push(memory);
    else this.#share.give(bytes);
  }

  get #most(): number {
    return Math.max(this.#budget.bytes * MOST_SHARE, LEAST_BYTES);
  }

  #spareOf(bytes: number): Uint8Array | undefined {
    return bytes === CHUNK_BYTES ? this.#spare.pop() : undefined;
  }

  #charge(bytes: number): boolean {
    this.#keepSpare(Math.max(Math.floor((this.#most - this.#used - bytes) / CHUNK_BYTES), 0));
    if (this.#share.take(bytes)) return true;
    this.#keepSpare(0);
    if (this.#share.take(bytes)) return true;
    if (this.#used + bytes > LEAST_BYTES) return false;
    this.#share.insist(bytes);
    return true;
  }

  /** Lets go of all spare pieces but so many. */
  #keepSpare(most: number): void {
    const over = this.#spare.length - most;
    if (over <= 0) return;
    this.#spare.length = most;
    this.#share.give(over * CHUNK_BYTES);
  }
}
