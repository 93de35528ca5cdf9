import { setMaxListeners } from 'node:events';
import { raceAbort } from '../lib/abort.ts';

/** Does the work of one flight. It must settle soon after `signal` aborts. */
export type FlightWork<V> = (signal: AbortSignal) => Promise<V>;

/** One piece of work under way, and how many callers still wait for it. */
interface Flight<V> {
  readonly controller: AbortController;
  readonly result: Promise<V>;
  callers: number;
}

/**
 * Lets concurrent callers that want the same thing share one piece of work.
 *
 * The kernel may interrupt each reader of a block alone, so the work is aborted only when its last
 * caller has gone: one who leaves never fails those who stay. Results are not kept. Keys compare
 * as in `Map`.
 */
export class SingleFlight<K, V> implements AsyncDisposable {
  /** What a new caller joins: never a flight that was aborted. */
  readonly #open = new Map<K, Flight<V>>();
  /** All that has not settled, abandoned work included. */
  readonly #unsettled = new Set<Flight<V>>();
  #closed = false;

  /** Pieces of work that have not settled, abandoned ones included. */
  get running(): number {
    return this.#unsettled.size;
  }

  /** Whether a caller for `key` would join work under way. */
  has(key: K): boolean {
    return this.#open.has(key);
  }

  /**
   * Settles as the work for `key` does; `work` is started only when none is under way.
   *
   * @throws `signal.reason` as soon as `signal` aborts; whatever the work threw.
   */
  async join(key: K, work: FlightWork<V>, signal: AbortSignal): Promise<V> {
    signal.throwIfAborted();
    // One reader may wait for any number of flights; each takes its listener away in the end.
    setMaxListeners(0, signal);
    if (this.#closed) throw new Error('SingleFlight is closed');
    const flight = this.#open.get(key) ?? this.#start(key, work);
    flight.callers += 1;
    try {
      return await raceAbort(flight.result, signal);
    } finally {
      flight.callers -= 1;
      if (flight.callers === 0) this.#abandon(key, flight);
    }
  }

  /** Aborts all work, waits until it has settled, and takes no more. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    const flights = [...this.#unsettled];
    for (const { controller } of flights) controller.abort();
    await Promise.allSettled(flights.map(({ result }) => result));
  }

  #start(key: K, work: FlightWork<V>): Flight<V> {
    const controller = new AbortController();
    const flight: Flight<V> = { controller, result: work(controller.signal), callers: 0 };
    const settled = (): void => {
      this.#unsettled.delete(flight);
      this.#unlist(key, flight);
    };
    this.#open.set(key, flight);
    this.#unsettled.add(flight);
    flight.result.then(settled, settled);
    return flight;
  }

  #abandon(key: K, flight: Flight<V>): void {
    this.#unlist(key, flight);
    if (this.#unsettled.has(flight)) flight.controller.abort();
  }

  /** A younger flight for the same key stays listed. */
  #unlist(key: K, flight: Flight<V>): void {
    if (this.#open.get(key) === flight) this.#open.delete(key);
  }
}
