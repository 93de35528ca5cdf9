/**
 * Brings attributes to the bucket that no upload will: the object is copied onto itself with other
 * metadata, on condition that it is the version known here. That happens about a second after the
 * first change, so that chmod, chown and utimens together are one copy; fsync and unmounting do not
 * wait for that second. Nothing is copied that the bucket has already.
 *
 * Nothing is written down for it: a crash leaves what was set in the last second to the index on
 * the local disk. What the store refuses stays there too, and the log says so once.
 */
import { GiB } from '../lib/bytes.ts';
import type { Clock } from '../lib/clock.ts';
import { inParallel } from '../lib/in-parallel.ts';
import type { Log } from '../lib/log.ts';
import { StoreError } from '../store/errors.ts';
import type { ObjectHead, ObjectVersion } from '../store/object-store.ts';
import type { AttributeStore } from './attributes.ts';
import { Background } from './background.ts';
import { becomeVersion } from './become-version.ts';
import { isPassing } from './deletes.ts';
import type { Place } from './directory-source.ts';
import type { InodeTable } from './inode-table.ts';
import { type DirectoryNode, type FileNode, filePlaceOf, type Node, placeOf } from './nodes.ts';
import { isPlain, type Metadata, tellsSame } from './object-metadata.ts';
import type { TreeLock } from './tree-lock.ts';

export interface AttributeSaverParts {
  readonly attributes: AttributeStore;
  readonly nodes: InodeTable;
  readonly treeLock: TreeLock;
  readonly clock: Clock;
  readonly log: Log;
  /** A directory without an object gets one, to hold its attributes. */
  readonly makesMarkers: boolean;
}

/** From the first change to its copy. */
const SAVE_AFTER_MS = 1000;
/** After a store that could not be asked. */
const TRY_AGAIN_MS = 30_000;
const PARALLEL = 16;
/** Who changes more than this waits for the copies. */
const MOST_WAITING = 10_000;
/** S3: the longest object that one request copies. A longer one would be copied part by part. */
const MOST_COPIED_BYTES = 5 * GiB;

/** What an object has beside its content. */
interface Described {
  readonly metadata: Metadata;
  /** What goes along with the copy as it is. */
  readonly kept: Pick<ObjectHead, 'contentType' | 'headers'>;
}

const MARKER = { contentType: 'application/x-directory' };

export class AttributeSaver implements AsyncDisposable {
  readonly #parts: AttributeSaverParts;
  readonly #waiting = new Set<Node>();
  readonly #saving = new Map<Node, Promise<void>>();
  readonly #background = new Background();
  #isTimed = false;
  #saidRefused = false;

  constructor(parts: AttributeSaverParts) {
    this.#parts = parts;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#background[Symbol.asyncDispose]();
  }

  /** Files and directories whose attributes are to be saved. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** Attributes of `node` have changed. */
  changed(node: Node): void {
    this.#waiting.add(node);
    this.#saveIn(SAVE_AFTER_MS);
  }

  /** Returns once there is room for more: at once, unless changes come much faster than copies go. */
  async room(signal: AbortSignal): Promise<void> {
    if (this.#waiting.size >= MOST_WAITING) await this.#saveAll(signal);
  }

  /**
   * Returns when the bucket has the attributes of `node`, or has refused them.
   *
   * @throws StoreError when it could not be asked.
   */
  async settle(node: Node, signal: AbortSignal): Promise<void> {
    await this.#saving.get(node);
    if (this.#waiting.has(node)) await this.#save(node, signal);
  }

  /** The same for all. */
  async sync(signal: AbortSignal): Promise<void> {
    await Promise.all(this.#saving.values());
    await this.#saveAll(signal);
  }

  #saveIn(ms: number): void {
    if (this.#isTimed) return;
    this.#isTimed = true;
    const { clock } = this.#parts;
    this.#background.start(async (signal) => {
      try {
        await clock.sleep(ms, signal);
      } finally {
        this.#isTimed = false;
      }
      await this.#saveAll(signal).catch(() => {
        this.#saveIn(TRY_AGAIN_MS);
      });
    });
  }

  async #saveAll(signal: AbortSignal): Promise<void> {
    await inParallel([...this.#waiting], PARALLEL, async (node) => await this.#save(node, signal));
  }

  /** One at a time for each node; what changes meanwhile waits for the next. */
  async #save(node: Node, signal: AbortSignal): Promise<void> {
    if (!this.#waiting.delete(node)) return;
    const { attributes, nodes } = this.#parts;
    const saving =
      node.type === 'file' ? this.#saveFile(node, signal) : this.#saveDirectory(node, signal);
    const settled = saving.catch(() => undefined);
    this.#saving.set(node, settled);
    try {
      await saving;
      if (!this.#waiting.has(node)) attributes.saved(node);
      nodes.release(node);
    } catch (error) {
      if (signal.aborted || isPassing(error)) {
        this.#waiting.add(node);
        this.#saveIn(TRY_AGAIN_MS);
        throw error;
      }
      attributes.saved(node);
      nodes.release(node);
      this.#refused(node, error);
    } finally {
      if (this.#saving.get(node) === settled) this.#saving.delete(node);
    }
  }

  async #saveFile(node: FileNode, signal: AbortSignal): Promise<void> {
    const save = async (): Promise<void> => {
      const { parent, version, staged } = node;
      // The upload of what is written brings them.
      if (parent === undefined || version === undefined || staged?.dirty === true) return;
      if (version.bytes > MOST_COPIED_BYTES) return;
      const work = async (): Promise<void> => await this.#copyFile(node, version, signal);
      await this.#parts.treeLock.run({ stay: [parent] }, work, signal);
    };
    await node.changing.run(save, signal);
  }

  async #copyFile(node: FileNode, version: ObjectVersion, signal: AbortSignal): Promise<void> {
    const { attributes } = this.#parts;
    const place = filePlaceOf(node);
    const { store, key } = place;
    const described = this.#known(node, version.etag) ?? (await lookAt(place, version, signal));
    const metadata = attributes.wanted(node, described.metadata);
    if (tellsSame(metadata, described.metadata)) {
      attributes.storedAs(node, version, described.metadata);
      return;
    }
    refuseOddText(described.metadata);
    const options = { ...described.kept, metadata };
    const copying = store.copy({ key, ...version }, key, options, signal);
    const renewing = copying.then(
      (copy) => becomeVersion(node, version, copy, attributes, metadata),
      () => undefined,
    );
    // Its readers ask for a version that may be gone before we hear of the new one.
    for (const { pinned } of node.handles) if (pinned !== undefined) pinned.renewing = renewing;
    try {
      const copy = await copying;
      await renewing;
      node.parent?.directory.changed(node.name, { type: 'file', version: copy });
    } catch (error) {
      const isGone = error instanceof StoreError && goneKinds.has(error.kind);
      if (isGone) node.parent?.directory.invalidate(node.name);
      throw error;
    } finally {
      for (const { pinned } of node.handles) if (pinned !== undefined) pinned.renewing = undefined;
    }
  }

  async #saveDirectory(node: DirectoryNode, signal: AbortSignal): Promise<void> {
    if (node.removed) return;
    const work = async (): Promise<void> => {
      const place = placeOf(node);
      // The top of a bucket has no object.
      if (place.key === '') return;
      await this.#writeMarker(node, place, signal);
    };
    await this.#parts.treeLock.run({ stay: [node] }, work, signal);
  }

  async #writeMarker(node: DirectoryNode, place: Place, signal: AbortSignal): Promise<void> {
    const { attributes, makesMarkers } = this.#parts;
    const { store, key } = place;
    const head = await headOf(place, signal);
    if (head === undefined) {
      if (!makesMarkers) return;
      const metadata = attributes.wanted(node, {});
      const options = { ...MARKER, metadata, precondition: { must: 'be-absent' } as const };
      attributes.storedAs(node, await store.put(key, new Uint8Array(0), options, signal), metadata);
      return;
    }
    const metadata = attributes.wanted(node, head.metadata);
    if (tellsSame(metadata, head.metadata)) return;
    refuseOddText(head.metadata);
    const options = { ...keptOf(head), metadata };
    const copy = await store.copy({ key, ...versionOf(head) }, key, options, signal);
    attributes.storedAs(node, copy, metadata);
  }

  /** What this mount itself has stored: it has no headers but the usual ones. */
  #known(node: FileNode, etag: string): Described | undefined {
    const metadata = this.#parts.attributes.storedWith(node, etag);
    return metadata === undefined ? undefined : { metadata, kept: {} };
  }

  /** Once is enough: a bucket where nothing may be copied refuses it for each file. */
  #refused({ name }: Node, error: unknown): void {
    if (this.#saidRefused) return;
    this.#saidRefused = true;
    this.#parts.log.warn('attributes-not-saved', { name, error });
  }
}

const goneKinds: ReadonlySet<string> = new Set(['not-found', 'precondition-failed']);

/** @throws StoreError `precondition-failed` when it is another version by now. */
async function lookAt(
  place: Place,
  version: ObjectVersion,
  signal: AbortSignal,
): Promise<Described> {
  const head = await place.store.head(place.key, signal);
  if (head.etag === version.etag) return { metadata: head.metadata, kept: keptOf(head) };
  throw new StoreError('precondition-failed', `set attributes of ${place.key}`, {
    code: 'another version is there',
  });
}

async function headOf({ store, key }: Place, signal: AbortSignal): Promise<ObjectHead | undefined> {
  try {
    return await store.head(key, signal);
  } catch (error) {
    if (error instanceof StoreError && error.kind === 'not-found') return undefined;
    throw error;
  }
}

function keptOf({ contentType, headers }: ObjectHead): Described['kept'] {
  return {
    ...(contentType !== undefined && { contentType }),
    ...(headers !== undefined && { headers }),
  };
}

/** Metadata that no header can carry as it came must not be written again. */
function refuseOddText(metadata: Metadata): void {
  if (isPlain(metadata)) return;
  throw new StoreError('unsupported', 'copy metadata', { code: 'it is not ASCII' });
}

function versionOf({ etag, bytes, modifiedMs }: ObjectVersion): ObjectVersion {
  return { etag, bytes, modifiedMs };
}
