import type { Clock } from '../lib/clock.ts';

export interface RetryOptions {
  readonly clock: Clock;
  /** In [0, 1). */
  readonly random: () => number;
  /**
   * How long pauses and failed tries may last together; a pause that would go beyond it is not
   * begun. A try counts for at most 5 s, so that one stalled connection is not the end of a
   * request, and there are at least three tries, unless this is 0: then there is one.
   */
  readonly budgetMs: number;
}

/** What is known of a failure besides its being one. */
export interface PauseOptions {
  /** As the server asked (`Retry-After`); followed up to 10 s. */
  readonly retryAfterMs?: number | undefined;
  /** It hardly passes by itself: the budget is at most `BRIEF_BUDGET_MS`. */
  readonly brief?: boolean | undefined;
}

export const DEFAULT_RETRY_BUDGET_MS = 30_000;

/** For what a few tries will not mend, such as a host name that nobody knows. */
export const BRIEF_BUDGET_MS = 2_000;

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5_000;
const LONGEST_RETRY_AFTER_MS = 10_000;

/** A longer try was ended by its connection's silence, or was getting on until it failed. */
const LONGEST_COUNTED_TRY_MS = 5_000;
const LEAST_TRIES = 3;

/**
 * The pauses between the tries of one request: full jitter under a ceiling that doubles, so that
 * many clients of a busy server spread out (AWS Architecture Blog, "Exponential Backoff And
 * Jitter").
 */
export class RetryBudget {
  readonly #options: RetryOptions;
  #spentMs = 0;
  #tries = 0;
  #tryStartedMs: number;

  constructor(options: RetryOptions) {
    this.#options = options;
    this.#tryStartedMs = options.clock.monotonic();
  }

  /**
   * Waits after a failed try, before the next.
   *
   * @throws `failure` when the budget is spent; `signal.reason` once `signal` aborts.
   */
  async pause(failure: unknown, signal: AbortSignal, options: PauseOptions = {}): Promise<void> {
    const { clock, random, budgetMs } = this.#options;
    const triedMs = clock.monotonic() - this.#tryStartedMs;
    this.#spentMs += Math.min(triedMs, LONGEST_COUNTED_TRY_MS);
    const jitterMs = random() * Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** this.#tries);
    const askedMs = Math.min(options.retryAfterMs ?? 0, LONGEST_RETRY_AFTER_MS);
    const pauseMs = Math.max(jitterMs, askedMs);
    const mayMs = options.brief === true ? Math.min(budgetMs, BRIEF_BUDGET_MS) : budgetMs;
    this.#tries += 1;
    const owesTries = budgetMs > 0 && this.#tries < LEAST_TRIES;
    if (!owesTries && this.#spentMs + pauseMs >= mayMs) throw failure;
    this.#spentMs += pauseMs;
    await clock.sleep(pauseMs, signal);
    this.#tryStartedMs = clock.monotonic();
  }

  /** The request got on: later trouble has the whole budget again. */
  renew(): void {
    this.#spentMs = 0;
    this.#tries = 0;
    this.#tryStartedMs = this.#options.clock.monotonic();
  }
}
