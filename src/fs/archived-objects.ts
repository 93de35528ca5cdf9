import type { Log } from '../lib/log.ts';

/** Keys that are remembered. */
const MOST_KEYS = 20;

/** Objects that could not be read since they are in cold storage: each is said once. */
export class ArchivedObjects {
  readonly #log: Log;
  readonly #keys = new Set<string>();

  constructor(log: Log) {
    this.#log = log;
  }

  /** The latest of them. */
  get keys(): readonly string[] {
    return [...this.#keys];
  }

  /** A read of `key` was refused. */
  readonly note = (key: string): void => {
    if (this.#keys.has(key)) return;
    this.#log.warn('object-archived', { key, next: 'have it restored first' });
    const [oldest] = this.#keys;
    if (this.#keys.size >= MOST_KEYS && oldest !== undefined) this.#keys.delete(oldest);
    this.#keys.add(key);
  };
}
