/**
 * Which block to lose when memory is needed. Three lists, each from the least to the most recently
 * used; a block knows its neighbours, so that every step is a few assignments.
 *
 * - `spent`: read to its end in order. The kernel has its pages; nobody is likely to ask again.
 * - `ahead`: loaded before anybody asked, and not read yet.
 * - `kept`: read in no order, or more than once.
 */
import type { Block, Worth } from './block.ts';

interface List {
  oldest: Block | undefined;
  newest: Block | undefined;
  count: number;
}

export class Recency {
  readonly #lists: Readonly<Record<Worth, List>> = {
    spent: { oldest: undefined, newest: undefined, count: 0 },
    ahead: { oldest: undefined, newest: undefined, count: 0 },
    kept: { oldest: undefined, newest: undefined, count: 0 },
  };

  get blocks(): number {
    const { spent, ahead, kept } = this.#lists;
    return spent.count + ahead.count + kept.count;
  }

  /** Blocks that were loaded ahead, and not read yet. */
  get ahead(): number {
    return this.#lists.ahead.count;
  }

  /** The oldest of those, if it was loaded before `idleBefore`. */
  idle(idleBefore: number, spare: (block: Block) => boolean): Block | undefined {
    const unread = oldest(this.#lists.ahead, spare);
    return (unread?.loadedAt ?? Infinity) < idleBefore ? unread : undefined;
  }

  /** Makes `block` the most recently used of those of `worth`. */
  touch(block: Block, worth: Worth): void {
    const list = this.#lists[worth];
    if (list.newest === block) return;
    this.remove(block);
    block.worth = worth;
    block.older = list.newest;
    if (list.newest === undefined) list.oldest = block;
    else list.newest.newer = block;
    list.newest = block;
    list.count += 1;
  }

  remove(block: Block): void {
    if (block.worth === undefined) return;
    const list = this.#lists[block.worth];
    if (block.older === undefined) list.oldest = block.newer;
    else block.older.newer = block.newer;
    if (block.newer === undefined) list.newest = block.older;
    else block.newer.older = block.older;
    block.worth = undefined;
    block.older = undefined;
    block.newer = undefined;
    list.count -= 1;
  }

  /**
   * The block to lose, passing over those for which `spare` holds. What was loaded ahead goes before
   * what is kept when its reader has stopped: those that go on have at most `aheadBlocks` in all,
   * and come for theirs before everything else was replaced (`loadedAt` before `idleBefore`).
   */
  victim(
    aheadBlocks: number,
    idleBefore: number,
    spare: (block: Block) => boolean,
  ): Block | undefined {
    const { spent, ahead, kept } = this.#lists;
    const first = oldest(spent, spare);
    if (first !== undefined) return first;
    const unread = oldest(ahead, spare);
    const idle = ahead.count > aheadBlocks || (unread?.loadedAt ?? Infinity) < idleBefore;
    return idle ? unread : (oldest(kept, spare) ?? unread);
  }
}

function oldest(list: List, spare: (block: Block) => boolean): Block | undefined {
  for (let block = list.oldest; block !== undefined; block = block.newer) {
    if (!spare(block)) return block;
  }
  return undefined;
}
