/**
 * Files that are changed (`content-changes.ts`) and saved (`saver.ts`): flush and fsync have it done,
 * the last close frees the disk.
 *
 * All changes and saves of one node hold its `changing` lock.
 */
import type { Clock } from '../lib/clock.ts';
import { inParallel } from '../lib/in-parallel.ts';
import type { Log } from '../lib/log.ts';
import type { ObjectStore } from '../store/object-store.ts';
import type { AttributeStore } from './attributes.ts';
import { ContentChanges } from './content-changes.ts';
import type { ContentRecord } from './content-record.ts';
import { isPassing } from './deletes.ts';
import type { AllocationFlags, MaybePromise } from './filesystem.ts';
import type { FileHandle } from './handle-table.ts';
import { type DirectoryNode, type FileNode, isOvertaken } from './nodes.ts';
import type { Reader } from './reader.ts';
import { staleFile } from './refusals.ts';
import type { SaveFailure } from './save-failures.ts';
import type { SaveJournal } from './save-journal.ts';
import { diedUnsaved, notAllSaved } from './save-outcomes.ts';
import { Saver, type SaverParts } from './saver.ts';
import type { StagedFile } from './staged-file.ts';
import type { StagingArea } from './staging-area.ts';
import { StagingRecovery } from './staging-recovery.ts';
import type { Uploader } from './uploader.ts';

export interface WriterParts extends SaverParts {
  readonly staging: StagingArea;
  readonly uploader: Uploader;
  readonly reader: Reader;
  readonly attributes: AttributeStore;
  readonly journal?: SaveJournal | undefined;
  readonly clock: Clock;
  readonly log: Log;
}

/** Files saved at once by `sync`; their bytes are bounded by the uploader. */
const PARALLEL_SAVES = 16;

export class Writer {
  readonly #parts: WriterParts;
  readonly #saver: Saver;
  readonly #changes: ContentChanges;

  constructor(parts: WriterParts) {
    this.#parts = parts;
    this.#saver = new Saver(parts);
    this.#changes = new ContentChanges(parts, this.#saver);
  }

  get failures(): readonly SaveFailure[] {
    return this.#saver.latestFailures;
  }

  /** Files with bytes that are not in the bucket. */
  *unsaved(): Generator<FileNode> {
    for (const node of this.#saver.staged) {
      if (node.staged?.dirty === true && !node.unlinked) yield node;
    }
  }

  /** Content of a file that is not in the bucket yet: dirty, so that an empty one is made too. */
  startNew(name: string): MaybePromise<StagedFile> {
    const touched = (staged: StagedFile): StagedFile => {
      staged.touch(this.#parts.clock.now());
      return staged;
    };
    const staged = this.#parts.staging.create(name);
    return staged instanceof Promise ? staged.then(touched) : touched(staged);
  }

  /** Content that an earlier life of the mount has accepted becomes that of `node` again. */
  async restore(node: FileNode, record: ContentRecord): Promise<StagedFile> {
    const staged = await this.#parts.staging.restore(
      node.name,
      record,
      this.#changes.originOf(node),
    );
    staged.accepted();
    this.adopt(node, staged);
    return staged;
  }

  /** Makes `staged` the content of `node`. */
  adopt(node: FileNode, staged: StagedFile): void {
    this.#saver.adopt(node, staged);
  }

  /** Takes all of `bytes`, which are the caller's again once this returns. */
  write(
    handle: FileHandle,
    offset: number,
    bytes: Uint8Array,
    signal: () => AbortSignal,
  ): MaybePromise<void> {
    return this.#changes.write(handle, offset, bytes, signal);
  }

  /** Pages of a shared mapping: they stay where they are, and the file as long as it is. */
  async writePages(
    handle: FileHandle,
    offset: number,
    bytes: Uint8Array,
    signal: AbortSignal,
  ): Promise<void> {
    await this.#changes.writePages(handle, offset, bytes, signal);
  }

  /** Sets the length. Without a handle no close will follow, so the bucket has it at once. */
  async truncate(
    node: FileNode,
    handle: FileHandle | undefined,
    bytes: number,
    signal: AbortSignal,
  ): Promise<void> {
    const cut = async (staged: StagedFile): Promise<void> =>
      await this.#changes.cut(node, staged, bytes);
    if (handle !== undefined) {
      await this.#changes.change(handle, bytes, signal, cut);
      return;
    }
    await node.changing.run(async () => {
      if (isOvertaken(node)) await this.supersede(node);
      await cut(node.staged ?? (await this.#changes.stage(node, node.version, bytes)));
      await this.#saveAndLetGo(node, signal);
    }, signal);
  }

  /** fallocate(2), as `FileSystem.fallocate`. */
  async allocate(
    handle: FileHandle,
    offset: number,
    bytes: number,
    flags: AllocationFlags,
    signal: AbortSignal,
  ): Promise<void> {
    await this.#changes.allocate(handle, { start: offset, end: offset + bytes }, flags, signal);
  }

  /** lseek(2) with SEEK_DATA or SEEK_HOLE, as `FileSystem.lseek`. */
  seek(handle: FileHandle, offset: number, whence: 'data' | 'hole'): number {
    return this.#changes.seek(handle, offset, whence);
  }

  /** Returns when what was written is safe: in the bucket, or accepted by the journal. */
  async flush(handle: FileHandle, signal: AbortSignal): Promise<void> {
    if (this.#isUnsaved(handle)) {
      const { node } = handle;
      await node.changing.run(async () => await this.#saveOrAccept(node, signal), signal);
    }
  }

  /** Returns when the bucket has what was written. */
  async fsync(handle: FileHandle, signal: AbortSignal): Promise<void> {
    if (this.#isUnsaved(handle)) await this.save(handle.node, signal);
  }

  async save(node: FileNode, signal: AbortSignal): Promise<void> {
    await node.changing.run(async () => await this.saveLocked(node, signal), signal);
  }

  /** The same for who holds the node's lock, but no claim in the tree's. */
  async saveLocked(node: FileNode, signal: AbortSignal): Promise<void> {
    await this.#saver.save(node, signal);
  }

  /** The last handle is gone: saves what came after the last flush, then frees the disk. */
  async release(node: FileNode, signal: AbortSignal): Promise<void> {
    if (node.staged === undefined) return;
    // Nobody could free the disk later: only the upload may be interrupted.
    await node.changing.run(async () => {
      const { staged } = node;
      if (node.handles.size > 0 || staged === undefined) return;
      // A failed flush has told its caller: a second try behind its back could surprise it.
      if (staged.dirty && !staged.failed && !staged.isAccepted && !node.unlinked) {
        await this.#saveOrAccept(node, signal).catch(() => undefined);
      }
      if (node.handles.size === 0) await this.#letGoUnlessHeld(node);
    }, never);
  }

  /**
   * For a journal: saves what it has accepted, and frees the disk when nobody has it open. Content
   * that was changed since, and is still open, is left alone: its close asks again.
   */
  async saveLater(node: FileNode, signal: AbortSignal): Promise<void> {
    await node.changing.run(async () => {
      if (node.handles.size > 0 && node.staged?.isAccepted !== true) return;
      await this.saveLocked(node, signal).catch(() => undefined);
      signal.throwIfAborted();
      if (node.handles.size === 0) await this.#letGoUnlessHeld(node);
    }, signal);
  }

  /**
   * Brings what those need who have a file open to the local disk, before its object goes. Where
   * that fails they get ESTALE for what is not in memory. Call with the node's lock.
   */
  async preserve(node: FileNode, signal: AbortSignal): Promise<void> {
    const { version, staged, handles } = node;
    try {
      if (staged !== undefined) {
        if (handles.size > 0) await staged.fetch(signal);
        return;
      }
      const isRead = [...handles].some(({ pinned }) => pinned?.version.etag === version?.etag);
      if (version === undefined || !isRead) return;
      const whole = await this.#changes.stage(node, version, Infinity);
      await whole.fetch(signal);
      // Its last reader may have left meanwhile, when there was nothing to free.
      if (handles.size === 0) await this.#saver.letGo(node);
    } catch (error) {
      this.#parts.log.warn('not-preserved', { name: node.name, error });
    }
  }

  /** Forgets clean local content that the bucket has overtaken. */
  async supersede(node: FileNode): Promise<void> {
    await this.#saver.supersede(node);
  }

  /**
   * Saves everything.
   *
   * @throws WireError `not-saved` when some of it could not be.
   */
  async sync(signal: AbortSignal): Promise<void> {
    const waiting = [...this.unsaved()].values();
    let failed = 0;
    let isAway = false;
    const save = async (): Promise<void> => {
      for (const node of waiting) {
        // What is in a journal need not be asked for again and again while nobody answers.
        if (isAway && this.#parts.journal?.keeps(node) === true) failed += 1;
        else {
          await this.save(node, signal).catch((error: unknown) => {
            failed += 1;
            isAway ||= isPassing(error);
          });
        }
      }
    };
    await Promise.all(Array.from({ length: PARALLEL_SAVES }, save));
    signal.throwIfAborted();
    if (failed > 0) throw notAllSaved(failed);
  }

  /** Saves what was accepted of the files in `directory`. @throws what the first save fails with. */
  async saveIn(directory: DirectoryNode, signal: AbortSignal): Promise<void> {
    const isWanted = (node: FileNode): boolean =>
      node.parent === directory && this.#parts.journal?.keeps(node) === true;
    const save = async (node: FileNode): Promise<void> => await this.save(node, signal);
    await inParallel([...this.unsaved()].filter(isWanted), PARALLEL_SAVES, save);
  }

  /** As `StagingRecovery.recover`. */
  async recover(
    storeOf: (bucket: string) => ObjectStore | undefined,
    signal: AbortSignal,
    claimed?: (folder: string) => Promise<ReadonlySet<string>>,
  ): Promise<void> {
    await new StagingRecovery(this.#parts, this.#saver.failures).recover(storeOf, signal, claimed);
  }

  /** An earlier life has left the content of `name`, which was put aside at `path`. */
  leftAside(name: string, path: string): void {
    this.#saver.failures.add(name, diedUnsaved, path);
  }

  /** Puts everything unsaved aside, and frees the rest; what a journal has stays. */
  async close(): Promise<void> {
    for (const node of this.#saver.staged) {
      await node.changing.run(async () => await this.#leaveOrLetGo(node), never);
    }
    await this.#parts.staging.close();
  }

  /** Whether what `handle` writes is not in the bucket. */
  #isUnsaved({ node, staged }: FileHandle): boolean {
    if (staged !== undefined && staged !== node.staged) {
      // Put aside by an earlier flush, which could say so to one caller only.
      if (staged.dirty && !node.unlinked) throw staleFile;
      return false;
    }
    return node.staged?.dirty === true && !node.unlinked;
  }

  async #saveOrAccept(node: FileNode, signal: AbortSignal): Promise<void> {
    const { staged } = node;
    if (staged?.dirty !== true || node.unlinked) return;
    if ((await this.#parts.journal?.accept(node, staged, signal)) === true) staged.accepted();
    else await this.saveLocked(node, signal);
  }

  /** What a journal has is left where the next mount finds it. */
  async #leaveOrLetGo(node: FileNode): Promise<void> {
    const { staged } = node;
    const isLeft = staged?.dirty === true && staged.isAccepted && !node.unlinked;
    if (isLeft && this.#parts.journal?.keeps(node) === true) await this.#saver.leave(node);
    else await this.#saver.letGo(node);
  }

  async #letGoUnlessHeld(node: FileNode): Promise<void> {
    const { staged } = node;
    const isHeld = staged?.dirty === true && !node.unlinked && this.#isHeld(node);
    if (!isHeld) await this.#saver.letGo(node);
  }

  #isHeld(node: FileNode): boolean {
    return this.#parts.journal?.holds(node) === true;
  }

  async #saveAndLetGo(node: FileNode, signal: AbortSignal): Promise<void> {
    try {
      await this.#saveOrAccept(node, signal);
    } catch (error) {
      // Nothing is lost: the caller knows, and the bucket has the content before.
      if (node.handles.size === 0 && !this.#isHeld(node)) await this.#saver.drop(node);
      throw error;
    }
    if (node.handles.size === 0) await this.#letGoUnlessHeld(node);
  }
}

/** Work that nobody may interrupt. */
const never = new AbortController().signal;
