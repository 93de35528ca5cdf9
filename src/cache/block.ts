/** Blocks of one version of one object, as far as they are in memory or on their way there. */
import { BLOCK_BYTES, type Slot } from './slots.ts';

/** Which list of `Recency` a block is in: what it would cost to lose it. */
export type Worth = 'spent' | 'ahead' | 'kept';

/** What brings blocks that are not here yet. */
export interface Arrival {
  /** Registrations of readers with blocks that are to come. */
  waiters: number;
  /** A reader waits for it now. */
  hurry(): void;
  /** Nobody waits for it any more. */
  giveUp(): void;
}

/** Told of a block, in the same turn, when a load has brought it or ended without it. */
export interface BlockWaiter {
  /** `error` undefined: look again, it is there or has to be asked for again. */
  settled(block: Block, error: unknown): void;
}

/**
 * One block. What is there is `[from, to)` of it; nothing while they are equal. It is in its
 * object's map as long as some of it is there or on its way.
 */
export class Block {
  readonly object: ObjectBlocks;
  readonly index: number;
  /** Less than `BLOCK_BYTES` for an object's last. */
  readonly bytes: number;
  slot: Slot | undefined;
  from = 0;
  to = 0;
  /** What brings more of it. */
  load: Arrival | undefined;
  readonly waiters: Set<BlockWaiter> = new Set<BlockWaiter>();
  /** When something was loaded into it, as `SlotPool.uses` counts. */
  loadedAt = 0;
  /** Links of the list it is in, see `Recency`. */
  worth: Worth | undefined;
  older: Block | undefined;
  newer: Block | undefined;

  constructor(object: ObjectBlocks, index: number) {
    this.object = object;
    this.index = index;
    this.bytes = Math.min(BLOCK_BYTES, object.bytes - index * BLOCK_BYTES);
  }

  /** Where it begins in the object. */
  get start(): number {
    return this.index * BLOCK_BYTES;
  }

  get complete(): boolean {
    return this.from === 0 && this.to === this.bytes;
  }

  /** Whether `[from, to)` of it is there. */
  covers(from: number, to: number): boolean {
    return this.from <= from && to <= this.to;
  }
}

/** The blocks of one version of an object. */
export class ObjectBlocks {
  /** Names bytes that never change. */
  readonly name: string;
  /** Length of the object. */
  readonly bytes: number;
  readonly blocks: Map<number, Block> = new Map<number, Block>();
  /** Who has it open. */
  pins = 0;

  constructor(name: string, bytes: number) {
    this.name = name;
    this.bytes = bytes;
  }

  /** The block, made when nothing is known of it. */
  at(index: number): Block {
    const known = this.blocks.get(index);
    if (known !== undefined) return known;
    const block = new Block(this, index);
    this.blocks.set(index, block);
    return block;
  }

  /** Takes a block away of which nothing is there and nothing is coming. */
  tidy(block: Block): void {
    const wanted = block.slot !== undefined || block.load !== undefined || block.waiters.size > 0;
    if (!wanted && this.blocks.get(block.index) === block) this.blocks.delete(block.index);
  }
}
