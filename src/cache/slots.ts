/**
 * Memory for blocks: slots of one size, cut from slabs that are taken from the budget when they
 * are first needed and given back whole. Slots are reused, so that the process's size follows the
 * budget and not the garbage collector.
 *
 * Invariants
 * - A slot is free, or it has an owner, or somebody holds it (or both). Only a free one is given
 *   out: bytes that are held are never overwritten by others.
 * - The budget's share is what the slabs take.
 */
import { KiB, MiB } from '../lib/bytes.ts';
import type { BudgetShare, MemoryBudget } from './memory-budget.ts';

/** What is cached in one piece: as much as the kernel reads ahead at once. */
export const BLOCK_BYTES: number = 128 * KiB;

/** Large enough that slabs are few, small enough that giving one back costs little. */
const SLAB_BYTES = 2 * MiB;

/** A budget of less than this many slabs has smaller ones. */
const LEAST_SLABS = 8;

/** What keeps something in a slot that nobody holds, and can do without. */
export interface SlotOwner {
  /** Forgets what is in the slot, with `disown`. */
  evict(): void;
}

interface Slab {
  readonly slots: Slot[];
  /** Slots that are not free. */
  taken: number;
}

/** A piece of memory of `BLOCK_BYTES`. All but `bytes` is the pool's own. */
export class Slot {
  readonly bytes: Uint8Array;
  readonly slab: Slab;
  owner: SlotOwner | undefined;
  holds = 0;
  /** The turn in which it was lent last. */
  lentIn = 0;

  constructor(bytes: Uint8Array, slab: Slab) {
    this.bytes = bytes;
    this.slab = slab;
  }
}

export interface SlotPoolOptions {
  readonly budget: MemoryBudget;
  /** Lets go of something that nobody holds, by `disown`; false when there is nothing. */
  readonly evict: () => boolean;
  /** A slot may have become free for who waits for one. */
  readonly freed: () => void;
  /** For tests: is told of every slot that is about to be given out again. */
  readonly reusing?: ((bytes: Uint8Array) => void) | undefined;
}

export class SlotPool {
  readonly #options: SlotPoolOptions;
  readonly #share: BudgetShare;
  readonly #slabBytes: number;
  readonly #slabs = new Set<Slab>();
  #free: Slot[] = [];
  #lent: Slot[] = [];
  /** Counts the turns of the event loop in which something was lent. */
  #turn = 1;
  /** Slots that somebody holds. */
  #held = 0;
  #uses = 0;

  constructor(options: SlotPoolOptions) {
    const { budget } = options;
    this.#options = options;
    const usual = Math.min(SLAB_BYTES, Math.floor(budget.bytes / LEAST_SLABS));
    this.#slabBytes = Math.max(Math.floor(usual / BLOCK_BYTES), 1) * BLOCK_BYTES;
    this.#share = budget.join({
      name: 'blocks',
      // Reading goes on, slowly, whatever uploads want.
      floorBytes: this.#slabBytes * 2,
      reclaim: (bytes) => this.#reclaim(bytes),
    });
  }

  /** Memory taken from the budget. */
  get bytes(): number {
    return this.#share.used;
  }

  /** Slots there can be at most, as the budget stands. */
  get capacity(): number {
    const slabs = Math.floor(this.#share.mostBytes / this.#slabBytes);
    return (slabs * this.#slabBytes) / BLOCK_BYTES;
  }

  /** Slots that somebody holds. */
  get held(): number {
    return this.#held;
  }

  /** Grows whenever a slot is given out. */
  get uses(): number {
    return this.#uses;
  }

  /** Grows whenever a slot is given out or lent: who sees it stand still knows that nobody reads. */
  get activity(): number {
    return this.#uses + this.#turn;
  }

  /** A slot that its taker holds; undefined when every one is held. */
  take(): Slot | undefined {
    const slot = this.#free.pop() ?? this.#grown() ?? this.#evicted();
    if (slot === undefined) return undefined;
    this.#uses += 1;
    slot.slab.taken += 1;
    this.#options.reusing?.(slot.bytes);
    this.hold(slot);
    return slot;
  }

  /** Keeps a slot's bytes as they are until `release`. */
  hold(slot: Slot): void {
    if (slot.holds === 0) this.#held += 1;
    slot.holds += 1;
  }

  release(slot: Slot): void {
    if (slot.holds <= 0) throw new Error('a slot was released that nobody held');
    slot.holds -= 1;
    if (slot.holds > 0) return;
    this.#held -= 1;
    if (slot.owner === undefined) this.#recycle(slot);
    else this.#options.freed();
  }

  isHeld(slot: Slot): boolean {
    return slot.holds > 0;
  }

  /** Says what would have to go before an unheld slot is given out again. */
  own(slot: Slot, owner: SlotOwner): void {
    slot.owner = owner;
  }

  disown(slot: Slot): void {
    slot.owner = undefined;
    if (slot.holds === 0) this.#recycle(slot);
  }

  /**
   * Holds a slot until this turn of the event loop is over. An answer of views is used within the
   * turn: at once when it is returned, or, when it comes by a promise, by reactions to that. All
   * of these are microtasks, and Node runs `setImmediate` callbacks only when no microtask is left
   * (Node.js guide "The event loop"). Who keeps views for longer must hold their slots.
   */
  lend(slot: Slot): void {
    if (slot.lentIn === this.#turn) return;
    slot.lentIn = this.#turn;
    this.hold(slot);
    if (this.#lent.length === 0) setImmediate(this.#takeBack);
    this.#lent.push(slot);
  }

  /** Gives slabs back that nobody holds anything of, cached or not. */
  trim(): void {
    this.#reclaim(this.#share.used);
  }

  readonly #takeBack = (): void => {
    const lent = this.#lent;
    this.#lent = [];
    this.#turn += 1;
    for (const slot of lent) this.release(slot);
  };

  #recycle(slot: Slot): void {
    slot.slab.taken -= 1;
    this.#free.push(slot);
    const over = this.#share.used > Math.max(this.#share.mostBytes, this.#slabBytes);
    if (over && slot.slab.taken === 0) this.#drop(slot.slab);
    this.#options.freed();
  }

  #grown(): Slot | undefined {
    if (!this.#share.take(this.#slabBytes)) return undefined;
    // Not from Node's shared pool, and not zeroed: every byte is written before it is read.
    const { buffer, byteOffset } = Buffer.allocUnsafeSlow(this.#slabBytes);
    const slab: Slab = { slots: [], taken: 0 };
    for (let at = 0; at < this.#slabBytes; at += BLOCK_BYTES) {
      slab.slots.push(new Slot(new Uint8Array(buffer, byteOffset + at, BLOCK_BYTES), slab));
    }
    this.#slabs.add(slab);
    // In the order of addresses, from the end of the list.
    this.#free.push(...slab.slots.toReversed());
    return this.#free.pop();
  }

  #evicted(): Slot | undefined {
    while (this.#free.length === 0) if (!this.#options.evict()) return undefined;
    return this.#free.pop();
  }

  /** Slabs with the fewest taken slots go first. */
  #reclaim(bytes: number): void {
    const loose = [...this.#slabs].filter(({ slots }) => slots.every(({ holds }) => holds === 0));
    loose.sort((a, b) => a.taken - b.taken);
    let left = bytes;
    for (const slab of loose) {
      if (left <= 0) return;
      for (const { owner } of slab.slots) owner?.evict();
      // Evicting may have made the pool drop it by itself.
      if (this.#slabs.has(slab) && slab.taken === 0) this.#drop(slab);
      left -= this.#slabBytes;
    }
  }

  #drop(slab: Slab): void {
    this.#slabs.delete(slab);
    this.#free = this.#free.filter((slot) => slot.slab !== slab);
    this.#share.give(this.#slabBytes);
  }
}
