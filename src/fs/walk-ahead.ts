/**
 * One listing of all keys below a directory, cut into the names of each directory in it, ahead of
 * a program that walks through them.
 *
 * Keys come in byte order, so what lies below one directory comes in one piece: the listing is in
 * some directories, one in the other (`#inside`), and when it leaves one that is complete. Names
 * are handed out once and forgotten. Pages are fetched while the walker is near: at most `AHEAD`
 * pages after the one his directory was in, and while few names are held.
 */
import { raceAbort } from '../lib/abort.ts';
import { compareKeys, isShownPart } from '../store/keys.ts';
import type { ListPage, ObjectSummary } from '../store/object-store.ts';
import {
  type DirectoryPage,
  type FoundName,
  foundDirectory,
  type PageRequest,
  type Place,
  type Sequence,
} from './directory-source.ts';

export interface WalkAheadOptions {
  /** The directory above all that is listed. */
  readonly top: Place;
  readonly sequence: Sequence;
  /** Monotonic. */
  readonly nowMs: () => number;
  /** How long what was told at a time still holds, ms. */
  readonly left: (atMs: number) => number;
}

/** Pages asked for beyond the walker's: one to read while the other is on its way. */
const AHEAD = 2;
/** No more is asked for while so many names wait to be read; about 300 bytes each. */
const MOST_HELD = 20_000;
/** Directories of whose names this mount changed some, beyond which the listing is no use. */
const MOST_CHANGED = 4096;
/** Times that a directory is told in part before it is left to be asked for by itself. */
const MOST_PARTS = 2;
/** Pages that somebody waits for while none tells of his directory. */
const MOST_WAITS = 2;

/** A directory that the listing is in, or has been. */
interface Ahead {
  readonly key: string;
  names: FoundName[];
  /** It was entered in the middle, or lies deeper than anybody may ask. */
  readonly partial: boolean;
  complete: boolean;
  /** The page it begins in. */
  readonly page: number;
  readonly seq: number;
  atMs: number;
  /** Times that some of its names were told. */
  parts: number;
}

export class WalkAhead {
  readonly top: Place;
  readonly #options: WalkAheadOptions;
  readonly #end = new AbortController();
  readonly #changed = new Set<string>();
  /** Directories with names that nobody has read. */
  readonly #ahead = new Map<string, Ahead>();
  #inside: Ahead[] = [];
  /** Where this part of the listing begins, and the last key it has told. */
  #start: string;
  #frontier: string;
  #next: string | undefined;
  #begun = false;
  #pages = 0;
  #pageMs = 0;
  /** Pages to fetch in all. */
  #wanted = 1;
  #held = 0;
  #loading: Promise<void> | undefined;
  #pumping: Promise<void> | undefined;
  /** What the listing ended with, if it failed. */
  failure: unknown;
  /** Directories told whole since the start, or since the listing last jumped. */
  served = 0;

  constructor(first: string, options: WalkAheadOptions) {
    this.#options = options;
    this.top = options.top;
    this.#start = first;
    this.#frontier = first;
    this.#enter(first);
  }

  get ended(): boolean {
    return this.#end.signal.aborted;
  }

  /** Whether nothing more can come of it. */
  get isUsedUp(): boolean {
    return this.ended || (this.#isDone && this.#ahead.size === 0);
  }

  /** Ends the listing and waits until nothing of it is under way. */
  async close(): Promise<void> {
    this.end();
    await this.#pumping;
    await this.#loading?.catch(() => undefined);
  }

  end(): void {
    this.#end.abort();
    this.#ahead.clear();
    this.#inside = [];
    this.#held = 0;
  }

  /** What was asked for before is no word on names in the directory `key` any more. */
  distrust(key: string): void {
    this.#changed.add(key);
    this.#drop(key);
    if (this.#changed.size > MOST_CHANGED) this.end();
  }

  /** Whether the directory `key` was told of, or will be by a page that is to be fetched. */
  covers(key: string): boolean {
    if (this.ended || this.#changed.has(key)) return false;
    if (this.#ahead.has(key)) return true;
    return this.isBefore(key) && !this.#isDone && (!this.#begun || this.#pages < this.#wanted);
  }

  /** Whether the listing has yet to come to the directory `key`. */
  isBefore(key: string): boolean {
    return key.startsWith(this.top.key) && compareKeys(this.#frontier, key) < 0;
  }

  /** Some names of the directory `key`; undefined when they must be asked for. */
  async page(
    key: string,
    request: PageRequest,
    signal: AbortSignal,
  ): Promise<DirectoryPage | undefined> {
    for (let waits = 0; this.covers(key); waits += 1) {
      const ahead = this.#ahead.get(key);
      const isReady = ahead !== undefined && (ahead.names.length > 0 || ahead.complete);
      if (isReady) return this.#take(ahead, request);
      if (ahead !== undefined && waits >= MOST_WAITS) this.#drop(key);
      else await this.#waitForPage(signal);
    }
    return undefined;
  }

  /** Goes on with what comes after the directory `key`, which was asked for by itself. */
  jump(key: string): void {
    this.served = 0;
    this.#ahead.clear();
    this.#held = 0;
    this.#start = key;
    this.#frontier = key;
    this.#next = undefined;
    this.#begun = false;
    this.#enter(key);
    this.#wanted = this.#pages + 1;
    this.#pump();
  }

  get #isDone(): boolean {
    return this.#begun && this.#next === undefined;
  }

  #take(ahead: Ahead, { continuation, sinceSeq }: PageRequest): DirectoryPage | undefined {
    const isContinued = continuation !== undefined;
    const isOld = ahead.seq < sinceSeq || this.#options.left(ahead.atMs) <= 0;
    if (ahead.partial || isOld || isContinued !== ahead.parts > 0) {
      this.#drop(ahead.key);
      return undefined;
    }
    this.#wanted = Math.max(this.#wanted, ahead.page + AHEAD);
    this.#pump();
    return this.#tell(ahead);
  }

  #tell(ahead: Ahead): DirectoryPage {
    const { names, seq, atMs } = ahead;
    const told = { seq, atMs };
    this.#held -= names.length;
    ahead.names = [];
    ahead.parts += 1;
    if (ahead.complete) {
      this.served += 1;
      this.#ahead.delete(ahead.key);
      return { names, told };
    }
    if (ahead.parts >= MOST_PARTS) this.#drop(ahead.key);
    const last = this.#frontier.slice(ahead.key.length);
    return { names, told, next: { after: this.#frontier }, last };
  }

  #drop(key: string): void {
    const ahead = this.#ahead.get(key);
    if (ahead === undefined) return;
    this.#held -= ahead.names.length;
    ahead.names = [];
    this.#ahead.delete(key);
  }

  /** Fetches in the background what the walker will want. */
  #pump(): void {
    this.#pumping ??= this.#fetchAhead().finally(() => {
      this.#pumping = undefined;
    });
  }

  async #fetchAhead(): Promise<void> {
    while (this.#pages < this.#wanted && this.#held < MOST_HELD && !this.#isDone && !this.ended) {
      await this.#load().catch(() => undefined);
    }
  }

  async #waitForPage(signal: AbortSignal): Promise<void> {
    if (this.#held >= MOST_HELD) this.#forgetOldest();
    await raceAbort(
      this.#load().catch(() => undefined),
      signal,
    );
  }

  /** Directories that the walker has passed by without reading them. */
  #forgetOldest(): void {
    for (const key of this.#ahead.keys()) {
      if (this.#held < MOST_HELD / 2) return;
      this.#drop(key);
    }
  }

  /** One more page, with whoever else waits for it. */
  async #load(): Promise<void> {
    this.#loading ??= this.#loadPage().finally(() => {
      this.#loading = undefined;
    });
    await this.#loading;
  }

  async #loadPage(): Promise<void> {
    const { store, key: prefix } = this.top;
    const seq = this.#options.sequence.next();
    const start = this.#start;
    const from = this.#begun
      ? this.#next === undefined
        ? {}
        : { continuation: this.#next }
      : { startAfter: start };
    try {
      const page = await store.list({ prefix, ...from }, this.#end.signal);
      // A jump meanwhile: this page is about another place.
      if (start === this.#start && !this.ended) this.#read(page, seq);
    } catch (error) {
      this.failure ??= this.ended ? undefined : error;
      this.end();
      throw error;
    }
  }

  #read(page: ListPage, seq: number): void {
    const atMs = this.#options.nowMs();
    this.#pageMs = atMs;
    this.#pages += 1;
    this.#begun = true;
    this.#next = page.next;
    for (const object of page.objects) this.#readKey(object, seq, atMs);
    this.#frontier = page.objects.at(-1)?.key ?? this.#frontier;
    for (const ahead of this.#inside) ahead.atMs = atMs;
    if (page.next === undefined) this.#leave('', true);
  }

  #readKey({ key, etag, bytes, modifiedMs }: ObjectSummary, seq: number, atMs: number): void {
    this.#leave(key, false);
    let above = this.#inside.at(-1);
    let from = (above?.key ?? this.top.key).length;
    for (let slash = key.indexOf('/', from); slash >= 0; slash = key.indexOf('/', from)) {
      const name = key.slice(from, slash);
      if (above !== undefined) this.#addName(above, { name, found: foundDirectory });
      above = this.#enterDirectory(key.slice(0, slash + 1), seq, atMs);
      from = slash + 1;
    }
    const name = key.slice(from);
    if (above === undefined || name === '') return;
    this.#addName(above, { name, found: { type: 'file', version: { etag, bytes, modifiedMs } } });
  }

  #addName(ahead: Ahead, found: FoundName): void {
    if (ahead.partial || !this.#ahead.has(ahead.key) || !isShownPart(found.name)) return;
    ahead.names.push(found);
    this.#held += 1;
  }

  #enterDirectory(key: string, seq: number, atMs: number): Ahead {
    const ahead = newAhead(key, { page: this.#pages, seq, atMs, partial: false });
    this.#inside.push(ahead);
    if (!this.#changed.has(key)) this.#ahead.set(key, ahead);
    return ahead;
  }

  /** The listing begins after the key of `first`: it tells all of that, but not of those above. */
  #enter(first: string): void {
    this.#inside = [];
    const { key: top } = this.top;
    for (let at = first.indexOf('/', top.length); at >= 0; at = first.indexOf('/', at + 1)) {
      const key = first.slice(0, at + 1);
      const partial = key !== first;
      const { sequence, nowMs } = this.#options;
      const seq = sequence.last + 1;
      const ahead = newAhead(key, { page: this.#pages + 1, seq, atMs: nowMs(), partial });
      this.#inside.push(ahead);
      if (!partial) this.#ahead.set(key, ahead);
    }
  }

  /** Leaves the directories that `key` is not in; all of them at the end. */
  #leave(key: string, all: boolean): void {
    for (let last = this.#inside.at(-1); last; last = this.#inside.at(-1)) {
      if (!all && key.startsWith(last.key)) return;
      last.complete = true;
      last.atMs = this.#pageMs;
      this.#inside.pop();
    }
  }
}

function newAhead(key: string, made: Pick<Ahead, 'page' | 'seq' | 'atMs' | 'partial'>): Ahead {
  return { key, names: [], complete: false, parts: 0, ...made };
}
