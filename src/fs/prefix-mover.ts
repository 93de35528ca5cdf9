/**
 * Moves all keys below a prefix: copies each, then deletes the old ones. Until the last copy is
 * there nothing is lost by turning back; after the first delete there is only forward. Which of
 * these holds is written down, so that after a crash the next mount turns back or goes on
 * (`move-recovery.ts`).
 */
import { inParallel } from '../lib/in-parallel.ts';
import type { Log } from '../lib/log.ts';
import { isSameEtag } from '../store/etag.ts';
import type { ObjectStore, ObjectSummary, ObjectVersion } from '../store/object-store.ts';
import { objectsBelow } from '../store/objects-below.ts';
import { DELETE_TRIES, deleteKey, isRefusal } from './deletes.ts';
import type { HiddenObjects, Place } from './directory-source.ts';
import type { IntentNotes, MoveIntent, NotedIntent } from './journal/intents.ts';
import { refuseUnlessMarkerOnly } from './tree.ts';

/** A key that became another. */
export interface Copy {
  readonly key: string;
  readonly before: ObjectVersion;
  readonly version: ObjectVersion;
}

export interface PrefixMoverParts {
  /** Undefined: a crash leaves what was copied so far beside what was there. */
  readonly notes: IntentNotes | undefined;
  readonly hidden: HiddenObjects;
  readonly log: Log;
}

/** Copies and deletes under way at once. */
const PARALLEL = 16;
/** The log tells of a move whenever so many keys are copied. */
const TOLD_KEYS = 1000;

export class PrefixMover {
  readonly #store: ObjectStore;
  readonly #from: string;
  readonly #to: string;
  readonly #parts: PrefixMoverParts;
  /** Copies that were asked for, and did not stand there before. */
  readonly #made = new Set<string>();
  #hadMarker = false;
  #noted: NotedIntent | undefined;

  /** `from` and `to` end in '/'. */
  constructor({ store, key }: Place, to: string, parts: PrefixMoverParts) {
    this.#store = store;
    this.#from = key;
    this.#to = to;
    this.#parts = parts;
  }

  /**
   * Copies every key; by its old key, what each has become. When one fails, the others are taken
   * back, also those whose answer was lost.
   *
   * @throws FsError ENOTEMPTY when more than its marker is at the target.
   */
  async copy(signal: AbortSignal): Promise<ReadonlyMap<string, Copy>> {
    const store = this.#store;
    const { hidden, notes } = this.#parts;
    const target = { store, key: this.#to };
    this.#hadMarker = await refuseUnlessMarkerOnly(target, hidden, signal);
    const objects = await allBelow(store, this.#from, signal);
    // Of one key there is nothing to complete: it is there under one name, or under both.
    this.#noted = await notes?.note(this.#intent('copying'));
    const copies = new Map<string, Copy>();
    try {
      await inParallel(objects, PARALLEL, async (object) => {
        copies.set(object.key, await this.#copyOne(object, signal));
        this.#tell(copies.size, objects.length);
      });
    } catch (error) {
      await this.#deleteCopies();
      throw error;
    }
    return copies;
  }

  /** Deletes the copies, instead of `deleteOld` or after its refusal. */
  async takeBack(): Promise<void> {
    // A crash from here on is to find that the old keys are the ones to stay.
    await this.#noted?.change(this.#intent('copying')).catch((error: unknown) => {
      this.#parts.log.warn('move-not-noted', { to: this.#to, error });
    });
    await this.#deleteCopies();
  }

  /**
   * Deletes the old keys, as far as they are what was copied. Nobody can interrupt this, and what
   * cannot be deleted does not undo a move whose target is whole: such names stay, and the log says
   * so. Returns how many.
   *
   * @throws StoreError when the store refuses the first delete, or whatever writing down threw:
   * nothing is gone by then.
   */
  async deleteOld(copies: ReadonlyMap<string, Copy>): Promise<number> {
    await this.#noted?.change(this.#intent('deleting'));
    const { keys, others } = await this.#copied(copies);
    const [first, ...more] = keys;
    let left = others;
    if (first !== undefined) {
      // Alone: a policy that lets nobody delete is known before anything is gone.
      const failed = await deleteKey(this.#store, first);
      if (isRefusal(failed)) throw failed;
      left += await this.#delete(failed === undefined ? more : keys);
    }
    const { log } = this.#parts;
    if (left > 0) log.error('old-names-left', { from: this.#from, to: this.#to, keys: left });
    // What could not be deleted now is for the next mount.
    else await this.#forget();
    return left;
  }

  async #copyOne(object: ObjectSummary, signal: AbortSignal): Promise<Copy> {
    signal.throwIfAborted();
    const key = this.#to + object.key.slice(this.#from.length);
    if (!this.#hadMarker || key !== this.#to) this.#made.add(key);
    const version = await this.#store.copy(object, key, {}, signal);
    return { key, before: object, version };
  }

  /** The old keys that are as they were copied, and how many are there that are not. */
  async #copied(
    copies: ReadonlyMap<string, Copy>,
  ): Promise<{ readonly keys: readonly string[]; readonly others: number }> {
    const keys: string[] = [];
    let others = 0;
    const never = new AbortController().signal;
    try {
      for await (const { key, etag } of objectsBelow(this.#store, this.#from, never)) {
        const copy = copies.get(key);
        // Somebody else has changed or made it meanwhile: that is not ours to delete.
        if (copy === undefined || !isSameEtag(copy.before.etag, etag)) others += 1;
        else keys.push(key);
      }
      return { keys, others };
    } catch (error) {
      this.#parts.log.warn('old-names-not-listed', { from: this.#from, error });
      return { keys: [], others: copies.size };
    }
  }

  async #deleteCopies(): Promise<void> {
    const left = await this.#delete([...this.#made]);
    const { log } = this.#parts;
    if (left > 0) log.error('copies-left', { to: this.#to, copies: left });
    else await this.#forget();
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
    await inParallel(keys, PARALLEL, async (key) => {
      const failed = failures > PARALLEL || (await deleteKey(this.#store, key)) !== undefined;
      failures = failed ? failures + 1 : 0;
      if (failed) left.push(key);
    });
    return left;
  }

  #intent(stage: MoveIntent['stage']): MoveIntent {
    const { bucket } = this.#store;
    const move = { kind: 'move', bucket, from: this.#from, to: this.#to, stage } as const;
    return this.#hadMarker ? { ...move, hadMarker: true } : move;
  }

  async #forget(): Promise<void> {
    await this.#noted?.forget().catch((error: unknown) => {
      this.#parts.log.warn('move-note-left', { to: this.#to, error });
    });
  }

  #tell(copied: number, of: number): void {
    if (copied % TOLD_KEYS !== 0) return;
    this.#parts.log.info('moving', { from: this.#from, to: this.#to, copied, of });
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
