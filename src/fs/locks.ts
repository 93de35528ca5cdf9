import { raceAbort } from '../lib/abort.ts';

/**
 * Lets one piece of work run at a time, first come, first served. Where nobody else is at work it
 * begins at once: most files have one writer, and a turn that is waited for costs as much as a write.
 */
export class Exclusive {
  #isBusy = false;
  /** Who waits for a turn, in order of coming. */
  #waiting: Set<() => void> | undefined;

  /** Nothing runs or waits: what is done in this turn of the event loop is done alone. */
  get isFree(): boolean {
    return !this.#isBusy;
  }

  /** @throws `signal.reason` if it aborts before the work's turn; whatever the work threw. */
  async run<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    signal.throwIfAborted();
    if (this.#isBusy) await this.#turn(signal);
    this.#isBusy = true;
    try {
      return await work();
    } finally {
      this.#leave();
    }
  }

  async #turn(signal: AbortSignal): Promise<void> {
    let start = (): void => undefined;
    const started = new Promise<void>((resolve) => {
      start = resolve;
    });
    this.#waiting ??= new Set();
    this.#waiting.add(start);
    try {
      await raceAbort(started, signal);
    } catch (error) {
      // Its turn had come in the same moment: it is the next one's.
      if (!this.#waiting.delete(start)) this.#leave();
      throw error;
    }
  }

  /** The turn is handed over without a moment in which somebody else could take it. */
  #leave(): void {
    const [next] = this.#waiting ?? [];
    if (next === undefined) {
      this.#isBusy = false;
      return;
    }
    this.#waiting?.delete(next);
    next();
  }
}

/** Bounds what is under way in bytes, and in number by charging each at least `minimumBytes`. */
export class ByteBudget {
  readonly #minimumBytes: number;
  #freeBytes: number;
  readonly #allBytes: number;
  readonly #waiting: { readonly bytes: number; readonly start: () => void }[] = [];

  constructor(bytes: number, most: number) {
    this.#allBytes = bytes;
    this.#freeBytes = bytes;
    this.#minimumBytes = Math.ceil(bytes / most);
  }

  /** Runs `work` once `bytes` are free; more than all there is means alone. */
  async run<T>(bytes: number, work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    const charge = Math.min(Math.max(bytes, this.#minimumBytes), this.#allBytes);
    signal.throwIfAborted();
    if (this.#waiting.length === 0 && charge <= this.#freeBytes) this.#freeBytes -= charge;
    else await this.#wait(charge, signal);
    try {
      return await work();
    } finally {
      this.#give(charge);
    }
  }

  async #wait(bytes: number, signal: AbortSignal): Promise<void> {
    let start = (): void => undefined;
    const started = new Promise<void>((resolve) => {
      start = resolve;
    });
    const waiter = { bytes, start };
    this.#waiting.push(waiter);
    try {
      await raceAbort(started, signal);
    } catch (error) {
      const at = this.#waiting.indexOf(waiter);
      if (at >= 0) this.#waiting.splice(at, 1);
      // Its turn had come in the same moment; and others may fit where it did not.
      this.#give(at >= 0 ? 0 : bytes);
      throw error;
    }
  }

  #give(bytes: number): void {
    this.#freeBytes += bytes;
    for (let first = this.#waiting[0]; first; first = this.#waiting[0]) {
      if (first.bytes > this.#freeBytes) return;
      this.#waiting.shift();
      this.#freeBytes -= first.bytes;
      first.start();
    }
  }
}
