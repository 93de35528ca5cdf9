/** Deletes of objects that must not be left half done. */

import { StoreError } from '../store/errors.ts';
import { isSameEtag } from '../store/etag.ts';
import type { ETag, ObjectStore, ObjectVersion } from '../store/object-store.ts';

/** How often a delete that got no answer is tried, beyond what the store does by itself. */
export const DELETE_TRIES = 3;

/**
 * Deletes `key`, trying again while no answer comes. Nobody can interrupt it: a delete that was
 * given up could still arrive later.
 *
 * @throws whatever the store said at last.
 */
export async function deleteSurely(store: ObjectStore, key: string): Promise<void> {
  let failed: unknown;
  for (let nth = 1; nth <= DELETE_TRIES; nth += 1) {
    failed = await deleteKey(store, key);
    if (failed === undefined) return;
    if (isRefusal(failed)) break;
  }
  throw failed;
}

/** Deletes `key` once; returns what went wrong. */
export async function deleteKey(store: ObjectStore, key: string): Promise<unknown> {
  try {
    await store.delete(key, new AbortController().signal);
    return undefined;
  } catch (error) {
    return error;
  }
}

/**
 * Deletes `key` if it is the version `etag` still. Between the look and the delete, a few
 * milliseconds, what somebody else stores there is deleted with it: few servers have deletes with
 * a condition.
 *
 * @returns whether another version is there, which stays.
 * @throws StoreError when the store cannot be asked, or refuses.
 */
export async function deleteVersion(
  store: ObjectStore,
  key: string,
  etag: ETag,
  signal: AbortSignal,
): Promise<'deleted' | 'replaced'> {
  const present = await presentVersion(store, key, signal);
  if (present === undefined) return 'deleted';
  if (!isSameEtag(present.etag, etag)) return 'replaced';
  await store.delete(key, signal);
  return 'deleted';
}

/** The version of `key`; undefined when there is none. Asks the listing where HEAD is not allowed. */
async function presentVersion(
  store: ObjectStore,
  key: string,
  signal: AbortSignal,
): Promise<ObjectVersion | undefined> {
  try {
    return await store.head(key, signal);
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    if (error.kind === 'not-found') return undefined;
    if (error.kind !== 'access-denied') throw error;
    // Of the keys that begin so, the key itself is the first.
    const { objects } = await store.list({ prefix: key, maxKeys: 1 }, signal);
    return objects.find((object) => object.key === key);
  }
}

/** Whether the store has answered that it will not: nothing was done then. */
export function isRefusal(error: unknown): boolean {
  return error instanceof StoreError && !['unreachable', 'unavailable'].includes(error.kind);
}

/** Whether asking again later may succeed: the store is away, or the login has ended. */
export function isPassing(error: unknown): boolean {
  if (!(error instanceof StoreError)) return false;
  return ['unreachable', 'unavailable', 'credentials-expired', 'login-expired'].includes(
    error.kind,
  );
}
