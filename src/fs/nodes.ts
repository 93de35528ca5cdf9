/**
 * The files and directories that the kernel, an open handle or unsaved bytes refer to. A node's
 * key is not kept but read off its parents, so that renaming a directory moves all below it.
 */
import { childDirectory, childKey } from '../store/keys.ts';
import type { ObjectVersion } from '../store/object-store.ts';
import type { Directory } from './directory.ts';
import type { Place } from './directory-source.ts';
import type { DeviceNumber, FileType } from './filesystem.ts';
import type { InodeNumber } from './ids.ts';
import { Exclusive } from './locks.ts';
import type { Metadata, Xattrs } from './object-metadata.ts';
import type { PinnedVersion } from './pinned-version.ts';
import { staleFile } from './refusals.ts';
import type { StagedFile } from './staged-file.ts';

/** What a file is; one that is no regular file has no content that is written. */
export type FileKind = Exclude<FileType, 'directory'>;

/** What chmod, chown and utimens set, or metadata tells. */
export interface Overrides {
  mode?: number;
  uid?: number;
  gid?: number;
  /** Which version of a file what follows holds for. */
  etag?: string;
  /** Its Last-Modified, where metadata was read: another one means other metadata. */
  seenMs?: number;
  atimeMs?: number;
  mtimeMs?: number;
  ctimeMs?: number;
  /** Absent: a regular file. */
  kind?: FileKind;
  device?: DeviceNumber;
  /** Of a symbolic link, as far as it is known. */
  target?: string;
  xattrs?: Xattrs;
  /** Metadata of strangers, which is to stay. */
  others?: Metadata;
  /** The bucket is yet to hear of it: kept in memory only. */
  unsaved?: true;
}

/** One open(2) of a file, as far as its node minds. */
export interface FileUse {
  /** The version this open reads; undefined when it began with local content. */
  readonly pinned: PinnedVersion | undefined;
  /** The kernel reads the content by itself. */
  readonly backed: boolean;
}

/** What any node has. */
abstract class BaseNode {
  readonly inode: InodeNumber;
  /** Undefined for the root, and once the name is gone. */
  parent: DirectoryNode | undefined;
  name: string;
  /** The kernel's references. */
  lookups = 0;
  /** Its name leads elsewhere, or nowhere. */
  removed = false;
  /** And that by our own doing: what is written to it is not for the bucket. */
  unlinked = false;
  /** The kernel was asked to forget it. */
  unwanted = false;
  /** Attributes set here; found again by key when the node is made anew. */
  overrides: Overrides | undefined;

  constructor(inode: InodeNumber, parent: DirectoryNode | undefined, name: string) {
    this.inode = inode;
    this.parent = parent;
    this.name = name;
  }
}

const noUses: ReadonlySet<FileUse> = new Set<FileUse>();

export class FileNode extends BaseNode {
  readonly type = 'file';
  /** While another file is renamed over this one: settles, never fails, when that is done. */
  replacing: Promise<void> | undefined;
  /** As its version is known to be. */
  kind: FileKind = 'file';
  /** The object as last seen; undefined while nothing is in the bucket. */
  version: ObjectVersion | undefined;
  /** Local content; kept as long as somebody has the file open. */
  staged: StagedFile | undefined;
  /** What the kernel's pages of this file show. */
  cachedEtag: string | undefined;
  /** Of a file that was unlinked while open: where its object is as long as it is needed. */
  remains: Place | undefined;
  // A kernel may know hundreds of thousands of files that nobody opens: these are made when used.
  #handles: Set<FileUse> | undefined;
  #changing: Exclusive | undefined;

  get handles(): ReadonlySet<FileUse> {
    return this.#handles ?? noUses;
  }

  /** Held while the content or the name changes. */
  get changing(): Exclusive {
    this.#changing ??= new Exclusive();
    return this.#changing;
  }

  addUse(use: FileUse): void {
    (this.#handles ??= new Set()).add(use);
  }

  removeUse(use: FileUse): void {
    this.#handles?.delete(use);
    if (this.#handles?.size === 0) this.#handles = undefined;
  }
}

const noChildren: ReadonlyMap<string, Node> = new Map<string, Node>();

export class DirectoryNode extends BaseNode {
  readonly type = 'directory';
  /** Where a bucket begins; undefined below that, and for the list of buckets. */
  readonly top: Place | undefined;
  /** Open handles. */
  opens = 0;
  /** The last change made here, ms since the epoch; until then `madeMs`. */
  changedMs: number;
  readonly madeMs: number;
  readonly #makeDirectory: (node: DirectoryNode) => Directory;
  #directory: Directory | undefined;
  #children: Map<string, Node> | undefined;

  constructor(
    inode: InodeNumber,
    parent: DirectoryNode | undefined,
    name: string,
    made: {
      readonly top: Place | undefined;
      readonly changedMs: number;
      readonly directory: (node: DirectoryNode) => Directory;
    },
  ) {
    super(inode, parent, name);
    this.top = made.top;
    this.changedMs = made.changedMs;
    this.madeMs = made.changedMs;
    this.#makeDirectory = made.directory;
  }

  /** What is known of the names in it. */
  get directory(): Directory {
    this.#directory ??= this.#makeDirectory(this);
    return this.#directory;
  }

  /** Whether this mount holds names in it that the store does not know. */
  get hasLocal(): boolean {
    return this.#directory?.hasLocal === true;
  }

  /** Nodes by name; only those that somebody refers to. */
  get children(): ReadonlyMap<string, Node> {
    return this.#children ?? noChildren;
  }

  addChild(node: Node): void {
    (this.#children ??= new Map()).set(node.name, node);
  }

  /** Takes `node` away, unless its name leads to another by now. */
  removeChild(node: Node): void {
    if (this.#children?.get(node.name) === node) this.#children.delete(node.name);
    if (this.#children?.size === 0) this.#children = undefined;
  }
}

export type Node = FileNode | DirectoryNode;

/** Whether `node` is the list of buckets, where nothing can be made or removed. */
export function isBucketList(node: DirectoryNode): boolean {
  return node.top === undefined && node.parent === undefined && !node.removed;
}

/** Where a directory is. */
export function placeOf(node: DirectoryNode): Place {
  if (node.top !== undefined) return node.top;
  if (node.parent === undefined) throw staleFile;
  const { store, key } = placeOf(node.parent);
  return { store, key: childDirectory(key, node.name) };
}

/** Where a file is. */
export function filePlaceOf(node: FileNode): Place {
  if (node.parent === undefined) throw staleFile;
  const { store, key } = placeOf(node.parent);
  return { store, key: childKey(key, node.name) };
}

/** Where the bytes of a file are read: also those of one that has no name any more. */
export function contentPlaceOf(node: FileNode): Place {
  return node.remains ?? filePlaceOf(node);
}

/** Whether `directory` is `node`, or somewhere below it. */
export function isWithin(directory: DirectoryNode, node: Node): boolean {
  for (let at: DirectoryNode | undefined = directory; at; at = at.parent) {
    if (at === node) return true;
  }
  return false;
}

/**
 * A directory without marker ends with its last key. After `rm d/*` people expect `d` to be there
 * still, and `rm -r` does: this mount goes on showing it, and those above it.
 */
export function keepInView(directory: DirectoryNode): void {
  for (let at = directory; at.parent !== undefined && at.top === undefined; at = at.parent) {
    at.parent.directory.addLocal(at.name, 'directory');
  }
}

/** Whether the bucket has another version than the local content, which has nothing unsaved. */
export function isOvertaken({ staged, version }: FileNode): boolean {
  return staged?.dirty === false && staged.base?.etag !== version?.etag;
}
