import type { Clock } from '../lib/clock.ts';

export interface RetryOptions {
  readonly clock: Clock;
  /** In [0, 1). */
  readonly random: () => number;
  /**
   * How long pauses and failed tries may last together; a pause that would go beyond it is not
   * begun. A try counts for at most 5 s, so that one stalled connection is not the end of a
   * request, and there are at least three tries, unless this is 0 or the failure doubtful.
   */
  readonly budgetMs: number;
}

/** What may be hoped for after a failure. */
export type Outlook =
  /** There may be nothing at all at that address. */
  | 'doubtful'
  /** It answers, and cannot serve now. */
  | 'busy'
  /** It was there before, and the way to it is broken: a laptop that wakes up in another place. */
  | 'away';

/** What is known of a failure besides its being one. */
export interface PauseOptions {
  /** As the server asked (`Retry-After`); followed up to 10 s. */
  readonly retryAfterMs?: number | undefined;
  /** How long it may go on, the budget permitting; default 'away'. */
  readonly outlook?: Outlook | undefined;
}

/**
 * Outlasts a network that is away for a minute, with the longest pause and the try after it.
 */
export const DEFAULT_RETRY_BUDGET_MS = 90_000;

/** Parts of the budget. A doubtful failure is owed no tries either: a person waits for the answer. */
const longestMs: Readonly<Record<Outlook, number>> = {
  doubtful: 2_000,
  busy: 30_000,
  away: Number.POSITIVE_INFINITY,
};

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
  /** Of `#spentMs`, with the outlook of the time: a minute away is no part of being busy. */
  readonly #spentWith = new Map<Outlook, number>();
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
    const { outlook = 'away' } = options;
    this.#spend(outlook, Math.min(triedMs, LONGEST_COUNTED_TRY_MS));
    const jitterMs = random() * Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** this.#tries);
    const askedMs = Math.min(options.retryAfterMs ?? 0, LONGEST_RETRY_AFTER_MS);
    const pauseMs = Math.max(jitterMs, askedMs);
    const leftMs = Math.min(budgetMs - this.#spentMs, longestMs[outlook] - this.#spent(outlook));
    this.#tries += 1;
    const owesTries = budgetMs > 0 && outlook !== 'doubtful' && this.#tries < LEAST_TRIES;
    if (!owesTries && pauseMs >= leftMs) throw failure;
    this.#spend(outlook, pauseMs);
    await clock.sleep(pauseMs, signal);
    this.#tryStartedMs = clock.monotonic();
  }

  /** The request got on: later trouble has the whole budget again. */
  renew(): void {
    this.#spentMs = 0;
    this.#spentWith.clear();
    this.#tries = 0;
    this.#tryStartedMs = this.#options.clock.monotonic();
  }

  #spent(outlook: Outlook): number {
    return this.#spentWith.get(outlook) ?? 0;
  }

  #spend(outlook: Outlook, ms: number): void {
    this.#spentMs += ms;
    this.#spentWith.set(outlook, this.#spent(outlook) + ms);
  }
}
