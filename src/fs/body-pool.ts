/**
 * Memory for bodies of uploads, of all mounts of a process. The memory of usual ones is used again,
 * so that sending a gigabyte does not mean to get a gigabyte from the system.
 *
 * Who waits for memory waits for bodies that are being sent, in the order of coming, and for
 * nothing else: what is cached makes room at once, and with no body on its way the first one goes,
 * however long it is.
 */
import type { BudgetShare, MemoryBudget } from '../cache/memory-budget.ts';
import { raceAbort } from '../lib/abort.ts';
import { MiB } from '../lib/bytes.ts';

/** This part of the budget at most: at 48 MiB four usual parts. */
const MOST_SHARE = 2 / 3;
/** A usual part. Its memory is kept for the next one. */
const USUAL_BYTES = 8 * MiB;

interface Waiter {
  readonly bytes: number;
  readonly start: (memory: Uint8Array) => void;
}

export class BodyPool {
  readonly #budget: MemoryBudget;
  readonly #share: BudgetShare;
  /** Memory of usual parts that waits to be used again; the share has it, too. */
  readonly #spare: Uint8Array[] = [];
  readonly #waiting: Waiter[] = [];
  #used = 0;
  #sending = 0;

  constructor(budget: MemoryBudget) {
    this.#budget = budget;
    const used = (): number => this.#used;
    this.#share = budget.join({
      name: 'bodies being sent',
      floorBytes: 0,
      get busyBytes() {
        return used();
      },
      reclaim: (bytes) => {
        // The next part wants it in a moment.
        if (this.#sending > 0) return;
        this.#keepSpare(this.#spare.length - Math.ceil(bytes / USUAL_BYTES));
      },
    });
  }

  /** Bytes in use. */
  get used(): number {
    return this.#used;
  }

  /** Runs `work` with memory of at least `bytes`, with anything in it, once there is some. */
  async run<T>(
    bytes: number,
    work: (memory: Uint8Array) => Promise<T>,
    signal: AbortSignal,
  ): Promise<T> {
    signal.throwIfAborted();
    const free = this.#waiting.length === 0 ? this.#taken(bytes) : undefined;
    const memory = free ?? (await this.#wait(bytes, signal));
    let isFree = false;
    try {
      const result = await work(memory);
      // Not after a failure: a connection that was given up may still be reading from it.
      isFree = true;
      return result;
    } finally {
      this.#give(memory, isFree);
    }
  }

  async #wait(bytes: number, signal: AbortSignal): Promise<Uint8Array> {
    let waiter: Waiter = { bytes, start: () => undefined };
    let given: Uint8Array | undefined;
    const started = new Promise<Uint8Array>((resolve) => {
      const start = (mine: Uint8Array): void => {
        given = mine;
        resolve(mine);
      };
      waiter = { bytes, start };
    });
    this.#waiting.push(waiter);
    try {
      return await raceAbort(started, signal);
    } catch (error) {
      const at = this.#waiting.indexOf(waiter);
      if (at >= 0) this.#waiting.splice(at, 1);
      // Its turn had come in the same moment.
      if (given !== undefined) this.#give(given, true);
      else this.#startWaiting();
      throw error;
    }
  }

  #give(memory: Uint8Array, isFree: boolean): void {
    const bytes = memory.byteLength;
    this.#used -= bytes;
    this.#sending -= 1;
    const isUseful = bytes === USUAL_BYTES && this.#share.used <= Math.max(this.#most, bytes);
    if (isFree && isUseful) this.#spare.push(memory);
    else this.#share.give(bytes);
    this.#startWaiting();
  }

  #startWaiting(): void {
    for (let first = this.#waiting[0]; first; first = this.#waiting[0]) {
      const memory = this.#taken(first.bytes);
      if (memory === undefined) return;
      this.#waiting.shift();
      first.start(memory);
    }
  }

  #taken(wanted: number): Uint8Array | undefined {
    const isUsual = wanted <= USUAL_BYTES && wanted > USUAL_BYTES / 2;
    const bytes = isUsual ? USUAL_BYTES : wanted;
    const spare = isUsual ? this.#spare.pop() : undefined;
    if (spare === undefined && !this.#charge(bytes)) return undefined;
    this.#used += bytes;
    this.#sending += 1;
    if (spare !== undefined) return spare;
    // Not cut from memory that Node shares with others, unless it is little.
    return isUsual ? Buffer.allocUnsafeSlow(bytes) : Buffer.allocUnsafe(bytes);
  }

  get #most(): number {
    return this.#budget.bytes * MOST_SHARE;
  }

  #charge(bytes: number): boolean {
    const isAlone = this.#used === 0;
    if (!isAlone && this.#used + bytes > this.#most) return false;
    this.#keepSpare(Math.floor((this.#most - this.#used - bytes) / USUAL_BYTES));
    if (this.#share.take(bytes)) return true;
    this.#keepSpare(0);
    if (this.#share.take(bytes)) return true;
    if (!isAlone) return false;
    this.#share.insist(bytes);
    return true;
  }

  /** Lets go of all spare memory but so many pieces. */
  #keepSpare(most: number): void {
    const over = this.#spare.length - Math.max(most, 0);
    if (over <= 0) return;
    this.#spare.length -= over;
    this.#share.give(over * USUAL_BYTES);
  }
}
