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
import { Denials } from './directory-denials.ts';
import { type DirectorySource, type Found, foundDirectory } from './directory-source.ts';
import type { MaybePromise } from './filesystem.ts';

/** When statements were last known to hold; those of one listing share theirs. */
interface Moment {
  /** Monotonic; -Infinity: the name must be asked for. */
  atMs: number;
}

/** A statement about a name. `found` undefined: it is not there. */
interface Known {
  readonly found: Found | undefined;
  readonly seq: number;
  readonly told: Moment;
}

/** What is known of a name, and for how long it may be repeated. */
export interface Answer {
  readonly found: Found | undefined;
  readonly ttlMs: number;
}

/**
 * A listing that readers walk: names only grow at its end, so that an index is a stable cookie.
 * What a name stands for, and whether it still does, is asked of the directory.
 */
export class Listing {
  readonly names: string[] = [];
  readonly members: Set<string> = new Set<string>();
  done = false;
  next: string | undefined;
  readonly seq: number;
  readonly startedMs: number;
  readonly told: Moment;

  constructor(seq: number, startedMs: number) {
    this.seq = seq;
    this.startedMs = startedMs;
    this.told = { atMs: startedMs };
  }

  add(name: string): void {
    if (this.members.has(name)) return;
    this.members.add(name);
    this.names.push(name);
  }
}

export interface DirectoryOptions {
  readonly clock: Clock;
  readonly listTtlMs: number;
  readonly log: Log;
}

/** Answers about absent names are swept when this many statements have gathered. */
const SWEEP_AT = 4096;

/** Names of a large directory that are asked for with one: at first, and while that pays off. */
const FEW_NEIGHBOURS = 64;
const MANY_NEIGHBOURS = 1000;
const MORE_NEIGHBOURS = 4;

/** An answer about a name and its neighbours. */
interface Near {
  readonly name: string;
  readonly told: Moment;
  readonly count: number;
  /** One of the neighbours was asked for. */
  used: boolean;
}

export class Directory {
  readonly #source: DirectorySource;
  readonly #clock: Clock;
  readonly #ttlMs: number;
  readonly #known = new Map<string, Known>();
  /** Names that exist whatever the store says, and since which statement. */
  readonly #local = new Map<string, { readonly type: Found['type']; readonly seq: number }>();
  readonly #finds = new SingleFlight<string, Known>();
  readonly #pages = new SingleFlight<Listing, void>();
  readonly #nears = new SingleFlight<'near', void>();
  /** The questions under way by their statement, oldest first. */
  readonly #asking = new Set<number>();
  readonly #denials: Denials;
  #listing: Listing | undefined;
  #seq = 0;
  /** Statements older than this are about another place or time. */
  #oldestSeq = 0;
  #sweepAt = SWEEP_AT;
  #lastFindMs = -Infinity;
  /** More than one page: then a name is asked for with its neighbours. */
  #large = false;
  #near: Near | undefined;

  constructor(source: DirectorySource, { clock, listTtlMs, log }: DirectoryOptions) {
    this.#source = source;
    this.#clock = clock;
    this.#ttlMs = listTtlMs;
    this.#denials = new Denials(log, (sinceMs) => this.#left(sinceMs));
  }

  /** Whether this mount holds names here that the store does not know. */
  get hasLocal(): boolean {
    return this.#local.size > 0;
  }

  /** What is known of `name` without asking. */
  peek(name: string): Answer | undefined {
    const local = this.#local.get(name);
    const known = this.#known.get(name);
    if (local !== undefined) {
      const found = local.type === 'directory' ? foundDirectory : known?.found;
      // A file that is only here has no version yet; its node knows the rest.
      return { found: found ?? unsavedFile, ttlMs: this.#ttlMs };
    }
    const all = this.#source.exhaustive && this.#listing?.done === true ? this.#listing : undefined;
    const told = known === undefined ? all?.told : known.told;
    if (told === undefined || this.#left(told.atMs) <= 0) return undefined;
    if (told === this.#near?.told) this.#near.used ||= this.#near.name !== name;
    return { found: known?.found, ttlMs: this.#left(told.atMs) };
  }

  /** What `name` stands for, at once when that is known. */
  find(name: string, signal: AbortSignal): MaybePromise<Answer> {
    return this.peek(name) ?? this.#ask(name, signal);
  }

  /** The listing for a new reader: a fresh one, or one under way, else a new one. */
  open(): Listing {
    const now = this.#clock.monotonic();
    const present = this.#listing;
    if (present !== undefined && this.#left(present.startedMs) > 0) return present;
    this.#seq += 1;
    const listing = new Listing(this.#seq, now);
    for (const name of this.#local.keys()) listing.add(name);
    this.#listing = listing;
    return listing;
  }

  /** Loads one more page of `listing`, with whoever else waits for it. */
  async more(listing: Listing, signal: AbortSignal): Promise<void> {
    await this.#pages.join(listing, async (work) => await this.#loadPage(listing, work), signal);
  }

  /** What a name of a listing stands for now; undefined when it is gone. */
  shown(name: string): Found | undefined {
    if (this.#local.has(name)) return this.peek(name)?.found;
    return this.#known.get(name)?.found;
  }

  /** This mount changed what `name` stands for in the store. */
  changed(name: string, found: Found | undefined): void {
    this.#seq += 1;
    this.#set(name, { found, seq: this.#seq, told: { atMs: this.#clock.monotonic() } });
    if (found === undefined) this.#local.delete(name);
    else this.#listing?.add(name);
  }

  /** From now on `name` is there, whatever the store says. */
  addLocal(name: string, type: Found['type']): void {
    this.#seq += 1;
    this.#local.set(name, { type, seq: this.#seq });
    this.#listing?.add(name);
  }

  /** The store's word counts again for `name`. */
  dropLocal(name: string): void {
    this.#local.delete(name);
  }

  /** What `name` stands for is asked again; other names may have changed with it. */
  invalidate(name: string): void {
    this.#seq += 1;
    this.#known.set(name, { found: undefined, seq: this.#seq, told: { atMs: -Infinity } });
    this.#denials.clear();
    this.#listing = undefined;
  }

  /** Forgets everything the store said. */
  invalidateAll(): void {
    this.#seq += 1;
    this.#oldestSeq = this.#seq;
    this.#known.clear();
    this.#denials.clear();
    this.#listing = undefined;
  }

  /** This mount just made the directory: nothing is in it. */
  isNew(): void {
    this.invalidateAll();
    this.open().done = true;
  }

  #left(sinceMs: number): number {
    return sinceMs + this.#ttlMs - this.#clock.monotonic();
  }

  async #ask(name: string, signal: AbortSignal): Promise<Answer> {
    const again = this.#left(this.#lastFindMs) > 0;
    this.#lastFindMs = this.#clock.monotonic();
    // A second question within the TTL: one page costs no more and usually answers them all.
    if (again && this.#source.exhaustive && !this.#denials.has('')) {
      const answer = await (this.#large ? this.#askNear(name, signal) : this.#askAll(name, signal));
      if (answer !== undefined) return answer;
    }
    const work = async (find: AbortSignal): Promise<Known> => await this.#find(name, find);
    for (;;) {
      const told = await this.#finds.join(name, work, signal);
      this.#lastFindMs = this.#clock.monotonic();
      const answer = this.peek(name) ?? this.#latest(name, told);
      if (answer !== undefined) return answer;
    }
  }

  /** The later of `told` and what is known, for once; undefined when it must be asked again. */
  #latest(name: string, told: Known): Answer | undefined {
    const known = this.#known.get(name);
    const latest = known !== undefined && known.seq > told.seq ? known : told;
    if (latest.told.atMs === -Infinity || latest.seq < this.#oldestSeq) return undefined;
    return { found: latest.found, ttlMs: 0 };
  }

  /** Asks for `name` and those after it; undefined when that does not tell about `name`. */
  async #askNear(name: string, signal: AbortSignal): Promise<Answer | undefined> {
    const work = async (near: AbortSignal): Promise<void> => await this.#loadNear(name, near);
    try {
      // Many who ask at once are answered by one page, or each alone if that was about others.
      await this.#nears.join('near', work, signal);
    } catch (error) {
      if (!this.#denials.has('')) throw error;
    }
    return this.peek(name);
  }

  /** Asks for a page of all names; undefined when that does not tell about `name`. */
  async #askAll(name: string, signal: AbortSignal): Promise<Answer | undefined> {
    const listing = this.open();
    try {
      if (!listing.done) await this.more(listing, signal);
    } catch (error) {
      // Whom the policy lets see one name only may still ask for that.
      if (!this.#denials.has('')) throw error;
    }
    return this.peek(name);
  }

  async #find(name: string, signal: AbortSignal): Promise<Known> {
    this.#denials.throwIfDenied(`/${name}`);
    const told = { atMs: this.#clock.monotonic() };
    const seq = this.#begin();
    try {
      const found = await this.#source.find(name, signal);
      const known = { found, seq, told };
      this.#set(name, known);
      if (found !== undefined) this.#listing?.add(name);
      return known;
    } catch (error) {
      this.#denials.keep(`/${name}`, error, this.#clock.monotonic());
      throw error;
    } finally {
      this.#asking.delete(seq);
    }
  }

  async #loadNear(name: string, signal: AbortSignal): Promise<void> {
    this.#denials.throwIfDenied('');
    const { used = false, count: before = 0 } = this.#near ?? {};
    const count = used ? before * MORE_NEIGHBOURS : before / MORE_NEIGHBOURS;
    const told = { atMs: -Infinity };
    const few = clamp(count, FEW_NEIGHBOURS, MANY_NEIGHBOURS);
    const near = { name, told, count: few, used: false };
    const seq = this.#begin();
    try {
      const answer = await this.#source.near(name, near.count, signal);
      told.atMs = this.#clock.monotonic();
      for (const { name: part, found } of answer?.names ?? []) {
        this.#set(part, { found, seq, told });
        this.#listing?.add(part);
      }
      if (answer !== undefined && answer.found === undefined) {
        this.#set(name, { found: undefined, seq, told });
      }
    } catch (error) {
      this.#denials.keep('', error, this.#clock.monotonic());
      throw error;
    } finally {
      this.#asking.delete(seq);
      this.#near = near;
    }
  }

  async #loadPage(listing: Listing, signal: AbortSignal): Promise<void> {
    if (listing.done) return;
    this.#denials.throwIfDenied('');
    const seq = this.#begin();
    try {
      const page = await this.#source.page(listing.next, signal);
      listing.told.atMs = this.#clock.monotonic();
      for (const { name, found } of page.names) this.#list(listing, name, found, seq);
      listing.next = page.next;
      listing.done = page.next === undefined;
    } catch (error) {
      this.#denials.keep('', error, this.#clock.monotonic());
      throw error;
    } finally {
      this.#asking.delete(seq);
    }
    this.#large = listing.next !== undefined || listing.names.length > MANY_NEIGHBOURS;
    if (listing.done && this.#source.exhaustive) this.#forgetUnlisted(listing);
  }

  #list(listing: Listing, name: string, found: Found, seq: number): void {
    const known = this.#known.get(name);
    // A directory hides a file of the same name, also when another page told of it.
    const hidden = known?.found?.type === 'directory' && known.seq >= listing.seq;
    if (!hidden || found.type === 'directory') this.#set(name, { found, seq, told: listing.told });
    listing.add(name);
  }

  /** The number of a statement that is asked for now. */
  #begin(): number {
    this.#seq += 1;
    this.#asking.add(this.#seq);
    return this.#seq;
  }

  /** Keeps `statement` unless a later one about `name` is known. */
  #set(name: string, statement: Known): void {
    const { found, seq } = statement;
    const known = this.#known.get(name);
    if (seq < this.#oldestSeq || (known !== undefined && known.seq > seq)) return;
    this.#known.set(name, statement);
    const local = this.#local.get(name);
    // The store has it by now: a directory we kept in view need not be kept any more.
    if (local?.type === 'directory' && local.seq < seq && found?.type === 'directory') {
      this.#local.delete(name);
    }
    if (this.#known.size > this.#sweepAt) this.#sweep();
  }

  /** A complete listing is a statement about every name: what it does not hold is not there. */
  #forgetUnlisted(listing: Listing): void {
    this.#oldestSeq = Math.max(this.#oldestSeq, listing.seq);
    for (const [name, { seq }] of this.#known) {
      if (seq < listing.seq && !this.#local.has(name)) this.#known.delete(name);
    }
  }

  #sweep(): void {
    // What an answer still under way could contradict is kept, to be found later than that.
    const [oldestAsked = Infinity] = this.#asking;
    for (const [name, { found, seq, told }] of this.#known) {
      const isNews = seq > oldestAsked || this.#left(told.atMs) > 0;
      if (found === undefined && !isNews) this.#known.delete(name);
    }
    this.#sweepAt = this.#known.size * 2 + SWEEP_AT;
  }
}

/** Stands for a file whose first bytes are not in the store yet. */
const unsavedFile: Found = { type: 'file', version: { etag: '', bytes: 0, modifiedMs: 0 } };

function clamp(number: number, least: number, most: number): number {
  return Math.min(Math.max(number, least), most);
}
