/**
 * One request under way: an extent of one object, block after block. Each block is published as
 * soon as its part of the extent has come, and who waits for it is woken in the same turn.
 *
 * Invariants
 * - From `begin` until `finish` the load holds the slot of every block that is still to come.
 * - A block's `load` is this one exactly while this one is to bring it; after `detach` none is.
 */

import { type Extent } from '../lib/bytes.ts';
import type { Arrival, Block, ObjectBlocks } from './block.ts';
import type { BlockCache } from './block-cache.ts';
import type { DiskObject } from './block-disk.ts';
import { BLOCK_BYTES, type Slot } from './slots.ts';

/** Where bytes go in their order: see `ReadSink` of `store/object-store.ts`. */
export interface ByteSink {
  room(): Uint8Array;
  filled(bytes: number): void;
  /** Bytes that have come so far. */
  readonly taken: number;
}

/** Where the bytes of an object are got that are not in memory. */
export interface BlockSource {
  readonly blocks: ObjectBlocks;
  /** What the disk keeps of it; undefined without a disk. */
  readonly disk: DiskObject | undefined;
  /** Reads all of `extent`, which lies inside the object. May fail after part of it has come. */
  fetch(extent: Extent, sink: ByteSink, signal: AbortSignal): Promise<void>;
  /** Whether the endpoint asks for fewer requests by this. */
  isSlowDown(error: unknown): boolean;
}

interface Target {
  readonly block: Block;
  readonly slot: Slot;
  /** The part of the block that is to come, from its start. */
  readonly from: number;
  readonly to: number;
}

export interface LoadOptions {
  readonly source: BlockSource;
  readonly extent: Extent;
  readonly from: 'disk' | 'store';
  /** How far its reader has yet to read before it gets there, in bytes. */
  readonly distance: number;
}

/** Who started a load and sees to it, for readers of any mount. */
export interface LoadOwner {
  /** A reader waits for it now. */
  hurry(load: Load): void;
  /** Nobody waits for it any more. */
  giveUp(load: Load): void;
  /** A whole block has come. */
  published(load: Load, block: Block): void;
  /** Milliseconds that never go back. */
  now(): number;
}

export class Load implements ByteSink, Arrival {
  readonly source: BlockSource;
  readonly from: 'disk' | 'store';
  readonly distance: number;
  readonly controller: AbortController = new AbortController();
  waiters = 0;
  /** A reader has come for it, at some time. */
  wanted = false;
  startedMs = 0;
  /** When the first bytes came; undefined until then. */
  firstMs: number | undefined;
  readonly #cache: BlockCache;
  readonly #owner: LoadOwner;
  #extent: Extent;
  #blocks: Block[] = [];
  #targets: readonly Target[] = [];
  /** The target that is being filled, and how far. */
  #at = 0;
  #within = 0;
  #taken = 0;
  #detached = false;

  constructor(
    { source, extent, from, distance }: LoadOptions,
    cache: BlockCache,
    owner: LoadOwner,
  ) {
    this.#owner = owner;
    this.source = source;
    this.from = from;
    this.distance = distance;
    this.#extent = extent;
    this.#cache = cache;
    const last = Math.floor((extent.end - 1) / BLOCK_BYTES);
    for (let index = Math.floor(extent.start / BLOCK_BYTES); index <= last; index += 1) {
      const block = source.blocks.at(index);
      block.load = this;
      this.#blocks.push(block);
    }
  }

  /** What is to come, in all; shorter after `begin` found too little memory. */
  get extent(): Extent {
    return this.#extent;
  }

  get taken(): number {
    return this.#taken;
  }

  get detached(): boolean {
    return this.#detached;
  }

  /** Where to put each block, in order. */
  get targets(): readonly Target[] {
    return this.#targets;
  }

  hurry(): void {
    this.wanted = true;
    this.#owner.hurry(this);
  }

  giveUp(): void {
    this.#owner.giveUp(this);
  }

  /**
   * Takes memory for as many blocks as there is any for, and leaves the others. False: for none;
   * nothing has changed then.
   */
  begin(): boolean {
    const targets: Target[] = [];
    for (const block of this.#blocks) {
      const wanted = block.waiters.size > 0 || (targets.length === 0 && this.waiters > 0);
      if (!wanted && !this.#cache.hasRoomAhead) break;
      const from = Math.max(this.#extent.start - block.start, 0);
      const to = Math.min(this.#extent.end - block.start, block.bytes);
      const slot = this.#slotFor(block, from, to);
      if (slot === undefined) break;
      this.#cache.loadingSlots += 1;
      targets.push({ block, slot, from, to });
    }
    const last = targets.at(-1);
    if (last === undefined) return false;
    this.#targets = targets;
    const left = this.#blocks.splice(targets.length);
    this.#extent = { start: this.#extent.start, end: last.block.start + last.to };
    this.startedMs = this.#owner.now();
    for (const block of left) this.#leave(block, undefined);
    return true;
  }

  room(): Uint8Array {
    const target = this.#targets[this.#at];
    if (target === undefined) throw new Error('a read gave more than was asked for');
    const { slot, from, to } = target;
    if (this.#within === 0 && to - from === BLOCK_BYTES) return slot.bytes;
    return slot.bytes.subarray(from + this.#within, to);
  }

  filled(bytes: number): void {
    const target = this.#targets[this.#at];
    if (target === undefined || this.#within + bytes > target.to - target.from) {
      throw new Error('a read filled more than its room');
    }
    if (bytes > 0) this.firstMs ??= this.#owner.now();
    this.#taken += bytes;
    this.#within += bytes;
    if (this.#within === target.to - target.from) this.#next(target, true);
  }

  /** Publishes the next block, which has come in another way, or passes it over. */
  filledBlock(there: boolean): void {
    const target = this.#targets[this.#at];
    if (target === undefined) throw new Error('more blocks came than were asked for');
    this.#taken += target.to - target.from;
    this.#next(target, there);
  }

  /** Ends it: who still waits is told `error`, or to look again. Call when nothing fills it. */
  finish(error: unknown): void {
    const targets = this.#targets.slice(this.#at);
    this.#at = this.#targets.length;
    this.#cache.loadingSlots -= targets.length;
    const isOurs = !this.#detached;
    // First: a reader that is told of one block may leave the others, and give up what ends here.
    this.#detached = true;
    for (const { block, slot } of targets) {
      this.#cache.pool.release(slot);
      if (isOurs) this.#leave(block, error);
    }
    if (this.#targets.length > 0 || !isOurs) return;
    for (const block of this.#blocks) this.#leave(block, error);
  }

  /**
   * Gives up what has not come: the next reader asks anew, who waits is told to look again. Slots
   * stay held until `finish`, since bytes may still arrive in them.
   */
  detach(): void {
    if (this.#detached) return;
    this.#detached = true;
    const begun = this.#targets.length > 0;
    const left = begun ? this.#targets.slice(this.#at).map(({ block }) => block) : this.#blocks;
    for (const { block, slot } of this.#targets.slice(this.#at)) {
      // Nobody else may write into what late bytes may still reach.
      if (block.slot === slot) this.#cache.lose(block);
    }
    for (const block of left) this.#leave(block, undefined);
  }

  /** Forgets what has come: it turned out not to be what was asked for. */
  revoke(): void {
    for (const { block, slot } of this.#targets) if (block.slot === slot) this.#cache.lose(block);
  }

  /** An addition to what is there of a block goes into the same slot. */
  #slotFor(block: Block, from: number, to: number): Slot | undefined {
    const { slot } = block;
    if (slot === undefined || (from !== block.to && to !== block.from)) {
      return this.#cache.takeSlot();
    }
    this.#cache.pool.hold(slot);
    return slot;
  }

  #next({ block, slot, from, to }: Target, there: boolean): void {
    this.#at += 1;
    this.#within = 0;
    this.#cache.loadingSlots -= 1;
    if (!this.#detached) {
      if (there) {
        this.#cache.fill(block, slot, from, to);
        if (block.complete) this.#owner.published(this, block);
      }
      this.#leave(block, undefined);
    }
    this.#cache.pool.release(slot);
  }

  #leave(block: Block, error: unknown): void {
    if (block.load === this) block.load = undefined;
    const waiters = [...block.waiters];
    block.waiters.clear();
    this.waiters -= waiters.length;
    for (const waiter of waiters) waiter.settled(block, error);
    this.#cache.tidy(block);
  }
}
