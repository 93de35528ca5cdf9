/**
 * Stretches of a directory, in the store's order, of which an answer told every name: what it did
 * not hold between its first and its last key is not there. Who makes many files asks for names
 * that are not there yet, one after the other; a stretch answers all of them.
 *
 * A stretch that has become too old is kept as a hint: where it began, a question about a name in
 * it begins too, so that the same names need no more answers than before.
 *
 * Invariant: stretches are in order and do not overlap.
 */
import { childDirectory, compareKeys } from '../store/keys.ts';

/** What an answer was about; texts of the store's, below the directory. */
export interface Stretch {
  /** Names after this one; '': from the first on. */
  readonly after: string;
  /** The last key or prefix that was told; undefined: all to the end. */
  readonly last: string | undefined;
}

/** When an answer was asked for and told. */
export interface ToldAt {
  readonly seq: number;
  /** Monotonic. */
  readonly atMs: number;
}

interface Known extends Stretch, ToldAt {
  /** About how many are there, with those made since; too many rather than too few. */
  names: number;
}

/** More than a directory of a million names has half pages. */
const MOST = 2048;
/** Names of a stretch that is divided. */
const LONG = 500;

export class NameRanges {
  #known: Known[] = [];

  /** When `name` was told to be absent, if nothing was said of it alone. */
  absent(name: string): ToldAt | undefined {
    const known = this.#at(name);
    return known !== undefined && holds(known, name) ? known : undefined;
  }

  /** An answer told the `names` of a stretch. `isExpired`: whether a time is too long ago. */
  add(
    stretch: Stretch,
    { seq, atMs }: ToldAt,
    names: readonly { readonly name: string }[],
    isExpired: (atMs: number) => boolean,
  ): void {
    if (this.#known.length >= MOST) {
      this.#known = this.#known.filter(({ atMs }) => !isExpired(atMs));
      if (this.#known.length >= MOST) this.#known = [];
    }
    const { after, last } = stretch;
    const before = this.#known.flatMap((one) => startOf(one, after));
    const behind = last === undefined ? [] : this.#known.flatMap((one) => endOf(one, last));
    const told = inHalves(stretch, names).map((half) => ({ ...half, seq, atMs }));
    this.#known = [...before, ...told, ...behind];
  }

  /** This mount has made `name`. */
  made(name: string): void {
    const known = this.#at(name);
    if (known !== undefined) known.names += 1;
  }

  /**
   * After what to ask for the names around `name`, so that an answer of `most` names tells of it
   * too; undefined when nothing is known of how many that takes.
   */
  startFor(name: string, most: number): string | undefined {
    let at = this.#indexOf(name);
    let known = this.#known[at];
    if (known === undefined || !holds(known, name)) return undefined;
    let start: string | undefined;
    for (let names = known.names; names <= most; names += known.names) {
      // A listing after a directory begins with that directory once again, or does not: servers differ.
      if (!known.after.includes('/')) start = known.after;
      const before: Known | undefined = this.#known[at - 1];
      if (before?.last !== known.after) break;
      known = before;
      at -= 1;
    }
    return start;
  }

  clear(): void {
    this.#known = [];
  }

  #at(name: string): Known | undefined {
    return this.#known[this.#indexOf(name)];
  }

  /** Of the last stretch that begins before `name`; -1: there is none. */
  #indexOf(name: string): number {
    let [low, high] = [0, this.#known.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compareKeys(this.#known[middle]?.after ?? '', name) < 0) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }
}

/** Also a directory `name/`, which comes after a file `name` and its like, would have been told. */
function holds({ after, last }: Stretch, name: string): boolean {
  if (compareKeys(name, after) <= 0) return false;
  return last === undefined || compareKeys(childDirectory('', name), last) < 0;
}

/** Of two halves each leaves room in a page for what comes next. */
function inHalves(
  { after, last }: Stretch,
  names: readonly { readonly name: string }[],
): readonly (Stretch & { names: number })[] {
  const half = names.length / 2;
  const middle = names[Math.floor(half)]?.name ?? after;
  const isInside =
    compareKeys(middle, after) > 0 && (last === undefined || compareKeys(middle, last) < 0);
  if (names.length < LONG || !isInside) return [{ after, last, names: names.length }];
  return [
    { after, last: middle, names: half },
    { after: middle, last, names: half },
  ];
}

/** What is left of `one` up to `end`. */
function startOf(one: Known, end: string): readonly Known[] {
  if (compareKeys(one.after, end) >= 0) return [];
  if (one.last !== undefined && compareKeys(one.last, end) <= 0) return [one];
  return [{ ...one, last: end, names: one.names / 2 }];
}

/** What is left of `one` beyond `start`. */
function endOf(one: Known, start: string): readonly Known[] {
  if (one.last !== undefined && compareKeys(one.last, start) <= 0) return [];
  if (compareKeys(one.after, start) >= 0) return [one];
  return [{ ...one, after: start, names: one.names / 2 }];
}
