/**
 * Changes of content. The first change of a file brings its content to the local disk; all
 * handles share that; flush and fsync send it to the bucket, on condition that nobody else has
 * changed the object since. Bytes that cannot be saved are never thrown away: they are moved to
 * the staging folder's `kept/`.
 *
 * All changes of one node hold its `changing` lock. An upload also shares the tree's lock, so
 * that no directory above it moves meanwhile.
 */
import { isAbort } from '../lib/abort.ts';
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import { WireError } from '../lib/wire-error.ts';
import { StoreError } from '../store/errors.ts';
import type { ObjectVersion, Precondition } from '../store/object-store.ts';
import type { AttributeStore } from './attributes.ts';
import { FsError } from './errno.ts';
import type { FileHandle } from './handle-table.ts';
import type { SharedLock } from './locks.ts';
import { type FileNode, filePlaceOf, isOvertaken } from './nodes.ts';
import type { Reader } from './reader.ts';
import { staleFile } from './refusals.ts';
import type { StagedFile } from './staged-file.ts';
import type { StagingArea } from './staging-area.ts';
import type { Uploader } from './uploader.ts';

export interface WriterParts {
  readonly staging: StagingArea;
  readonly uploader: Uploader;
  readonly reader: Reader;
  readonly attributes: AttributeStore;
  readonly treeLock: SharedLock;
  readonly clock: Clock;
  readonly log: Log;
}

/** A save that failed, for `wire status`. */
export interface SaveFailure {
  readonly name: string;
  readonly message: string;
  /** Ms since the epoch. */
  readonly atMs: number;
  /** Where the bytes are, when they were put aside. */
  readonly keptAt?: string;
}

/** Failures remembered. */
const MOST_FAILURES = 10;
/** Files saved at once by `sync`; their bytes are bounded by the uploader. */
const PARALLEL_SAVES = 16;

export class Writer {
  readonly #parts: WriterParts;
  /** Nodes with local content. */
  readonly #staged = new Set<FileNode>();
  readonly #failures: SaveFailure[] = [];

  constructor(parts: WriterParts) {
    this.#parts = parts;
  }

  get failures(): readonly SaveFailure[] {
    return this.#failures;
  }

  /** Files with bytes that are not in the bucket. */
  *unsaved(): Generator<FileNode> {
    for (const node of this.#staged) if (node.staged?.dirty === true && !node.unlinked) yield node;
  }

  /** Content of a file that is not in the bucket yet: dirty, so that an empty one is made too. */
  async startNew(): Promise<StagedFile> {
    const staged = await this.#parts.staging.create(undefined);
    staged.touch(this.#parts.clock.now());
    return staged;
  }

  /** Makes `staged` the content of `node`. */
  adopt(node: FileNode, staged: StagedFile): void {
    node.staged = staged;
    this.#staged.add(node);
    if (staged.dirty) node.parent?.directory.addLocal(node.name, 'file');
  }

  /** Counts a change: from now on the name is there whatever the store says. */
  #touch(node: FileNode, staged: StagedFile): void {
    const first = !staged.dirty;
    staged.touch(this.#parts.clock.now());
    if (first) node.parent?.directory.addLocal(node.name, 'file');
  }

  /** `bytes` must be the caller's own. */
  async write(
    handle: FileHandle,
    offset: number,
    bytes: Uint8Array,
    signal: AbortSignal,
  ): Promise<void> {
    const { node } = handle;
    await node.changing.run(async () => {
      const staged = contentOf(handle) ?? (await this.#stagePinned(handle, Infinity, signal));
      this.#touch(node, staged);
      await staged.write(handle.append ? staged.bytes : offset, bytes);
      this.#parts.attributes.dropPrivileges(node);
    }, signal);
  }

  /** Sets the length. Without a handle no close will follow, so the bucket has it at once. */
  async truncate(
    node: FileNode,
    handle: FileHandle | undefined,
    bytes: number,
    signal: AbortSignal,
  ): Promise<void> {
    await node.changing.run(async () => {
      if (handle === undefined && isOvertaken(node)) await this.supersede(node);
      const staged =
        handle === undefined
          ? (node.staged ?? (await this.#stage(node, node.version, bytes, signal)))
          : (contentOf(handle) ?? (await this.#stagePinned(handle, bytes, signal)));
      if (staged.bytes !== bytes) {
        this.#touch(node, staged);
        await staged.truncate(bytes);
      }
      this.#parts.attributes.dropPrivileges(node);
      if (handle === undefined) await this.#saveAndLetGo(node, signal);
    }, signal);
  }

  /** Returns when the bucket has what was written. */
  async flush(handle: FileHandle, signal: AbortSignal): Promise<void> {
    const { node, staged } = handle;
    if (staged !== undefined && staged !== node.staged) {
      // Put aside by an earlier flush, which could say so to one caller only.
      if (staged.dirty && !node.unlinked) throw staleFile;
      return;
    }
    if (node.staged?.dirty === true && !node.unlinked) await this.save(node, signal);
  }

  async save(node: FileNode, signal: AbortSignal): Promise<void> {
    await node.changing.run(async () => await this.saveLocked(node, signal), signal);
  }

  /** The same for who holds the node's lock, but not the tree's. */
  async saveLocked(node: FileNode, signal: AbortSignal): Promise<void> {
    const { staged } = node;
    if (staged?.dirty !== true || node.unlinked) return;
    const upload = async (): Promise<ObjectVersion> =>
      await this.#parts.uploader.upload(
        filePlaceOf(node),
        staged,
        preconditionOf(staged.base),
        signal,
      );
    try {
      const version = await this.#parts.treeLock.share(upload, signal);
      this.#saved(node, staged, version);
    } catch (error) {
      throw await this.#notSaved(node, staged, error);
    }
  }

  /** The last handle is gone: saves what came after the last flush, then frees the disk. */
  async release(node: FileNode, signal: AbortSignal): Promise<void> {
    if (node.staged === undefined) return;
    // Nobody could free the disk later: only the upload may be interrupted.
    await node.changing.run(async () => {
      if (node.handles.size > 0) return;
      // A failed flush has told its caller: a second try behind its back could surprise it.
      if (node.staged?.failed === false) {
        await this.saveLocked(node, signal).catch(() => undefined);
      }
      if (node.handles.size === 0) await this.#letGo(node);
    }, never);
  }

  /** Forgets clean local content that the bucket has overtaken. */
  async supersede(node: FileNode): Promise<void> {
    const { staged } = node;
    this.#staged.delete(node);
    node.staged = undefined;
    await staged?.discard();
  }

  /**
   * Saves everything.
   *
   * @throws WireError `not-saved` when some of it could not be.
   */
  async sync(signal: AbortSignal): Promise<void> {
    const waiting = [...this.unsaved()].values();
    let failed = 0;
    const save = async (): Promise<void> => {
      for (const node of waiting) {
        await this.save(node, signal).catch(() => {
          failed += 1;
        });
      }
    };
    await Promise.all(Array.from({ length: PARALLEL_SAVES }, save));
    signal.throwIfAborted();
    if (failed > 0) throw notAllSaved(failed);
  }

  /** Puts everything unsaved aside, and frees the rest. */
  async close(): Promise<void> {
    for (const node of [...this.#staged]) {
      await node.changing.run(async () => await this.#letGo(node), never);
    }
  }

  async #stagePinned(handle: FileHandle, bytes: number, signal: AbortSignal): Promise<StagedFile> {
    const { node, pinned } = handle;
    handle.staged = await this.#stage(node, pinned?.version, bytes, signal);
    return handle.staged;
  }

  /** Brings the first `bytes` of `version` to the local disk. */
  async #stage(
    node: FileNode,
    version: ObjectVersion | undefined,
    bytes: number,
    signal: AbortSignal,
  ): Promise<StagedFile> {
    const { staging, reader, clock } = this.#parts;
    const staged = await staging.create(version);
    const kept = Math.min(bytes, version?.bytes ?? 0);
    if (version !== undefined && kept > 0) {
      const take = async (offset: number, chunk: Uint8Array): Promise<void> =>
        await staged.write(offset, chunk);
      try {
        await reader.copy(node, version, kept, take, signal);
      } catch (error) {
        await staged.discard();
        throw error;
      }
    }
    if (kept !== version?.bytes) staged.touch(clock.now());
    this.adopt(node, staged);
    return staged;
  }

  async #saveAndLetGo(node: FileNode, signal: AbortSignal): Promise<void> {
    try {
      await this.saveLocked(node, signal);
    } catch (error) {
      // Nothing is lost: the caller knows, and the bucket has the content before.
      if (node.handles.size === 0) await this.#drop(node);
      throw error;
    }
    if (node.handles.size === 0) await this.#letGo(node);
  }

  #saved(node: FileNode, staged: StagedFile, version: ObjectVersion): void {
    staged.savedAs(version);
    node.version = version;
    node.cachedEtag = version.etag;
    this.#parts.attributes.uploaded(node, staged.mtimeMs);
    node.parent?.directory.changed(node.name, { type: 'file', version });
    node.parent?.directory.dropLocal(node.name);
  }

  /** Notes the failure, puts the bytes aside when no retry can help, and names the error. */
  async #notSaved(node: FileNode, staged: StagedFile, error: unknown): Promise<unknown> {
    if (isAbort(error)) return error;
    staged.saveFailed();
    if (!isConflict(error)) {
      this.#remember(node, error, undefined);
      return error;
    }
    await this.#putAside(node, staged, error);
    const mustBeNew = staged.exclusive && staged.base === undefined;
    const errno = mustBeNew ? 'EEXIST' : 'ESTALE';
    return new FsError(errno, `save ${node.name}: somebody else changed it`, { cause: error });
  }

  /** Ends local content: unsaved bytes are put aside. */
  async #letGo(node: FileNode): Promise<void> {
    const { staged } = node;
    if (staged?.dirty === true && !node.unlinked) {
      await this.#putAside(node, staged, this.#failures.at(-1)?.message);
    } else {
      await this.#drop(node);
    }
  }

  async #putAside(node: FileNode, staged: StagedFile, error: unknown): Promise<void> {
    const keptAt = await this.#parts.staging.keep(staged, node.name);
    this.#remember(node, error, keptAt);
    this.#forget(node);
  }

  async #drop(node: FileNode): Promise<void> {
    const { staged } = node;
    this.#forget(node);
    await staged?.discard();
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

  #remember(node: FileNode, error: unknown, keptAt: string | undefined): void {
    const { clock, log } = this.#parts;
    log.error('not-saved', { name: node.name, error, ...(keptAt === undefined ? {} : { keptAt }) });
    const message = error instanceof Error ? error.message : String(error);
    const failure = { name: node.name, message, atMs: clock.now() };
    this.#failures.push(keptAt === undefined ? failure : { ...failure, keptAt });
    if (this.#failures.length > MOST_FAILURES) this.#failures.shift();
  }
}

/**
 * The local content that `handle` reads and writes; undefined when it reads its pinned version.
 *
 * @throws FsError ESTALE when the file is another version by now.
 */
export function contentOf(handle: FileHandle): StagedFile | undefined {
  const { node, pinned } = handle;
  if (handle.staged === undefined && node.staged !== undefined && pinned !== undefined) {
    if (node.staged.versions.has(pinned.version.etag)) handle.staged = node.staged;
  }
  if (handle.staged !== undefined) {
    if (handle.staged !== node.staged || isOvertaken(node)) throw staleFile;
    return handle.staged;
  }
  if (!node.removed && node.version?.etag !== pinned?.version.etag) throw staleFile;
  return undefined;
}

/** What must hold of the object that `base` is replaced in. */
function preconditionOf(base: ObjectVersion | undefined): Precondition {
  return base === undefined ? { must: 'be-absent' } : { must: 'be', etag: base.etag };
}

/** Somebody else has made, changed or removed the object, or a directory above it. */
function isConflict(error: unknown): boolean {
  if (error === staleFile) return true;
  if (!(error instanceof StoreError)) return false;
  return ['exists', 'precondition-failed', 'not-found'].includes(error.kind);
}

function notAllSaved(failed: number): WireError {
  return new WireError('not-saved', {
    tried: `save ${failed} ${failed === 1 ? 'file' : 'files'}`,
    answered: 'the store refused',
    next: 'see `wire status` for the reasons; the bytes stay in the staging folder',
  });
}

/** Work that nobody may interrupt. */
const never = new AbortController().signal;
