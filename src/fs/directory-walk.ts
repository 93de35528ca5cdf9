import { nameOfPart } from '../store/keys.ts';
import type { Shown } from './directory.ts';
import type { Dirent, MaybePromise } from './filesystem.ts';
import type { DirectoryHandle } from './handle-table.ts';

/** A dirent without what must be computed for it. */
export type ListedName = Omit<Dirent, 'ino' | 'type'> & { readonly type: 'file' | 'directory' };

/** Takes a name, '.' and '..' without a part; false when there is no more room. */
export type TakeName = (dirent: ListedName, shown: Shown | undefined) => boolean;

const DOT = nameOfPart('.');
const DOTS = nameOfPart('..');
/** Cookies: 1 after '.', 2 after '..', then 3 after the first name of the listing. */
const FIRST_NAME = 2;

/**
 * Hands the names after `cookie` to `take` until it is full. Waits for a page of the listing only
 * while no name was taken, so that the first names are told as soon as they are known. '.' and '..'
 * alone are no answer: Linux asks for attributes with the names at the start of a directory, and
 * further on only where somebody wanted those; it would look up each name of the first page.
 */
export function walkDirectory(
  handle: DirectoryHandle,
  cookie: number,
  take: TakeName,
  signal: () => AbortSignal,
): MaybePromise<void> {
  const { directory } = handle.node;
  // From the start again (rewinddir) means what is there now.
  if (cookie === 0 || handle.listing === undefined) handle.listing = directory.open();
  let next = cookie;
  if (next === 0) {
    if (!take({ name: DOT, type: 'directory', cookie: 1 }, undefined)) return undefined;
    next = 1;
  }
  if (next === 1) {
    if (!take({ name: DOTS, type: 'directory', cookie: 2 }, undefined)) return undefined;
    next = FIRST_NAME;
  }
  const told = takeKnown(handle, next, take);
  if (told.full || told.taken > 0 || handle.listing.done) return undefined;
  return walkOn(handle, told.next, take, signal());
}

async function walkOn(
  handle: DirectoryHandle,
  cookie: number,
  take: TakeName,
  signal: AbortSignal,
): Promise<void> {
  const { listing, node } = handle;
  let next = cookie;
  while (listing !== undefined && !listing.done) {
    await node.directory.more(listing, signal);
    const told = takeKnown(handle, next, take);
    if (told.full || told.taken > 0) return;
    next = told.next;
  }
}

/** Tells what is listed so far. */
function takeKnown(
  { listing, node }: DirectoryHandle,
  cookie: number,
  take: TakeName,
): { readonly next: number; readonly taken: number; readonly full: boolean } {
  let taken = 0;
  let next = cookie;
  let full = false;
  if (listing === undefined) return { next, taken, full };
  const { table } = listing;
  const { directory } = node;
  const nowMs = directory.nowMs();
  for (; ; next += 1) {
    const row = listing.rowAt(next - FIRST_NAME);
    if (row === undefined) break;
    const shown = directory.shownAt(listing, row, nowMs);
    if (shown === undefined) continue;
    const dirent = { name: table.nameBytesAt(row), type: shown.found.type, cookie: next + 1 };
    full = !take(dirent, shown);
    if (full) break;
    taken += 1;
  }
  if (taken > 0) directory.taken(listing, next - FIRST_NAME);
  return { next, taken, full };
}
