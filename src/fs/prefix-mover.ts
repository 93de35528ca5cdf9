/**
 * Moves all keys below a prefix: copies each, then deletes the old ones. Until the last copy is
 * there nothing is lost by turning back; after the first delete there is only forward.
 */
import type { Log } from '../lib/log.ts';
import { StoreError } from '../store/errors.ts';
import type { ObjectStore, ObjectSummary, ObjectVersion } from '../store/object-store.ts';
import { objectsBelow } from '../store/objects-below.ts';
import type { Place } from './directory-source.ts';
import { refuseUnlessMarkerOnly } from './tree.ts';

/** A key that became another. */
export interface Copy {
  readonly key: string;
  readonly before: ObjectVersion;
  readonly version: ObjectVersion;
}

/** Copies and deletes under way at once. */
const PARALLEL = 16;
/** How often a delete that got no answer is tried, beyond what the store does by itself. */
const DELETE_TRIES = 3;

export class PrefixMover {
  readonly #store: ObjectStore;
  readonly #from: string;
  readonly #to: string;
  readonly #log: Log;
  /** Copies that were asked for, and did not stand there before. */
  readonly #made = new Set<string>();

  /** `from` and `to` end in '/'. */
  constructor({ store, key }: Place, to: string, log: Log) {
    this.#store = store;
    this.#from = key;
    this.#to = to;
    this.#log = log;
  }

  /**
   * Copies every key; by its old key, what each has become. When one fails, the others are taken
   * back, also those whose answer was lost.
   *
   * @throws FsError ENOTEMPTY when more than its marker is at the target.
   */
  async copy(signal: AbortSignal): Promise<ReadonlyMap<string, Copy>> {
    const store = this.#store;
    const hadMarker = await refuseUnlessMarkerOnly(store, this.#to, signal);
    const copies = new Map<string, Copy>();
    const objects = await allBelow(store, this.#from, signal);
    const copy = async (object: ObjectSummary): Promise<void> => {
      signal.throwIfAborted();
      const key = this.#to + object.key.slice(this.#from.length);
      if (!hadMarker || key !== this.#to) this.#made.add(key);
      const version = await store.copy(object, key, {}, signal);
      copies.set(object.key, { key, before: object, version });
    };
    try {
      await allInParallel(objects, copy);
    } catch (error) {
      await this.takeBack();
      throw error;
    }
    return copies;
  }

  async takeBack(): Promise<void> {
    const left = await this.#delete([...this.#made]);
    if (left > 0) this.#log.error('copies-left', { to: this.#to, copies: left });
  }

  /**
   * Deletes the old keys. Nobody can interrupt this, and what cannot be deleted does not undo a
   * move whose target is whole: such names stay, and the log says so. Returns how many.
   *
   * @throws StoreError when the store refuses the first delete: nothing is gone by then.
   */
  async deleteOld(keys: readonly string[]): Promise<number> {
    const [first, ...others] = keys;
    if (first === undefined) return 0;
    // Alone: a policy that lets nobody delete is known before anything is gone.
    const failed = await deleteKey(this.#store, first);
    if (isRefusal(failed)) throw failed;
    const left = await this.#delete(failed === undefined ? others : keys);
    if (left > 0) this.#log.error('old-names-left', { from: this.#from, to: this.#to, keys: left });
    return left;
  }

  /** Returns how many are still there, as far as one knows. */
  async #delete(keys: readonly string[]): Promise<number> {
    let left = keys;
    for (let nth = 1; nth <= DELETE_TRIES && left.length > 0; nth += 1) {
      left = await this.#deleteOnce(left);
    }
    return left.length;
  }

  /** Goes on past failures, unless so many follow that nobody seems to be there. */
  async #deleteOnce(keys: readonly string[]): Promise<readonly string[]> {
    const left: string[] = [];
    let failures = 0;
    await allInParallel(keys, async (key) => {
      const failed = failures > PARALLEL || (await deleteKey(this.#store, key)) !== undefined;
      failures = failed ? failures + 1 : 0;
      if (failed) left.push(key);
    });
    return left;
  }
}

/**
 * Deletes `key`, trying again while no answer comes.
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

/** Whether the store has answered that it will not: nothing was done then. */
export function isRefusal(error: unknown): boolean {
  return error instanceof StoreError && !['unreachable', 'unavailable'].includes(error.kind);
}

/** Returns what went wrong. */
async function deleteKey(store: ObjectStore, key: string): Promise<unknown> {
  try {
    await store.delete(key, new AbortController().signal);
    return undefined;
  } catch (error) {
    return error;
  }
}

async function allBelow(
  store: ObjectStore,
  prefix: string,
  signal: AbortSignal,
): Promise<readonly ObjectSummary[]> {
  const objects: ObjectSummary[] = [];
  for await (const object of objectsBelow(store, prefix, signal)) objects.push(object);
  return objects;
}

/**
 * Does `work` for each item, some at once. After a failure nothing new begins, and what is under
 * way ends by itself: a copy given up half way could still appear later.
 */
async function allInParallel<T>(
  items: readonly T[],
  work: (item: T) => Promise<void>,
): Promise<void> {
  const waiting = items.values();
  let failed = false;
  const worker = async (): Promise<void> => {
    for (const item of waiting) {
      if (failed) return;
      try {
        await work(item);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  const workers = Array.from({ length: Math.min(PARALLEL, items.length) }, worker);
  const ends = await Promise.allSettled(workers);
  const failure = ends.find((end) => end.status === 'rejected');
  if (failure !== undefined) throw failure.reason;
}
