/** Which load starts next, and how many run at once. */

export interface QueuedLoad {
  /** A reader waits for it. */
  urgent: boolean;
  /** It is more than one read wants: beside enough others it is no sooner done. */
  readonly long: boolean;
  /** Whether it had better not start now, while nobody waits for it. */
  readonly paused: () => boolean;
  /** How far its reader is from needing it, in bytes. */
  readonly distance: number;
  /** Starts it; false when there is no memory for it at this moment. */
  start(): boolean;
  /** Gives it up because nobody waits for it and there is no memory. */
  drop(): void;
}

export interface LoadQueueOptions {
  /** Most loads at once when nobody waits for them. */
  readonly aheadLimit: () => number;
  /** Most loads at once before one starts that is long, and waited for. */
  readonly longLimit: () => number;
  /** Most loads at once, with those that somebody waits for. */
  readonly limit: () => number;
}

/**
 * Loads that somebody waits for go first, in order of arrival, but short ones need not wait for long
 * ones; then the one whose reader is nearest
 * to needing it.
 */
export class LoadQueue {
  readonly #options: LoadQueueOptions;
  readonly #urgent = new Set<QueuedLoad>();
  readonly #ahead = new Set<QueuedLoad>();
  #running = 0;
  #pumping = false;

  constructor(options: LoadQueueOptions) {
    this.#options = options;
  }

  get running(): number {
    return this.#running;
  }

  get waiting(): number {
    return this.#urgent.size + this.#ahead.size;
  }

  add(load: QueuedLoad): void {
    (load.urgent ? this.#urgent : this.#ahead).add(load);
    this.pump();
  }

  /** A reader has come for a load that was only ahead. */
  hurry(load: QueuedLoad): void {
    load.urgent = true;
    if (!this.#ahead.delete(load)) return;
    this.#urgent.add(load);
    this.pump();
  }

  /** Takes a load out of the line; false: it was not in it. */
  withdraw(load: QueuedLoad): boolean {
    return this.#urgent.delete(load) || this.#ahead.delete(load);
  }

  /** A load that was started has come to its end. */
  ended(): void {
    this.#running -= 1;
    this.pump();
  }

  /** Starts what may be started. False: something urgent finds no memory. */
  pump(): boolean {
    // What a start wakes may add loads: those are seen by the loop that is running.
    if (this.#pumping) return true;
    this.#pumping = true;
    try {
      return this.#startAll();
    } finally {
      this.#pumping = false;
    }
  }

  #startAll(): boolean {
    for (let next = this.#next(); next !== undefined; next = this.#next()) {
      this.withdraw(next);
      this.#running += 1;
      if (next.start()) continue;
      this.#running -= 1;
      if (next.urgent) {
        this.#putBack(next);
        return false;
      }
      next.drop();
    }
    return true;
  }

  /** In front of those that came later. */
  #putBack(load: QueuedLoad): void {
    const others = [...this.#urgent];
    this.#urgent.clear();
    for (const each of [load, ...others]) this.#urgent.add(each);
  }

  #next(): QueuedLoad | undefined {
    if (this.#running >= this.#options.limit()) return undefined;
    const longToo = this.#running < this.#options.longLimit();
    for (const load of this.#urgent) if (longToo || !load.long) return load;
    if (this.#running >= this.#options.aheadLimit()) return undefined;
    let nearest: QueuedLoad | undefined;
    for (const load of this.#ahead) {
      if (nearest !== undefined && nearest.distance <= load.distance) continue;
      if (!load.paused()) nearest = load;
    }
    return nearest;
  }
}
