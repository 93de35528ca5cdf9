import { readFileSync } from 'node:fs';
import { uptime } from 'node:os';
import { setTimeout as sleepFor } from 'node:timers/promises';

/** Time as the rest of wire sees it, so that tests can hold or jump it. */
export interface Clock {
  /** Wall clock, ms since the epoch. May jump. */
  now(): number;
  /** Milliseconds since an arbitrary start; never goes back. */
  monotonic(): number;
  /**
   * The time since the machine started, which goes on while it sleeps and which nobody sets: for
   * spans that begin in one process and end in another. Absent where there is no such clock.
   */
  boot?(): BootMoment | undefined;
  /**
   * Resolves after `ms`.
   *
   * @throws `signal.reason` as soon as `signal` aborts.
   */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

/** A moment since one start of the machine. */
export interface BootMoment {
  /** Which start: moments of different ones do not compare. */
  readonly start: string;
  readonly ms: number;
}

/** Longest delay a Node timer takes; longer ones fire at once (Node `timers` documentation). */
const MAX_TIMER_MS = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  boot: bootMoment,
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

/** Linux only (`random(4)`; uptime is CLOCK_BOOTTIME, `clock_gettime(2)`). */
function bootMoment(): BootMoment | undefined {
  try {
    const start = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    return { start, ms: uptime() * 1000 };
  } catch {
    return undefined;
  }
}
