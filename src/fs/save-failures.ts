/** Saves that failed, as `wire status` tells them: the latest few. */
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import type { FileNode } from './nodes.ts';

export interface SaveFailure {
  readonly name: string;
  readonly message: string;
  /** Ms since the epoch. */
  readonly atMs: number;
  /** Where the bytes are, when they were put aside. */
  readonly keptAt?: string;
}

/** Failures remembered. */
const MOST_FAILURES = 10;

export class SaveFailures {
  readonly #clock: Clock;
  readonly #log: Log;
  #latest: readonly { readonly node: FileNode | undefined; readonly failure: SaveFailure }[] = [];

  constructor(clock: Clock, log: Log) {
    this.#clock = clock;
    this.#log = log;
  }

  /** Oldest first. */
  get latest(): readonly SaveFailure[] {
    return this.#latest.map(({ failure }) => failure);
  }

  /** @param node of a failure that a later save mends, and a later failure replaces. */
  add(name: string, error: unknown, keptAt: string | undefined, node?: FileNode): void {
    this.#log.error('not-saved', { name, error, ...(keptAt === undefined ? {} : { keptAt }) });
    const message = error instanceof Error ? error.message : String(error);
    const failure = { name, message, atMs: this.#clock.now() };
    const told = { node, failure: keptAt === undefined ? failure : { ...failure, keptAt } };
    const others = this.#latest.filter((one) => node === undefined || one.node !== node);
    this.#latest = [...others, told].slice(-MOST_FAILURES);
  }

  /** The file has been saved: what failed before is told no more. */
  mended(node: FileNode): void {
    this.#latest = this.#latest.filter((one) => one.node !== node);
  }
}
