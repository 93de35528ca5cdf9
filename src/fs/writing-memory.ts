/**
 * The part that writing has of a process's memory budget, shared by all its mounts. The rule: what
 * is written may take a quarter of the budget and bodies of uploads two thirds, of what nobody is
 * using at the moment (cached blocks make room, but for the least that reading keeps), and whatever
 * others hold, the first 2 MiB of content and the first body are always had.
 */
import type { MemoryBudget } from '../cache/memory-budget.ts';
import { BodyPool } from './body-pool.ts';
import { ChunkPool } from './chunk-pool.ts';

export class WritingMemory {
  /** For what is written and not on the disk yet. */
  readonly chunks: ChunkPool;
  /** For what is sent. */
  readonly bodies: BodyPool;

  constructor(budget: MemoryBudget) {
    this.chunks = new ChunkPool(budget);
    this.bodies = new BodyPool(budget);
  }
}
