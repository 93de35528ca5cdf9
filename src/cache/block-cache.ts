/**
 * Blocks of object versions in memory, for all mounts of a process. An entry never needs
 * validation, since its name holds the version. What is not here is brought by `BlockLoader`.
 *
 * Invariant: a block is in one list of `Recency` exactly while it has a slot, which it owns.
 */
import type { Clock } from '../lib/clock.ts';
import { type Block, ObjectBlocks } from './block.ts';
import type { MemoryBudget } from './memory-budget.ts';
import { Recency } from './recency.ts';
import { BLOCK_BYTES, type Slot, SlotPool } from './slots.ts';

export interface BlockCacheOptions {
  /** Of 1 MiB at least: a read needs some blocks at once to make its way. */
  readonly budget: MemoryBudget;
  readonly clock: Clock;
  /** For tests: is told of memory that is about to be used again. */
  readonly reusing?: (bytes: Uint8Array) => void;
}

/** Memory that nobody has used for so long goes back to the system: 5 minutes. */
const IDLE_MS = 5 * 60_000;

/** Of all memory, what may be on its way or unread; more than one stream asks for. */
const UNREAD_SHARE = 3 / 4;

/** What was loaded ahead, and not read while all memory was used so often, makes room for others. */
const IDLE_ROUNDS = 2;

export class BlockCache implements AsyncDisposable {
  readonly pool: SlotPool;
  /** Slots held by reads that wait for more, see `PendingRead`. */
  waitingSlots = 0;
  /** Slots held by loads for what is to come. */
  loadingSlots = 0;
  readonly #clock: Clock;
  readonly #recency = new Recency();
  readonly #objects = new Map<string, ObjectBlocks>();
  /** Who waits for memory. */
  readonly #hungry = new Set<() => void>();
  readonly #end = new AbortController();
  #watching: Promise<void> | undefined;

  constructor({ budget, clock, reusing }: BlockCacheOptions) {
    this.#clock = clock;
    this.pool = new SlotPool({
      budget,
      evict: () => this.#evictOne(),
      freed: () => this.#feed(),
      reusing,
    });
  }

  /** Memory in use. */
  get bytes(): number {
    return this.pool.bytes;
  }

  /** Blocks of which something is there. */
  get blocks(): number {
    return this.#recency.blocks;
  }

  /** What streams may have loaded ahead of their readers, all together. */
  get aheadBytes(): number {
    return (this.pool.capacity * BLOCK_BYTES) / 2;
  }

  /**
   * Whether there is memory for what nobody waits for yet: what is on its way and what nobody has
   * read so far take most of it at most. What its reader has left alone for long makes room.
   */
  get hasRoomAhead(): boolean {
    const { capacity, uses } = this.pool;
    const most = capacity * UNREAD_SHARE;
    while (this.loadingSlots + this.#recency.ahead >= most) {
      const idle = this.#recency.idle(uses - IDLE_ROUNDS * capacity, this.#isHeld);
      if (idle === undefined) return false;
      this.#lose(idle);
    }
    return true;
  }

  /** The blocks of a version, shared by all who ask for that name, until `unpin`. */
  pin(name: string, bytes: number): ObjectBlocks {
    const known = this.#objects.get(name);
    const object = known?.bytes === bytes ? known : new ObjectBlocks(name, bytes);
    this.#objects.set(name, object);
    object.pins += 1;
    return object;
  }

  /** What is here of the object stays until its memory is needed. */
  unpin(object: ObjectBlocks): void {
    object.pins -= 1;
    this.#tidy(object);
  }

  /** Forgets what is there of an object; what is on its way still reaches who waits for it. */
  drop(object: ObjectBlocks): void {
    for (const block of [...object.blocks.values()])
      if (block.slot !== undefined) this.#lose(block);
    if (this.#objects.get(object.name) === object) this.#objects.delete(object.name);
  }

  /**
   * `[start, end)` of an object when all of it is here, as views that are good for this turn of the
   * event loop; `end` is at most the object's length. `inOrder`: by a reader who is unlikely to come
   * back. Allocates nothing but what it returns.
   */
  views(
    object: ObjectBlocks,
    start: number,
    end: number,
    inOrder: boolean,
  ): Uint8Array | Uint8Array[] | undefined {
    const first = Math.floor(start / BLOCK_BYTES);
    const last = Math.floor((end - 1) / BLOCK_BYTES);
    if (first === last) {
      const base = first * BLOCK_BYTES;
      const block = object.blocks.get(first);
      if (block?.slot === undefined || !block.covers(start - base, end - base)) return undefined;
      return this.view(block, block.slot, start - base, end - base, inOrder);
    }
    for (let index = first; index <= last; index += 1) {
      const block = object.blocks.get(index);
      if (block === undefined || !isThere(block, start, end)) return undefined;
    }
    return this.#pieces(object, start, end, inOrder);
  }

  /** Where the first of `[start, end)` is that is neither here nor on its way. */
  absentAt(object: ObjectBlocks, start: number, end: number): number | undefined {
    const last = Math.floor((end - 1) / BLOCK_BYTES);
    for (let index = Math.floor(start / BLOCK_BYTES); index <= last; index += 1) {
      const block = object.blocks.get(index);
      if (block?.load !== undefined) continue;
      if (block !== undefined && isThere(block, start, end)) continue;
      return Math.max(start, index * BLOCK_BYTES);
    }
    return undefined;
  }

  /** A view of `[from, to)` of a block that is there, good for this turn. */
  view(block: Block, slot: Slot, from: number, to: number, inOrder: boolean): Uint8Array {
    this.pool.lend(slot);
    this.used(block, to, inOrder);
    return to - from === BLOCK_BYTES ? slot.bytes : slot.bytes.subarray(from, to);
  }

  /** Somebody has read the block up to `to`. */
  used(block: Block, to: number, inOrder: boolean): void {
    if (block.worth !== 'ahead' || !inOrder) this.#recency.touch(block, 'kept');
    // Read to its end in order, it has done what it was loaded for.
    else if (to === block.bytes) this.#recency.touch(block, 'spent');
  }

  /** Takes what a load has put in `slot`: `[from, to)` of the block is there now. */
  fill(block: Block, slot: Slot, from: number, to: number): void {
    if (block.slot !== slot) {
      this.#release(block);
      block.slot = slot;
      [block.from, block.to] = [from, to];
      this.pool.own(slot, { evict: () => this.#lose(block) });
    } else {
      [block.from, block.to] = [Math.min(block.from, from), Math.max(block.to, to)];
    }
    block.loadedAt = this.pool.uses;
    this.#recency.touch(block, block.worth ?? 'ahead');
  }

  /** Forgets what is there of a block, as when it turned out to be wrong. */
  lose(block: Block): void {
    if (block.slot !== undefined) this.#lose(block);
  }

  /** Takes a block off the books of which nothing is there and nothing is coming. */
  tidy(block: Block): void {
    block.object.tidy(block);
    this.#tidy(block.object);
  }

  /** A slot that its taker holds; undefined when all memory is in use at this moment. */
  takeSlot(): Slot | undefined {
    this.#watching ??= this.#watchIdle().catch(() => undefined);
    return this.pool.take();
  }

  /** Calls `next`, once, when memory may have become free. */
  whenFreed(next: () => void): void {
    this.#hungry.add(next);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end.abort();
    await this.#watching;
    while (this.#evictOne());
    this.pool.trim();
  }

  #pieces(object: ObjectBlocks, start: number, end: number, inOrder: boolean): Uint8Array[] {
    const pieces: Uint8Array[] = [];
    for (let at = start; at < end; ) {
      const index = Math.floor(at / BLOCK_BYTES);
      const base = index * BLOCK_BYTES;
      const to = Math.min(end - base, BLOCK_BYTES);
      const block = object.blocks.get(index);
      if (block?.slot === undefined) throw new Error('a block went while it was looked at');
      pieces.push(this.view(block, block.slot, at - base, to, inOrder));
      at = base + to;
    }
    return pieces;
  }

  #evictOne(): boolean {
    const { capacity, uses } = this.pool;
    const block = this.#recency.victim(capacity / 2, uses - capacity, this.#isHeld);
    if (block === undefined) return false;
    this.#lose(block);
    return true;
  }

  readonly #isHeld = (block: Block): boolean =>
    block.slot !== undefined && this.pool.isHeld(block.slot);

  #lose(block: Block): void {
    this.#release(block);
    this.tidy(block);
  }

  #tidy(object: ObjectBlocks): void {
    if (object.pins > 0 || object.blocks.size > 0) return;
    if (this.#objects.get(object.name) === object) this.#objects.delete(object.name);
  }

  #release(block: Block): void {
    const { slot } = block;
    this.#recency.remove(block);
    block.slot = undefined;
    [block.from, block.to] = [0, 0];
    if (slot !== undefined) this.pool.disown(slot);
  }

  #feed(): void {
    if (this.#hungry.size === 0) return;
    const waiting = [...this.#hungry];
    this.#hungry.clear();
    // Later: whoever lets go may be in the middle of something.
    queueMicrotask(() => {
      for (const next of waiting) next();
    });
  }

  /** One at a time, from the first use until nothing was used for `IDLE_MS`. */
  async #watchIdle(): Promise<void> {
    for (let seen = -1; seen !== this.pool.activity; ) {
      seen = this.pool.activity;
      await this.#clock.sleep(IDLE_MS, this.#end.signal);
    }
    this.#watching = undefined;
    this.pool.trim();
  }
}

/** Whether the block's part of `[start, end)` is there. */
function isThere(block: Block, start: number, end: number): boolean {
  const from = Math.max(start - block.start, 0);
  const to = Math.min(end - block.start, block.bytes);
  return block.slot !== undefined && block.covers(from, to);
}
