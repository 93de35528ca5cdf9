/**
 * The tree of bench/baseline/tree.c once more, in JavaScript: the same names, the same hash table,
 * the same contents, so that what differs between two servers is their transport. Names are found
 * by their bytes; nothing is turned into a string.
 */
import type { Attributes, FileType } from '../../src/fs/filesystem.ts';
import type { InodeNumber } from '../../src/fs/ids.ts';
import { GiB, MiB } from '../../src/lib/bytes.ts';

/** Names and attributes of folders: path walks check permissions, which must not cost requests. */
export const NAME_TTL_MS = 60_000;
export const BLOCK_BYTES = 4096;
const PATTERN_BYTES = 64 * MiB;
const BIG_BYTES = 2 * GiB;
/** A power of two, about twice the names of the tree. */
const BUCKETS = 2 ** 18;
const FILE_MODE = 0o644;
const FOLDER_MODE = 0o777;
/** Blocks of one allocation: 16 MiB. */
const SLAB_BLOCKS = 4096;
const CODE_ZERO = 0x30;

/** Where a file's bytes are: stored, computed, or thrown away. */
type Content = 'stored' | 'pattern' | 'discarded';

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

export class Node {
  readonly name: Uint8Array;
  readonly parent: Node | undefined;
  readonly content: Content;
  /** An `Entry`, as the kernel gets it; made once. */
  readonly inode: InodeNumber;
  readonly attributes: Mutable<Attributes>;
  readonly ttlMs = NAME_TTL_MS;
  /** Of a stored file, by their numbers in the store. */
  readonly blocks: number[] = [];
  /** Names of a folder in the order they were made. */
  readonly names: Set<Node> | undefined;
  nextInBucket: Node | undefined;
  lookups = 0;
  openHandles = 0;

  constructor(
    inode: number,
    parent: Node | undefined,
    name: Uint8Array,
    type: FileType,
    mode: number,
    content: Content = 'stored',
  ) {
    this.inode = inode as InodeNumber;
    this.parent = parent;
    this.name = name;
    this.content = content;
    this.names = type === 'directory' ? new Set() : undefined;
    const now = Date.now();
    const bytes = content === 'pattern' ? BIG_BYTES : 0;
    const nlink = type === 'directory' ? 2 : 1;
    const times = { atimeMs: now, mtimeMs: now, ctimeMs: now };
    this.attributes = { ino: inode, type, mode, nlink, uid: 0, gid: 0, bytes, ...times };
  }
}

export class Tree {
  readonly root: Node;
  readonly #nodes: (Node | undefined)[] = [undefined];
  readonly #buckets: (Node | undefined)[];
  readonly #pattern: Uint8Array;
  readonly #store = new BlockStore();

  /** `planted` gives it the files of the benchmark; without, it is one empty folder. */
  constructor(planted: boolean) {
    this.#buckets = new Array<Node | undefined>(planted ? BUCKETS : 1).fill(undefined);
    this.#pattern = new Uint8Array(planted ? PATTERN_BYTES : 0);
    this.root = new Node(1, undefined, new Uint8Array(0), 'directory', FOLDER_MODE);
    this.#nodes.push(this.root);
    if (planted) this.#plant();
  }

  node(inode: number): Node | undefined {
    return this.#nodes[inode];
  }

  find(parent: Node, name: Uint8Array): Node | undefined {
    let node = this.#buckets[this.#bucketOf(parent, name)];
    while (node !== undefined && !(node.parent === parent && equal(node.name, name))) {
      node = node.nextInBucket;
    }
    return node;
  }

  make(
    parent: Node,
    name: Uint8Array,
    type: FileType,
    mode: number,
    content: Content = 'stored',
  ): Node {
    const node = new Node(this.#nodes.length, parent, name, type, mode, content);
    this.#nodes.push(node);
    const bucket = this.#bucketOf(parent, name);
    node.nextInBucket = this.#buckets[bucket];
    this.#buckets[bucket] = node;
    parent.names?.add(node);
    return node;
  }

  unlink(node: Node): void {
    const { parent } = node;
    if (parent === undefined) return;
    const bucket = this.#bucketOf(parent, node.name);
    const first = this.#buckets[bucket];
    if (first === node) this.#buckets[bucket] = node.nextInBucket;
    for (let at = first; at !== undefined; at = at.nextInBucket) {
      if (at.nextInBucket === node) at.nextInBucket = node.nextInBucket;
    }
    parent.names?.delete(node);
    node.attributes.nlink = 0;
    this.dropUnused(node);
  }

  /** Forgets `node` once no name, no reference of the kernel and no handle is left. */
  dropUnused(node: Node): void {
    if (node.attributes.nlink > 0 || node.lookups > 0 || node.openHandles > 0) return;
    this.#nodes[node.inode] = undefined;
    for (const block of node.blocks) this.#store.give(block);
  }

  /** Bytes that lie together at `offset`, at most `wanted`. */
  read(node: Node, offset: number, wanted: number): Uint8Array {
    const bytes = Math.min(wanted, Math.max(0, node.attributes.bytes - offset));
    if (node.content === 'pattern') {
      const from = offset % PATTERN_BYTES;
      return this.#pattern.subarray(from, Math.min(from + bytes, PATTERN_BYTES));
    }
    const within = offset % BLOCK_BYTES;
    const block = node.blocks[Math.floor(offset / BLOCK_BYTES)];
    const view = block === undefined ? zeros : this.#store.block(block);
    return view.subarray(within, Math.min(within + bytes, BLOCK_BYTES));
  }

  write(node: Node, offset: number, bytes: Uint8Array): void {
    node.attributes.bytes = Math.max(node.attributes.bytes, offset + bytes.length);
    if (node.content !== 'stored') return;
    for (let at = 0; at < bytes.length; ) {
      const within = (offset + at) % BLOCK_BYTES;
      const part = bytes.subarray(at, at + BLOCK_BYTES - within);
      const index = Math.floor((offset + at) / BLOCK_BYTES);
      while (node.blocks.length <= index) node.blocks.push(this.#store.take());
      this.#store.block(node.blocks[index] ?? 0).set(part, within);
      at += part.length;
    }
  }

  /** FNV-1a over the name, started with the folder so that equal names spread. */
  #bucketOf(parent: Node, name: Uint8Array): number {
    let hash = 2166136261 ^ Math.imul(parent.inode, 2654435761);
    for (const byte of name) hash = Math.imul(hash ^ byte, 16777619);
    return hash & (this.#buckets.length - 1);
  }

  #plant(): void {
    for (let at = 0; at < PATTERN_BYTES; at += BLOCK_BYTES) {
      this.#pattern.fill(at / BLOCK_BYTES, at, at + BLOCK_BYTES);
    }
    this.make(this.root, bytesOf('big'), 'file', FILE_MODE, 'pattern');
    this.make(this.root, bytesOf('null'), 'file', FILE_MODE, 'discarded');
    this.#plantFolder('many-10k', 10_000);
    for (const last of 'abc') this.#plantFolder(`list-10k-${last}`, 10_000);
    this.#plantFolder('list-100k', 100_000);
    this.make(this.root, bytesOf('made'), 'directory', FOLDER_MODE);
  }

  #plantFolder(name: string, count: number): void {
    const folder = this.make(this.root, bytesOf(name), 'directory', FOLDER_MODE);
    for (let at = 0; at < count; at += 1) this.make(folder, fileName(at), 'file', FILE_MODE);
  }
}

const zeros = new Uint8Array(BLOCK_BYTES);

/**
 * Blocks that are used again, as malloc does for tree.c: an `ArrayBuffer` for each would have the
 * collector run for what a program in C does by hand.
 */
class BlockStore {
  readonly #slabs: Uint8Array[] = [];
  readonly #free: number[] = [];

  /** The number of a block of zeros. */
  take(): number {
    if (this.#free.length === 0) this.#grow();
    return this.#free.pop() ?? 0;
  }

  give(block: number): void {
    this.block(block).fill(0);
    this.#free.push(block);
  }

  block(number: number): Uint8Array {
    const from = (number % SLAB_BLOCKS) * BLOCK_BYTES;
    const slab = this.#slabs[Math.floor(number / SLAB_BLOCKS)] ?? zeros;
    return slab.subarray(from, from + BLOCK_BYTES);
  }

  #grow(): void {
    const first = this.#slabs.length * SLAB_BLOCKS;
    this.#slabs.push(new Uint8Array(SLAB_BLOCKS * BLOCK_BYTES));
    for (let at = SLAB_BLOCKS - 1; at >= 0; at -= 1) this.#free.push(first + at);
  }
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let at = 0; at < a.length; at += 1) if (a[at] !== b[at]) return false;
  return true;
}

function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** `f000000` and on, made byte by byte: 140,000 strings would take the daemon's start seconds. */
function fileName(number: number): Uint8Array {
  const name = new Uint8Array(7);
  name[0] = 'f'.charCodeAt(0);
  let rest = number;
  for (let at = 6; at > 0; at -= 1) {
    name[at] = CODE_ZERO + (rest % 10);
    rest = Math.floor(rest / 10);
  }
  return name;
}
