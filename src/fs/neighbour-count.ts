/**
 * How many names of a large directory are asked for with one: four times as many when others of the
 * last answer were wanted too, a quarter when none was.
 */

/** At first. */
const FEW = 64;
/** While that pays off: a page. */
export const MOST_NEIGHBOURS = 1000;
const MORE = 4;

/** A question about a name and its neighbours. */
interface Asked {
  readonly name: string;
  readonly seq: number;
  readonly count: number;
  /** One of the neighbours was wanted. */
  isUsed: boolean;
}

export class NeighbourCount {
  #last: Asked | undefined;

  /** How many to ask for now. */
  get next(): number {
    const { isUsed = false, count = 0 } = this.#last ?? {};
    return Math.min(Math.max(isUsed ? count * MORE : count / MORE, FEW), MOST_NEIGHBOURS);
  }

  asked(name: string, seq: number, count: number): void {
    this.#last = { name, seq, count, isUsed: false };
  }

  /** Somebody who wanted `name` was answered by the statement `seq`. */
  answered(name: string, seq: number): void {
    if (this.#last?.seq === seq) this.#last.isUsed ||= this.#last.name !== name;
  }
}
