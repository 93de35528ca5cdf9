/**
 * A bucket's objects in UTF-8 byte order: a list of sorted chunks, so that looking up, adding and
 * removing cost a binary search and one short splice whatever the bucket's size.
 */
import { compareKeys, firstWhere } from './byte-order.ts';

/** Anything that has a key. */
export interface Keyed {
  readonly key: string;
}

/** A place between the keys. Valid until the index changes. */
export interface Cursor<T extends Keyed> {
  /** Undefined at the end. */
  readonly entry: T | undefined;
  advance(): void;
  /** Moves past every key that begins with `prefix`; never back. */
  skipPrefix(prefix: string): void;
}

/** What a listing needs of a bucket. */
export interface OrderedEntries<T extends Keyed> {
  get(key: string): T | undefined;
  /** A cursor at the first key at or after `key`. */
  seek(key: string): Cursor<T>;
}

/** A chunk of this many splits in two: a splice stays under a microsecond or so. */
const CHUNK_ENTRIES = 512;

export class ObjectIndex<T extends Keyed> implements OrderedEntries<T> {
  /** Never empty chunks. */
  readonly #chunks: T[][] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(key: string): T | undefined {
    const [chunk, at] = this.#find(key);
    const entry = this.#chunks[chunk]?.[at];
    return entry?.key === key ? entry : undefined;
  }

  /** Adds `entry` or takes its namesake's place; gives the namesake. */
  set(entry: T): T | undefined {
    const [position, at] = this.#find(entry.key);
    const chunk = this.#chunks[position];
    if (chunk?.[at]?.key === entry.key) return chunk.splice(at, 1, entry)[0];
    this.#size += 1;
    if (chunk !== undefined) this.#insert(position, at, entry);
    else if (this.#chunks.length === 0) this.#chunks.push([entry]);
    else this.#insert(this.#chunks.length - 1, this.#chunks.at(-1)?.length ?? 0, entry);
    return undefined;
  }

  /** Removes and gives the entry called `key`. */
  delete(key: string): T | undefined {
    const [position, at] = this.#find(key);
    const chunk = this.#chunks[position];
    if (chunk?.[at]?.key !== key) return undefined;
    this.#size -= 1;
    const [removed] = chunk.splice(at, 1);
    if (chunk.length === 0) this.#chunks.splice(position, 1);
    return removed;
  }

  seek(key: string): Cursor<T> {
    return new IndexCursor(this.#chunks, ...this.#find(key));
  }

  *[Symbol.iterator](): Iterator<T> {
    for (const chunk of this.#chunks) yield* chunk;
  }

  /** Chunk and place of the first key at or after `key`; the chunk past the last one at the end. */
  #find(key: string): [chunk: number, at: number] {
    return findFirst(this.#chunks, (entry) => compareKeys(entry.key, key) >= 0);
  }

  #insert(position: number, at: number, entry: T): void {
    const chunk = this.#chunks[position];
    if (chunk === undefined) return;
    chunk.splice(at, 0, entry);
    if (chunk.length < CHUNK_ENTRIES) return;
    // Keys often come in order: leaving the first half fuller would only cost later splits.
    this.#chunks.splice(position + 1, 0, chunk.splice(CHUNK_ENTRIES / 2));
  }
}

class IndexCursor<T extends Keyed> implements Cursor<T> {
  readonly #chunks: readonly (readonly T[])[];
  #chunk: number;
  #at: number;

  constructor(chunks: readonly (readonly T[])[], chunk: number, at: number) {
    this.#chunks = chunks;
    this.#chunk = chunk;
    this.#at = at;
  }

  get entry(): T | undefined {
    return this.#chunks[this.#chunk]?.[this.#at];
  }

  advance(): void {
    this.#at += 1;
    if (this.#at < (this.#chunks[this.#chunk]?.length ?? 0)) return;
    this.#chunk += 1;
    this.#at = 0;
  }

  skipPrefix(prefix: string): void {
    const here = this.entry;
    if (here === undefined || isPast(here.key, prefix)) return;
    [this.#chunk, this.#at] = findFirst(this.#chunks, ({ key }) => isPast(key, prefix));
  }
}

/** Whether `key` sorts after all keys that begin with `prefix`. */
export function isPast(key: string, prefix: string): boolean {
  return !key.startsWith(prefix) && compareKeys(key, prefix) > 0;
}

function findFirst<T>(
  chunks: readonly (readonly T[])[],
  isAt: (entry: T) => boolean,
): [chunk: number, at: number] {
  const position = firstWhere(chunks.length, (i) => {
    const last = chunks[i]?.at(-1);
    return last === undefined || isAt(last);
  });
  const chunk = chunks[position];
  if (chunk === undefined) return [position, 0];
  const at = firstWhere(chunk.length, (i) => {
    const entry = chunk[i];
    return entry === undefined || isAt(entry);
  });
  return [position, at];
}
