import type { Log } from '../lib/log.ts';
import { StoreError } from '../store/errors.ts';

interface Denial {
  readonly error: StoreError;
  /** Monotonic. */
  readonly atMs: number;
}

/** Forgotten all at once when there are more. */
const MOST_DENIALS = 4096;

/**
 * The questions about a directory that the store refused by policy, or for want of the bucket: one
 * refusal answers all who ask within the TTL.
 */
export class Denials {
  readonly #denied = new Map<string, Denial>();
  readonly #log: Log;
  /** How long what was said at a time still holds, ms. */
  readonly #left: (sinceMs: number) => number;

  constructor(log: Log, left: (sinceMs: number) => number) {
    this.#log = log;
    this.#left = left;
  }

  has(question: string): boolean {
    return this.#of(question) !== undefined;
  }

  /** @throws StoreError as `question` was refused. */
  throwIfDenied(question: string): void {
    const denial = this.#of(question);
    if (denial !== undefined) throw denial.error;
  }

  /** Keeps `error`, if it is one that would only be repeated. */
  keep(question: string, error: unknown, atMs: number): void {
    if (!(error instanceof StoreError)) return;
    if (error.kind !== 'access-denied' && error.kind !== 'not-found') return;
    this.#log.warn('listing-refused', { kind: error.kind, error });
    if (this.#denied.size > MOST_DENIALS) this.#denied.clear();
    this.#denied.set(question, { error, atMs });
  }

  clear(): void {
    this.#denied.clear();
  }

  #of(question: string): Denial | undefined {
    const denial = this.#denied.get(question);
    return denial !== undefined && this.#left(denial.atMs) > 0 ? denial : undefined;
  }
}
