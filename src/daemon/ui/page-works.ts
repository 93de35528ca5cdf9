/** What was asked on the page and takes its time: it goes on when the page is closed or loaded anew. */
import { LinkedAbort } from '../../lib/abort.ts';
import { WireError } from '../../lib/wire-error.ts';

/** One of them, as the page shows it. */
export interface UnderWay {
  readonly id: number;
  readonly what: 'mount' | 'unmount' | 'refresh' | 'logout' | 'clear';
  /** Where; of a logout the issuer. */
  readonly place: string;
  /** How far it is: what of an unmount is still to be saved. */
  readonly left?: { readonly files: number; readonly bytes: number };
}

type Progress = (left: NonNullable<UnderWay['left']>) => void;

/** More at a time would be no person's. */
const MAX_WORKS = 8;

interface Work {
  shown: UnderWay;
  readonly abort: LinkedAbort;
  readonly done: Promise<unknown>;
}

export class PageWorks implements AsyncDisposable {
  readonly #works = new Map<number, Work>();
  readonly #changed: () => void;
  readonly #end = new AbortController();
  #ids = 0;

  /** @param changed told of each beginning, step and end. */
  constructor(changed: () => void) {
    this.#changed = changed;
  }

  get all(): readonly UnderWay[] {
    return [...this.#works.values()].map(({ shown }) => shown);
  }

  /**
   * Does `work`, one at a time for each place.
   *
   * @throws WireError `exists` when the same is under way there, `unavailable` when too much is.
   */
  async run<T>(
    { what, place }: Omit<UnderWay, 'id'>,
    work: (progress: Progress, signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const tried = place === '' ? what : `${what} ${place}`;
    if (this.all.some((one) => one.what === what && one.place === place)) {
      throw new WireError('exists', { tried, answered: 'that is under way' });
    }
    if (this.#works.size >= MAX_WORKS) {
      throw new WireError('unavailable', { tried, answered: 'too much is under way on this page' });
    }
    const id = ++this.#ids;
    const abort = new LinkedAbort(this.#end.signal);
    // Begun when it is listed: what it tells at once counts, too.
    const done = Promise.resolve().then(
      async () => await work((left) => this.#step(id, left), abort.signal),
    );
    this.#works.set(id, { shown: { id, what, place }, abort, done });
    this.#changed();
    try {
      return await done;
    } finally {
      abort[Symbol.dispose]();
      this.#works.delete(id);
      this.#changed();
    }
  }

  cancel(id: number): void {
    const work = this.#works.get(id);
    if (work === undefined) return;
    const { what, place } = work.shown;
    const facts = { tried: `${what} ${place}`, answered: 'cancelled' };
    work.abort.abort(new WireError('interrupted', facts));
  }

  /** Ends what is under way, and waits for that. */
  async [Symbol.asyncDispose](): Promise<void> {
    const ended = new WireError('interrupted', { tried: 'do that', answered: 'wire ui has ended' });
    this.#end.abort(ended);
    await Promise.allSettled([...this.#works.values()].map(({ done }) => done));
  }

  #step(id: number, left: NonNullable<UnderWay['left']>): void {
    const work = this.#works.get(id);
    if (work === undefined) return;
    work.shown = { ...work.shown, left };
    this.#changed();
  }
}
