/**
 * What a store says about the names in one directory, in file system terms: no state, no
 * memory. `Directory` keeps the answers.
 */

import { StoreError } from '../store/errors.ts';
import { childDirectory, childKey, compareKeys, fitsKey, shownPart } from '../store/keys.ts';
import type {
  ListPage,
  ListRequest,
  ObjectStore,
  ObjectStores,
  ObjectVersion,
} from '../store/object-store.ts';
import type { Stretch } from './name-ranges.ts';

/** What a name stands for. A directory may exist only through the keys below it. */
export type Found =
  | { readonly type: 'file'; readonly version: ObjectVersion }
  | { readonly type: 'directory' };

export const foundDirectory: Found = { type: 'directory' };

export interface FoundName {
  readonly name: string;
  readonly found: Found;
}

/** Where a listing goes on: with the store's token, or after a key. */
export type Continuation = string | { readonly after: string };

/** One page of a directory; `next` continues it. */
export interface DirectoryPage {
  readonly names: readonly FoundName[];
  readonly next?: Continuation;
  /** With `next`: what the listing has come to, below the directory. */
  readonly last?: string;
  /** When it was asked for and told, if that was before somebody wanted it. */
  readonly told?: Told;
}

/** A time in the past: an answer's place among all statements, and when it came (monotonic). */
export interface Told {
  readonly seq: number;
  readonly atMs: number;
}

/** Numbers all statements about names in the order in which they were asked for, or made. */
export class Sequence {
  #last = 0;

  get last(): number {
    return this.#last;
  }

  next(): number {
    this.#last += 1;
    return this.#last;
  }
}

/** What is known of directories before they are asked for, from listings of all below another. */
export interface Foresight {
  /** The names of a directory, or the next of them; undefined: they must be asked for. */
  page(place: Place, request: PageRequest, signal: AbortSignal): Promise<DirectoryPage | undefined>;
  /** This mount changes names in the directory. */
  changed(place: () => Place): void;
  /** Keys at and below the directory are others by now. */
  moved(place: () => Place): void;
}

/** Where listings are kept beyond the mount's life, by bucket and prefix. */
export interface ListingIndex {
  readonly keepsListings: boolean;
  hasListing(directory: string): boolean;
  /** Undefined: it does not hold any more. `toldMs` is monotonic, as of this process. */
  listing(
    directory: string,
  ): { readonly names: readonly FoundName[]; readonly toldMs: number } | undefined;
  keepListing(directory: string, toldMs: number, names: readonly FoundName[]): void;
  changed(directory: string): void;
  changedBelow(directory: string): void;
}

export interface PageRequest {
  readonly continuation: Continuation | undefined;
  /** What was asked for before this statement is too old. */
  readonly sinceSeq: number;
}

export interface NearRequest {
  readonly count: number;
  /** A text that sorts before the name, without a slash; '': from the first name on. */
  readonly after?: string | undefined;
}

/** A name, and some that come after it. */
export interface Neighbours {
  /** The name asked for; undefined: it is not there. */
  readonly found: Found | undefined;
  /** Others, as far as one answer tells for sure what they stand for. */
  readonly names: readonly FoundName[];
  /** Where all names were told, `found` among them; undefined: nowhere. */
  readonly stretch?: Stretch;
}

export interface DirectorySource {
  /** Whether what its pages do not hold is not there. */
  readonly exhaustive: boolean;
  page(request: PageRequest, signal: AbortSignal): Promise<DirectoryPage>;
  /**
   * Asks for `name` and up to `count` names from there on, or from `after` on, in the store's
   * order. Undefined: this does not tell about `name`, which must be asked for alone.
   */
  near(name: string, asked: NearRequest, signal: AbortSignal): Promise<Neighbours | undefined>;
  /** Asks for one name. Undefined: there is none. */
  find(name: string, signal: AbortSignal): Promise<Found | undefined>;
  /** Whether the file `name` is not to be shown when it is this version. */
  hides?(name: string, version: ObjectVersion): boolean;
  /** Whether its names were kept when they were known before, and may still hold. */
  remembers?(): boolean;
  /** All its names, as told at that time (monotonic). */
  completed?(names: () => readonly FoundName[], toldMs: number): void;
  /** This mount changes names: what was heard of them before is not to be repeated. */
  changed?(): void;
  /** The directory is elsewhere, or another. */
  moved?(): void;
}

/** Where a directory is in a bucket. */
export interface Place {
  readonly store: ObjectStore;
  /** '' or ending in '/'; for a file, its key. */
  readonly key: string;
}

/** Enough for the file, the directory and the usual relatives (`a`, `a.txt`, `a/`). */
const FIND_KEYS = 16;

export interface PrefixParts {
  readonly foresight?: Foresight | undefined;
  readonly index?: ListingIndex | undefined;
  readonly hidden?: HiddenObjects | undefined;
  /** Hears of a key that is hidden by a directory of its name. */
  readonly onHidden?: (key: string) => void;
}

/** Objects whose names are gone already. */
export interface HiddenObjects {
  readonly isEmpty: boolean;
  hides(place: Place, version: ObjectVersion): boolean;
}

/** A prefix of a bucket. `place` is asked each time: a rename moves the directory. */
export class PrefixSource implements DirectorySource {
  readonly exhaustive = true;
  readonly #place: () => Place;
  readonly #parts: PrefixParts;

  constructor(place: () => Place, parts: PrefixParts = {}) {
    this.#place = place;
    this.#parts = parts;
  }

  async page(request: PageRequest, signal: AbortSignal): Promise<DirectoryPage> {
    const place = this.#place();
    const { foresight, index } = this.#parts;
    const kept = request.continuation === undefined ? index?.listing(nameOf(place)) : undefined;
    if (kept !== undefined) {
      return { names: kept.names, told: { seq: request.sinceSeq, atMs: kept.toldMs } };
    }
    const foreseen = await foresight?.page(place, request, signal);
    return foreseen ?? (await this.#list(place, request.continuation, signal));
  }

  hides(name: string, version: ObjectVersion): boolean {
    const { hidden } = this.#parts;
    if (hidden === undefined || hidden.isEmpty) return false;
    const { store, key } = this.#place();
    return hidden.hides({ store, key: childKey(key, name) }, version);
  }

  remembers(): boolean {
    return this.#parts.index?.hasListing(nameOf(this.#place())) === true;
  }

  completed(names: () => readonly FoundName[], toldMs: number): void {
    const { index } = this.#parts;
    if (index?.keepsListings === true) index.keepListing(nameOf(this.#place()), toldMs, names());
  }

  changed(): void {
    const { foresight, index } = this.#parts;
    foresight?.changed(this.#place);
    const place = index && placeNow(this.#place);
    if (place !== undefined) index?.changed(nameOf(place));
  }

  moved(): void {
    const { foresight, index } = this.#parts;
    foresight?.moved(this.#place);
    const place = index && placeNow(this.#place);
    if (place !== undefined) index?.changedBelow(nameOf(place));
  }

  async #list(
    { store, key: prefix }: Place,
    continuation: Continuation | undefined,
    signal: AbortSignal,
  ): Promise<DirectoryPage> {
    const request = { prefix, delimiter: '/' as const };
    const page = await store.list({ ...request, ...whereFrom(continuation) }, signal);
    const names = namesOf(prefix, page, this.#parts.onHidden);
    if (page.next === undefined) return { names };
    return { names, next: page.next, last: lastOf(page).slice(prefix.length) };
  }

  async near(
    name: string,
    { count, after = justBefore(name) }: NearRequest,
    signal: AbortSignal,
  ): Promise<Neighbours | undefined> {
    const { store, key: prefix } = this.#place();
    const startAfter = `${prefix}${after}`;
    if (!fitsKey(childKey(prefix, name)) || !fitsKey(startAfter)) return undefined;
    const request = { prefix, delimiter: '/' as const, maxKeys: count };
    const page = await store.list(startAfter === '' ? request : { ...request, startAfter }, signal);
    const told = namesOf(prefix, page, this.#parts.onHidden);
    // A file's directory, which would hide it, may sort after the last key that was told.
    const isSure = ({ name: part, found }: FoundName): boolean =>
      found.type === 'directory' ||
      page.next === undefined ||
      isPast(page, childDirectory(prefix, part));
    const names = told.filter(isSure);
    const asked = names.find(({ name: part }) => part === name);
    const isAbsent = page.next === undefined || isPast(page, childDirectory(prefix, name));
    if (asked === undefined && !isAbsent) return undefined;
    const last = page.next === undefined ? undefined : lastOf(page).slice(prefix.length);
    return { found: asked?.found, names, stretch: { after, last } };
  }

  async find(name: string, signal: AbortSignal): Promise<Found | undefined> {
    const { store, key: prefix } = this.#place();
    const key = childKey(prefix, name);
    const directory = childDirectory(prefix, name);
    if (!fitsKey(key)) return undefined;
    const near = await store.list({ prefix: key, delimiter: '/', maxKeys: FIND_KEYS }, signal);
    const file = near.objects.find((object) => object.key === key);
    // A directory hides a file of the same name.
    const below = near.prefixes.includes(directory);
    if (below && file !== undefined) this.#parts.onHidden?.(key);
    if (below) return foundDirectory;
    if (near.next !== undefined && !isPast(near, directory)) {
      // Too many names between `name` and `name/` ('name.1', 'name-2', ...): ask below it.
      const inside = await store.list({ prefix: directory, maxKeys: 1 }, signal);
      if (inside.objects.length > 0) return foundDirectory;
    }
    return file === undefined ? undefined : { type: 'file', version: file };
  }
}

/**
 * Whether a listing that has come to `last` may yet tell of a directory that hides the file `name`:
 * `a/` comes after `a-1`.
 */
export function mayBeHidden({ name, found }: FoundName, last: string): boolean {
  return found.type === 'file' && last.startsWith(name);
}

/** The last key or prefix of a page. */
function lastOf({ objects, prefixes }: ListPage): string {
  const [key = '', prefix = ''] = [objects.at(-1)?.key, prefixes.at(-1)];
  return compareKeys(key, prefix) > 0 ? key : prefix;
}

/** What a place is called, for all mounts of its server. */
function nameOf({ store, key }: Place): string {
  return `/${store.bucket}/${key}`;
}

/** Undefined for a directory whose name is gone: nobody hears of it any more. */
export function placeNow(place: () => Place): Place | undefined {
  try {
    return place();
  } catch {
    return undefined;
  }
}

function whereFrom(continuation: Continuation | undefined): Pick<ListRequest, FromFields> {
  if (continuation === undefined) return {};
  if (typeof continuation === 'string') return { continuation };
  return { startAfter: continuation.after };
}

type FromFields = 'continuation' | 'startAfter';

/** The last of all characters, in the order of UTF-8. */
const LAST_CHARACTER = '\u{10FFFF}';

/**
 * A text that sorts before `name`, with next to no names between them: its last character is
 * replaced by the one before and the last of all. Never holds a slash, which would begin a
 * directory, nor a control character, which some servers refuse.
 */
function justBefore(name: string): string {
  const characters = Array.from(name);
  const last = characters.pop()?.codePointAt(0) ?? 0;
  const head = characters.join('');
  if (last <= 0x21) return head;
  // No surrogates: the character before U+E000 is U+D7FF. Before '0' is the slash.
  const before = last === 0xe000 ? 0xd7ff : last === 0x30 ? 0x2e : last - 1;
  return `${head}${String.fromCodePoint(before)}${LAST_CHARACTER}`;
}

/** Whether a listing has gone by `key`, so that its absence there means it is not there. */
function isPast(page: ListPage, key: string): boolean {
  return compareKeys(lastOf(page), key) > 0;
}

function namesOf(
  prefix: string,
  { objects, prefixes }: ListPage,
  onHidden?: (key: string) => void,
): readonly FoundName[] {
  const names: FoundName[] = [];
  for (const below of prefixes) {
    const name = shownPart(prefix, below);
    if (name !== undefined) names.push({ name, found: foundDirectory });
  }
  const directories = new Set(names.map(({ name }) => name));
  for (const object of objects) {
    const name = object.key.endsWith('/') ? undefined : shownPart(prefix, object.key);
    if (name === undefined) continue;
    if (directories.has(name)) {
      onHidden?.(object.key);
      continue;
    }
    names.push({ name, found: { type: 'file', version: object } });
  }
  return names;
}

/** S3's rule for bucket names, without the finer points: what breaks it is not asked for. */
const bucketName = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;

/** Every bucket that one may list; one that may be entered is found though it is not listed. */
export class BucketsSource implements DirectorySource {
  readonly exhaustive = false;
  readonly #stores: ObjectStores;

  constructor(stores: ObjectStores) {
    this.#stores = stores;
  }

  async page(_: PageRequest, signal: AbortSignal): Promise<DirectoryPage> {
    const buckets = await this.#stores.buckets(signal);
    return { names: buckets.map(({ name }) => ({ name, found: foundDirectory })) };
  }

  /** The list of buckets has no order to go by. */
  near(): Promise<Neighbours | undefined> {
    return Promise.resolve(undefined);
  }

  async find(name: string, signal: AbortSignal): Promise<Found | undefined> {
    if (!bucketName.test(name)) return undefined;
    try {
      await this.#stores.open(name).list({ prefix: '', maxKeys: 1 }, signal);
      return foundDirectory;
    } catch (error) {
      if (error instanceof StoreError && error.kind === 'not-found') return undefined;
      throw error;
    }
  }
}
