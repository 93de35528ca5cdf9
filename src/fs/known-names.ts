/**
 * What is known of the names in one directory: what the store said of each, and names that only
 * this mount has (files being written, directories it emptied).
 *
 * Invariant: of two statements about a name the one asked for, or made here, later wins, so that
 * a slow listing never brings back what was unlinked meanwhile. `seq` orders them.
 */
import type { Clock } from '../lib/clock.ts';
import type { DirectorySource, Found, FoundName, Sequence } from './directory-source.ts';
import { NameRanges, type Stretch, type ToldAt } from './name-ranges.ts';
import { NameStatements, type Statement } from './name-statements.ts';
import type { SaidAt } from './name-table.ts';

/** Answers about absent names are swept when this many statements have gathered. */
const SWEEP_AT = 4096;

/** A name that exists whatever the store says, and since which statement. */
interface LocalName {
  readonly type: Found['type'];
  readonly seq: number;
}

export interface KnownNamesParts {
  readonly source: DirectorySource;
  readonly sequence: Sequence;
  readonly clock: Clock;
  /** For how long what the store said may be repeated. */
  readonly listTtlMs: number;
  /** The oldest question that has no answer yet. */
  readonly oldestAsked: () => number | undefined;
}

export class KnownNames {
  readonly statements: NameStatements = new NameStatements();
  readonly #parts: KnownNamesParts;
  // Most directories are looked into once or never: what few of them need is made when it is.
  #local: Map<string, LocalName> | undefined;
  #ranges: NameRanges | undefined;
  #sweepAt = SWEEP_AT;

  constructor(parts: KnownNamesParts) {
    this.#parts = parts;
  }

  /** Whether there are names that the store does not know. */
  get hasLocal(): boolean {
    return this.#local !== undefined && this.#local.size > 0;
  }

  localNames(): Iterable<string> {
    return this.#local?.keys() ?? [];
  }

  isLocal(name: string): boolean {
    return this.#local?.has(name) === true;
  }

  localType(name: string): Found['type'] | undefined {
    return this.#local?.get(name)?.type;
  }

  addLocal(name: string, type: Found['type']): void {
    (this.#local ??= new Map()).set(name, { type, seq: this.#parts.sequence.next() });
  }

  dropLocal(name: string): void {
    this.#local?.delete(name);
  }

  /** Monotonic. */
  nowMs(): number {
    return this.#parts.clock.monotonic();
  }

  /** For how long what was said at `sinceMs` holds still. */
  left(sinceMs: number): number {
    return sinceMs + this.#parts.listTtlMs - this.nowMs();
  }

  /** This mount has made `name` what it is, just now. */
  changed(name: string, found: Found | undefined): void {
    if (found !== undefined && this.statements.get(name)?.found === undefined) {
      this.#ranges?.made(name);
    }
    this.say(name, found, this.#now());
    if (found === undefined) this.#local?.delete(name);
  }

  /** `name` is asked again, and nothing is absent because others are there. */
  doubt(name: string): void {
    this.say(name, undefined, this.#now(-Infinity));
    this.#ranges?.clear();
  }

  /** Forgets everything the store said. */
  clear(): void {
    this.statements.clear(this.#parts.sequence.next());
    this.#ranges?.clear();
  }

  /** An answer told every name of a stretch. */
  toldAll(stretch: Stretch, told: ToldAt, names: readonly FoundName[]): void {
    if (!this.#parts.source.exhaustive || told.seq < this.statements.oldestSeq) return;
    this.#ranges ??= new NameRanges();
    this.#ranges.add(stretch, told, names, (atMs) => this.left(atMs) <= 0);
  }

  /** When a stretch told that `name` is absent, later than what is `known` of it. */
  absentMs(name: string, known: Statement | undefined): number | undefined {
    const range = this.#ranges?.absent(name);
    return range === undefined || range.seq <= (known?.seq ?? 0) ? undefined : range.atMs;
  }

  /** Where a stretch begins that tells of `name` and has room, see `NameRanges.startFor`. */
  stretchStart(name: string, room: number): string | undefined {
    return this.#ranges?.startFor(name, room);
  }

  /** The later of `told` and what is known, for once; undefined when it must be asked again. */
  latest(name: string, told: Statement): Statement | undefined {
    const known = this.statements.get(name);
    const latest = known !== undefined && known.seq > told.seq ? known : told;
    const isDoubted = latest.atMs === -Infinity || latest.seq < this.statements.oldestSeq;
    return isDoubted ? undefined : latest;
  }

  /** Keeps a statement unless a later one about `name` is known. */
  say(name: string, found: Found | undefined, said: SaidAt): void {
    this.sayAt(this.statements.table.rowOf(name), name, found, said);
  }

  /** The same of a name that has a row. */
  sayAt(row: number, name: string, told: Found | undefined, said: SaidAt): void {
    const found = this.visible(name, told);
    if (!this.statements.say(row, found, said)) return;
    const local = this.#local?.get(name);
    // The store has it by now: a directory we kept in view need not be kept any more.
    if (local?.type === 'directory' && local.seq < said.seq && found?.type === 'directory') {
      this.#local?.delete(name);
    }
    if (this.statements.size > this.#sweepAt) this.#sweep();
  }

  /** `found` unless it is what this mount has unlinked, and keeps for those who have it open. */
  visible(name: string, found: Found | undefined): Found | undefined {
    if (found?.type !== 'file') return found;
    return this.#parts.source.hides?.(name, found.version) === true ? undefined : found;
  }

  #now(atMs: number = this.nowMs()): SaidAt {
    return { seq: this.#parts.sequence.next(), atMs, group: 0 };
  }

  #sweep(): void {
    // What an answer still under way could contradict is kept, to be found later than that.
    const oldestAsked = this.#parts.oldestAsked() ?? Infinity;
    this.statements.forgetAbsent((seq, atMs) => seq > oldestAsked || this.left(atMs) > 0);
    this.#sweepAt = this.statements.size * 2 + SWEEP_AT;
  }
}
