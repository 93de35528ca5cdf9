/**
 * What this mount knows of the names in one directory: answers of the store for `ttlMs`, changes
 * of its own, and names that only this mount has (files being written, directories it emptied).
 * The names of a listing hold together, for `ttlMs` after its last page so far came: who walks
 * through many pages is answered from all of them when he asks for each name afterwards.
 *
 * Invariant: of two statements about a name the one asked for, or made here, later wins, so that
 * a slow listing never brings back what was unlinked meanwhile. `seq` orders them.
 */
import { SingleFlight } from '../cache/single-flight.ts';
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import type { Background } from './background.ts';
import {
  type DirectorySource,
  type Found,
  type FoundName,
  foundDirectory,
  mayBeHidden,
  Sequence,
} from './directory-source.ts';
import type { MaybePromise } from './filesystem.ts';
import { Listing } from './listing.ts';
import { NameRanges, type Stretch, type ToldAt } from './name-ranges.ts';
import { NameStatements, type Statement } from './name-statements.ts';
import type { SaidAt } from './name-table.ts';
import { MOST_NEIGHBOURS, NeighbourCount } from './neighbour-count.ts';
import { Questions } from './questions.ts';

/** What is known of a name, and for how long it may be repeated. */
export interface Answer {
  readonly found: Found | undefined;
  readonly ttlMs: number;
}

export interface DirectoryOptions {
  readonly clock: Clock;
  readonly listTtlMs: number;
  readonly log: Log;
  /** Of all directories of a mount; by default of this one alone. */
  readonly sequence?: Sequence;
  /** For what is asked for ahead of a reader; by default nothing is. */
  readonly background?: Background;
}

/** Answers about absent names are swept when this many statements have gathered. */
const SWEEP_AT = 4096;

/** Names known beyond those that a reader of a listing has taken: two pages. */
const AHEAD_NAMES = 2000;

/** Room in a page for names that others have made since a stretch was told. */
const SPARE_NEIGHBOURS = 100;

/** Pages that one question waits for. */
const MOST_NEARS = 4;

/** A name that exists whatever the store says, and since which statement. */
interface LocalName {
  readonly type: Found['type'];
  readonly seq: number;
}

export class Directory {
  readonly #source: DirectorySource;
  readonly #options: DirectoryOptions;
  readonly #sequence: Sequence;
  readonly #statements = new NameStatements();
  // Most directories are looked into once or never: what few of them need is made when it is.
  #local: Map<string, LocalName> | undefined;
  #finds: SingleFlight<string, Statement> | undefined;
  #pages: SingleFlight<Listing, void> | undefined;
  #nears: SingleFlight<'near', void> | undefined;
  #questions: Questions | undefined;
  #listing: Listing | undefined;
  #listings = 0;
  #sweepAt = SWEEP_AT;
  #ranges: NameRanges | undefined;
  /** When a name was last asked for, or answered by what was told of others too. */
  #lastWantedMs = -Infinity;
  /** More than one page: then a name is asked for with its neighbours. */
  #large = false;
  #neighbours: NeighbourCount | undefined;

  constructor(source: DirectorySource, options: DirectoryOptions) {
    this.#source = source;
    this.#options = options;
    this.#sequence = options.sequence ?? new Sequence();
  }

  /** Whether this mount holds names here that the store does not know. */
  get hasLocal(): boolean {
    return this.#local !== undefined && this.#local.size > 0;
  }

  /** What is known of `name` without asking. */
  peek(name: string): Answer | undefined {
    const local = this.#local?.get(name);
    const known = this.#statements.get(name);
    if (local !== undefined) {
      const found = local.type === 'directory' ? foundDirectory : known?.found;
      // A file that is only here has no version yet; its node knows the rest.
      return { found: found ?? unsavedFile, ttlMs: this.#options.listTtlMs };
    }
    if (known !== undefined && this.#left(known.atMs) > 0) {
      this.#neighbours?.answered(name, known.seq);
      return { found: known.found, ttlMs: this.#left(known.atMs) };
    }
    const absentMs = this.#absentMs(name, known);
    if (absentMs === undefined || this.#left(absentMs) <= 0) return undefined;
    this.#lastWantedMs = this.#now();
    return { found: undefined, ttlMs: this.#left(absentMs) };
  }

  /** What `name` stands for, at once when that is known. */
  find(name: string, signal: AbortSignal): MaybePromise<Answer> {
    return this.peek(name) ?? this.#ask(name, signal);
  }

  /** What the store says of `name` now, whatever is known. */
  async ask(name: string, signal: AbortSignal): Promise<Answer> {
    this.#finds ??= new SingleFlight();
    // Who joins a question that was asked before he came could be told of what was before.
    const seq = this.#sequence.last;
    const work = async (find: AbortSignal): Promise<Statement> => await this.#find(name, find);
    for (;;) {
      const told = await this.#finds.join(name, work, signal);
      if (told.seq <= seq) continue;
      const answer = this.peek(name) ?? this.#latest(name, told);
      if (answer !== undefined) return answer;
    }
  }

  /** The listing for a new reader: a fresh one, or one under way, else a new one. */
  open(): Listing {
    const present = this.#listing;
    if (present !== undefined && this.#left(present.startedMs) > 0) return present;
    const startedMs = this.#now();
    this.#statements.tidy((atMs) => this.#left(atMs) <= 0);
    this.#listings += 1;
    const made = { group: this.#listings, seq: this.#sequence.next(), startedMs };
    const listing = new Listing(this.#statements.table, made);
    for (const name of this.#local?.keys() ?? []) listing.add(name);
    this.#listing = listing;
    return listing;
  }

  /** Loads one more page of `listing`, with whoever else waits for it. */
  async more(listing: Listing, signal: AbortSignal): Promise<void> {
    this.#pages ??= new SingleFlight();
    await this.#pages.join(listing, async (work) => await this.#loadPage(listing, work), signal);
  }

  /** A reader of `listing` has taken so many names: fetches what he will want next. */
  taken(listing: Listing, names: number): void {
    listing.taken = Math.max(listing.taken, names);
    if (listing.isLoadingAhead || !wantsMore(listing)) return;
    this.#options.background?.start(async (signal) => {
      listing.isLoadingAhead = true;
      try {
        while (wantsMore(listing)) await this.more(listing, signal);
      } finally {
        listing.isLoadingAhead = false;
      }
    });
  }

  /** What a name of a listing stands for now; undefined when it is gone. */
  shown(name: string): Found | undefined {
    if (this.#local?.has(name) === true) return this.peek(name)?.found;
    return this.#statements.get(name)?.found;
  }

  /** This mount changed what `name` stands for in the store. */
  changed(name: string, found: Found | undefined): void {
    this.#source.changed?.();
    if (found !== undefined && this.#statements.get(name)?.found === undefined) {
      this.#ranges?.made(name);
    }
    this.#say(name, found, this.#statement());
    if (found === undefined) this.#local?.delete(name);
    else this.#listing?.add(name);
  }

  /** From now on `name` is there, whatever the store says. */
  addLocal(name: string, type: Found['type']): void {
    this.#source.changed?.();
    (this.#local ??= new Map()).set(name, { type, seq: this.#sequence.next() });
    this.#listing?.add(name);
  }

  /** The store's word counts again for `name`. */
  dropLocal(name: string): void {
    this.#source.changed?.();
    this.#local?.delete(name);
  }

  /** What `name` stands for is asked again; other names may have changed with it. */
  invalidate(name: string): void {
    this.#source.changed?.();
    this.#say(name, undefined, this.#statement(-Infinity));
    this.#questions?.allow();
    this.#ranges?.clear();
    this.#listing = undefined;
  }

  /** Forgets everything the store said. */
  invalidateAll(): void {
    this.#source.moved?.();
    this.#statements.clear(this.#sequence.next());
    this.#questions?.allow();
    this.#ranges?.clear();
    this.#listing = undefined;
  }

  /** This mount just made the directory: nothing is in it. */
  isNew(): void {
    this.invalidateAll();
    this.open().done = true;
  }

  /** Whether the store has refused to list. */
  get #isDenied(): boolean {
    return this.#questions?.isDenied('') === true;
  }

  #now(): number {
    return this.#options.clock.monotonic();
  }

  #left(sinceMs: number): number {
    return sinceMs + this.#options.listTtlMs - this.#now();
  }

  /** When `name` was last told to be absent with others, later than what is `known` of it. */
  #absentMs(name: string, known: Statement | undefined): number | undefined {
    const isWhole = this.#source.exhaustive && this.#listing?.done === true;
    const allMs = isWhole && known === undefined ? this.#listing?.toldMs : undefined;
    const range = this.#ranges?.absent(name);
    if (range === undefined || range.seq <= (known?.seq ?? 0)) return allMs;
    return Math.max(range.atMs, allMs ?? range.atMs);
  }

  /** A statement made now. */
  #statement(atMs: number = this.#now()): SaidAt {
    return { seq: this.#sequence.next(), atMs, group: 0 };
  }

  async #ask(name: string, signal: AbortSignal): Promise<Answer> {
    const again = this.#left(this.#lastWantedMs) > 0 || this.#source.remembers?.() === true;
    this.#lastWantedMs = this.#now();
    // A second question within the TTL: one page costs no more and usually answers them all.
    if (again && this.#source.exhaustive && !this.#isDenied) {
      // Its first page may be the first to tell that a directory is large.
      const asked = this.#large ? undefined : await this.#askAll(name, signal);
      const answer = asked ?? (this.#large ? await this.#askNear(name, signal) : undefined);
      if (answer !== undefined) return answer;
    }
    this.#finds ??= new SingleFlight();
    const work = async (find: AbortSignal): Promise<Statement> => await this.#find(name, find);
    for (;;) {
      const told = await this.#finds.join(name, work, signal);
      this.#lastWantedMs = this.#now();
      const answer = this.peek(name) ?? this.#latest(name, told);
      if (answer !== undefined) return answer;
    }
  }

  /** The later of `told` and what is known, for once; undefined when it must be asked again. */
  #latest(name: string, told: Statement): Answer | undefined {
    const known = this.#statements.get(name);
    const latest = known !== undefined && known.seq > told.seq ? known : told;
    if (latest.atMs === -Infinity || latest.seq < this.#statements.oldestSeq) return undefined;
    return { found: latest.found, ttlMs: 0 };
  }

  /** Asks for `name` and those around it; undefined when that does not tell about `name`. */
  async #askNear(name: string, signal: AbortSignal): Promise<Answer | undefined> {
    this.#nears ??= new SingleFlight();
    const work = async (near: AbortSignal): Promise<void> => await this.#loadNear(name, near);
    let answer: Answer | undefined;
    // Many who ask at once are answered by one page, or each alone if that was about others. Of
    // files that are made at once a few pages tell of all.
    for (let pages = 0; answer === undefined && pages < MOST_NEARS; pages += 1) {
      if (pages > 0 && this.#neighbours?.isMaking !== true) break;
      try {
        await this.#nears.join('near', work, signal);
      } catch (error) {
        if (!this.#isDenied) throw error;
        break;
      }
      answer = this.peek(name);
    }
    return answer;
  }

  /** Asks for a page of all names; undefined when that does not tell about `name`. */
  async #askAll(name: string, signal: AbortSignal): Promise<Answer | undefined> {
    const listing = this.open();
    try {
      if (!listing.done) await this.more(listing, signal);
    } catch (error) {
      // Whom the policy lets see one name only may still ask for that.
      if (!this.#isDenied) throw error;
    }
    return this.peek(name);
  }

  async #find(name: string, signal: AbortSignal): Promise<Statement> {
    return await this.#question(`/${name}`, async (seq) => {
      const atMs = this.#now();
      const found = this.#visible(name, await this.#source.find(name, signal));
      this.#say(name, found, { seq, atMs, group: 0 });
      if (found !== undefined) this.#listing?.add(name);
      return { found, seq, atMs };
    });
  }

  async #loadNear(name: string, signal: AbortSignal): Promise<void> {
    const neighbours = (this.#neighbours ??= new NeighbourCount());
    const room = MOST_NEIGHBOURS - SPARE_NEIGHBOURS;
    const after = neighbours.isMaking ? this.#ranges?.startFor(name, room) : undefined;
    const count = after === undefined ? neighbours.next : MOST_NEIGHBOURS;
    await this.#question('', async (seq) => {
      let isAbsent = false;
      try {
        const answer = await this.#source.near(name, { count, after }, signal);
        const said = { seq, atMs: this.#now(), group: 0 };
        for (const { name: part, found } of answer?.names ?? []) {
          this.#say(part, found, said);
          this.#listing?.add(part);
        }
        isAbsent = answer !== undefined && answer.found === undefined;
        if (isAbsent) this.#say(name, undefined, said);
        if (answer?.stretch !== undefined) this.#toldAll(answer.stretch, said, answer.names);
      } finally {
        neighbours.asked(name, seq, { count, isAbsent });
      }
    });
  }

  async #loadPage(listing: Listing, signal: AbortSignal): Promise<void> {
    if (listing.done) return;
    const isWhole = await this.#question('', async (seq) => {
      const request = { continuation: listing.next, sinceSeq: this.#statements.oldestSeq };
      const page = await this.#source.page(request, signal);
      const told = page.told ?? { seq, atMs: this.#now() };
      listing.tellAt(told);
      this.#statements.hold(listing.group, told.atMs);
      const said = { ...told, group: listing.group };
      // Files held back are as old as the page that told of them.
      const before = listing.unsure;
      listing.unsure = [];
      for (const held of before) this.#listPage(listing, [held.one], held.said, page.last);
      this.#listPage(listing, page.names, said, page.last);
      if (page.next !== undefined && page.last !== undefined && listing.reached !== undefined) {
        this.#toldAll({ after: listing.reached, last: page.last }, told, page.names);
      }
      listing.reached = page.last;
      listing.next = page.next;
      listing.done = page.next === undefined;
      return page.next === undefined;
    });
    this.#large = listing.next !== undefined || listing.length > MOST_NEIGHBOURS;
    if (!isWhole || !this.#source.exhaustive) return;
    // A complete listing is a statement about every name: what it does not hold is not there.
    this.#statements.forgetBefore(listing.seq, (name) => this.#local?.has(name) === true);
    // In doubt about a name by now, or listed anew: then this is not all that is known.
    if (listing === this.#listing) {
      this.#source.completed?.(() => this.#statements.all(), listing.toldMs);
    }
  }

  /** An answer told every name of a stretch. */
  #toldAll(stretch: Stretch, told: ToldAt, names: readonly FoundName[]): void {
    if (!this.#source.exhaustive || told.seq < this.#statements.oldestSeq) return;
    this.#ranges ??= new NameRanges();
    this.#ranges.add(stretch, told, names, (atMs) => this.#left(atMs) <= 0);
  }

  /** Asks the store, unless it has refused that. */
  async #question<T>(what: string, ask: (seq: number) => Promise<T>): Promise<T> {
    this.#questions ??= new Questions({
      log: this.#options.log,
      now: () => this.#now(),
      left: (sinceMs) => this.#left(sinceMs),
    });
    return await this.#questions.run(what, this.#sequence, ask);
  }

  #listPage(listing: Listing, names: readonly FoundName[], said: SaidAt, last = ''): void {
    for (const one of names) {
      if (mayBeHidden(one, last)) listing.unsure.push({ one, said });
      else this.#list(listing, one.name, one.found, said);
    }
  }

  #list(listing: Listing, name: string, found: Found, said: SaidAt): void {
    const { table } = this.#statements;
    const row = table.rowOf(name);
    // A directory hides a file of the same name, also when another page told of it.
    const isHidden =
      found.type === 'file' && table.isDirectory(row) && table.seqAt(row) >= listing.seq;
    if (!isHidden) this.#sayAt(row, name, found, said);
    if (listing.table === table) listing.addRow(row);
    else listing.add(name);
  }

  /** Keeps a statement unless a later one about `name` is known. */
  #say(name: string, found: Found | undefined, said: SaidAt): void {
    this.#sayAt(this.#statements.table.rowOf(name), name, found, said);
  }

  #sayAt(row: number, name: string, told: Found | undefined, said: SaidAt): void {
    const found = this.#visible(name, told);
    if (!this.#statements.say(row, found, said)) return;
    const local = this.#local?.get(name);
    // The store has it by now: a directory we kept in view need not be kept any more.
    if (local?.type === 'directory' && local.seq < said.seq && found?.type === 'directory') {
      this.#local?.delete(name);
    }
    if (this.#statements.size > this.#sweepAt) this.#sweep();
  }

  /** `found` unless it is what this mount has unlinked, and keeps for those who have it open. */
  #visible(name: string, found: Found | undefined): Found | undefined {
    if (found?.type !== 'file') return found;
    return this.#source.hides?.(name, found.version) === true ? undefined : found;
  }

  #sweep(): void {
    // What an answer still under way could contradict is kept, to be found later than that.
    const oldestAsked = this.#questions?.oldestSeq ?? Infinity;
    this.#statements.forgetAbsent((seq, atMs) => seq > oldestAsked || this.#left(atMs) > 0);
    this.#sweepAt = this.#statements.size * 2 + SWEEP_AT;
  }
}

function wantsMore({ done, length, taken }: Listing): boolean {
  return !done && length - taken < AHEAD_NAMES;
}

/** Stands for a file whose first bytes are not in the store yet. */
const unsavedFile: Found = { type: 'file', version: { etag: '', bytes: 0, modifiedMs: 0 } };
