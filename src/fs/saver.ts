/**
 * Content that is here: sends it to the bucket, on condition that nobody else has changed the
 * object since, and frees the disk afterwards. Bytes that cannot be saved are never thrown away:
 * they are moved to the staging folder's `kept/`.
 *
 * The moment in which an object appears claims its directory in the tree's lock, so that none above
 * moves meanwhile. All calls but those that say so need the node's `changing` lock.
 *
 * A save without an answer leaves its file in doubt. The next one asks for the same version to be
 * replaced: when that is refused, and what is there is what was sent before, it goes on from that.
 */
import { isAbort, LinkedAbort } from '../lib/abort.ts';
import { MiB } from '../lib/bytes.ts';
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import { StoreError } from '../store/errors.ts';
import type { ObjectHead, ObjectStore } from '../store/object-store.ts';
import type { AttributeStore } from './attributes.ts';
import type { Place } from './directory-source.ts';
import { FsError } from './errno.ts';
import type { KeptWrites } from './kept-writes.ts';
import { type FileNode, filePlaceOf } from './nodes.ts';
import { staleFile } from './refusals.ts';
import type { Remains } from './remains.ts';
import { type SaveFailure, SaveFailures } from './save-failures.ts';
import type { SaveJournal } from './save-journal.ts';
import { isConflict, preconditionOf } from './save-outcomes.ts';
import type { StagedFile } from './staged-file.ts';
import type { StagingArea } from './staging-area.ts';
import type { TreeLock } from './tree-lock.ts';
import { SINGLE_PUT_BYTES } from './upload-plan.ts';
import type { EarlyUpload, StoredContent, Uploader, UploadTarget } from './uploader.ts';

export interface SaverParts {
  readonly staging: StagingArea;
  readonly uploader: Uploader;
  readonly attributes: AttributeStore;
  readonly treeLock: TreeLock;
  readonly remains: Pick<Remains, 'clear'>;
  /** Undefined where nothing that was written is kept on the disk. */
  readonly kept: KeptWrites | undefined;
  /** Saves later what it accepts; undefined: every close waits for the bucket. */
  readonly journal?: SaveJournal | undefined;
  readonly clock: Clock;
  readonly log: Log;
}

/** What bytes that are put aside lack is fetched up to here, and for so long. */
const FETCHED_BYTES = 16 * MiB;
const FETCH_MS = 10_000;

export class Saver {
  readonly #parts: SaverParts;
  /** Nodes with local content. */
  readonly #staged = new Set<FileNode>();
  readonly #early = new WeakMap<StagedFile, EarlyUpload>();
  readonly failures: SaveFailures;

  constructor(parts: SaverParts) {
    this.#parts = parts;
    this.failures = new SaveFailures(parts.clock, parts.log);
  }

  get latestFailures(): readonly SaveFailure[] {
    return this.failures.latest;
  }

  /** Files with local content. Needs no lock. */
  get staged(): readonly FileNode[] {
    return [...this.#staged];
  }

  /** Makes `staged` the content of `node`. */
  adopt(node: FileNode, staged: StagedFile): void {
    node.staged = staged;
    this.#staged.add(node);
    if (staged.dirty) node.parent?.directory.addLocal(node.name, 'file');
  }

  /** Sends what is complete of a file that is written in order. Needs no lock, and never waits. */
  sendEarly(node: FileNode, staged: StagedFile): void {
    const { inOrderBytes } = staged;
    if (inOrderBytes <= SINGLE_PUT_BYTES || node.unlinked || node.parent === undefined) return;
    let early = this.#early.get(staged);
    if (early === undefined) {
      early = this.#parts.uploader.begin(this.#target(node, staged, never), staged);
      this.#early.set(staged, early);
      staged.early = early.stream;
    }
    early.stream.written(inOrderBytes);
  }

  /** Returns when the bucket has what was written. */
  async save(node: FileNode, signal: AbortSignal): Promise<void> {
    const { staged } = node;
    const { journal, log } = this.#parts;
    if (staged?.dirty !== true || node.unlinked) return;
    let stored: StoredContent;
    try {
      stored = await this.#send(node, staged, signal);
    } catch (error) {
      if (error === overtaken) {
        await this.drop(node);
        return;
      }
      throw await this.#notSaved(node, staged, error);
    }
    this.#saved(node, staged, stored);
    await journal?.saved(node, staged, stored.version);
    // Without the mark a crash would only keep what the bucket has too.
    await staged.mark().catch((error: unknown) => log.warn('not-marked', { error }));
  }

  /** Ends local content: unsaved bytes are put aside. */
  async letGo(node: FileNode): Promise<void> {
    const { staged } = node;
    if (staged?.dirty === true && !node.unlinked) {
      await this.#putAside(node, staged, this.latestFailures.at(-1)?.message);
    } else await this.drop(node);
  }

  /** Ends local content, and leaves it where its journal finds it. */
  async leave(node: FileNode): Promise<void> {
    const { staged } = node;
    this.#staged.delete(node);
    await staged?.leave();
  }

  /** Ends local content that nobody wants, or that the bucket has. */
  async drop(node: FileNode): Promise<void> {
    const { staged } = node;
    const place = node.version === undefined || node.removed ? undefined : filePlaceOf(node);
    this.#forget(node);
    if (staged === undefined) return;
    if (staged.dirty) await this.#parts.journal?.ended(node, staged, {});
    try {
      await this.#keepInCache(node, staged, place);
    } catch (error) {
      this.#parts.log.warn('not-cached', { name: node.name, error });
    } finally {
      await staged.discard();
    }
  }

  /** Forgets clean local content that the bucket has overtaken. */
  async supersede(node: FileNode): Promise<void> {
    const { staged } = node;
    this.#staged.delete(node);
    node.staged = undefined;
    await staged?.discard();
  }

  /** Sends what `staged` holds; finds what an earlier try may have stored already. */
  async #send(node: FileNode, staged: StagedFile, signal: AbortSignal): Promise<StoredContent> {
    try {
      return await this.#upload(node, staged, signal);
    } catch (error) {
      if (!isConflict(error) || !(staged.inDoubt || staged.mayBeGone)) throw error;
      const { store, key } = filePlaceOf(node);
      const present = await headOf(store, key, signal);
      const isOwnDoing = present === undefined ? staged.mayBeGone : staged.recognize(present);
      if (isOwnDoing === 'all' && present !== undefined) {
        return { version: present, metadata: present.metadata };
      }
      if (isOwnDoing === 'part' && present !== undefined) staged.replacedBy(present);
      else if (isOwnDoing === undefined || isOwnDoing === false) throw error;
      else if (staged.missingBytes === 0) staged.beginAnew(present);
      // A program was removing or replacing it when its mount was killed.
      else if (staged.isAsLeft && node.handles.size === 0) throw overtaken;
      else throw error;
      return await this.#upload(node, staged, signal);
    }
  }

  async #upload(node: FileNode, staged: StagedFile, signal: AbortSignal): Promise<StoredContent> {
    const { uploader, remains } = this.#parts;
    // The one before of that name, which somebody may have open still.
    if (node.version === undefined) await remains.clear(filePlaceOf(node), signal);
    const early = this.#early.get(staged);
    this.#early.delete(staged);
    staged.early = undefined;
    return await uploader.upload(this.#target(node, staged, signal), staged, early, signal);
  }

  #target(node: FileNode, staged: StagedFile, signal: AbortSignal): UploadTarget {
    const { treeLock, attributes } = this.#parts;
    return {
      place: () => filePlaceOf(node),
      precondition: () => preconditionOf(staged.base),
      metadata: (isGrowing) => attributes.metadataOf(node, { isGrowing }),
      hold: async <T>(work: () => Promise<T>): Promise<T> => {
        const { parent } = node;
        if (parent === undefined) throw staleFile;
        return await treeLock.run({ stay: [parent] }, work, signal);
      },
    };
  }

  #saved(node: FileNode, staged: StagedFile, { version, metadata }: StoredContent): void {
    staged.savedAs(version);
    // Its earlier failures are mended.
    this.failures.mended(node);
    node.version = version;
    node.cachedEtag = version.etag;
    this.#parts.attributes.uploaded(node, staged.mtimeMs, metadata);
    node.parent?.directory.changed(node.name, { type: 'file', version });
    node.parent?.directory.dropLocal(node.name);
  }

  /** Notes the failure, puts the bytes aside when no retry can help, and names the error. */
  async #notSaved(node: FileNode, staged: StagedFile, error: unknown): Promise<unknown> {
    if (isAbort(error)) return error;
    staged.saveFailed();
    if (!isConflict(error)) {
      this.#parts.journal?.failed(node, staged, error);
      this.failures.add(node.name, error, undefined, node);
      return error;
    }
    const mustBeNew = staged.exclusive && staged.base === undefined;
    await this.#putAside(node, staged, error);
    const errno = mustBeNew ? 'EEXIST' : 'ESTALE';
    return new FsError(errno, `save ${node.name}: somebody else changed it`, { cause: error });
  }

  async #putAside(node: FileNode, staged: StagedFile, error: unknown): Promise<void> {
    const { staging, journal, log } = this.#parts;
    await this.#fetchRest(staged);
    const place = node.parent === undefined ? undefined : filePlaceOf(node);
    const why = isConflict(error) ? 'conflict' : 'unsaved';
    const keptAt = await staging.keep(staged, node.name, place, why);
    if (staged.missingBytes > 0) log.error('kept-in-part', { name: node.name, keptAt });
    this.failures.add(node.name, error, keptAt);
    this.#forget(node);
    await journal?.ended(node, staged, { keptAt });
  }

  /** What cannot be had is left out, and told beside the bytes. */
  async #fetchRest(staged: StagedFile): Promise<void> {
    if (staged.missingBytes === 0 || staged.missingBytes > FETCHED_BYTES) return;
    const { clock, log } = this.#parts;
    using limit = new LinkedAbort(never);
    const late = clock.sleep(FETCH_MS, limit.signal).catch(() => undefined);
    late.then(() => limit.abort(new Error('it took too long'))).catch(() => undefined);
    try {
      await staged.fetch(limit.signal);
    } catch (error) {
      log.warn('rest-not-fetched', { error });
    } finally {
      limit.abort();
      await late;
    }
  }

  async #keepInCache(node: FileNode, staged: StagedFile, place: Place | undefined): Promise<void> {
    const { version } = node;
    const isSaved = !staged.dirty && staged.base?.etag === version?.etag;
    if (!isSaved || version === undefined || place === undefined) return;
    // What was not written here would have to be downloaded first.
    if (staged.missingBytes > 0) return;
    const read = async (offset: number, length: number): Promise<Uint8Array> => {
      const into = Buffer.allocUnsafe(length);
      await staged.fill(offset, into, never);
      return into;
    };
    await this.#parts.kept?.keep(place, version, { read }, never);
  }

  #forget(node: FileNode): void {
    const unsaved = node.staged?.dirty === true;
    this.#staged.delete(node);
    node.staged = undefined;
    if (!unsaved) return;
    // The kernel's pages show what was lost, and the name may lead elsewhere.
    node.cachedEtag = undefined;
    node.parent?.directory.dropLocal(node.name);
    node.parent?.directory.invalidate(node.name);
  }
}

/** What was to be saved was removed or replaced by our own doing, and is whole no more. */
const overtaken = new Error('removed or replaced by our own doing');

async function headOf(
  store: ObjectStore,
  key: string,
  signal: AbortSignal,
): Promise<ObjectHead | undefined> {
  try {
    return await store.head(key, signal);
  } catch (error) {
    if (error instanceof StoreError && error.kind === 'not-found') return undefined;
    throw error;
  }
}

/** Work that nobody may interrupt. */
const never = new AbortController().signal;
