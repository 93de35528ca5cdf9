/**
 * Reads attributes of the metadata of objects. Each object is asked for once: what it told is known
 * by its version, in memory and in the index on the local disk, so that a later mount asks nothing.
 * Many are asked for at the same time.
 */
import { LRUCache } from 'lru-cache';
import type { Clock } from '../lib/clock.ts';
import { inParallel } from '../lib/in-parallel.ts';
import { StoreError } from '../store/errors.ts';
import type { ObjectHead, ObjectVersion } from '../store/object-store.ts';
import { childId, idAt, isRead, recordOf } from './attribute-records.ts';
import type { AttributeStore } from './attributes.ts';
import type { Found, Place } from './directory-source.ts';
import type { MaybePromise } from './filesystem.ts';
import {
  type DirectoryNode,
  type FileNode,
  filePlaceOf,
  type Node,
  type Overrides,
  placeOf,
} from './nodes.ts';
import type { Metadata } from './object-metadata.ts';

export interface AttributeReaderParts {
  readonly attributes: AttributeStore;
  readonly clock: Clock;
}

/** A name of a listing, and what it stands for. */
export interface ListedEntry {
  readonly name: string;
  readonly found: Found;
}

/** Requests at once for one listing. */
const PARALLEL = 32;
/** A listing tells the version of files, but not of a directory's own object: asked again then. */
const DIRECTORY_MS = 10 * 60 * 1000;
/** Who may list but not look is not asked again for so long. */
const DENIED_MS = 60_000;
const MOST_DENIED = 10_000;

export class AttributeReader {
  readonly #parts: AttributeReaderParts;
  /** Until when, monotonic. */
  readonly #denied = new LRUCache<string, number>({ max: MOST_DENIED });

  constructor(parts: AttributeReaderParts) {
    this.#parts = parts;
  }

  /** Learns what the object of `node` tells, unless that is known. */
  know(node: Node, signal: () => AbortSignal): MaybePromise<void> {
    if (node.removed || this.#isKnown(node)) return undefined;
    return node.type === 'file'
      ? this.#readFile(node, signal())
      : this.#readDirectory(placeOf(node), signal());
  }

  /** The same of names in `parent`, of which not all have nodes. */
  async knowAll(
    parent: DirectoryNode,
    entries: readonly ListedEntry[],
    signal: AbortSignal,
  ): Promise<void> {
    const unknown = entries.filter((entry) => !this.isKnownIn(parent, entry));
    await inParallel(unknown, PARALLEL, async ({ name, found }) => {
      signal.throwIfAborted();
      const place = placeOf(parent);
      if (found.type === 'directory') {
        await this.#readDirectory({ ...place, key: `${place.key}${name}/` }, signal);
      } else {
        await this.#read({ ...place, key: `${place.key}${name}` }, found.version, signal);
      }
    });
  }

  /** Whether all is known of a name. */
  isKnownIn(parent: DirectoryNode, { name, found }: ListedEntry): boolean {
    const id = childId(parent, name, found.type);
    const record = this.#parts.attributes.records.at(id);
    if (found.type === 'directory') return this.#isFresh(id, record);
    // A file that only this mount has.
    return found.version.etag === '' || isRead(record, found.version) || this.#isDenied(id);
  }

  /** A listing has told it along. */
  told(place: Place, version: ObjectVersion, metadata: Metadata): void {
    if (place.key.endsWith('/')) this.#toldDirectory(place, version, metadata);
    else this.#learn(idAt(place), version, metadata);
  }

  /** A listing has told that a directory has no object. */
  toldNone(place: Place): void {
    this.#toldDirectory(place, undefined, {});
  }

  /** What is known of it may be later than what the listing tells. */
  #toldDirectory(place: Place, version: ObjectVersion | undefined, metadata: Metadata): void {
    const id = idAt(place);
    const record = this.#parts.attributes.records.at(id);
    if (!this.#isFresh(id, record)) this.#learnDirectory(id, version, metadata);
  }

  #isKnown(node: Node): boolean {
    const record = this.#parts.attributes.records.of(node);
    if (node.type === 'file') {
      const { version } = node;
      return (
        version === undefined || isRead(record, version) || this.#isDenied(idAt(filePlaceOf(node)))
      );
    }
    const { key } =
      node.parent === undefined && node.top === undefined ? { key: '' } : placeOf(node);
    return key === '' || this.#isFresh(idAt(placeOf(node)), record);
  }

  #isFresh(id: string, record: Overrides | undefined): boolean {
    if (record?.unsaved === true || this.#isDenied(id)) return true;
    const { seenMs } = record ?? {};
    return seenMs !== undefined && Math.abs(this.#parts.clock.now() - seenMs) < DIRECTORY_MS;
  }

  #isDenied(id: string): boolean {
    return (this.#denied.get(id) ?? 0) > this.#parts.clock.monotonic();
  }

  async #readFile(node: FileNode, signal: AbortSignal): Promise<void> {
    const { version, parent, name } = node;
    if (version === undefined) return;
    const told = await this.#read(filePlaceOf(node), version, signal);
    if (told !== undefined && told.etag !== version.etag) parent?.directory.invalidate(name);
  }

  async #read(
    place: Place,
    version: ObjectVersion,
    signal: AbortSignal,
  ): Promise<ObjectHead | undefined> {
    const head = await this.#ask(place, signal);
    if (head?.etag === version.etag) {
      // The listing's word on its time is what later listings repeat.
      this.#learn(idAt(place), version, head.metadata);
    }
    return head;
  }

  async #readDirectory(place: Place, signal: AbortSignal): Promise<void> {
    const head = await this.#ask(place, signal);
    this.#learnDirectory(idAt(place), head, head?.metadata ?? {});
  }

  /** Undefined: there is none, or one that may not be looked at. */
  async #ask(place: Place, signal: AbortSignal): Promise<ObjectHead | undefined> {
    try {
      return await place.store.head(place.key, signal);
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      if (error.kind === 'not-found') return undefined;
      if (error.kind !== 'access-denied') throw error;
      this.#denied.set(idAt(place), this.#parts.clock.monotonic() + DENIED_MS);
      return undefined;
    }
  }

  /** What was set here and not saved yet outweighs what is told. */
  #learn(id: string, version: ObjectVersion, metadata: Metadata): void {
    const { records, posix } = this.#parts.attributes;
    const before = records.at(id);
    if (isRead(before, version)) return;
    // A listing that was asked for before this mount has set what it knows.
    if (before?.etag === version.etag && (before.seenMs ?? 0) > version.modifiedMs) return;
    const told = recordOf(version, metadata);
    const { mode, uid, gid } = before ?? {};
    const set = posix
      ? {}
      : Object.fromEntries(
          Object.entries({ mode, uid, gid }).filter(([, value]) => value !== undefined),
        );
    const own = before?.etag === version.etag && !posix ? before : {};
    records.put(id, { ...told, ...set, ...own, seenMs: version.modifiedMs });
  }

  #learnDirectory(id: string, version: ObjectVersion | undefined, metadata: Metadata): void {
    const { records } = this.#parts.attributes;
    const before = records.at(id);
    if (before?.unsaved === true) return;
    const told: Overrides =
      version === undefined ? {} : recordOf({ ...version, etag: '' }, metadata);
    delete told.etag;
    delete told.kind;
    told.seenMs = this.#parts.clock.now();
    const { mtimeMs, ctimeMs = 0 } = before ?? {};
    // What happened in it since is known here only.
    const isNewer = ctimeMs > (told.ctimeMs ?? 0) && mtimeMs !== undefined;
    records.put(id, isNewer ? { ...told, mtimeMs, ctimeMs } : told);
  }
}
