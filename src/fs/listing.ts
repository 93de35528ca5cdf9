import type { Continuation, FoundName, Told } from './directory-source.ts';
import type { NameTable, SaidAt } from './name-table.ts';

const FIRST_NAMES = 8;

/** Names known beyond those that the reader has taken: two pages. */
const AHEAD_NAMES = 2000;

/**
 * A listing that readers walk: names only grow at its end, so that an index is a stable cookie.
 * What a name stands for, and whether it still does, is asked of the directory.
 */
export class Listing {
  /** Where its names are, by row. */
  readonly table: NameTable;
  /** Names it, among those of its directory: the group of what it tells. */
  readonly group: number;
  seq: number;
  startedMs: number;
  /** When its last page so far came, monotonic: all its names were known to hold then. */
  toldMs: number;
  done = false;
  next: Continuation | undefined;
  /** What its pages so far have come to; '' before the first, undefined: that was not told. */
  reached: string | undefined = '';
  /** Files of which a page to come may tell that they are hidden. */
  unsure: { readonly one: FoundName; readonly said: SaidAt }[] = [];
  /** Names that the reader who is furthest has taken. */
  taken = 0;
  isLoadingAhead = false;
  #rows = new Uint32Array(FIRST_NAMES);
  /** A bit for each row that is in it. */
  #members = new Uint8Array(FIRST_NAMES / 8);
  #length = 0;

  constructor(table: NameTable, made: { group: number; seq: number; startedMs: number }) {
    this.table = table;
    this.group = made.group;
    this.seq = made.seq;
    this.startedMs = made.startedMs;
    this.toldMs = made.startedMs;
  }

  get length(): number {
    return this.#length;
  }

  /** Whether the reader who is furthest should find more than there is. */
  get wantsMore(): boolean {
    return !this.done && this.#length - this.taken < AHEAD_NAMES;
  }

  /** The row of the `nth` name in `table`; undefined at the end. */
  rowAt(nth: number): number | undefined {
    return nth < this.#length ? this.#rows[nth] : undefined;
  }

  /** A page that was asked for before this listing was makes it as old as that. */
  tellAt({ seq, atMs }: Told): void {
    this.seq = Math.min(this.seq, seq);
    this.startedMs = Math.min(this.startedMs, atMs);
    this.toldMs = atMs;
  }

  add(name: string): void {
    this.addRow(this.table.rowOf(name));
  }

  addRow(row: number): void {
    const [byte, bit] = [row >>> 3, 1 << (row & 7)];
    if (byte >= this.#members.length) this.#growMembers(byte + 1);
    const members = this.#members[byte] ?? 0;
    if ((members & bit) !== 0) return;
    this.#members[byte] = members | bit;
    if (this.#length === this.#rows.length) {
      const rows = new Uint32Array(this.#length * 2);
      rows.set(this.#rows);
      this.#rows = rows;
    }
    this.#rows[this.#length] = row;
    this.#length += 1;
  }

  #growMembers(least: number): void {
    const members = new Uint8Array(Math.max(this.#members.length * 2, least));
    members.set(this.#members);
    this.#members = members;
  }
}
