import { Directory, type DirectoryOptions } from './directory.ts';
import { BucketsSource, type Found, PrefixSource } from './directory-source.ts';
import { type InodeNumber, ROOT_INODE } from './ids.ts';
import { DirectoryNode, FileNode, isBucketList, type Node, placeOf } from './nodes.ts';
import type { FileSystemRoot } from './options.ts';
import { staleFile } from './refusals.ts';

export interface InodeTableOptions extends DirectoryOptions {
  readonly root: FileSystemRoot;
}

/**
 * All nodes by inode number. A node is made when somebody first refers to it, and dropped when
 * the kernel has forgotten it and nothing is open, unsaved or below it. Numbers are never reused.
 */
export class InodeTable {
  readonly root: DirectoryNode;
  readonly #options: InodeTableOptions;
  readonly #nodes = new Map<InodeNumber, Node>();
  #last: number = ROOT_INODE;
  /** Listings know no time of directories: they are as old as the mount until changed. */
  readonly #startMs: number;

  constructor(options: InodeTableOptions) {
    this.#options = options;
    const { root } = options;
    this.#startMs = options.clock.now();
    const top = root.kind === 'bucket' ? { store: root.store, key: root.prefix } : undefined;
    this.root = new DirectoryNode(ROOT_INODE, undefined, '', {
      top,
      changedMs: this.#startMs,
      directory: (node) =>
        root.kind === 'buckets'
          ? new Directory(new BucketsSource(root.stores), options)
          : this.#directory(node),
    });
    this.#nodes.set(ROOT_INODE, this.root);
  }

  get size(): number {
    return this.#nodes.size;
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
    if (present?.type === found.type) {
      if (present.type === 'file' && found.type === 'file' && present.staged?.dirty !== true) {
        // An empty ETag stands for a file that only this mount has: its node knows better.
        if (found.version.etag !== '') present.version = found.version;
      }
      return present;
    }
    if (present !== undefined) this.detach(present);
    const node =
      found.type === 'directory' ? this.#newDirectory(parent, name) : this.addFile(parent, name);
    if (node.type === 'file' && found.type === 'file') node.version = found.version;
    return node;
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
    if (parent?.children.get(node.name) === node) parent.children.delete(node.name);
    node.parent = undefined;
    node.removed = true;
    this.#dropUnused(node);
    if (parent !== undefined) this.#dropUnused(parent);
  }

  /** Gives a node another name. */
  move(node: Node, parent: DirectoryNode, name: string): void {
    const before = node.parent;
    if (before?.children.get(node.name) === node) before.children.delete(node.name);
    node.parent = parent;
    node.name = name;
    parent.children.set(name, node);
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
    const { parent } = node;
    if (parent === undefined) return;
    if (parent.children.get(node.name) === node) parent.children.delete(node.name);
    this.#dropUnused(parent);
  }

  #newDirectory(parent: DirectoryNode, name: string): DirectoryNode {
    const { root } = this.#options;
    const isBucket = root.kind === 'buckets' && isBucketList(parent);
    const node = new DirectoryNode(this.#nextInode(), parent, name, {
      top: isBucket ? { store: root.stores.open(name), key: '' } : undefined,
      changedMs: this.#startMs,
      directory: (made) => this.#directory(made),
    });
    this.#add(node, parent);
    return node;
  }

  #directory(node: DirectoryNode): Directory {
    return new Directory(new PrefixSource(() => placeOf(node)), this.#options);
  }

  #add(node: Node, parent: DirectoryNode): void {
    this.#nodes.set(node.inode, node);
    parent.children.set(node.name, node);
  }

  #nextInode(): InodeNumber {
    this.#last += 1;
    return this.#last as InodeNumber;
  }
}

function isUsed(node: Node): boolean {
  if (node.lookups > 0) return true;
  if (node.type === 'file') return node.handles.size > 0 || node.staged?.dirty === true;
  return node.opens > 0 || node.children.size > 0 || node.directory.hasLocal;
}
