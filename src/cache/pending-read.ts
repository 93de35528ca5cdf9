/**
 * A read that has to wait for blocks. As each arrives its bytes are kept as they are, by holding
 * the block's slot; when all are there the read is done.
 *
 * Reads that wait may hold half of the memory: what arrives beyond that is copied into memory of
 * the read's own. So there is always a slot for the next load, however many wait for however much.
 */
import { setMaxListeners } from 'node:events';
import type { Block, BlockWaiter } from './block.ts';
import type { BlockCache } from './block-cache.ts';
import type { BlockSource } from './load.ts';
import { BLOCK_BYTES, type Slot } from './slots.ts';

/** Has blocks brought that are not here: `BlockLoader`. */
export interface BlockBringer {
  /** Sees to it that `[from, to)` of a block, for which somebody waits, is on its way. */
  await(source: BlockSource, block: Block, from: number, to: number): void;
  /** A reader has left before a block came. */
  leave(block: Block, waiter: BlockWaiter): void;
}

/** Bytes in pieces, good until they are given back. */
export interface HeldBytes {
  readonly pieces: Uint8Array[];
  readonly slots: readonly Slot[];
  /** Lets go of all slots. Call once. */
  release(): void;
}

export interface PendingReadOptions {
  readonly source: BlockSource;
  readonly start: number;
  readonly end: number;
  /** Part of a run that is read in order. */
  readonly inOrder: boolean;
}

export class PendingRead implements BlockWaiter, HeldBytes {
  readonly pieces: Uint8Array[] = [];
  readonly slots: Slot[] = [];
  readonly done: Promise<HeldBytes>;
  readonly #options: PendingReadOptions;
  readonly #cache: BlockCache;
  readonly #loader: BlockBringer;
  readonly #signal: AbortSignal;
  readonly #waits = new Set<Block>();
  #resolve: (held: HeldBytes) => void = () => undefined;
  #reject: (error: unknown) => void = () => undefined;
  #ended = false;

  constructor(
    options: PendingReadOptions,
    cache: BlockCache,
    loader: BlockBringer,
    signal: AbortSignal,
  ) {
    this.#options = options;
    this.#cache = cache;
    this.#loader = loader;
    this.#signal = signal;
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.#begin();
  }

  settled(block: Block, error: unknown): void {
    this.#waits.delete(block);
    if (this.#ended) return;
    if (error === undefined) this.#look(block);
    else this.#fail(error);
    this.#check();
  }

  release(): void {
    for (const slot of this.slots) this.#cache.pool.release(slot);
    this.#cache.waitingSlots -= this.slots.length;
    this.slots.length = 0;
  }

  #begin(): void {
    const { source, start, end } = this.#options;
    if (this.#signal.aborted) {
      this.#fail(this.#signal.reason);
      return;
    }
    setMaxListeners(0, this.#signal);
    this.#signal.addEventListener('abort', this.#onAbort, { once: true });
    const last = Math.floor((end - 1) / BLOCK_BYTES);
    for (let index = Math.floor(start / BLOCK_BYTES); index <= last && !this.#ended; index += 1) {
      this.#look(source.blocks.at(index));
    }
    this.#check();
  }

  /** Takes what is needed of a block, or waits for it. */
  #look(block: Block): void {
    const { source, start, end, inOrder } = this.#options;
    const from = Math.max(start - block.start, 0);
    const to = Math.min(end - block.start, block.bytes);
    if (block.slot !== undefined && block.covers(from, to)) {
      this.#keep(block, block.slot, from, to);
      this.#cache.used(block, to, inOrder);
      return;
    }
    this.#waits.add(block);
    block.waiters.add(this);
    try {
      this.#loader.await(source, block, from, to);
    } catch (error) {
      this.#fail(error);
    }
  }

  #keep(block: Block, slot: Slot, from: number, to: number): void {
    const whole = to - from === BLOCK_BYTES;
    const view = whole ? slot.bytes : slot.bytes.subarray(from, to);
    const at = block.index - Math.floor(this.#options.start / BLOCK_BYTES);
    if (this.#cache.waitingSlots < this.#cache.pool.capacity / 2) {
      this.#cache.pool.hold(slot);
      this.#cache.waitingSlots += 1;
      this.slots.push(slot);
      this.pieces[at] = view;
    } else this.pieces[at] = view.slice();
  }

  #check(): void {
    if (this.#ended || this.#waits.size > 0) return;
    this.#end();
    this.#resolve(this);
  }

  #fail(error: unknown): void {
    if (this.#ended) return;
    this.#end();
    for (const block of this.#waits) this.#loader.leave(block, this);
    this.#waits.clear();
    this.release();
    this.#reject(error);
  }

  #end(): void {
    this.#ended = true;
    this.#signal.removeEventListener('abort', this.#onAbort);
  }

  readonly #onAbort = (): void => this.#fail(this.#signal.reason);
}
