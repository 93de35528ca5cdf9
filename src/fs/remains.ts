/**
 * Objects of files that were unlinked while somebody had them open. Their names are gone at once:
 * whatever the store lists, such an object is not shown. It stays for those who go on reading and
 * is deleted when the last of them closes, or when something else is to take its place: then what
 * they need is brought to the local disk first. Only the version that was unlinked is deleted.
 *
 * Each is written down before its name goes, so that after a crash the next mount deletes it.
 *
 * The lock of an unlinked node is a leaf: who holds it waits for no other node's, nor for a claim
 * in the tree's. So it may be asked for by whoever holds those.
 */
import type { Clock } from '../lib/clock.ts';
import { inParallel } from '../lib/in-parallel.ts';
import type { Log } from '../lib/log.ts';
import { isSameEtag } from '../store/etag.ts';
import { childKey } from '../store/keys.ts';
import type { ObjectVersion } from '../store/object-store.ts';
import { Background } from './background.ts';
import { deleteVersion, isPassing } from './deletes.ts';
import type { HiddenObjects, Place } from './directory-source.ts';
import type { IntentNotes, NotedIntent } from './journal/intents.ts';
import { type DirectoryNode, type FileNode, filePlaceOf, keepInView, placeOf } from './nodes.ts';

export interface RemainsParts {
  /** Where intents are written down; undefined: a crash leaves such objects in the bucket. */
  readonly notes: IntentNotes | undefined;
  /**
   * Brings what those need who have an unlinked file open to the local disk. With the node's lock;
   * never fails.
   */
  readonly preserve: (node: FileNode, signal: AbortSignal) => Promise<void>;
  readonly clock: Clock;
  readonly log: Log;
}

interface Remnant {
  readonly node: FileNode;
  readonly place: Place;
  readonly version: ObjectVersion;
  /** Its name, which comes back when the store refuses the delete. */
  readonly parent: DirectoryNode;
  readonly name: string;
  readonly noted: NotedIntent | undefined;
  deleting: Promise<void> | undefined;
}

/** Between two tries of deletes that got no answer. */
const PAUSE_MS = 5000;
/** Deleted or brought here at once. */
const PARALLEL = 8;

export class Remains implements HiddenObjects, AsyncDisposable {
  readonly #parts: RemainsParts;
  readonly #remnants = new Map<string, Remnant>();
  readonly #background = new Background();
  #isTrying = false;

  constructor(parts: RemainsParts) {
    this.#parts = parts;
  }

  get isEmpty(): boolean {
    return this.#remnants.size === 0;
  }

  hides(place: Place, version: ObjectVersion): boolean {
    if (this.isEmpty) return false;
    const remnant = this.#remnants.get(idOf(place));
    return remnant !== undefined && isSameEtag(remnant.version.etag, version.etag);
  }

  /** Whether somebody who has `node` open needs its object: what he reads is nowhere else. */
  isNeeded({ handles, staged, version }: FileNode): boolean {
    if (handles.size === 0 || version === undefined) return false;
    return staged === undefined || staged.missingBytes > 0;
  }

  /** `node` is about to lose its name. Hold its lock, and a claim on its directory. */
  async leave(node: FileNode, version: ObjectVersion): Promise<void> {
    const { parent, name } = node;
    if (parent === undefined) return;
    const place = filePlaceOf(node);
    const before = this.#remnants.get(idOf(place));
    const noted = await this.#note(place, version);
    // Somebody else has put another object in its place: that is the one to delete by now.
    if (before !== undefined) await this.#forget(before);
    const remnant = { node, place, version, parent, name, noted, deleting: undefined };
    this.#remnants.set(idOf(place), remnant);
    node.remains = place;
  }

  /** As `leave`, of what an earlier life has written down. */
  adopt(node: FileNode, version: ObjectVersion, noted: NotedIntent): void {
    const { parent, name } = node;
    if (parent === undefined) return;
    const place = filePlaceOf(node);
    this.#remnants.set(idOf(place), {
      ...{ node, place, version, parent, name, noted },
      deleting: undefined,
    });
    node.remains = place;
  }

  /** Whether what is hidden at `place` is seen to from now on. */
  async end(place: Place): Promise<boolean> {
    const remnant = this.#remnants.get(idOf(place));
    if (remnant !== undefined) await this.closed(remnant.node);
    return remnant !== undefined;
  }

  /** Nobody has `node` open any more. Never fails: what could not be deleted is tried again. */
  async closed(node: FileNode): Promise<void> {
    const remnant = this.#of(node);
    if (remnant === undefined || node.handles.size > 0) return;
    if (!(await this.#end(remnant))) this.#tryAgain();
  }

  /**
   * Something else is to be at `place`.
   *
   * @throws StoreError when what is there cannot be deleted.
   */
  async clear(place: Place, signal: AbortSignal): Promise<void> {
    if (this.isEmpty) return;
    const remnant = this.#remnants.get(idOf(place));
    if (remnant !== undefined) await this.#clear(remnant, signal);
  }

  /** The same of all below `directory`. */
  async clearBelow(directory: Place, signal: AbortSignal): Promise<void> {
    if (this.isEmpty) return;
    const below = [...this.#remnants.values()].filter(
      ({ place }) => place.store === directory.store && place.key.startsWith(directory.key),
    );
    await inParallel(below, PARALLEL, async (remnant) => await this.#clear(remnant, signal));
  }

  /** Deletes all that is left, whoever has it open. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#background[Symbol.asyncDispose]();
    let isAway = false;
    await inParallel([...this.#remnants.values()], PARALLEL, async (remnant) => {
      // Where one got no answer the others need not wait for theirs: they are written down.
      if (isAway) return;
      try {
        await this.#delete(remnant);
      } catch (error) {
        isAway = true;
        this.#parts.log.error('not-deleted', { key: remnant.place.key, error });
      }
    });
  }

  #of(node: FileNode): Remnant | undefined {
    const remnant = node.remains && this.#remnants.get(idOf(node.remains));
    return remnant?.node === node ? remnant : undefined;
  }

  async #clear(remnant: Remnant, signal: AbortSignal): Promise<void> {
    const { node } = remnant;
    await node.changing.run(async () => {
      if (this.#of(node) !== remnant) return;
      if (this.isNeeded(node)) await this.#parts.preserve(node, signal);
      await this.#delete(remnant);
    }, signal);
  }

  /** Deletes what nobody needs; false when that is to be tried again. Never fails. */
  async #end(remnant: Remnant): Promise<boolean> {
    const { place, parent, name } = remnant;
    try {
      await this.#delete(remnant);
    } catch (error) {
      if (isPassing(error)) return false;
      this.#parts.log.error('not-deleted', { key: place.key, error });
      // The policy will not be another one in a moment, and nobody must wonder what takes the room.
      await this.#forget(remnant);
      parent.directory.invalidate(name);
    }
    return true;
  }

  /** @throws StoreError: then it stays hidden, and written down. */
  async #delete(remnant: Remnant): Promise<void> {
    remnant.deleting ??= this.#deleteNow(remnant).finally(() => {
      remnant.deleting = undefined;
    });
    await remnant.deleting;
  }

  async #deleteNow(remnant: Remnant): Promise<void> {
    const { place, version, parent, name } = remnant;
    const never = new AbortController().signal;
    const outcome = await deleteVersion(place.store, place.key, version.etag, never);
    await this.#forget(remnant);
    if (outcome === 'replaced') parent.directory.invalidate(name);
    // While its object was there the store said so.
    else keepInView(parent);
  }

  #tryAgain(): void {
    if (this.#isTrying) return;
    this.#isTrying = true;
    this.#background.start(async (signal) => {
      try {
        while (this.#unused().length > 0) {
          await this.#parts.clock.sleep(PAUSE_MS, signal);
          await inParallel(this.#unused(), PARALLEL, async (remnant) => {
            await this.#end(remnant);
          });
        }
      } finally {
        this.#isTrying = false;
      }
    });
  }

  #unused(): readonly Remnant[] {
    return [...this.#remnants.values()].filter(({ node }) => node.handles.size === 0);
  }

  /** Without a note a crash of ours may leave the object; to refuse the unlink would help nobody. */
  async #note({ store, key }: Place, { etag }: ObjectVersion): Promise<NotedIntent | undefined> {
    try {
      return await this.#parts.notes?.note({ kind: 'delete', bucket: store.bucket, key, etag });
    } catch (error) {
      this.#parts.log.warn('delete-not-noted', { key, error });
      return undefined;
    }
  }

  async #forget(remnant: Remnant): Promise<void> {
    const id = idOf(remnant.place);
    if (this.#remnants.get(id) === remnant) this.#remnants.delete(id);
    remnant.node.remains = undefined;
    await remnant.noted?.forget().catch((error: unknown) => {
      this.#parts.log.warn('delete-note-left', { key: remnant.place.key, error });
    });
  }
}

/** Where the file `name` in `directory` is. */
export function placeIn(directory: DirectoryNode, name: string): Place {
  const { store, key } = placeOf(directory);
  return { store, key: childKey(key, name) };
}

function idOf({ store, key }: Place): string {
  return `${store.bucket}/${key}`;
}
