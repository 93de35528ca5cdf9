/** One piece of work that concurrent callers share. */
import { raceAbort } from './abort.ts';

interface Flight<T> {
  readonly result: Promise<T>;
  readonly controller: AbortController;
  waiters: number;
}

/**
 * Callers that come while the work runs wait for the same result. One caller's abort leaves the
 * work to the others; the last one's stops it.
 */
export class SharedWork<T> {
  readonly #work: (signal: AbortSignal) => Promise<T>;
  #flight: Flight<T> | undefined;

  constructor(work: (signal: AbortSignal) => Promise<T>) {
    this.#work = work;
  }

  async run(signal: AbortSignal): Promise<T> {
    signal.throwIfAborted();
    const flight = this.#flight ?? this.#start();
    flight.waiters += 1;
    try {
      return await raceAbort(flight.result, signal);
    } finally {
      flight.waiters -= 1;
      if (flight.waiters === 0) this.#leave(flight);
    }
  }

  #start(): Flight<T> {
    const controller = new AbortController();
    const flight = { result: this.#work(controller.signal), controller, waiters: 0 };
    this.#flight = flight;
    const settled = (): void => this.#leave(flight);
    flight.result.then(settled, settled);
    return flight;
  }

  #leave(flight: Flight<T>): void {
    if (this.#flight === flight) this.#flight = undefined;
    flight.controller.abort();
  }
}
