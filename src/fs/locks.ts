import { raceAbort } from '../lib/abort.ts';

/** Lets one piece of work run at a time, first come, first served. */
export class Exclusive {
  #last: Promise<void> = Promise.resolve();
  #work = 0;

  /** Nothing runs or waits: what is done in this turn of the event loop is done alone. */
  get isFree(): boolean {
    return this.#work === 0;
  }

  /** @throws `signal.reason` if it aborts before the work's turn; whatever the work threw. */
  async run<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    const before = this.#last;
    let leave = (): void => undefined;
    const mine = new Promise<void>((resolve) => {
      leave = resolve;
    });
    this.#last = before.then(async () => await mine);
    this.#work += 1;
    try {
      await raceAbort(before, signal);
      return await work();
    } finally {
      this.#work -= 1;
      leave();
    }
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
    await this.#take(charge, signal);
    try {
      return await work();
    } finally {
      this.#give(charge);
    }
  }

  async #take(bytes: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#waiting.length === 0 && bytes <= this.#freeBytes) {
      this.#freeBytes -= bytes;
      return;
    }
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
