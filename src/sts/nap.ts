/** A sleep that others may end before its time. */
import { LinkedAbort } from '../lib/abort.ts';
import type { Clock } from '../lib/clock.ts';

export class Nap {
  readonly #clock: Clock;
  #sleeping: LinkedAbort | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * Returns after `ms`, or when woken. One sleeper at a time.
   *
   * @throws `signal.reason` as soon as `signal` aborts.
   */
  async sleep(ms: number, signal: AbortSignal): Promise<void> {
    using nap = new LinkedAbort(signal);
    this.#sleeping = nap;
    try {
      await this.#clock.sleep(ms, nap.signal);
    } catch (error) {
      signal.throwIfAborted();
      if (!nap.signal.aborted) throw error;
    } finally {
      this.#sleeping = undefined;
    }
  }

  /** Ends the sleep under way, if there is one. */
  wake(): void {
    this.#sleeping?.abort(new Error('woken'));
  }
}
