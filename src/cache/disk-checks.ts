/**
 * Which blocks of a file were proven, or written by us, since it was last another. A file that
 * somebody else has changed, as its times tell, counts as not checked at all.
 */
import { BitSet } from './disk-slots.ts';

/** What was checked of a file, to be believed as long as the file is the same. */
export interface CheckedBlocks {
  readonly file: string;
  readonly checked: BitSet;
}

export class BlockChecks {
  readonly #blocks: number;
  #checked: BitSet;
  /** The file when it was last looked at, by its times; empty when that cannot be known. */
  #seen = '';
  /** Calls of ours that change it now. */
  #changing = 0;

  constructor(blocks: number) {
    this.#blocks = blocks;
    this.#checked = new BitSet(blocks);
  }

  get count(): number {
    return this.#checked.count;
  }

  /** What to believe later; undefined: nothing. */
  get kept(): CheckedBlocks | undefined {
    return this.count === 0 ? undefined : { file: this.#seen, checked: this.#checked };
  }

  has(index: number): boolean {
    return this.#checked.has(index);
  }

  add(index: number): void {
    this.#checked.add(index);
  }

  delete(index: number): void {
    this.#checked.delete(index);
  }

  clear(): void {
    this.#checked = new BitSet(this.#blocks);
  }

  /** Takes over what was known of the file, if it is the same by now. */
  believe(known: CheckedBlocks | undefined): void {
    if (this.#seen !== '' && this.#seen === known?.file) this.#checked = known.checked;
  }

  /** What somebody else has changed since is not checked, whatever was changed. */
  look(now: () => string): void {
    if (this.#changing > 0) return;
    const seen = now();
    if (seen !== '' && seen === this.#seen) return;
    this.#seen = seen;
    this.clear();
  }

  /** A change of ours; `now` gives undefined when the file is not ours any more. */
  async change(now: () => string | undefined, change: () => Promise<void>): Promise<void> {
    this.#changing += 1;
    try {
      await change();
    } finally {
      this.#changing -= 1;
      this.#seen = now() ?? this.#seen;
    }
  }
}
