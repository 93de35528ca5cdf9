/** A `Tree` as the transport wants it. As lean as it gets: what remains is the transport's cost. */
import { FsError } from '../../src/fs/errno.ts';
import type {
  AttributeChanges,
  AttributesReply,
  CreatedFile,
  Entry,
  FileSystem,
  FileSystemStatistics,
  FillDirents,
  FillEntries,
  OpenedFile,
  ReadBytes,
} from '../../src/fs/filesystem.ts';
import type { HandleId, InodeNumber } from '../../src/fs/ids.ts';
import { BLOCK_BYTES, NAME_TTL_MS, type Node, type Tree } from './tree.ts';

const noEntry = new FsError('ENOENT', 'find a name');
const stale = new FsError('ESTALE', 'use an inode that is gone');

/** A folder being listed: its names as they were at the start. */
interface Listing {
  readonly folder: Node;
  names: readonly Node[] | undefined;
}

/** A file's handle is its inode number; folders have numbers of their own. */
export class TreeFileSystem implements FileSystem {
  readonly #tree: Tree;
  readonly #attributesTtlMs: number;
  readonly #listings = new Map<HandleId, Listing>();
  #nextListing = 1;

  /** `attributesTtlMs` holds for files when attributes alone are told: GETATTR, SETATTR. */
  constructor(tree: Tree, attributesTtlMs: number) {
    this.#tree = tree;
    this.#attributesTtlMs = attributesTtlMs;
  }

  lookup(parent: InodeNumber, name: Uint8Array): Entry {
    return refer(this.#child(parent, name));
  }

  forget(inode: InodeNumber, count: number): void {
    const node = this.#tree.node(inode);
    if (node === undefined) return;
    node.lookups -= count;
    this.#tree.dropUnused(node);
  }

  getattr(inode: InodeNumber): AttributesReply {
    const { attributes } = this.#node(inode);
    const ttlMs = attributes.type === 'directory' ? NAME_TTL_MS : this.#attributesTtlMs;
    return { attributes, ttlMs };
  }

  setattr(inode: InodeNumber, _: HandleId | undefined, changes: AttributeChanges): AttributesReply {
    const { attributes } = this.#node(inode);
    if (changes.bytes !== undefined) attributes.bytes = changes.bytes;
    if (changes.mode !== undefined) attributes.mode = changes.mode;
    return this.getattr(inode);
  }

  mkdir(parent: InodeNumber, name: Uint8Array, mode: number): Entry {
    return refer(this.#tree.make(this.#node(parent), name, 'directory', mode));
  }

  unlink(parent: InodeNumber, name: Uint8Array): void {
    this.#tree.unlink(this.#child(parent, name));
  }

  rmdir(parent: InodeNumber, name: Uint8Array): void {
    this.#tree.unlink(this.#child(parent, name));
  }

  rename(): void {
    throw new FsError('ENOSYS', 'rename: no workload does');
  }

  open(inode: InodeNumber): OpenedFile {
    const node = this.#node(inode);
    node.openHandles += 1;
    return { handle: node.inode as number as HandleId, keepCache: false, directIo: false };
  }

  create(parent: InodeNumber, name: Uint8Array, mode: number): CreatedFile {
    const folder = this.#node(parent);
    const node = this.#tree.find(folder, name) ?? this.#tree.make(folder, name, 'file', mode);
    node.openHandles += 1;
    const handle = node.inode as number as HandleId;
    return { handle, keepCache: false, directIo: false, entry: refer(node) };
  }

  read(handle: HandleId, offset: number, bytes: number): ReadBytes {
    return this.#tree.read(this.#node(handle), offset, bytes);
  }

  write(handle: HandleId, offset: number, bytes: Uint8Array): void {
    this.#tree.write(this.#node(handle), offset, bytes);
  }

  flush(): void {
    return undefined;
  }

  fsync(): void {
    return undefined;
  }

  release(handle: HandleId): void {
    const node = this.#node(handle);
    node.openHandles -= 1;
    this.#tree.dropUnused(node);
  }

  opendir(inode: InodeNumber): OpenedFile {
    const handle = this.#nextListing as HandleId;
    this.#nextListing += 1;
    this.#listings.set(handle, { folder: this.#node(inode), names: undefined });
    return { handle, keepCache: false, directIo: false };
  }

  readdir(handle: HandleId, cookie: number, fill: FillDirents): void {
    this.#list(handle, cookie, (name, { attributes: { ino, type } }, at) =>
      fill({ name, ino, type, cookie: at }),
    );
  }

  readdirplus(handle: HandleId, cookie: number, fill: FillEntries): void {
    this.#list(handle, cookie, (name, node, at) => {
      const { ino, type } = node.attributes;
      const isDot = at <= DOTS.length;
      const taken = fill({ name, ino, type, cookie: at }, isDot ? undefined : node);
      if (taken && !isDot) node.lookups += 1;
      return taken;
    });
  }

  releasedir(handle: HandleId): void {
    this.#listings.delete(handle);
  }

  fsyncdir(): void {
    return undefined;
  }

  statfs(): FileSystemStatistics {
    const blocks = 2 ** 30;
    const files = 2 ** 32;
    const space = { blocks, freeBlocks: blocks, files, freeFiles: files };
    return { blockBytes: BLOCK_BYTES, nameBytes: 255, ...space };
  }

  /** A cookie is the place in the listing, counted from 1 for '.'. */
  #list(
    handle: HandleId,
    cookie: number,
    take: (name: Uint8Array, node: Node, cookie: number) => boolean,
  ): void {
    const listing = this.#listings.get(handle);
    if (listing === undefined) throw stale;
    const { folder } = listing;
    if (cookie === 0 || listing.names === undefined) listing.names = [...(folder.names ?? [])];
    for (let at = cookie; at < DOTS.length + listing.names.length; at += 1) {
      const dot = DOTS[at];
      const node = dot === undefined ? listing.names[at - DOTS.length] : folder;
      if (node === undefined || !take(dot ?? node.name, node, at + 1)) return;
    }
  }

  #node(id: InodeNumber | HandleId): Node {
    const node = this.#tree.node(id);
    if (node === undefined) throw stale;
    return node;
  }

  #child(parent: InodeNumber, name: Uint8Array): Node {
    const node = this.#tree.find(this.#node(parent), name);
    if (node === undefined) throw noEntry;
    return node;
  }
}

/** Names that every folder has; no reference goes with them. */
const DOTS: readonly Uint8Array[] = [Buffer.from('.'), Buffer.from('..')];

function refer(node: Node): Entry {
  node.lookups += 1;
  return node;
}
