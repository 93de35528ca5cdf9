import { raceAbort } from '../lib/abort.ts';

/** A place in the line of `LoadSlots`. */
export interface Turn {
  /** Moves in front of everyone who is not urgent. */
  hurry(): void;
}

interface Waiter {
  readonly start: () => void;
  urgent: boolean;
}

/**
 * At most `slots` pieces of work at once. Work that somebody waits for goes before work done
 * ahead of time; within each kind, first come, first served.
 */
export class LoadSlots {
  readonly #slots: number;
  readonly #waiters = new Set<Waiter>();
  #taken = 0;

  constructor(slots: number) {
    this.#slots = slots;
  }

  /** Pieces of work that hold a slot. */
  get taken(): number {
    return this.#taken;
  }

  /**
   * Runs `work` in a slot of its own. `queued` gets the place in line at once.
   *
   * @throws `signal.reason` if it aborts before the slot is free; whatever the work threw.
   */
  async run<T>(
    urgent: boolean,
    queued: (turn: Turn) => void,
    work: () => Promise<T>,
    signal: AbortSignal,
  ): Promise<T> {
    await this.#take(urgent, queued, signal);
    try {
      return await work();
    } finally {
      this.#taken -= 1;
      this.#startNext();
    }
  }

  async #take(urgent: boolean, queued: (turn: Turn) => void, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#taken < this.#slots) {
      this.#taken += 1;
      return;
    }
    let start = (): void => undefined;
    const started = new Promise<void>((resolve) => {
      start = resolve;
    });
    const waiter: Waiter = { start, urgent };
    this.#waiters.add(waiter);
    queued({ hurry: () => (waiter.urgent = true) });
    try {
      await raceAbort(started, signal);
    } catch (error) {
      // Aborted after its turn had come: the slot goes to the next in line.
      if (!this.#waiters.delete(waiter)) {
        this.#taken -= 1;
        this.#startNext();
      }
      throw error;
    }
  }

  /** Gives the free slot to the first urgent waiter, else to the first of all. */
  #startNext(): void {
    let next: Waiter | undefined;
    for (const waiter of this.#waiters) {
      if (waiter.urgent) {
        next = waiter;
        break;
      }
      next ??= waiter;
    }
    if (next === undefined) return;
    this.#waiters.delete(next);
    this.#taken += 1;
    next.start();
  }
}
