import type { Clock } from '../lib/clock.ts';

export interface RetryOptions {
  readonly clock: Clock;
  /** In [0, 1). */
  readonly random: () => number;
  /** Longest time spent on tries and pauses; a pause that would end later is not begun. */
  readonly budgetMs: number;
}

export const DEFAULT_RETRY_BUDGET_MS = 30_000;

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5_000;

/**
 * The pauses between the tries of one request: full jitter under a ceiling that doubles, so that
 * many clients of a busy server spread out (AWS Architecture Blog, "Exponential Backoff And
 * Jitter").
 */
export class RetryBudget {
  readonly #options: RetryOptions;
  #startedMs: number;
  #tries = 0;

  constructor(options: RetryOptions) {
    this.#options = options;
    this.#startedMs = options.clock.monotonic();
  }

  /**
   * Waits before the next try.
   *
   * @throws `failure` when the budget is spent; `signal.reason` once `signal` aborts.
   */
  async pause(failure: unknown, signal: AbortSignal): Promise<void> {
    const { clock, random, budgetMs } = this.#options;
    const ceilingMs = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** this.#tries);
    const pauseMs = random() * ceilingMs;
    this.#tries += 1;
    if (clock.monotonic() - this.#startedMs + pauseMs >= budgetMs) throw failure;
    await clock.sleep(pauseMs, signal);
  }

  /** The request got on: later trouble has the whole budget again. */
  renew(): void {
    this.#startedMs = this.#options.clock.monotonic();
    this.#tries = 0;
  }
}
