/** The questions about one directory that are under way, and those that the store has refused. */
import type { Log } from '../lib/log.ts';
import { Denials } from './directory-denials.ts';
import type { Sequence } from './directory-source.ts';

export interface QuestionsParts {
  readonly log: Log;
  /** Monotonic, ms. */
  readonly now: () => number;
  /** For how long an answer of `sinceMs` holds still. */
  readonly left: (sinceMs: number) => number;
}

export class Questions {
  readonly #parts: QuestionsParts;
  /** By their statement, oldest first. */
  readonly #asking = new Set<number>();
  #denials: Denials | undefined;

  constructor(parts: QuestionsParts) {
    this.#parts = parts;
  }

  /** The oldest question that has no answer yet. */
  get oldestSeq(): number | undefined {
    const [oldest] = this.#asking;
    return oldest;
  }

  isDenied(what: string): boolean {
    return this.#denials?.has(what) === true;
  }

  /** What was refused may be asked again. */
  allow(): void {
    this.#denials?.clear();
  }

  /** Asks the store, unless it has refused that, and remembers if it does. */
  async run<T>(what: string, sequence: Sequence, ask: (seq: number) => Promise<T>): Promise<T> {
    this.#denials?.throwIfDenied(what);
    const seq = sequence.next();
    this.#asking.add(seq);
    try {
      return await ask(seq);
    } catch (error) {
      const { log, left, now } = this.#parts;
      this.#denials ??= new Denials(log, left);
      this.#denials.keep(what, error, now());
      throw error;
    } finally {
      this.#asking.delete(seq);
    }
  }
}
