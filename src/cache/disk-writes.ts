/**
 * Blocks on their way to the disk. What lies side by side goes in one call. When the disk is slower
 * than the network, blocks are dropped: a queue would hold memory, and a cache owes nothing.
 */
import { MiB } from '../lib/bytes.ts';
import { lengthOf } from './disk-files.ts';

/** Where blocks go. */
export interface WriteTarget {
  /** Never rejects. */
  store(first: number, blocks: readonly Uint8Array[]): Promise<void>;
}

interface Piece {
  readonly first: number;
  readonly blocks: readonly Uint8Array[];
  readonly bytes: number;
  readonly settle: () => void;
}

/** Two keep a disk busy; the other threads of the pool are for reads. */
const MAX_RUNNING = 2;
/** Lent to the queue and to writes under way. */
const MAX_LENT_BYTES = 16 * MiB;
/** Longer calls gain nothing, and hold all their blocks until they end. */
const MAX_CALL_BLOCKS = 32;

export class DiskWrites {
  /** What waits, of the target that has waited longest first. */
  readonly #waiting = new Map<WriteTarget, Piece[]>();
  /**
   * Calls under way. A target has one at most: a block that is put twice is written once, and never
   * are its bytes of one call and its proof of another.
   */
  readonly #underWay = new Map<WriteTarget, Promise<void>>();
  #lentBytes = 0;

  /** Settles when the blocks are needed no more; false when they were dropped at once. */
  put(target: WriteTarget, first: number, blocks: readonly Uint8Array[]): Promise<void> | false {
    const bytes = lengthOf(blocks);
    if (this.#lentBytes > 0 && this.#lentBytes + bytes > MAX_LENT_BYTES) return false;
    this.#lentBytes += bytes;
    return new Promise<void>((settle) => {
      const line = this.#waiting.get(target) ?? [];
      this.#waiting.set(target, line);
      line.push({ first, blocks, bytes, settle });
      this.#start();
    });
  }

  /** Settles when all that was put is done. */
  async settled(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.all(this.#underWay.values());
  }

  #start(): void {
    for (const [target, line] of this.#waiting) {
      if (this.#underWay.size >= MAX_RUNNING) return;
      if (this.#underWay.has(target)) continue;
      this.#waiting.delete(target);
      const call = line.splice(0, callLength(line));
      // Others have their turn before what is left of this one.
      if (line.length > 0) this.#waiting.set(target, line);
      const done = this.#run(target, call).finally(() => {
        this.#underWay.delete(target);
        this.#start();
      });
      this.#underWay.set(target, done);
    }
  }

  async #run(target: WriteTarget, call: readonly Piece[]): Promise<void> {
    const blocks = call.flatMap((piece) => piece.blocks);
    await target.store(call[0]?.first ?? 0, blocks);
    for (const piece of call) {
      this.#lentBytes -= piece.bytes;
      piece.settle();
    }
  }
}

/** How many pieces go in one call: the first, and those that continue it. */
function callLength(line: readonly Piece[]): number {
  let [length, blocks] = [1, line[0]?.blocks.length ?? 0];
  for (; length < line.length; length += 1) {
    const [last, next] = [line[length - 1], line[length]];
    if (last === undefined || next?.first !== last.first + last.blocks.length) break;
    blocks += next.blocks.length;
    if (blocks > MAX_CALL_BLOCKS) break;
  }
  return length;
}
