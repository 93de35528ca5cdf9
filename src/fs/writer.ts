/**
 * Changes of content. The first change of a file brings its content to the local disk; all
 * handles share that; flush and fsync send it to the bucket, on condition that nobody else has
 * changed the object since. Bytes that cannot be saved are never thrown away: they are moved to
 * the staging folder's `kept/`.
 *
 * All changes of one node hold its `changing` lock. The moment in which an object appears also
 * claims its directory in the tree's lock, so that none above moves meanwhile.
 *
 * A save without an answer leaves its file in doubt. The next one asks for the same version to be
 * replaced: when that is refused, and what is there is what was sent before, it goes on from that.
 *
 * What could not be saved for want of a login stays where it is when its last user has left, and is
 * saved by itself after the next login.
 */
import { isAbort } from '../lib/abort.ts';
import { MiB } from '../lib/bytes.ts';
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import type { ObjectStore, ObjectVersion } from '../store/object-store.ts';
import type { AttributeStore } from './attributes.ts';
import { FsError } from './errno.ts';
import type { FileHandle } from './handle-table.ts';
import type { KeptWrites } from './kept-writes.ts';
import { contentOf } from './local-content.ts';
import { LoginSaves } from './login-saves.ts';
import { type FileNode, filePlaceOf, isOvertaken } from './nodes.ts';
import type { Reader } from './reader.ts';
import { staleFile } from './refusals.ts';
import { type SaveFailure, SaveFailures } from './save-failures.ts';
import { diedUnsaved, isConflict, notAllSaved, preconditionOf } from './save-outcomes.ts';
import type { StagedFile } from './staged-file.ts';
import type { StagingArea } from './staging-area.ts';
import type { TreeLock } from './tree-lock.ts';
import type { Uploader } from './uploader.ts';

export interface WriterParts {
  readonly staging: StagingArea;
  readonly uploader: Uploader;
  readonly reader: Reader;
  readonly attributes: AttributeStore;
  readonly treeLock: TreeLock;
  /** Undefined where nothing that was written is kept on the disk. */
  readonly kept: KeptWrites | undefined;
  readonly clock: Clock;
  readonly log: Log;
}

/** Longest file that is fetched for its readers when another is renamed over it. */
const PRESERVED_BYTES = 16 * MiB;
/** Files saved at once by `sync`; their bytes are bounded by the uploader. */
const PARALLEL_SAVES = 16;

export class Writer {
  readonly #parts: WriterParts;
  /** Nodes with local content. */
  readonly #staged = new Set<FileNode>();
  readonly #failures: SaveFailures;
  readonly #loginSaves: LoginSaves;

  constructor(parts: WriterParts) {
    const { clock, log } = parts;
    this.#parts = parts;
    this.#failures = new SaveFailures(clock, log);
    this.#loginSaves = new LoginSaves({
      clock,
      log,
      save: async (node, signal) => await this.#saveUnused(node, signal),
    });
  }

  get failures(): readonly SaveFailure[] {
    return this.#failures.latest;
  }

  /** Files with bytes that are not in the bucket. */
  *unsaved(): Generator<FileNode> {
    for (const node of this.#staged) if (node.staged?.dirty === true && !node.unlinked) yield node;
  }

  /** Content of a file that is not in the bucket yet: dirty, so that an empty one is made too. */
  async startNew(name: string): Promise<StagedFile> {
    const staged = await this.#parts.staging.create(name, undefined);
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

  /** Pages of a shared mapping: they stay where they are, and the file as long as it is. */
  async writePages(
    handle: FileHandle,
    offset: number,
    bytes: Uint8Array,
    signal: AbortSignal,
  ): Promise<void> {
    const { node } = handle;
    await node.changing.run(async () => {
      const staged = contentOf(handle) ?? (await this.#stagePinned(handle, Infinity, signal));
      const inside = bytes.subarray(0, Math.max(staged.bytes - offset, 0));
      if (inside.length === 0) return;
      this.#touch(node, staged);
      await staged.write(offset, inside);
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

  /** The same for who holds the node's lock, but no claim in the tree's. */
  async saveLocked(node: FileNode, signal: AbortSignal): Promise<void> {
    const { staged } = node;
    if (staged?.dirty !== true || node.unlinked) return;
    try {
      this.#saved(node, staged, await this.#send(node, staged, signal));
    } catch (error) {
      throw await this.#notSaved(node, staged, error);
    }
    // Without the mark a crash would only keep what the bucket has too.
    await staged.mark().catch((error: unknown) => this.#parts.log.warn('not-marked', { error }));
  }

  /** Sends what `staged` holds; finds what an earlier try may have stored already. */
  async #send(node: FileNode, staged: StagedFile, signal: AbortSignal): Promise<ObjectVersion> {
    try {
      return await this.#upload(node, staged, signal);
    } catch (error) {
      if (!isConflict(error) || !staged.inDoubt) throw error;
      const { store, key } = filePlaceOf(node);
      const present = await store.head(key, signal);
      const known = staged.recognize(present);
      if (known === undefined) throw error;
      if (known === 'all') return present;
      staged.base = present;
      return await this.#upload(node, staged, signal);
    }
  }

  async #upload(node: FileNode, staged: StagedFile, signal: AbortSignal): Promise<ObjectVersion> {
    const { parent } = node;
    if (parent === undefined) throw staleFile;
    const { uploader, treeLock } = this.#parts;
    const target = {
      place: () => filePlaceOf(node),
      precondition: () => preconditionOf(staged.base),
      hold: async <T>(work: () => Promise<T>): Promise<T> =>
        await treeLock.run({ stay: [parent] }, work, signal),
    };
    return await uploader.upload(target, staged, signal);
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
      if (node.handles.size > 0) return;
      if (this.#loginSaves.wants(node)) this.#loginSaves.add(node);
      else await this.#letGo(node);
    }, never);
  }

  /** Saves a file that nobody has open, and frees the disk; puts it aside when no login can help. */
  async #saveUnused(node: FileNode, signal: AbortSignal): Promise<void> {
    await node.changing.run(async () => {
      if (node.handles.size > 0) return;
      await this.saveLocked(node, signal).catch(() => undefined);
      signal.throwIfAborted();
      if (node.handles.size === 0 && !this.#loginSaves.wants(node)) await this.#letGo(node);
    }, signal);
  }

  /**
   * Brings a short file to the local disk for those who have it open, before its object goes. Who
   * has a longer one open keeps what is in memory. Call with the node's lock.
   */
  async preserve(node: FileNode, signal: AbortSignal): Promise<void> {
    const { version, staged, handles } = node;
    if (staged !== undefined || version === undefined || version.bytes > PRESERVED_BYTES) return;
    const isRead = [...handles].some(({ pinned }) => pinned?.version.etag === version.etag);
    if (!isRead) return;
    try {
      await this.#stage(node, version, Infinity, signal);
      // Its last reader may have left meanwhile, when there was nothing to free.
      if (handles.size === 0) await this.#letGo(node);
    } catch (error) {
      this.#parts.log.warn('not-preserved', { name: node.name, error });
    }
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

  /**
   * Looks after what mounts that died left in the staging folder: their unsaved bytes are shown as
   * failures, their uploads given up. Never fails: what goes wrong is tried by the next mount.
   */
  async recover(
    storeOf: (bucket: string) => ObjectStore | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    const { staging, uploader, log } = this.#parts;
    try {
      const { kept, uploads } = await staging.takeOver();
      for (const { name, path } of kept) this.#failures.add(name, diedUnsaved, path);
      for (const { upload, forget } of uploads) {
        const store = storeOf(upload.bucket);
        if (store !== undefined) await uploader.abandon(store, upload, forget, signal);
      }
    } catch (error) {
      log.warn('not-recovered', { error });
    }
  }

  /** Puts everything unsaved aside, and frees the rest. */
  async close(): Promise<void> {
    await this.#loginSaves[Symbol.asyncDispose]();
    for (const node of [...this.#staged]) {
      await node.changing.run(async () => await this.#letGo(node), never);
    }
    await this.#parts.staging.close();
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
    const staged = await staging.create(node.name, version);
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
      if (node.handles.size === 0 && !this.#loginSaves.has(node)) await this.#drop(node);
      throw error;
    }
    if (node.handles.size === 0) await this.#letGo(node);
  }

  #saved(node: FileNode, staged: StagedFile, version: ObjectVersion): void {
    staged.savedAs(version);
    // Its earlier failures are mended.
    this.#failures.mended(node);
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
    this.#loginSaves.failed(staged, error);
    if (!isConflict(error)) {
      this.#failures.add(node.name, error, undefined, node);
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
      await this.#putAside(node, staged, this.failures.at(-1)?.message);
    } else {
      await this.#drop(node);
    }
  }

  async #putAside(node: FileNode, staged: StagedFile, error: unknown): Promise<void> {
    const keptAt = await this.#parts.staging.keep(staged, node.name);
    this.#failures.add(node.name, error, keptAt);
    this.#forget(node);
  }

  async #drop(node: FileNode): Promise<void> {
    const { staged, version } = node;
    const place = version === undefined || node.removed ? undefined : filePlaceOf(node);
    this.#forget(node);
    if (staged === undefined) return;
    try {
      const isSaved = !staged.dirty && staged.base?.etag === version?.etag;
      if (!isSaved || version === undefined || place === undefined) return;
      await this.#parts.kept?.keep(place, version, staged, never);
    } catch (error) {
      this.#parts.log.warn('not-cached', { name: node.name, error });
    } finally {
      await staged.discard();
    }
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

/** Work that nobody may interrupt. */
const never = new AbortController().signal;
