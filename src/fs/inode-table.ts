import { nameOfPart } from '../store/keys.ts';
import type { ObjectVersion } from '../store/object-store.ts';
import { Background } from './background.ts';
import { Directory, type DirectoryOptions } from './directory.ts';
import {
  BucketsSource,
  type Found,
  type HiddenObjects,
  type ListingIndex,
  type PrefixParts,
  PrefixSource,
  Sequence,
} from './directory-source.ts';
import { type InodeNumber, ROOT_INODE } from './ids.ts';
import type { EntryName } from './kernel-cache.ts';
import {
  DirectoryNode,
  type FileKind,
  FileNode,
  isBucketList,
  type Node,
  placeOf,
} from './nodes.ts';
import type { FileSystemRoot } from './options.ts';
import { staleFile } from './refusals.ts';
import { Walks } from './walks.ts';

export interface InodeTableOptions extends DirectoryOptions {
  readonly root: FileSystemRoot;
  /** Asks the kernel to forget names; it may decline. Resolves when it has heard. Never rejects. */
  readonly forgetEntries?: ((entries: readonly EntryName[]) => Promise<void>) | undefined;
  /** Keeps listings from one mount to the next. */
  readonly index?: ListingIndex | undefined;
  /** What an object is known to be; by default a regular file. */
  readonly kindAt?:
    | ((parent: DirectoryNode, name: string, version: ObjectVersion) => FileKind)
    | undefined;
  /** Objects that no name leads to any more. */
  readonly hidden?: HiddenObjects | undefined;
}

/** Beyond this the kernel is asked to forget what it knew first; about 500 bytes each. */
const MANY_NODES = 32_000;
/** Beyond this a listing refers to no more of them: what it tells is then asked for by name. */
const MOST_NODES = 64_000;
/**
 * The kernel is asked each time so many nodes were added, about as many: one by one, each would
 * wake the thread that asks, and the kernel's answer the one that listens.
 */
const ASKED_AT_ONCE = 2048;
/** Nodes looked at to find them: more, to catch up. */
const LOOKED_AT = 4 * ASKED_AT_ONCE;

/**
 * All nodes by inode number. A node is made when somebody first refers to it, and dropped when
 * the kernel has forgotten it and nothing is open, unsaved or below it. Numbers are never reused.
 */
export class InodeTable implements AsyncDisposable {
  readonly root: DirectoryNode;
  readonly #options: InodeTableOptions & { readonly sequence: Sequence };
  readonly #background = new Background();
  readonly #walks: Walks;
  readonly #prefixParts: PrefixParts;
  #hidesKeys = false;
  readonly #nodes = new Map<InodeNumber, Node>();
  /**
   * Goes through the nodes, the oldest first, to find some to do without; kept only while there are
   * too many. An iterator that stands still holds all that its Map has held since (V8 keeps each
   * table that was outgrown for it).
   */
  #oldest: Iterator<Node, undefined> | undefined;
  /** Nodes that the kernel was asked to forget, on this round. */
  #unwanted = 0;
  /** Nodes added since the kernel was asked. */
  #added = 0;
  #isAsking = false;
  #last: number = ROOT_INODE;
  /** Listings know no time of directories: they are as old as the mount until changed. */
  readonly #startMs: number;

  readonly #directory = (node: DirectoryNode): Directory =>
    new Directory(new PrefixSource(() => placeOf(node), this.#prefixParts), this.#options);

  constructor(options: InodeTableOptions) {
    this.#options = { ...options, sequence: new Sequence(), background: this.#background };
    this.#walks = new Walks(this.#options);
    this.#prefixParts = {
      foresight: this.#walks,
      index: options.index,
      hidden: options.hidden,
      onHidden: (key) => this.#noteHidden(key),
    };
    const { root } = options;
    this.#startMs = options.clock.now();
    const top = root.kind === 'bucket' ? { store: root.store, key: root.prefix } : undefined;
    this.root = new DirectoryNode(ROOT_INODE, undefined, '', {
      top,
      changedMs: this.#startMs,
      directory: (node) =>
        root.kind === 'buckets'
          ? new Directory(new BucketsSource(root.stores), this.#options)
          : this.#directory(node),
    });
    this.#nodes.set(ROOT_INODE, this.root);
  }

  /** Ends listings under way that nobody waits for. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#walks[Symbol.asyncDispose]();
    await this.#background[Symbol.asyncDispose]();
  }

  get size(): number {
    return this.#nodes.size;
  }

  /** Whether the kernel should be given no more references than it asks for. */
  get isFull(): boolean {
    return this.#nodes.size > MOST_NODES;
  }

  /** @throws FsError ESTALE for a number that is not known (any more). */
  get(inode: InodeNumber): Node {
    const node = this.#nodes.get(inode);
    if (node === undefined) throw staleFile;
    return node;
  }

  find(inode: InodeNumber): Node | undefined {
    return this.#nodes.get(inode);
  }

  /** The node for what `name` stands for by now; one for what it stood for before loses it. */
  bind(parent: DirectoryNode, name: string, found: Found): Node {
    const present = parent.children.get(name);
    if (found.type === 'directory') {
      if (present?.type === 'directory') return present;
      if (present !== undefined) this.detach(present);
      return this.#newDirectory(parent, name);
    }
    if (present?.type === 'file') {
      // An empty ETag stands for a file that only this mount has: its node knows better.
      if (found.version.etag === '' || present.staged?.dirty === true) return present;
      const version = sameOr(present.version, found.version);
      const kind = this.#kindAt(parent, name, version);
      // What the kernel knows never becomes something else: it would take it for broken.
      if (kind === present.kind || (present.lookups === 0 && present.handles.size === 0)) {
        present.version = version;
        present.kind = kind;
        return present;
      }
    }
    if (present !== undefined) this.detach(present);
    const node = this.addFile(parent, name);
    node.version = found.version;
    node.kind = this.#kindAt(parent, name, found.version);
    return node;
  }

  #kindAt(parent: DirectoryNode, name: string, version: ObjectVersion): FileKind {
    return this.#options.kindAt?.(parent, name, version) ?? 'file';
  }

  /** A new file's node, without version. */
  addFile(parent: DirectoryNode, name: string): FileNode {
    const node = new FileNode(this.#nextInode(), parent, name);
    this.#add(node, parent);
    return node;
  }

  /** Takes a node's name away; it lives on for those who have it open. */
  detach(node: Node): void {
    const { parent } = node;
    parent?.removeChild(node);
    node.parent = undefined;
    node.removed = true;
    this.#dropUnused(node);
    if (parent !== undefined) this.#dropUnused(parent);
  }

  /** Another inode of the same name and version, in the place of `node`. */
  replace(node: FileNode): FileNode {
    const { parent, name, version } = node;
    if (parent === undefined) throw staleFile;
    this.detach(node);
    const other = this.addFile(parent, name);
    other.version = version;
    return other;
  }

  /** Gives a node another name. */
  move(node: Node, parent: DirectoryNode, name: string): void {
    const before = node.parent;
    before?.removeChild(node);
    node.parent = parent;
    node.name = name;
    parent.addChild(node);
    if (before !== undefined) this.#dropUnused(before);
  }

  /** Takes `count` of the kernel's references away, and the node if it was the last use. */
  release(node: Node, count = 0): void {
    node.lookups = Math.max(node.lookups - count, 0);
    this.#dropUnused(node);
  }

  #dropUnused(node: Node): void {
    if (node === this.root || isUsed(node) || this.#nodes.get(node.inode) !== node) return;
    this.#nodes.delete(node.inode);
    if (node.unwanted) this.#unwanted -= 1;
    const { parent } = node;
    if (parent === undefined) return;
    parent.removeChild(node);
    this.#dropUnused(parent);
  }

  #newDirectory(parent: DirectoryNode, name: string): DirectoryNode {
    const { root } = this.#options;
    const isBucket = root.kind === 'buckets' && isBucketList(parent);
    const node = new DirectoryNode(this.#nextInode(), parent, name, {
      top: isBucket ? { store: root.stores.open(name), key: '' } : undefined,
      changedMs: this.#startMs,
      directory: this.#directory,
    });
    this.#add(node, parent);
    return node;
  }

  /** Said once: a bucket may hold thousands of them. */
  #noteHidden(key: string): void {
    if (this.#hidesKeys) return;
    this.#hidesKeys = true;
    this.#options.log.warn('object-hidden', { key, by: `${key}/` });
  }

  #add(node: Node, parent: DirectoryNode): void {
    this.#nodes.set(node.inode, node);
    parent.addChild(node);
    this.#askToForget();
  }

  /** Keeps the number of idle nodes bounded, as far as the kernel goes along. */
  #askToForget(): void {
    this.#added += 1;
    const { forgetEntries } = this.#options;
    if (forgetEntries === undefined || this.#isAsking || this.#added < ASKED_AT_ONCE) return;
    this.#added = 0;
    const names = this.#findUnwanted();
    if (names.length === 0) return;
    this.#isAsking = true;
    const asked = (): void => {
      this.#isAsking = false;
    };
    forgetEntries(names).then(asked, asked);
  }

  #findUnwanted(): readonly EntryName[] {
    const names: EntryName[] = [];
    for (let nth = 0; nth < LOOKED_AT; nth += 1) {
      if (this.#nodes.size - this.#unwanted <= MANY_NODES) {
        this.#oldest = undefined;
        break;
      }
      this.#oldest ??= this.#nodes.values();
      const { value: node, done } = this.#oldest.next();
      if (done === true) {
        this.#startOver();
        break;
      }
      if (node.parent === undefined || node.unwanted || !this.#isIdle(node)) continue;
      node.unwanted = true;
      this.#unwanted += 1;
      names.push({ parent: node.parent.inode, name: nameOfPart(node.name) });
    }
    return names;
  }

  /**
   * Whether only the kernel refers to `node`, which could ask for it again. A directory may be where
   * a program works, which the kernel does not tell: forgotten, it has no path any more
   * (getcwd(2) fails), so there must be need for it.
   */
  #isIdle(node: Node): boolean {
    if (node.type === 'file') return node.handles.size === 0 && node.staged === undefined;
    return this.isFull && node.opens === 0 && node.children.size === 0 && !node.hasLocal;
  }

  /** What the kernel has not forgotten by now it may be asked about again. */
  #startOver(): void {
    this.#oldest = undefined;
    this.#unwanted = 0;
    for (const node of this.#nodes.values()) node.unwanted = false;
  }

  #nextInode(): InodeNumber {
    this.#last += 1;
    return this.#last as InodeNumber;
  }
}

/** The object there was, when it says the same: its text is shared with handles and caches. */
function sameOr(before: ObjectVersion | undefined, now: ObjectVersion): ObjectVersion {
  const isSame =
    before?.etag === now.etag && before.modifiedMs === now.modifiedMs && before.bytes === now.bytes;
  return isSame ? before : now;
}

function isUsed(node: Node): boolean {
  if (node.lookups > 0 || node.overrides?.unsaved === true) return true;
  if (node.type === 'file') return node.handles.size > 0 || node.staged?.dirty === true;
  return node.opens > 0 || node.children.size > 0 || node.hasLocal;
}
