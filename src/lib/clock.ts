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
      await sleepFor(Math.min(Math.max(ms, 0), MAX_TIMER_MS), undefined, { signal });
    } catch (error) {
      signal.throwIfAborted();
      throw error;
    }
  },
};
