/** Opens, makes and closes files: which version a handle reads, and what the kernel may keep. */
import type { MaybePromise, OpenedFile, OpenFlags, RequestContext } from './filesystem.ts';
import { FileHandle } from './handle-table.ts';
import type { HandleId, InodeNumber } from './ids.ts';
import { type DirectoryNode, type FileNode, type FileUse, isOvertaken } from './nodes.ts';
import type { FileSystemParts } from './parts.ts';
import { alreadyThere, isADirectory, noSuchEntry, readOnlyMount, staleFile } from './refusals.ts';
import type { StagedFile } from './staged-file.ts';
import { type FoundNode, partFor, refuseInBucketList, refuseLongKey } from './tree.ts';

/** A file that was opened by name, and perhaps made. */
export interface OpenedByName {
  readonly opened: OpenedFile;
  readonly found: FoundNode;
}

/** What a new file is made with. */
interface NewFile {
  readonly flags: OpenFlags;
  readonly context: RequestContext;
  readonly staged: StagedFile;
}

export class Opener {
  /** Files that are only read are served by the kernel where the disk has them whole. */
  readonly offersBacking: boolean;
  readonly #parts: FileSystemParts;

  constructor(parts: FileSystemParts) {
    const { options } = parts;
    this.#parts = parts;
    const hasDisk = options.reading?.disk !== undefined;
    this.offersBacking = hasDisk && options.passthrough !== false;
  }

  open(inode: InodeNumber, flags: OpenFlags, context: RequestContext): MaybePromise<OpenedFile> {
    const { nodes, tree, options } = this.#parts;
    const node = nodes.get(inode);
    if (node.type === 'directory') throw isADirectory;
    if (options.readOnly && (flags.access !== 'read' || flags.truncate)) throw readOnlyMount;
    // What it would read is about to be overwritten. The kernel finds the other file by name.
    if (node.replacing !== undefined) {
      return node.replacing.then(async () => {
        if (node.removed) throw staleFile;
        return await this.open(inode, flags, context);
      });
    }
    const ttlMs = node.removed ? 0 : tree.freshForOpen(node, () => context.signal);
    const openFresh = (late: number | undefined): MaybePromise<OpenedFile> => {
      if (late === undefined) throw staleFile;
      // The kernel looks the name up again, and finds another inode.
      if (this.#isLeftToKernel(node, flags)) this.#retire(node);
      return this.#open(node, flags, context);
    };
    return ttlMs instanceof Promise ? ttlMs.then(openFresh) : openFresh(ttlMs);
  }

  /** Opens `name`, and makes it first if it is not there. */
  create(
    directory: DirectoryNode,
    name: Uint8Array,
    mode: number,
    flags: OpenFlags,
    context: RequestContext,
  ): MaybePromise<OpenedByName> {
    const part = partFor(name);
    refuseInBucketList(directory);
    refuseLongKey(directory, part);
    const found = this.#parts.tree.find(directory, part, () => context.signal);
    if (found instanceof Promise) {
      return found.then((late) => this.#createOr(late, directory, part, mode, flags, context));
    }
    return this.#createOr(found, directory, part, mode, flags, context);
  }

  #createOr(
    found: FoundNode | undefined,
    directory: DirectoryNode,
    name: string,
    mode: number,
    flags: OpenFlags,
    context: RequestContext,
  ): MaybePromise<OpenedByName> {
    if (found !== undefined) return this.#openFound(found, flags, context);
    const make = (staged: StagedFile): OpenedByName => {
      staged.exclusive = flags.exclusive;
      return this.#make(directory, name, mode, { flags, context, staged });
    };
    const staged = this.#parts.writer.startNew(name);
    return staged instanceof Promise ? staged.then(make) : make(staged);
  }

  async #openFound(
    found: FoundNode,
    flags: OpenFlags,
    context: RequestContext,
  ): Promise<OpenedByName> {
    if (flags.exclusive) throw alreadyThere;
    const { node } = found;
    if (node.type === 'directory') throw isADirectory;
    if (!this.#isLeftToKernel(node, flags)) {
      return { opened: await this.#open(node, flags, context), found };
    }
    const other = this.#parts.nodes.replace(node);
    const opened = await this.#open(other, flags, context);
    return { opened, found: { ...found, node: other } };
  }

  #make(
    directory: DirectoryNode,
    name: string,
    mode: number,
    { flags, context, staged }: NewFile,
  ): OpenedByName {
    const { options, nodes, handles, attributes, writer } = this.#parts;
    const node = nodes.addFile(directory, name);
    writer.adopt(node, staged);
    const nowMs = options.clock.now();
    attributes.created(node, mode, context, nowMs);
    attributes.entriesChanged(directory, nowMs);
    const handle = handles.add(this.#use(node, flags));
    const opened = { handle, keepCache: false, directIo: false };
    return { opened, found: { node, ttlMs: options.listTtlMs } };
  }

  release(handle: HandleId, context: RequestContext): MaybePromise<void> {
    const { handles, nodes, reader } = this.#parts;
    const file = handles.file(handle);
    const { node, pinned } = file;
    handles.remove(handle);
    node.removeUse(file);
    if (pinned !== undefined) reader.unpin(pinned);
    const isLast = node.handles.size === 0 && node.staged !== undefined;
    if (isLast || node.remains !== undefined) return this.#letGo(node, context);
    nodes.release(node);
  }

  /** Frees what nobody has open any more. */
  async #letGo(node: FileNode, context: RequestContext): Promise<void> {
    const { nodes, writer, remains } = this.#parts;
    if (node.handles.size === 0) await writer.release(node, context.signal);
    if (node.remains !== undefined) await remains.closed(node);
    nodes.release(node);
  }

  /**
   * Before a change without a handle: what the kernel reads by itself does not change.
   *
   * @throws FsError ESTALE, upon which the kernel tries once again, from the name on.
   */
  refuseIfBacked(node: FileNode): void {
    if (backedUse(node) !== undefined) this.#retire(node);
  }

  /** Makes the name of `node` lead to another inode, and the kernel look for it. */
  #retire(node: FileNode): never {
    this.#parts.nodes.detach(node);
    throw staleFile;
  }

  /**
   * Whether the kernel reads `node` by itself for others, and may not for this open: it refuses to
   * have one inode open both ways, or with two files (EIO).
   */
  #isLeftToKernel(node: FileNode, { access, truncate }: OpenFlags): boolean {
    if (!this.offersBacking) return false;
    const backed = backedUse(node);
    if (backed === undefined) return false;
    const isSame = backed.pinned?.version.etag === node.version?.etag;
    return !isSame || node.staged !== undefined || access !== 'read' || truncate;
  }

  #open(node: FileNode, flags: OpenFlags, context: RequestContext): MaybePromise<OpenedFile> {
    const { writer, handles } = this.#parts;
    if (isOvertaken(node)) {
      return writer.supersede(node).then(async () => await this.#open(node, flags, context));
    }
    if (node.staged === undefined && node.version === undefined) throw noSuchEntry;
    const etag = (node.staged?.base ?? node.version)?.etag;
    const keepCache = node.cachedEtag !== undefined && node.cachedEtag === etag;
    node.cachedEtag = etag;
    const file = this.#use(node, flags);
    const opened = { handle: handles.add(file), keepCache, directIo: false };
    if (flags.truncate) return this.#truncateOpened(file, opened, context);
    return this.offersBacking ? this.#withBacking(file, opened) : opened;
  }

  /** Names the whole object to the kernel, where the disk has it. */
  #withBacking(file: FileHandle, opened: OpenedFile): MaybePromise<OpenedFile> {
    const { pinned, node, access } = file;
    if (pinned === undefined || access !== 'read') return opened;
    const named = (): OpenedFile => {
      // The way of those who have it open already holds for all.
      if (node.handles.size > 1 && backedUse(node) === undefined) return opened;
      const backing = this.#parts.reader.whole(pinned);
      if (backing === undefined) return opened;
      file.backed = true;
      return { ...opened, backing };
    };
    return pinned.opening === undefined ? named() : pinned.opening.then(named);
  }

  async #truncateOpened(
    file: FileHandle,
    opened: OpenedFile,
    context: RequestContext,
  ): Promise<OpenedFile> {
    try {
      await this.#parts.writer.truncate(file.node, file, 0, context.signal);
      return opened;
    } catch (error) {
      await this.release(opened.handle, context);
      throw error;
    }
  }

  #use(node: FileNode, flags: OpenFlags): FileHandle {
    const { version, staged } = node;
    const pins = staged === undefined && version !== undefined;
    const pinned = pins ? this.#parts.reader.pin(node, version) : undefined;
    const file = new FileHandle(node, flags, pinned);
    node.addUse(file);
    return file;
  }
}

/** One of those for whom the kernel reads `node` by itself. */
function backedUse(node: FileNode): FileUse | undefined {
  for (const use of node.handles) if (use.backed) return use;
  return undefined;
}
