/**
 * Changes of content. The first change of a file gives it local content, which all handles share;
 * what it has of the version before is neither downloaded nor sent again.
 *
 * All changes of one node hold its `changing` lock. A write for which there is memory is done in
 * the turn in which it comes, when nobody holds the lock: it needs no promise and no copy.
 */
import type { Extent } from '../lib/bytes.ts';
import type { Clock } from '../lib/clock.ts';
import type { ObjectVersion } from '../store/object-store.ts';
import type { AttributeStore } from './attributes.ts';
import type { BasePins } from './content-base.ts';
import { FsError } from './errno.ts';
import type { AllocationFlags, MaybePromise } from './filesystem.ts';
import type { FileHandle } from './handle-table.ts';
import { contentOf } from './local-content.ts';
import { contentPlaceOf, type FileNode } from './nodes.ts';
import type { Reader } from './reader.ts';
import type { SaveJournal } from './save-journal.ts';
import type { Saver } from './saver.ts';
import type { StagedFile } from './staged-file.ts';
import type { StagedOrigin, StagingArea } from './staging-area.ts';

export interface ContentChangesParts {
  readonly staging: StagingArea;
  readonly reader: Reader;
  readonly attributes: AttributeStore;
  readonly journal?: SaveJournal | undefined;
  readonly clock: Clock;
}

export class ContentChanges {
  readonly #parts: ContentChangesParts;
  readonly #saver: Saver;

  constructor(parts: ContentChangesParts, saver: Saver) {
    this.#parts = parts;
    this.#saver = saver;
  }

  /** Takes all of `bytes`, which are the caller's again once this returns. */
  write(
    handle: FileHandle,
    offset: number,
    bytes: Uint8Array,
    signal: () => AbortSignal,
  ): MaybePromise<void> {
    const { node } = handle;
    let done = 0;
    if (node.changing.isFree) {
      const staged = contentOf(handle);
      if (staged !== undefined) {
        done = this.#take(node, staged, handle.append ? staged.bytes : offset, bytes);
        if (done === bytes.byteLength) return undefined;
      }
    }
    const left = async (own: Uint8Array): Promise<void> =>
      await this.#writeLocked(handle, offset + done, own, signal());
    return this.#parts.staging.memory.withCopy(bytes.subarray(done), left);
  }

  /** Pages of a shared mapping: they stay where they are, and the file as long as it is. */
  async writePages(
    handle: FileHandle,
    offset: number,
    bytes: Uint8Array,
    signal: AbortSignal,
  ): Promise<void> {
    const { node } = handle;
    const own = new Uint8Array(bytes);
    await this.change(handle, Infinity, signal, async (staged) => {
      const inside = own.subarray(0, Math.max(staged.bytes - offset, 0));
      if (inside.length === 0) return;
      this.#touch(node, staged);
      await staged.write(offset, inside);
      this.#saver.sendEarly(node, staged);
    });
  }

  /** Sets the length of what is here. Call with the node's lock. */
  async cut(node: FileNode, staged: StagedFile, bytes: number): Promise<void> {
    if (staged.bytes !== bytes) {
      if (bytes < staged.bytes) await this.#parts.journal?.shrinking(node, bytes);
      await staged.truncate(bytes);
      this.#touch(node, staged);
    }
    this.#parts.attributes.dropPrivileges(node);
  }

  /** fallocate(2), as `FileSystem.fallocate`. Room in the bucket is nobody's to reserve. */
  async allocate(
    handle: FileHandle,
    { start: offset, end }: Extent,
    { keepSize, punchHole, zeroRange }: AllocationFlags,
    signal: AbortSignal,
  ): Promise<void> {
    await this.change(handle, Infinity, signal, async (staged) => {
      const grows = !keepSize && end > staged.bytes;
      if (punchHole || zeroRange) {
        const until = grows ? end : Math.min(end, staged.bytes);
        if (until <= offset) return;
        staged.zero(offset, until);
      } else if (grows) await staged.truncate(end);
      else return;
      this.#touch(handle.node, staged);
      this.#parts.attributes.dropPrivileges(handle.node);
    });
  }

  /** lseek(2) with SEEK_DATA or SEEK_HOLE, as `FileSystem.lseek`. */
  seek(handle: FileHandle, offset: number, whence: 'data' | 'hole'): number {
    const staged = contentOf(handle);
    const bytes = staged?.bytes ?? handle.pinned?.version.bytes ?? 0;
    // An object has no holes but the one at its end.
    const whole = offset >= bytes ? undefined : whence === 'data' ? offset : bytes;
    const found = staged === undefined ? whole : staged.seek(offset, whence);
    if (found === undefined) throw new FsError('ENXIO', `seek ${whence}`);
    return found;
  }

  async #writeLocked(
    handle: FileHandle,
    offset: number,
    bytes: Uint8Array,
    signal: AbortSignal,
  ): Promise<void> {
    const { node } = handle;
    await this.change(handle, Infinity, signal, async (staged) => {
      this.#touch(node, staged);
      await staged.write(handle.append ? staged.bytes : offset, bytes);
      this.#parts.attributes.dropPrivileges(node);
      this.#saver.sendEarly(node, staged);
    });
  }

  /** Writes as much as there is memory for, now; returns how much. */
  #take(node: FileNode, staged: StagedFile, offset: number, bytes: Uint8Array): number {
    const taken = staged.take(offset, bytes);
    if (taken === 0) return 0;
    this.#touch(node, staged);
    this.#parts.attributes.dropPrivileges(node);
    this.#saver.sendEarly(node, staged);
    return taken;
  }

  /** Changes the content that `handle` writes, of which at first so many bytes of its base count. */
  async change(
    handle: FileHandle,
    baseBytes: number,
    signal: AbortSignal,
    work: (staged: StagedFile) => Promise<void>,
  ): Promise<void> {
    const { node, pinned } = handle;
    await node.changing.run(async () => {
      handle.staged = contentOf(handle) ?? (await this.stage(node, pinned?.version, baseBytes));
      await work(handle.staged);
    }, signal);
  }

  /** Counts a change: from now on the name is there whatever the store says. */
  #touch(node: FileNode, staged: StagedFile): void {
    const first = !staged.dirty;
    staged.touch(this.#parts.clock.now());
    if (first) node.parent?.directory.addLocal(node.name, 'file');
  }

  /** Local content that begins as the first `bytes` of `version`. */
  async stage(
    node: FileNode,
    version: ObjectVersion | undefined,
    bytes: number,
  ): Promise<StagedFile> {
    const { staging, clock } = this.#parts;
    const kept = Math.min(bytes, version?.bytes ?? 0);
    const staged =
      version === undefined
        ? await staging.create(node.name)
        : await staging.begin(node.name, this.originOf(node), version, kept);
    if (kept !== version?.bytes) staged.touch(clock.now());
    this.#saver.adopt(node, staged);
    return staged;
  }

  /** Where the object is that `node` is changed of. */
  originOf(node: FileNode): StagedOrigin {
    const { reader } = this.#parts;
    const pins: BasePins = {
      pin: (version) => reader.pin(node, version),
      unpin: (pinned) => reader.unpin(pinned),
      read: (...args) => reader.read(...args),
    };
    return { place: () => contentPlaceOf(node), pins };
  }
}
