/** Opens, makes and closes files: which version a handle reads, and what the kernel may keep. */
import type { MaybePromise, OpenedFile, OpenFlags, RequestContext } from './filesystem.ts';
import { FileHandle } from './handle-table.ts';
import type { HandleId, InodeNumber } from './ids.ts';
import { type DirectoryNode, type FileNode, isOvertaken } from './nodes.ts';
import type { FileSystemParts } from './parts.ts';
import { alreadyThere, isADirectory, noSuchEntry, readOnlyMount, staleFile } from './refusals.ts';
import { type FoundNode, partFor, refuseInBucketList, refuseLongKey } from './tree.ts';

/** A file that was opened by name, and perhaps made. */
export interface OpenedByName {
  readonly opened: OpenedFile;
  readonly found: FoundNode;
}

export class Opener {
  /** Files of a mount that changes nothing are served by the kernel where the disk has them whole. */
  readonly offersBacking: boolean;
  readonly #parts: FileSystemParts;

  constructor(parts: FileSystemParts) {
    const { options } = parts;
    this.#parts = parts;
    // Where somebody may write, the kernel would have to change from one way to the other.
    const hasDisk = options.reading?.disk !== undefined;
    this.offersBacking = options.readOnly && hasDisk && options.passthrough !== false;
  }

  open(inode: InodeNumber, flags: OpenFlags, context: RequestContext): MaybePromise<OpenedFile> {
    const { nodes, tree, options } = this.#parts;
    const node = nodes.get(inode);
    if (node.type === 'directory') throw isADirectory;
    if (options.readOnly && (flags.access !== 'read' || flags.truncate)) throw readOnlyMount;
    const ttlMs = node.removed ? 0 : tree.freshForOpen(node, () => context.signal);
    const openFresh = (late: number | undefined): MaybePromise<OpenedFile> => {
      if (late === undefined) throw staleFile;
      return this.#open(node, flags, context);
    };
    return ttlMs instanceof Promise ? ttlMs.then(openFresh) : openFresh(ttlMs);
  }

  /** Opens `name`, and makes it first if it is not there. */
  async create(
    directory: DirectoryNode,
    name: Uint8Array,
    mode: number,
    flags: OpenFlags,
    context: RequestContext,
  ): Promise<OpenedByName> {
    const { options, nodes, handles, attributes, writer, tree } = this.#parts;
    const part = partFor(name);
    refuseInBucketList(directory);
    refuseLongKey(directory, part);
    const found = await tree.find(directory, part, () => context.signal);
    if (found !== undefined) {
      if (flags.exclusive) throw alreadyThere;
      if (found.node.type === 'directory') throw isADirectory;
      return { opened: await this.#open(found.node, flags, context), found };
    }
    const staged = await writer.startNew(part);
    staged.exclusive = flags.exclusive;
    const node = nodes.addFile(directory, part);
    writer.adopt(node, staged);
    attributes.created(node, mode, context);
    directory.changedMs = options.clock.now();
    const handle = handles.add(this.#use(node, flags));
    const opened = { handle, keepCache: false, directIo: false };
    return { opened, found: { node, ttlMs: options.listTtlMs } };
  }

  async release(handle: HandleId, context: RequestContext): Promise<void> {
    const { handles, nodes, reader, writer } = this.#parts;
    const file = handles.file(handle);
    const { node, pinned } = file;
    handles.remove(handle);
    node.removeUse(file);
    if (pinned !== undefined) reader.unpin(pinned);
    if (node.handles.size === 0) await writer.release(node, context.signal);
    nodes.release(node);
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
  #withBacking({ pinned }: FileHandle, opened: OpenedFile): MaybePromise<OpenedFile> {
    if (pinned === undefined) return opened;
    const named = (): OpenedFile => {
      const backing = this.#parts.reader.whole(pinned);
      return backing === undefined ? opened : { ...opened, backing };
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
