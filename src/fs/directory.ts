/**
 * What this mount knows of the names in one directory: answers of the store for `ttlMs`, changes
 * of its own, and names that only this mount has (files being written, directories it emptied).
 *
 * Invariant: of two statements about a name the one asked for, or made here, later wins, so that
 * a slow listing never brings back what was unlinked meanwhile. `seq` orders them.
 */
import { SingleFlight } from '../cache/single-flight.ts';
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import { StoreError } from '../store/errors.ts';
import { type DirectorySource, type Found, foundDirectory } from './directory-source.ts';
import type { MaybePromise } from './filesystem.ts';

/** A statement about a name. `found` undefined: it is not there. */
interface Known {
  readonly found: Found | undefined;
  readonly seq: number;
  /** Monotonic. */
  readonly atMs: number;
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

  constructor(seq: number, startedMs: number) {
    this.seq = seq;
    this.startedMs = startedMs;
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

export class Directory {
  readonly #source: DirectorySource;
  readonly #clock: Clock;
  readonly #ttlMs: number;
  readonly #log: Log;
  readonly #known = new Map<string, Known>();
  /** Names that exist whatever the store says, and since which statement. */
  readonly #local = new Map<string, { readonly type: Found['type']; readonly seq: number }>();
  readonly #finds = new SingleFlight<string, Found | undefined>();
  readonly #pages = new SingleFlight<Listing, void>();
  readonly #denied = new Map<string, { readonly error: StoreError; readonly atMs: number }>();
  #listing: Listing | undefined;
  #seq = 0;
  /** Statements older than this are about another place or time. */
  #oldestSeq = 0;
  #sweepAt = SWEEP_AT;
  #lastFindMs = -Infinity;
  /** More than one page: then a name is asked for alone. */
  #large = false;

  constructor(source: DirectorySource, { clock, listTtlMs, log }: DirectoryOptions) {
    this.#source = source;
    this.#clock = clock;
    this.#ttlMs = listTtlMs;
    this.#log = log;
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
    if (known !== undefined && this.#left(known.atMs) > 0) {
      return { found: known.found, ttlMs: this.#left(known.atMs) };
    }
    const all = this.#source.exhaustive ? this.#listing : undefined;
    if (known === undefined && all?.done === true && this.#left(all.startedMs) > 0) {
      return { found: undefined, ttlMs: this.#left(all.startedMs) };
    }
    return undefined;
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
    this.#set(name, found, this.#seq, this.#clock.monotonic());
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
    this.#known.set(name, { found: undefined, seq: this.#seq, atMs: -Infinity });
    this.#denied.clear();
    this.#listing = undefined;
  }

  /** Forgets everything the store said. */
  invalidateAll(): void {
    this.#seq += 1;
    this.#oldestSeq = this.#seq;
    this.#known.clear();
    this.#denied.clear();
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
    const now = this.#clock.monotonic();
    const again = now - this.#lastFindMs < this.#ttlMs;
    this.#lastFindMs = now;
    // A second question within the TTL: one page costs no more and usually answers them all.
    const mayList = this.#source.exhaustive && !this.#large && !this.#isDenied('');
    if (again && mayList) {
      const answer = await this.#askAll(name, signal);
      if (answer !== undefined) return answer;
    }
    const work = async (find: AbortSignal): Promise<Found | undefined> =>
      await this.#find(name, find);
    const found = await this.#finds.join(name, work, signal);
    return this.peek(name) ?? { found, ttlMs: 0 };
  }

  /** Asks for a page of all names; undefined when that does not tell about `name`. */
  async #askAll(name: string, signal: AbortSignal): Promise<Answer | undefined> {
    const listing = this.open();
    try {
      if (!listing.done) await this.more(listing, signal);
    } catch (error) {
      // Whom the policy lets see one name only may still ask for that.
      if (!this.#isDenied('')) throw error;
    }
    return this.peek(name);
  }

  async #find(name: string, signal: AbortSignal): Promise<Found | undefined> {
    this.#throwIfDenied(`/${name}`);
    this.#seq += 1;
    const seq = this.#seq;
    const askedMs = this.#clock.monotonic();
    try {
      const found = await this.#source.find(name, signal);
      this.#set(name, found, seq, askedMs);
      if (found !== undefined) this.#listing?.add(name);
      return found;
    } catch (error) {
      this.#rememberDenial(`/${name}`, error);
      throw error;
    }
  }

  async #loadPage(listing: Listing, signal: AbortSignal): Promise<void> {
    if (listing.done) return;
    this.#throwIfDenied('');
    this.#seq += 1;
    const seq = this.#seq;
    try {
      const page = await this.#source.page(listing.next, signal);
      for (const { name, found } of page.names) this.#list(listing, name, found, seq);
      listing.next = page.next;
      listing.done = page.next === undefined;
    } catch (error) {
      this.#rememberDenial('', error);
      throw error;
    }
    this.#large = listing.next !== undefined || listing.names.length > 1000;
    if (listing.done && this.#source.exhaustive) this.#forgetUnlisted(listing);
  }

  #list(listing: Listing, name: string, found: Found, seq: number): void {
    const known = this.#known.get(name);
    // A directory hides a file of the same name, also when another page told of it.
    const hidden = known?.found?.type === 'directory' && known.seq >= listing.seq;
    if (!hidden || found.type === 'directory') this.#set(name, found, seq, listing.startedMs);
    listing.add(name);
  }

  #set(name: string, found: Found | undefined, seq: number, atMs: number): void {
    const known = this.#known.get(name);
    if (seq < this.#oldestSeq || (known !== undefined && known.seq > seq)) return;
    this.#known.set(name, { found, seq, atMs });
    const local = this.#local.get(name);
    // The store has it by now: a directory we kept in view need not be kept any more.
    if (local?.type === 'directory' && local.seq < seq && found?.type === 'directory') {
      this.#local.delete(name);
    }
    if (this.#known.size > this.#sweepAt) this.#sweep();
  }

  /** What a complete listing does not hold is not there, unless it was stated later. */
  #forgetUnlisted(listing: Listing): void {
    for (const [name, { seq }] of this.#known) {
      if (seq < listing.seq && !this.#local.has(name)) this.#known.delete(name);
    }
  }

  #sweep(): void {
    for (const [name, { found, atMs }] of this.#known) {
      if (found === undefined && this.#left(atMs) <= 0) this.#known.delete(name);
    }
    this.#sweepAt = this.#known.size * 2 + SWEEP_AT;
  }

  #isDenied(what: string): boolean {
    const denial = this.#denied.get(what);
    return denial !== undefined && this.#left(denial.atMs) > 0;
  }

  #throwIfDenied(what: string): void {
    const denial = this.#denied.get(what);
    if (denial !== undefined && this.#left(denial.atMs) > 0) throw denial.error;
  }

  /** One refusal by policy, or for want of the bucket, answers all who ask within the TTL. */
  #rememberDenial(what: string, error: unknown): void {
    if (!(error instanceof StoreError)) return;
    if (error.kind !== 'access-denied' && error.kind !== 'not-found') return;
    this.#log.warn('listing-refused', { kind: error.kind, error });
    if (this.#denied.size > SWEEP_AT) this.#denied.clear();
    this.#denied.set(what, { error, atMs: this.#clock.monotonic() });
  }
}

/** Stands for a file whose first bytes are not in the store yet. */
const unsavedFile: Found = { type: 'file', version: { etag: '', bytes: 0, modifiedMs: 0 } };
