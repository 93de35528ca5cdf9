/**
 * `FileSystem` over a store of objects. Each operation here finds its node or handle and hands
 * the work on: names to `Tree` and `Renamer`, content to `Reader` and `Writer`, struct stat to
 * `AttributeStore`. docs/SEMANTICS.md says what programs may rely on.
 */

import type { ObjectStore } from '../store/object-store.ts';
import type { Entries } from './entries.ts';
import { type FileSystemState, stateOf } from './file-system-state.ts';
import type {
  AllocationFlags,
  AttributeChanges,
  AttributesReply,
  CreatedFile,
  Entry,
  FileSystem,
  FileSystemStatistics,
  FillDirents,
  FillEntries,
  MaybePromise,
  NewNode,
  OpenedFile,
  OpenFlags,
  ReadBytes,
  RenameFlags,
  RequestContext,
  XattrFlags,
} from './filesystem.ts';
import type { HandleTable } from './handle-table.ts';
import type { HandleId, InodeNumber } from './ids.ts';
import type { InodeTable } from './inode-table.ts';
import type { KernelCache } from './kernel-cache.ts';
import { namesOfOthers } from './left-work.ts';
import { pathOf } from './node-path.ts';
import type { DirectoryNode } from './nodes.ts';
import { OpenDirectories } from './open-directories.ts';
import { OpenFiles } from './open-files.ts';
import { type OpenedByName, Opener } from './opener.ts';
import { type ObjectFileSystemOptions, storeOf } from './options.ts';
import { createParts, endParts, type FileSystemParts } from './parts.ts';
import { badHandle, isADirectory, notADirectory, readOnlyMount, staleFile } from './refusals.ts';
import type { NewSpecial } from './special-nodes.ts';
import { statisticsOf } from './statistics.ts';
import type { Tender } from './tending.ts';
import { partFor, type Tree } from './tree.ts';
import type { Writer } from './writer.ts';

export class ObjectFileSystem implements FileSystem, AsyncDisposable {
  readonly offersBacking: boolean;
  readonly #options: ObjectFileSystemOptions;
  readonly #parts: FileSystemParts;
  readonly #nodes: InodeTable;
  readonly #handles: HandleTable;
  readonly #entries: Entries;
  readonly #writer: Writer;
  readonly #tree: Tree;
  readonly #opener: Opener;
  readonly #files: OpenFiles;
  readonly #directories: OpenDirectories;
  readonly #end = new AbortController();
  /** Settles when files are in sight that an earlier life has accepted and not saved. */
  readonly shown: Promise<void>;
  /** Settles when what a mount that died left in the staging folder is looked after. */
  readonly recovered: Promise<void>;

  constructor(options: ObjectFileSystemOptions) {
    const parts = createParts(options);
    this.#options = options;
    this.#parts = parts;
    this.#nodes = parts.nodes;
    this.#handles = parts.handles;
    this.#entries = parts.entries;
    this.#writer = parts.writer;
    this.#tree = parts.tree;
    this.#opener = new Opener(parts);
    this.#files = new OpenFiles(parts);
    this.#directories = new OpenDirectories(parts);
    this.offersBacking = this.#opener.offersBacking;
    const isLeft = options.readOnly || parts.left === undefined;
    this.shown = isLeft ? Promise.resolve() : parts.left.takeUp();
    this.recovered = options.readOnly ? Promise.resolve() : this.#recover();
  }

  get state(): FileSystemState {
    return stateOf(this.#parts);
  }

  /**
   * Saves everything that is not in the bucket, for an unmount.
   *
   * @throws WireError `not-saved` when some of it could not be; its bytes stay.
   */
  async sync(signal: AbortSignal): Promise<void> {
    await this.#writer.sync(signal);
    await this.#parts.saver.sync(signal).catch((error: unknown) => {
      signal.throwIfAborted();
      this.#options.log.warn('attributes-not-saved', { error });
    });
  }

  /** As `pathOf`, for logs; undefined of what is not known any more, too. */
  pathOfInode(inode: InodeNumber): string | undefined {
    const node = this.#nodes.find(inode);
    return node && pathOf(node);
  }

  pathOfHandle(handle: HandleId): string | undefined {
    const found = this.#handles.find(handle);
    return found && pathOf(found.node);
  }

  /** What the kernel keeps of it can be told from now on. */
  keptBy(kernel: KernelCache): void {
    this.#parts.kernel.attach(kernel);
  }

  /** As `Tender.tend`. */
  async tend(...args: Parameters<Tender['tend']>): ReturnType<Tender['tend']> {
    return await this.#parts.tender.tend(...args);
  }

  /** Ends all work. What is not saved by now is put aside in the staging folder's `kept/`. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#end.abort();
    await this.recovered;
    await endParts(this.#parts);
  }

  lookup(parent: InodeNumber, name: Uint8Array, context: RequestContext): MaybePromise<Entry> {
    const found = this.#tree.find(this.#directory(parent), partFor(name), () => context.signal);
    return found instanceof Promise
      ? found.then((late) => this.#entries.introduce(late, () => context.signal))
      : this.#entries.introduce(found, () => context.signal);
  }

  forget(inode: InodeNumber, count: number): void {
    const node = this.#nodes.find(inode);
    if (node !== undefined) this.#nodes.release(node, count);
  }

  getattr(
    inode: InodeNumber,
    _: HandleId | undefined,
    context: RequestContext,
  ): MaybePromise<AttributesReply> {
    const node = this.#nodes.get(inode);
    if (node.removed) return this.#entries.reply(node, 0);
    const signal = (): AbortSignal => context.signal;
    const ttlMs = this.#tree.freshFor(node, signal);
    return ttlMs instanceof Promise
      ? ttlMs.then((late) => this.#entries.show(node, late, signal))
      : this.#entries.show(node, ttlMs, signal);
  }

  async setattr(
    inode: InodeNumber,
    handle: HandleId | undefined,
    changes: AttributeChanges,
    context: RequestContext,
  ): Promise<AttributesReply> {
    this.#refuseIfReadOnly();
    const node = this.#nodes.get(inode);
    if (changes.bytes !== undefined) {
      if (node.type === 'directory') throw isADirectory;
      const file = handle === undefined ? undefined : this.#handles.file(handle);
      if (file?.access === 'read') throw badHandle;
      if (file === undefined && !node.removed) {
        const ttlMs = await this.#tree.freshFor(node, () => context.signal);
        if (ttlMs === undefined) throw staleFile;
        this.#opener.refuseIfBacked(node);
      }
      await this.#writer.truncate(node, file, changes.bytes, context.signal);
    }
    const asks = Object.keys(changes).some((name) => name !== 'bytes');
    if (asks) await this.#entries.change(node, changes, context.signal);
    return this.#entries.reply(node);
  }

  async mkdir(
    parent: InodeNumber,
    name: Uint8Array,
    mode: number,
    context: RequestContext,
  ): Promise<Entry> {
    this.#refuseIfReadOnly();
    const directory = this.#directory(parent);
    return await this.#entries.makeDirectory(directory, partFor(name), mode, context);
  }

  async unlink(parent: InodeNumber, name: Uint8Array, context: RequestContext): Promise<void> {
    this.#refuseIfReadOnly();
    const directory = this.#directory(parent);
    await this.#tree.unlink(directory, partFor(name), context.signal);
    this.#entries.changedIn(directory);
  }

  async rmdir(parent: InodeNumber, name: Uint8Array, context: RequestContext): Promise<void> {
    this.#refuseIfReadOnly();
    const directory = this.#directory(parent);
    await this.#tree.rmdir(directory, partFor(name), context.signal);
    this.#entries.changedIn(directory);
  }

  async rename(
    parent: InodeNumber,
    name: Uint8Array,
    newParent: InodeNumber,
    newName: Uint8Array,
    flags: RenameFlags,
    context: RequestContext,
  ): Promise<void> {
    this.#refuseIfReadOnly();
    const from = { parent: this.#directory(parent), name: partFor(name) };
    const to = { parent: this.#directory(newParent), name: partFor(newName) };
    await this.#parts.renamer.rename(from, to, flags, context.signal);
    this.#entries.changedIn(from.parent, to.parent);
  }

  open(inode: InodeNumber, flags: OpenFlags, context: RequestContext): MaybePromise<OpenedFile> {
    return this.#opener.open(inode, flags, context);
  }

  create(
    parent: InodeNumber,
    name: Uint8Array,
    mode: number,
    flags: OpenFlags,
    context: RequestContext,
  ): MaybePromise<CreatedFile> {
    this.#refuseIfReadOnly();
    const created = ({ opened, found: { node, ttlMs } }: OpenedByName): CreatedFile => ({
      ...opened,
      entry: this.#entries.refer(node, ttlMs),
    });
    const directory = this.#directory(parent);
    const opened = this.#opener.create(directory, name, mode, flags, context);
    return opened instanceof Promise ? opened.then(created) : created(opened);
  }

  read(
    handle: HandleId,
    offset: number,
    bytes: number,
    context: RequestContext,
  ): MaybePromise<ReadBytes> {
    return this.#files.read(handle, offset, bytes, context);
  }

  write(
    handle: HandleId,
    offset: number,
    bytes: Uint8Array,
    context: RequestContext,
  ): MaybePromise<void> {
    return this.#files.write(handle, offset, bytes, context);
  }

  lseek(handle: HandleId, offset: number, whence: 'data' | 'hole'): number {
    return this.#files.seek(handle, offset, whence);
  }

  async fallocate(
    handle: HandleId,
    offset: number,
    bytes: number,
    flags: AllocationFlags,
    context: RequestContext,
  ): Promise<void> {
    await this.#files.allocate(handle, offset, bytes, flags, context.signal);
  }

  flush(handle: HandleId, context: RequestContext): MaybePromise<void> {
    return this.#files.flush(handle, context.signal);
  }

  async fsync(handle: HandleId, _: boolean, { signal }: RequestContext): Promise<void> {
    await this.#files.fsync(handle, signal);
  }

  release(handle: HandleId, context: RequestContext): MaybePromise<void> {
    return this.#opener.release(handle, context);
  }

  opendir(inode: InodeNumber): OpenedFile {
    const handle = this.#directories.open(this.#directory(inode));
    return { handle, keepCache: false, directIo: false };
  }

  readdir(
    handle: HandleId,
    cookie: number,
    fill: FillDirents,
    context: RequestContext,
  ): MaybePromise<void> {
    return this.#directories.names(handle, cookie, fill, context);
  }

  readdirplus(
    handle: HandleId,
    cookie: number,
    fill: FillEntries,
    context: RequestContext,
  ): MaybePromise<void> {
    return this.#directories.entries(handle, cookie, fill, context);
  }

  releasedir(handle: HandleId): void {
    this.#directories.close(handle);
  }

  /** Returns when the bucket has all names in it, and what was accepted of them. */
  async fsyncdir(handle: HandleId, _: boolean, context: RequestContext): Promise<void> {
    await this.#directories.sync(handle, context.signal);
  }

  async syncfs(_: InodeNumber, context: RequestContext): Promise<void> {
    await this.sync(context.signal);
  }

  statfs(): FileSystemStatistics {
    return statisticsOf(this.#options.capacityBytes, this.state.unsavedBytes);
  }

  readlink(inode: InodeNumber, context: RequestContext): MaybePromise<Uint8Array> {
    return this.#parts.special.readLink(this.#nodes.get(inode), () => context.signal);
  }

  async symlink(
    parent: InodeNumber,
    name: Uint8Array,
    target: Uint8Array,
    context: RequestContext,
  ): Promise<Entry> {
    // The transport takes its memory back as soon as we wait.
    const made = { type: 'symlink', mode: 0o777, target: new Uint8Array(target) } as const;
    return await this.#makeSpecial(parent, name, made, context);
  }

  async mknod(
    parent: InodeNumber,
    name: Uint8Array,
    { type, mode, device }: NewNode,
    context: RequestContext,
  ): Promise<Entry> {
    const isDevice = type === 'character-device' || type === 'block-device';
    const made = isDevice ? { type, mode, device } : { type, mode };
    return await this.#makeSpecial(parent, name, made, context);
  }

  getxattr(
    inode: InodeNumber,
    name: Uint8Array,
    context: RequestContext,
  ): MaybePromise<Uint8Array> {
    return this.#parts.xattrs.get(this.#nodes.get(inode), name, () => context.signal);
  }

  listxattr(inode: InodeNumber): readonly Uint8Array[] {
    return this.#parts.xattrs.list(this.#nodes.get(inode));
  }

  async setxattr(
    inode: InodeNumber,
    name: Uint8Array,
    value: Uint8Array,
    flags: XattrFlags,
    context: RequestContext,
  ): Promise<void> {
    this.#refuseIfReadOnly();
    const own = new Uint8Array(value);
    const node = this.#nodes.get(inode);
    await this.#parts.xattrs.set(node, new Uint8Array(name), own, flags, context.signal);
  }

  async removexattr(inode: InodeNumber, name: Uint8Array, context: RequestContext): Promise<void> {
    this.#refuseIfReadOnly();
    const node = this.#nodes.get(inode);
    await this.#parts.xattrs.remove(node, new Uint8Array(name), context.signal);
  }

  async #makeSpecial(
    parent: InodeNumber,
    name: Uint8Array,
    made: NewSpecial,
    context: RequestContext,
  ): Promise<Entry> {
    this.#refuseIfReadOnly();
    const directory = this.#directory(parent);
    const { special } = this.#parts;
    const node = await special.make(directory, partFor(name), made, context, context.signal);
    this.#entries.changedIn(directory);
    return this.#entries.refer(node);
  }

  async #recover(): Promise<void> {
    const { signal } = this.#end;
    await this.shown;
    const found = (bucket: string): ObjectStore | undefined => storeOf(this.#options.root, bucket);
    await this.#writer.recover(found, signal, namesOfOthers);
    const hasChanged = await this.#parts.left?.finish(signal);
    // Names that were shown meanwhile are others now.
    if (hasChanged === true) await this.#tree.refreshAll(this.#nodes.root);
  }

  /** @throws FsError ENOTDIR for a file. */
  #directory(inode: InodeNumber): DirectoryNode {
    const node = this.#nodes.get(inode);
    if (node.type !== 'directory') throw notADirectory;
    return node;
  }

  #refuseIfReadOnly(): void {
    if (this.#options.readOnly) throw readOnlyMount;
  }
}
