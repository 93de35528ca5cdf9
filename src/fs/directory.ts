/**
 * The names in one directory: answers of the store for `ttlMs`, and changes of this mount's own
 * (`known-names.ts`). The names of a listing hold together, for `ttlMs` after its last page so far
 * came: who walks through many pages is answered from all of them when he asks for each afterwards.
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
import { KnownNames } from './known-names.ts';
import { Listing } from './listing.ts';
import type { Statement } from './name-statements.ts';
import type { SaidAt } from './name-table.ts';
import { MOST_NEIGHBOURS, NeighbourCount } from './neighbour-count.ts';
import { Questions } from './questions.ts';

/** What is known of a name, and for how long it may be repeated. */
export interface Answer {
  readonly found: Found | undefined;
  readonly ttlMs: number;
}

/** What a name of a listing stands for, and for how long that may be repeated. */
export interface Shown extends Answer {
  readonly part: string;
  readonly found: Found;
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

/** Room in a page for names that others have made since a stretch was told. */
const SPARE_NEIGHBOURS = 100;

/** Pages that one question waits for. */
const MOST_NEARS = 4;

export class Directory {
  readonly #source: DirectorySource;
  readonly #options: DirectoryOptions;
  readonly #sequence: Sequence;
  readonly #known: KnownNames;
  // Most directories are looked into once or never: what few of them need is made when it is.
  #finds: SingleFlight<string, Statement> | undefined;
  #pages: SingleFlight<Listing, void> | undefined;
  #nears: SingleFlight<'near', void> | undefined;
  #questions: Questions | undefined;
  #listing: Listing | undefined;
  #listings = 0;
  /** When a name was last asked for, or answered by what was told of others too. */
  #lastWantedMs = -Infinity;
  /** More than one page: then a name is asked for with its neighbours. */
  #large = false;
  #neighbours: NeighbourCount | undefined;

  constructor(source: DirectorySource, options: DirectoryOptions) {
    this.#source = source;
    this.#options = options;
    const sequence = options.sequence ?? new Sequence();
    this.#sequence = sequence;
    const { clock, listTtlMs } = options;
    const oldestAsked = (): number | undefined => this.#questions?.oldestSeq;
    this.#known = new KnownNames({ source, sequence, clock, listTtlMs, oldestAsked });
  }

  /** Whether this mount holds names here that the store does not know. */
  get hasLocal(): boolean {
    return this.#known.hasLocal;
  }

  /** What is known of `name` without asking. */
  peek(name: string): Answer | undefined {
    const local = this.#known.localType(name);
    const known = this.#known.statements.get(name);
    if (local !== undefined) {
      const found = local === 'directory' ? foundDirectory : known?.found;
      // A file that is only here has no version yet; its node knows the rest.
      return { found: found ?? unsavedFile, ttlMs: this.#options.listTtlMs };
    }
    if (known !== undefined && this.#known.left(known.atMs) > 0) {
      this.#neighbours?.answered(name, known.seq);
      return { found: known.found, ttlMs: this.#known.left(known.atMs) };
    }
    const absentMs = this.#absentMs(name, known);
    if (absentMs === undefined || this.#known.left(absentMs) <= 0) return undefined;
    this.#lastWantedMs = this.#known.nowMs();
    return { found: undefined, ttlMs: this.#known.left(absentMs) };
  }

  /** What `name` stands for, at once when that is known. */
  find(name: string, signal: AbortSignal): MaybePromise<Answer> {
    return this.peek(name) ?? this.#ask(name, signal);
  }

  /** What the store says of `name` now, whatever is known. */
  async ask(name: string, signal: AbortSignal): Promise<Answer> {
    // Who joins a question that was asked before he came could be told of what was before.
    return await this.#findAfter(this.#sequence.last, name, signal);
  }

  /** The listing for a new reader: a fresh one, or one under way, else a new one. */
  open(): Listing {
    const present = this.#listing;
    if (present !== undefined && this.#known.left(present.startedMs) > 0) return present;
    const startedMs = this.#known.nowMs();
    this.#known.statements.tidy((atMs) => this.#known.left(atMs) <= 0);
    this.#listings += 1;
    const made = { group: this.#listings, seq: this.#sequence.next(), startedMs };
    const listing = new Listing(this.#known.statements.table, made);
    for (const name of this.#known.localNames()) listing.add(name);
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
    if (listing.isLoadingAhead || !listing.wantsMore) return;
    this.#options.background?.start(async (signal) => {
      listing.isLoadingAhead = true;
      try {
        while (listing.wantsMore) await this.more(listing, signal);
      } finally {
        listing.isLoadingAhead = false;
      }
    });
  }

  /** Monotonic. */
  nowMs(): number {
    return this.#known.nowMs();
  }

  /** What the name in a row of `listing` stands for now; undefined when it is gone. */
  shownAt({ table }: Listing, row: number, nowMs: number): Shown | undefined {
    const part = table.nameAt(row);
    // Rows count in the table of their listing: names were packed anew since, or are only here.
    if (this.#known.hasLocal || table !== this.#known.statements.table) return this.shownNow(part);
    const found = table.foundAt(row);
    if (found === undefined) return undefined;
    this.#neighbours?.answered(part, table.seqAt(row));
    const { listTtlMs } = this.#options;
    return {
      part,
      found,
      ttlMs: Math.max(this.#known.statements.atMsOf(row) + listTtlMs - nowMs, 0),
    };
  }

  /** The same of a name. */
  shownNow(part: string): Shown | undefined {
    const isLocal = this.#known.isLocal(part);
    const answer = this.peek(part);
    const found = isLocal ? answer?.found : this.#known.statements.get(part)?.found;
    return found === undefined ? undefined : { part, found, ttlMs: answer?.ttlMs ?? 0 };
  }

  /** This mount changed what `name` stands for in the store. */
  changed(name: string, found: Found | undefined): void {
    this.#source.changed?.();
    this.#known.changed(name, found);
    if (found !== undefined) this.#listing?.add(name);
  }

  /** From now on `name` is there, whatever the store says. */
  addLocal(name: string, type: Found['type']): void {
    this.#source.changed?.();
    this.#known.addLocal(name, type);
    this.#listing?.add(name);
  }

  /** The store's word counts again for `name`. */
  dropLocal(name: string): void {
    this.#source.changed?.();
    this.#known.dropLocal(name);
  }

  /** What `name` stands for is asked again; other names may have changed with it. */
  invalidate(name: string): void {
    this.#source.changed?.();
    this.#known.doubt(name);
    this.#questions?.allow();
    this.#listing = undefined;
  }

  /** Forgets everything the store said. */
  invalidateAll(): void {
    this.#source.moved?.();
    this.#known.clear();
    this.#questions?.allow();
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

  /** When `name` was last told to be absent with others, later than what is `known` of it. */
  #absentMs(name: string, known: Statement | undefined): number | undefined {
    const isWhole = this.#source.exhaustive && this.#listing?.done === true;
    const allMs = isWhole && known === undefined ? this.#listing?.toldMs : undefined;
    const stretchMs = this.#known.absentMs(name, known);
    return stretchMs === undefined ? allMs : Math.max(stretchMs, allMs ?? stretchMs);
  }

  async #ask(name: string, signal: AbortSignal): Promise<Answer> {
    const again = this.#known.left(this.#lastWantedMs) > 0 || this.#source.remembers?.() === true;
    this.#lastWantedMs = this.#known.nowMs();
    // A second question within the TTL: one page costs no more and usually answers them all.
    if (again && this.#source.exhaustive && !this.#isDenied) {
      // Its first page may be the first to tell that a directory is large.
      const asked = this.#large ? undefined : await this.#askAll(name, signal);
      const answer = asked ?? (this.#large ? await this.#askNear(name, signal) : undefined);
      if (answer !== undefined) return answer;
    }
    const answer = await this.#findAfter(-1, name, signal);
    this.#lastWantedMs = this.#known.nowMs();
    return answer;
  }

  /** Asks for one name, with who else does, until the answer is to a question after `seq`. */
  async #findAfter(seq: number, name: string, signal: AbortSignal): Promise<Answer> {
    this.#finds ??= new SingleFlight();
    const work = async (find: AbortSignal): Promise<Statement> => await this.#find(name, find);
    for (;;) {
      const told = await this.#finds.join(name, work, signal);
      if (told.seq <= seq) continue;
      const answer = this.peek(name) ?? this.#latest(name, told);
      if (answer !== undefined) return answer;
    }
  }

  /** What the store was just heard to say; undefined when it must be asked again. */
  #latest(name: string, told: Statement): Answer | undefined {
    const latest = this.#known.latest(name, told);
    return latest && { found: latest.found, ttlMs: 0 };
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
      const atMs = this.#known.nowMs();
      const found = this.#known.visible(name, await this.#source.find(name, signal));
      this.#known.say(name, found, { seq, atMs, group: 0 });
      if (found !== undefined) this.#listing?.add(name);
      return { found, seq, atMs };
    });
  }

  async #loadNear(name: string, signal: AbortSignal): Promise<void> {
    const neighbours = (this.#neighbours ??= new NeighbourCount());
    const room = MOST_NEIGHBOURS - SPARE_NEIGHBOURS;
    const after = neighbours.isMaking ? this.#known.stretchStart(name, room) : undefined;
    const count = after === undefined ? neighbours.next : MOST_NEIGHBOURS;
    await this.#question('', async (seq) => {
      let isAbsent = false;
      try {
        const answer = await this.#source.near(name, { count, after }, signal);
        const said = { seq, atMs: this.#known.nowMs(), group: 0 };
        for (const { name: part, found } of answer?.names ?? []) {
          this.#known.say(part, found, said);
          this.#listing?.add(part);
        }
        isAbsent = answer !== undefined && answer.found === undefined;
        if (isAbsent) this.#known.say(name, undefined, said);
        if (answer?.stretch !== undefined) this.#known.toldAll(answer.stretch, said, answer.names);
      } finally {
        neighbours.asked(name, seq, { count, isAbsent });
      }
    });
  }

  async #loadPage(listing: Listing, signal: AbortSignal): Promise<void> {
    if (listing.done) return;
    const isWhole = await this.#question('', async (seq) => {
      const request = { continuation: listing.next, sinceSeq: this.#known.statements.oldestSeq };
      const page = await this.#source.page(request, signal);
      const told = page.told ?? { seq, atMs: this.#known.nowMs() };
      // Everything was forgotten while it was on its way: no name of it would be shown.
      if (told.seq < this.#known.statements.oldestSeq) return false;
      listing.tellAt(told);
      this.#known.statements.hold(listing.group, told.atMs);
      const said = { ...told, group: listing.group };
      // Files held back are as old as the page that told of them.
      const before = listing.unsure;
      listing.unsure = [];
      for (const held of before) this.#listPage(listing, [held.one], held.said, page.last);
      this.#listPage(listing, page.names, said, page.last);
      if (page.next !== undefined && page.last !== undefined && listing.reached !== undefined) {
        this.#known.toldAll({ after: listing.reached, last: page.last }, told, page.names);
      }
      listing.reached = page.last;
      listing.next = page.next;
      listing.done = page.next === undefined;
      return page.next === undefined;
    });
    this.#large = listing.next !== undefined || listing.length > MOST_NEIGHBOURS;
    if (!isWhole || !this.#source.exhaustive) return;
    // A complete listing is a statement about every name: what it does not hold is not there.
    this.#known.statements.forgetBefore(listing.seq, (name) => this.#known.isLocal(name));
    // In doubt about a name by now, or listed anew: then this is not all that is known.
    if (listing === this.#listing) {
      this.#source.completed?.(() => this.#known.statements.all(), listing.toldMs);
    }
  }

  /** Asks the store, unless it has refused that. */
  async #question<T>(what: string, ask: (seq: number) => Promise<T>): Promise<T> {
    this.#questions ??= new Questions({
      log: this.#options.log,
      now: () => this.#known.nowMs(),
      left: (sinceMs) => this.#known.left(sinceMs),
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
    const { table } = this.#known.statements;
    const row = table.rowOf(name);
    // A directory hides a file of the same name, also when another page told of it.
    const isHidden =
      found.type === 'file' && table.isDirectory(row) && table.seqAt(row) >= listing.seq;
    if (!isHidden) this.#known.sayAt(row, name, found, said);
    if (listing.table === table) listing.addRow(row);
    else listing.add(name);
  }
}

/** Stands for a file whose first bytes are not in the store yet. */
const unsavedFile: Found = { type: 'file', version: { etag: '', bytes: 0, modifiedMs: 0 } };
