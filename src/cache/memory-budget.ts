/**
 * The memory that one process may use for content: what is cached, read ahead, or on its way to
 * the store. Consumers take before they allocate and give back after they let go. Who needs room
 * that others could do without gets it: they are asked to reclaim.
 *
 * Invariant: `used` never exceeds `bytes`, but for what was in use when `resize` made it smaller or
 * somebody joined, and for what `insist` took.
 */

import { MiB } from '../lib/bytes.ts';

/** Of a process that was told nothing else. */
export const MEMORY_BYTES: number = 48 * MiB;

export interface BudgetConsumer {
  /** For people. */
  readonly name: string;
  /** What others leave to this consumer even when it does not use it, so that it can go on. */
  readonly floorBytes: number;
  /** What it cannot give back before its work is done; absent: nothing beyond its floor. */
  readonly busyBytes?: number;
  /** Gives back what it can do without, up to about `bytes`, through its share. Never waits. */
  reclaim(bytes: number): void;
}

/** One consumer's part of the budget. */
export interface BudgetShare {
  readonly used: number;
  /** Takes all of `bytes`, or nothing: what others keep of theirs is not to be had. */
  take(bytes: number): boolean;
  /** Takes `bytes` whatever others keep: for the little without which nothing would go on. */
  insist(bytes: number): void;
  give(bytes: number): void;
  /** What it holds in all once others have given back all they can do without, at most. */
  readonly mostBytes: number;
  /** Gives everything back and leaves. */
  leave(): void;
}

interface Member {
  readonly consumer: BudgetConsumer;
  used: number;
}

export class MemoryBudget {
  readonly #members = new Set<Member>();
  #bytes: number;

  constructor(bytes: number) {
    this.#bytes = bytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get used(): number {
    let used = 0;
    for (const member of this.#members) used += member.used;
    return used;
  }

  /** Sets another size; consumers give back at once what they can do without. */
  resize(bytes: number): void {
    this.#bytes = bytes;
    for (const { consumer } of this.#members) {
      const over = this.used - bytes;
      if (over <= 0) return;
      consumer.reclaim(over);
    }
  }

  join(consumer: BudgetConsumer): BudgetShare {
    const member: Member = { consumer, used: 0 };
    this.#members.add(member);
    const mostFor = (): number => this.#mostFor(member);
    return {
      get used() {
        return member.used;
      },
      get mostBytes() {
        return mostFor();
      },
      take: (bytes) => this.#take(member, bytes),
      insist: (bytes) => {
        if (!this.#take(member, bytes)) member.used += bytes;
      },
      give: (bytes) => {
        member.used = Math.max(member.used - bytes, 0);
      },
      leave: () => {
        this.#members.delete(member);
      },
    };
  }

  #take(member: Member, bytes: number): boolean {
    const used = member.used + bytes;
    if (used > this.#mostFor(member)) return false;
    for (const other of this.#members) {
      const over = this.#committedWith(member, used) - this.#bytes;
      const spare = other.used - other.consumer.floorBytes;
      if (over <= 0) break;
      if (other !== member && spare > 0) other.consumer.reclaim(Math.min(over, spare));
    }
    const isFloor = used <= Math.min(member.consumer.floorBytes, this.#bytes);
    if (!isFloor && this.#committedWith(member, used) > this.#bytes) return false;
    member.used = used;
    return true;
  }

  /** What is in use, or left to who does not use it, if `member` used so much. */
  #committedWith(member: Member, used: number): number {
    let committed = used;
    for (const other of this.#members) {
      if (other !== member) committed += Math.max(other.used, other.consumer.floorBytes);
    }
    return committed;
  }

  #mostFor(member: Member): number {
    let others = 0;
    for (const { consumer } of this.#members) {
      if (consumer !== member.consumer) {
        others += Math.max(consumer.floorBytes, consumer.busyBytes ?? 0);
      }
    }
    return Math.max(this.#bytes - others, Math.min(member.consumer.floorBytes, this.#bytes));
  }
}
