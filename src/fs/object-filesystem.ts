/**
 * `FileSystem` over a store of objects. Each operation here finds its node or handle and hands
 * the work on: names to `Tree` and `Renamer`, content to `Reader` and `Writer`, struct stat to
 * `AttributeStore`. docs/SEMANTICS.md says what programs may rely on.
 */
import { type AttributeStore, childInos } from './attributes.ts';
import { type ListedName, walkDirectory } from './directory-walk.ts';
import type {
  AttributeChanges,
  Attributes,
  AttributesReply,
  CreatedFile,
  Dirent,
  Entry,
  FileSystem,
  FileSystemStatistics,
  FillDirents,
  FillEntries,
  MaybePromise,
  OpenedFile,
  OpenFlags,
  ReadBytes,
  RenameFlags,
  RequestContext,
} from './filesystem.ts';
import { DirectoryHandle, type HandleTable } from './handle-table.ts';
import type { HandleId, InodeNumber } from './ids.ts';
import type { InodeTable } from './inode-table.ts';
import type { KernelCache } from './kernel-cache.ts';
import { contentOf } from './local-content.ts';
import type { DirectoryNode, Node } from './nodes.ts';
import { Opener } from './opener.ts';
import { type ObjectFileSystemOptions, storeOf } from './options.ts';
import { createParts, type FileSystemParts } from './parts.ts';
import type { Reader, ReaderFigures } from './reader.ts';
import {
  badHandle,
  isADirectory,
  noSuchEntry,
  notADirectory,
  readOnlyMount,
  staleFile,
} from './refusals.ts';
import type { SaveFailure } from './save-failures.ts';
import type { Tender } from './tending.ts';
import { type FoundNode, partFor, type Tree } from './tree.ts';
import type { Writer } from './writer.ts';

/** What `wire status` shows of a mount's files. */
export interface FileSystemState {
  /** Handles of files and directories. */
  readonly openHandles: number;
  /** Files with changes that are not in the bucket yet, and their length. */
  readonly unsavedFiles: number;
  readonly unsavedBytes: number;
  readonly uploads: number;
  readonly failures: readonly SaveFailure[];
  readonly reading: ReaderFigures;
}

/** A store has no limits worth telling; programs only look whether there is room: 1 PiB. */
const STATISTICS: FileSystemStatistics = {
  blockBytes: 4096,
  blocks: 2 ** 38,
  freeBlocks: 2 ** 38,
  files: 2 ** 32,
  freeFiles: 2 ** 32,
  nameBytes: 255,
};

export class ObjectFileSystem implements FileSystem, AsyncDisposable {
  readonly offersBacking: boolean;
  readonly #options: ObjectFileSystemOptions;
  readonly #parts: FileSystemParts;
  readonly #nodes: InodeTable;
  readonly #handles: HandleTable;
  readonly #attributes: AttributeStore;
  readonly #reader: Reader;
  readonly #writer: Writer;
  readonly #tree: Tree;
  readonly #opener: Opener;
  readonly #end = new AbortController();
  /** Settles when what a mount that died left in the staging folder is looked after. */
  readonly recovered: Promise<void>;

  constructor(options: ObjectFileSystemOptions) {
    const parts = createParts(options);
    this.#options = options;
    this.#parts = parts;
    this.#nodes = parts.nodes;
    this.#handles = parts.handles;
    this.#attributes = parts.attributes;
    this.#reader = parts.reader;
    this.#writer = parts.writer;
    this.#tree = parts.tree;
    this.#opener = new Opener(parts);
    this.offersBacking = this.#opener.offersBacking;
    this.recovered = options.readOnly
      ? Promise.resolve()
      : this.#writer.recover((bucket) => storeOf(options.root, bucket), this.#end.signal);
  }

  get state(): FileSystemState {
    const unsaved = [...this.#writer.unsaved()];
    return {
      openHandles: this.#handles.size,
      unsavedFiles: unsaved.length,
      unsavedBytes: unsaved.reduce((bytes, { staged }) => bytes + (staged?.bytes ?? 0), 0),
      uploads: this.#parts.uploader.running,
      reading: this.#reader.figures,
      failures: [...this.#writer.failures],
    };
  }

  /**
   * Saves everything that is not in the bucket, for an unmount.
   *
   * @throws WireError `not-saved` when some of it could not be; its bytes stay.
   */
  async sync(signal: AbortSignal): Promise<void> {
    await this.#writer.sync(signal);
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
    await this.#writer.close();
    await this.#nodes[Symbol.asyncDispose]();
    await this.#reader[Symbol.asyncDispose]();
  }

  lookup(parent: InodeNumber, name: Uint8Array, context: RequestContext): MaybePromise<Entry> {
    const found = this.#tree.find(this.#directory(parent), partFor(name), () => context.signal);
    return found instanceof Promise ? found.then((late) => this.#refer(late)) : this.#refer(found);
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
    if (node.removed) return this.#attributesOf(node, 0);
    const ttlMs = this.#tree.freshFor(node, () => context.signal);
    return ttlMs instanceof Promise
      ? ttlMs.then((late) => this.#shown(node, late))
      : this.#shown(node, ttlMs);
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
    if (asks) this.#attributes.change(node, changes, this.#options.clock.now());
    return this.#attributesOf(node, this.#options.listTtlMs);
  }

  async mkdir(
    parent: InodeNumber,
    name: Uint8Array,
    mode: number,
    context: RequestContext,
  ): Promise<Entry> {
    this.#refuseIfReadOnly();
    const directory = this.#directory(parent);
    const node = await this.#tree.mkdir(directory, partFor(name), context.signal);
    this.#attributes.created(node, mode, context);
    return this.#refer({ node, ttlMs: this.#options.listTtlMs });
  }

  async unlink(parent: InodeNumber, name: Uint8Array, context: RequestContext): Promise<void> {
    this.#refuseIfReadOnly();
    await this.#tree.unlink(this.#directory(parent), partFor(name), context.signal);
  }

  async rmdir(parent: InodeNumber, name: Uint8Array, context: RequestContext): Promise<void> {
    this.#refuseIfReadOnly();
    await this.#tree.rmdir(this.#directory(parent), partFor(name), context.signal);
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
  }

  open(inode: InodeNumber, flags: OpenFlags, context: RequestContext): MaybePromise<OpenedFile> {
    return this.#opener.open(inode, flags, context);
  }

  async create(
    parent: InodeNumber,
    name: Uint8Array,
    mode: number,
    flags: OpenFlags,
    context: RequestContext,
  ): Promise<CreatedFile> {
    this.#refuseIfReadOnly();
    const directory = this.#directory(parent);
    const { opened, found } = await this.#opener.create(directory, name, mode, flags, context);
    return { ...opened, entry: this.#refer(found) };
  }

  read(
    handle: HandleId,
    offset: number,
    bytes: number,
    context: RequestContext,
  ): MaybePromise<ReadBytes> {
    const file = this.#handles.file(handle);
    if (file.access === 'write') throw badHandle;
    const staged = contentOf(file);
    if (staged !== undefined) return staged.read(offset, bytes);
    if (file.pinned === undefined) throw staleFile;
    const extent = { start: offset, end: offset + bytes };
    return this.#reader.read(file.pinned, extent, file.position, () => context.signal);
  }

  async write(
    handle: HandleId,
    offset: number,
    bytes: Uint8Array,
    context: RequestContext,
  ): Promise<void> {
    const file = this.#handles.file(handle);
    if (file.access === 'read') throw badHandle;
    // The transport takes its memory back as soon as we wait.
    const own = new Uint8Array(bytes);
    if (context.fromPages === true) {
      await this.#writer.writePages(file, offset, own, context.signal);
    } else await this.#writer.write(file, offset, own, context.signal);
  }

  flush(handle: HandleId, context: RequestContext): MaybePromise<void> {
    const file = this.#handles.file(handle);
    // Who only reads has nothing to save, and must not end what others are writing.
    if (file.access === 'read') return undefined;
    return this.#writer.flush(file, context.signal);
  }

  fsync(handle: HandleId, _: boolean, context: RequestContext): MaybePromise<void> {
    return this.#writer.flush(this.#handles.file(handle), context.signal);
  }

  async release(handle: HandleId, context: RequestContext): Promise<void> {
    await this.#opener.release(handle, context);
  }

  opendir(inode: InodeNumber): OpenedFile {
    const node = this.#directory(inode);
    node.opens += 1;
    const handle = this.#handles.add(new DirectoryHandle(node));
    return { handle, keepCache: false, directIo: false };
  }

  readdir(
    handle: HandleId,
    cookie: number,
    fill: FillDirents,
    context: RequestContext,
  ): MaybePromise<void> {
    const directory = this.#handles.directory(handle);
    const ino = childInos(directory.node);
    const take = (dirent: ListedName, part: string | undefined): boolean =>
      fill({
        ...dirent,
        ino: part === undefined ? this.#dotIno(directory.node, dirent) : ino(part, dirent.type),
      });
    return walkDirectory(directory, cookie, take, () => context.signal);
  }

  readdirplus(
    handle: HandleId,
    cookie: number,
    fill: FillEntries,
    context: RequestContext,
  ): MaybePromise<void> {
    const directory = this.#handles.directory(handle);
    const { node } = directory;
    const take = (dirent: ListedName, part: string | undefined): boolean => {
      if (part === undefined)
        return fill({ ...dirent, ino: this.#dotIno(node, dirent) }, undefined);
      return this.#fillEntry(node, dirent, part, fill);
    };
    return walkDirectory(directory, cookie, take, () => context.signal);
  }

  releasedir(handle: HandleId): void {
    const { node } = this.#handles.directory(handle);
    this.#handles.remove(handle);
    node.opens -= 1;
    this.#nodes.release(node);
  }

  /** Names are in the bucket when the call that made them returns. */
  fsyncdir(): void {
    // Nothing is ever waiting.
  }

  statfs(): FileSystemStatistics {
    return STATISTICS;
  }

  #fillEntry(parent: DirectoryNode, dirent: ListedName, part: string, fill: FillEntries): boolean {
    const found = parent.directory.shown(part);
    if (found === undefined) return true;
    if (this.#nodes.isFull && !parent.children.has(part)) {
      return fill({ ...dirent, ino: childInos(parent)(part, dirent.type) }, undefined);
    }
    const node = this.#tree.bind(parent, part, found);
    const ttlMs = parent.directory.peek(part)?.ttlMs ?? 0;
    const attributes = this.#attributes.of(node);
    const entry: Entry = { inode: node.inode, attributes, ttlMs };
    const taken = fill({ ...dirent, ino: attributes.ino }, entry);
    if (taken) node.lookups += 1;
    else this.#nodes.release(node);
    return taken;
  }

  /** Counts a reference of the kernel. */
  #refer(found: FoundNode | undefined): Entry {
    if (found === undefined) throw noSuchEntry;
    const { node, ttlMs } = found;
    const attributes = this.#attributes.of(node);
    node.lookups += 1;
    return { inode: node.inode, attributes, ttlMs };
  }

  #attributesOf(node: Node, ttlMs: number): AttributesReply {
    return { attributes: this.#attributes.of(node), ttlMs };
  }

  /** fstat of an open file works also when its name has gone. */
  #shown(node: Node, ttlMs: number | undefined): AttributesReply {
    const open = node.type === 'file' ? node.handles.size > 0 : node.opens > 0;
    if (ttlMs === undefined && !open) throw staleFile;
    return this.#attributesOf(node, ttlMs ?? 0);
  }

  #dotIno(node: DirectoryNode, { cookie }: Pick<Dirent, 'cookie'>): Attributes['ino'] {
    return this.#attributes.of(cookie === 1 ? node : (node.parent ?? node)).ino;
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
