/**
 * How many names of a large directory are asked for with one: four times as many when others of the
 * last answer were wanted too, a quarter when none was. A page where the last one was not there:
 * who asks for two such names is making files, and a page tells of the next ones too.
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
  /** The name was not there. */
  readonly isAbsent: boolean;
}

export class NeighbourCount {
  #last: Asked | undefined;

  /** How many to ask for now. */
  get next(): number {
    const { isUsed = false, isAbsent = false, count = 0 } = this.#last ?? {};
    if (isAbsent) return MOST_NEIGHBOURS;
    return Math.min(Math.max(isUsed ? count * MORE : count / MORE, FEW), MOST_NEIGHBOURS);
  }

  /** Whether files are being made, as far as the last answer tells. */
  get isMaking(): boolean {
    return this.#last?.isAbsent === true;
  }

  asked(name: string, seq: number, asked: { count: number; isAbsent: boolean }): void {
    this.#last = { name, seq, isUsed: false, ...asked };
  }

  /** Somebody who wanted `name` was answered by the statement `seq`. */
  answered(name: string, seq: number): void {
    if (this.#last?.seq === seq) this.#last.isUsed ||= this.#last.name !== name;
  }
}
