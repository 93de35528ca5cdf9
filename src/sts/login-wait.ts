/**
 * Callers that wait for a new login, each for the same time at most. They ask nobody themselves:
 * whoever renews the credentials tells all of them at once.
 */
import { LinkedAbort, raceAbort } from '../lib/abort.ts';
import type { Clock } from '../lib/clock.ts';
import type { Credentials } from './credential-source.ts';

/** What the wait ended with: credentials, or an error that waiting longer will not mend. */
export type LoginNews =
  | { readonly kind: 'renewed'; readonly credentials: Credentials }
  | { readonly kind: 'failed'; readonly error: unknown };

export class LoginWait {
  readonly #clock: Clock;
  readonly #limitMs: number;
  readonly #waiters = new Set<(news: LoginNews) => void>();

  /** `limitMs` is how long each caller waits; with 0 nobody does. */
  constructor(clock: Clock, limitMs: number) {
    this.#clock = clock;
    this.#limitMs = limitMs;
  }

  /** How many wait. */
  get waiting(): number {
    return this.#waiters.size;
  }

  /** Lets everybody go who waits now. */
  tell(news: LoginNews): void {
    for (const waiter of this.#waiters) waiter(news);
    this.#waiters.clear();
  }

  /**
   * The next news; undefined when the time is over before there are any.
   *
   * @throws `signal.reason` as soon as `signal` aborts.
   */
  async next(signal: AbortSignal): Promise<LoginNews | undefined> {
    signal.throwIfAborted();
    if (this.#limitMs <= 0) return undefined;
    using limit = new LinkedAbort(signal);
    const own: ((news: LoginNews) => void)[] = [];
    const news = new Promise<LoginNews>((resolve) => own.push(resolve));
    for (const waiter of own) this.#waiters.add(waiter);
    const late = this.#clock.sleep(this.#limitMs, limit.signal).then(() => undefined);
    late.catch(() => undefined); // ends with the wait
    try {
      return await raceAbort(Promise.race([news, late]), signal);
    } finally {
      for (const waiter of own) this.#waiters.delete(waiter);
      limit.abort();
    }
  }
}
