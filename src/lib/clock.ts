import { setTimeout as sleepFor } from 'node:timers/promises';

/** Time as the rest of wire sees it, so that tests can hold or jump it. */
export interface Clock {
  /** Wall clock, ms since the epoch. May jump. */
  now(): number;
  /** Milliseconds since an arbitrary start; never goes back. */
  monotonic(): number;
  /**
   * Resolves after `ms`.
   *
   * @throws `signal.reason` as soon as `signal` aborts.
   */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

/** Longest delay a Node timer takes; longer ones fire at once (Node `timers` documentation). */
const MAX_TIMER_MS = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  async sleep(ms, signal) {
    signal.throwIfAborted();
    try {
      let left = Math.max(ms, 0);
      for (; left > MAX_TIMER_MS; left -= MAX_TIMER_MS) {
        await sleepFor(MAX_TIMER_MS, undefined, { signal });
      }
      await sleepFor(left, undefined, { signal });
    } catch (error) {
      signal.throwIfAborted();
      throw error;
    }
  },
};
