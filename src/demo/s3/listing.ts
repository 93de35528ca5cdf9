/** One page of a listing: what ListObjects (both versions) and ListObjectVersions have in common. */
import { compareKeys } from './byte-order.ts';
import type { Cursor, Keyed, OrderedEntries } from './object-index.ts';

export interface ListingQuery {
  readonly prefix: string;
  /** Empty: nothing is folded. */
  readonly delimiter: string;
  /** List what comes after this key, or after this common prefix and all it folds. */
  readonly after?: string;
  /** Keys and common prefixes together. */
  readonly limit: number;
  /** An object `a` hides `a/b`. */
  readonly objectsHideBelow: boolean;
  /** A full page says that there is more even when there is not. */
  readonly fullPageIsTruncated: boolean;
}

export interface ListingPage<T> {
  readonly entries: readonly T[];
  readonly commonPrefixes: readonly string[];
  readonly truncated: boolean;
  /** `after` of the next page: the last key or common prefix of this one. */
  readonly last?: string;
}

/** The common prefix that stands for `key`, if it is folded. */
export function foldedPrefix(key: string, prefix: string, delimiter: string): string | undefined {
  if (delimiter === '') return undefined;
  const at = key.indexOf(delimiter, prefix.length);
  return at < 0 ? undefined : key.slice(0, at + delimiter.length);
}

/** Cost: O(page) plus one search per folded prefix, whatever the folds hold. */
export function listPage<T extends Keyed>(
  source: OrderedEntries<T>,
  query: ListingQuery,
): ListingPage<T> {
  const { prefix, delimiter, limit } = query;
  const entries: T[] = [];
  const commonPrefixes: string[] = [];
  const coverOf = query.objectsHideBelow ? covers(source, prefix) : () => undefined;
  const cursor = startOf(source, query);
  let last: string | undefined;
  let more = false;
  for (let entry = cursor.entry; entry?.key.startsWith(prefix) === true; entry = cursor.entry) {
    const cover = coverOf(entry.key);
    if (cover !== undefined) {
      cursor.skipPrefix(cover);
      continue;
    }
    if (entries.length + commonPrefixes.length >= limit) {
      more = true;
      break;
    }
    const folded = foldedPrefix(entry.key, prefix, delimiter);
    if (folded === undefined) {
      entries.push(entry);
      last = entry.key;
      cursor.advance();
    } else {
      commonPrefixes.push(folded);
      last = folded;
      cursor.skipPrefix(folded);
    }
  }
  const full = entries.length + commonPrefixes.length === limit && last !== undefined;
  const truncated = last !== undefined && (more || (full && query.fullPageIsTruncated));
  return { entries, commonPrefixes, truncated, ...(last !== undefined && { last }) };
}

function startOf<T extends Keyed>(source: OrderedEntries<T>, query: ListingQuery): Cursor<T> {
  const { prefix, delimiter, after } = query;
  if (after === undefined || compareKeys(after, prefix) < 0) return source.seek(prefix);
  const cursor = source.seek(after);
  const isFold = after.startsWith(prefix) && foldedPrefix(after, prefix, delimiter) === after;
  if (isFold) cursor.skipPrefix(after);
  else if (cursor.entry?.key === after) cursor.advance();
  return cursor;
}

/**
 * Finds the prefix below an object that hides a key. Only objects at or below the folder that is
 * listed hide: with `a` and `a/y/z`, prefix `a/y/` shows `a/y/z`.
 */
function covers<T extends Keyed>(
  source: OrderedEntries<T>,
  prefix: string,
): (key: string) => string | undefined {
  const shortest = prefix.lastIndexOf('/');
  const known = new Map<string, string | undefined>();
  return (key) => {
    const folder = key.slice(0, key.lastIndexOf('/', key.length - 2) + 1);
    if (folder === '') return undefined;
    if (known.has(folder)) return known.get(folder);
    let cover: string | undefined;
    for (let at = folder.indexOf('/', shortest); at > 0; at = folder.indexOf('/', at + 1)) {
      if (source.get(folder.slice(0, at)) === undefined) continue;
      cover = folder.slice(0, at + 1);
      break;
    }
    known.set(folder, cover);
    return cover;
  };
}
