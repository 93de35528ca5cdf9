import type { Found, FoundName } from './directory-source.ts';
import { NameTable, type SaidAt } from './name-table.ts';

/** What was last said of a name. `found` undefined: it is not there. */
export interface Statement {
  readonly found: Found | undefined;
  readonly seq: number;
  /** When it was last known to hold, monotonic; -Infinity: it must be asked for. */
  readonly atMs: number;
}

/** Names without statement that are borne, beyond as many as there are with one. */
const SPARE_ROWS = 4096;

/** The latest statement about each name of a directory. */
export class NameStatements {
  #table = new NameTable();
  /** When groups of statements were last known to hold. */
  readonly #groups = new Map<number, number>();
  /** Statements older than this are about another place or time. */
  #oldestSeq = 0;

  get table(): NameTable {
    return this.#table;
  }

  get oldestSeq(): number {
    return this.#oldestSeq;
  }

  get size(): number {
    return this.#table.said;
  }

  get(name: string): Statement | undefined {
    const table = this.#table;
    const row = table.find(name);
    if (row < 0 || !table.isSaid(row)) return undefined;
    return { found: table.foundAt(row), seq: table.seqAt(row), atMs: this.atMsOf(row) };
  }

  /** All names that are there. */
  all(): readonly FoundName[] {
    const table = this.#table;
    const names: FoundName[] = [];
    for (let row = 0; row < table.rows; row += 1) {
      const found = table.foundAt(row);
      if (found !== undefined) names.push({ name: table.nameAt(row), found });
    }
    return names;
  }

  /** When the statement in a row was last known to hold. */
  atMsOf(row: number): number {
    const group = this.#table.groupAt(row);
    return group === 0 ? this.#table.atMsAt(row) : (this.#groups.get(group) ?? -Infinity);
  }

  /** Keeps a statement, unless a later one is known; says whether it did. */
  say(row: number, found: Found | undefined, said: SaidAt): boolean {
    const table = this.#table;
    if (said.seq < this.#oldestSeq || (table.isSaid(row) && table.seqAt(row) > said.seq)) {
      return false;
    }
    table.put(row, found, said);
    return true;
  }

  /** All statements of `group` held at that time. */
  hold(group: number, atMs: number): void {
    this.#groups.set(group, atMs);
  }

  /** Lets go of groups whose statements have expired, and of names without statement. */
  tidy(isExpired: (atMs: number) => boolean): void {
    for (const [group, atMs] of this.#groups) if (isExpired(atMs)) this.#groups.delete(group);
    const { rows, said } = this.#table;
    if (rows > said * 2 + SPARE_ROWS) this.#table = this.#table.compacted();
  }

  /** From `seq` on, what was said before counts for nothing, but for names that `keeps` wants. */
  forgetBefore(seq: number, keeps: (name: string) => boolean): void {
    this.#oldestSeq = Math.max(this.#oldestSeq, seq);
    const table = this.#table;
    for (let row = 0; row < table.rows; row += 1) {
      const isOld = table.isSaid(row) && table.seqAt(row) < seq;
      if (isOld && !keeps(table.nameAt(row))) table.erase(row);
    }
  }

  /** Forgets that names are absent, unless that `isNews`. */
  forgetAbsent(isNews: (seq: number, atMs: number) => boolean): void {
    const table = this.#table;
    for (let row = 0; row < table.rows; row += 1) {
      if (!table.isAbsent(row) || isNews(table.seqAt(row), this.atMsOf(row))) continue;
      table.erase(row);
    }
  }

  /** Forgets everything; what was asked for before `seq` comes too late. */
  clear(seq: number): void {
    this.#oldestSeq = seq;
    this.#table = new NameTable();
    this.#groups.clear();
  }
}
