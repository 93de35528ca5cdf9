/**
 * What a store says about the names in one directory, in file system terms: no state, no
 * memory. `Directory` keeps the answers.
 */

import { StoreError } from '../store/errors.ts';
import { childDirectory, childKey, fitsKey, shownPart } from '../store/keys.ts';
import type { ListPage, ObjectStore, ObjectStores, ObjectVersion } from '../store/object-store.ts';

/** What a name stands for. A directory may exist only through the keys below it. */
export type Found =
  | { readonly type: 'file'; readonly version: ObjectVersion }
  | { readonly type: 'directory' };

export const foundDirectory: Found = { type: 'directory' };

export interface FoundName {
  readonly name: string;
  readonly found: Found;
}

/** One page of a directory; `next` continues it. */
export interface DirectoryPage {
  readonly names: readonly FoundName[];
  readonly next?: string;
}

/** A name, and some that come after it. */
export interface Neighbours {
  /** The name asked for; undefined: it is not there. */
  readonly found: Found | undefined;
  /** Others, as far as one answer tells for sure what they stand for. */
  readonly names: readonly FoundName[];
}

export interface DirectorySource {
  /** Whether what its pages do not hold is not there. */
  readonly exhaustive: boolean;
  page(continuation: string | undefined, signal: AbortSignal): Promise<DirectoryPage>;
  /**
   * Asks for `name` and up to `count` names from there on, in the store's order. Undefined: this
   * does not tell about `name`, which must be asked for alone.
   */
  near(name: string, count: number, signal: AbortSignal): Promise<Neighbours | undefined>;
  /** Asks for one name. Undefined: there is none. */
  find(name: string, signal: AbortSignal): Promise<Found | undefined>;
}

/** Where a directory is in a bucket. */
export interface Place {
  readonly store: ObjectStore;
  /** '' or ending in '/'; for a file, its key. */
  readonly key: string;
}

/** Enough for the file, the directory and the usual relatives (`a`, `a.txt`, `a/`). */
const FIND_KEYS = 16;

/** A prefix of a bucket. `place` is asked each time: a rename moves the directory. */
export class PrefixSource implements DirectorySource {
  readonly exhaustive = true;
  readonly #place: () => Place;

  constructor(place: () => Place) {
    this.#place = place;
  }

  async page(continuation: string | undefined, signal: AbortSignal): Promise<DirectoryPage> {
    const { store, key: prefix } = this.#place();
    const request = { prefix, delimiter: '/' as const };
    const page = await store.list(
      continuation === undefined ? request : { ...request, continuation },
      signal,
    );
    const names = namesOf(prefix, page);
    return page.next === undefined ? { names } : { names, next: page.next };
  }

  async near(name: string, count: number, signal: AbortSignal): Promise<Neighbours | undefined> {
    const { store, key: prefix } = this.#place();
    const startAfter = `${prefix}${justBefore(name)}`;
    if (!fitsKey(childKey(prefix, name)) || !fitsKey(startAfter)) return undefined;
    const request = { prefix, delimiter: '/' as const, maxKeys: count };
    const page = await store.list(startAfter === '' ? request : { ...request, startAfter }, signal);
    const told = namesOf(prefix, page);
    // A file's directory, which would hide it, may sort after the last key that was told.
    const isSure = ({ name: part, found }: FoundName): boolean =>
      found.type === 'directory' ||
      page.next === undefined ||
      isPast(page, childDirectory(prefix, part));
    const names = told.filter(isSure);
    const asked = names.find(({ name: part }) => part === name);
    const isAbsent = page.next === undefined || isPast(page, childDirectory(prefix, name));
    if (asked === undefined && !isAbsent) return undefined;
    return { found: asked?.found, names };
  }

  async find(name: string, signal: AbortSignal): Promise<Found | undefined> {
    const { store, key: prefix } = this.#place();
    const key = childKey(prefix, name);
    const directory = childDirectory(prefix, name);
    if (!fitsKey(key)) return undefined;
    const near = await store.list({ prefix: key, delimiter: '/', maxKeys: FIND_KEYS }, signal);
    // A directory hides a file of the same name.
    if (near.prefixes.includes(directory)) return foundDirectory;
    const file = near.objects.find((object) => object.key === key);
    if (near.next !== undefined && !isPast(near, directory)) {
      // Too many names between `name` and `name/` ('name.1', 'name-2', ...): ask below it.
      const below = await store.list({ prefix: directory, maxKeys: 1 }, signal);
      if (below.objects.length > 0) return foundDirectory;
    }
    return file === undefined ? undefined : { type: 'file', version: file };
  }
}

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
function isPast({ objects, prefixes }: ListPage, key: string): boolean {
  const last = [objects.at(-1)?.key, prefixes.at(-1)];
  return last.some(
    (seen) => seen !== undefined && Buffer.compare(Buffer.from(seen), Buffer.from(key)) > 0,
  );
}

function namesOf(prefix: string, { objects, prefixes }: ListPage): readonly FoundName[] {
  const names: FoundName[] = [];
  for (const below of prefixes) {
    const name = shownPart(prefix, below);
    if (name !== undefined) names.push({ name, found: foundDirectory });
  }
  const directories = new Set(names.map(({ name }) => name));
  for (const object of objects) {
    const name = object.key.endsWith('/') ? undefined : shownPart(prefix, object.key);
    if (name === undefined || directories.has(name)) continue;
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

  async page(_: string | undefined, signal: AbortSignal): Promise<DirectoryPage> {
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
