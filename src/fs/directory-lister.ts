/**
 * Answers READDIR and READDIRPLUS. Where attributes are read of metadata, that of the names of one
 * reply is asked for at once before any of them is told.
 */
import type { AttributeReader, ListedEntry } from './attribute-reader.ts';
import type { AttributeStore } from './attributes.ts';
import type { Shown } from './directory.ts';
import { type ListedName, walkDirectory } from './directory-walk.ts';
import type {
  Attributes,
  Dirent,
  Entry,
  FillDirents,
  FillEntries,
  MaybePromise,
  RequestContext,
} from './filesystem.ts';
import type { DirectoryHandle } from './handle-table.ts';
import type { InodeTable } from './inode-table.ts';
import type { DirectoryNode } from './nodes.ts';
import { childInos } from './st-ino.ts';
import type { Tree } from './tree.ts';

export interface DirectoryListerParts {
  readonly nodes: InodeTable;
  readonly tree: Tree;
  readonly attributes: AttributeStore;
  /** Undefined where attributes are not read of metadata. */
  readonly reader: AttributeReader | undefined;
}

/** One name on its way to the kernel. */
interface Listed {
  readonly dirent: ListedName;
  readonly listed: Shown | undefined;
}

/** Names of one reply whose metadata is asked for: about what 32 KiB of the kernel's buffer hold. */
const MOST_READ = 160;
/** No link is longer: what is, is a regular file whatever metadata says. */
const TARGET_BYTES = 4095;

export class DirectoryLister {
  readonly #parts: DirectoryListerParts;

  constructor(parts: DirectoryListerParts) {
    this.#parts = parts;
  }

  names(
    directory: DirectoryHandle,
    cookie: number,
    fill: FillDirents,
    context: RequestContext,
  ): MaybePromise<void> {
    const { node } = directory;
    const ino = childInos(node);
    const take = ({ name, type, cookie }: ListedName, listed: Shown | undefined): boolean =>
      listed === undefined
        ? fill({ name, type, cookie, ino: this.#dotIno(node, cookie) })
        : fill({ name, type: this.#typeOf(node, listed), cookie, ino: ino(listed.part, type) });
    return walkDirectory(directory, cookie, take, () => context.signal);
  }

  entries(
    directory: DirectoryHandle,
    cookie: number,
    fill: FillEntries,
    context: RequestContext,
  ): MaybePromise<void> {
    const { node } = directory;
    const take = (dirent: ListedName, listed: Shown | undefined): boolean =>
      this.#fillOne(node, dirent, listed, fill);
    if (this.#parts.reader !== undefined) {
      return this.#read(this.#parts.reader, directory, cookie, fill, context);
    }
    return walkDirectory(directory, cookie, take, () => context.signal);
  }

  async #read(
    reader: AttributeReader,
    directory: DirectoryHandle,
    cookie: number,
    fill: FillEntries,
    context: RequestContext,
  ): Promise<void> {
    const { node } = directory;
    const gathered: Listed[] = [];
    const gather = (dirent: ListedName, listed: Shown | undefined): boolean => {
      if (gathered.length === MOST_READ) return false;
      gathered.push({ dirent, listed });
      return true;
    };
    await walkDirectory(directory, cookie, gather, () => context.signal);
    const entries = gathered.flatMap(({ listed }): ListedEntry[] =>
      listed === undefined ? [] : [{ name: listed.part, found: listed.found }],
    );
    await reader.knowAll(node, entries, context.signal);
    for (const { dirent, listed } of gathered) {
      // Names may have changed while metadata was asked for.
      const now = listed && node.directory.shownNow(listed.part);
      if (listed !== undefined && now === undefined) continue;
      if (!this.#fillOne(node, dirent, now, fill)) return;
    }
  }

  #fillOne(
    node: DirectoryNode,
    dirent: ListedName,
    listed: Shown | undefined,
    fill: FillEntries,
  ): boolean {
    if (listed !== undefined) return this.#fillEntry(node, dirent, listed, fill);
    const { name, type, cookie } = dirent;
    return fill({ name, type, cookie, ino: this.#dotIno(node, cookie) }, undefined);
  }

  #fillEntry(
    parent: DirectoryNode,
    { name, cookie }: ListedName,
    listed: Shown,
    fill: FillEntries,
  ): boolean {
    const { nodes, tree, attributes } = this.#parts;
    const { part, found, ttlMs } = listed;
    if (nodes.isFull && !parent.children.has(part)) {
      const type = this.#typeOf(parent, listed);
      return fill({ name, type, cookie, ino: childInos(parent)(part, found.type) }, undefined);
    }
    const node = tree.bind(parent, part, found);
    const shown = attributes.of(node);
    const entry: Entry = { inode: node.inode, attributes: shown, ttlMs };
    const taken = fill({ name, cookie, type: shown.type, ino: shown.ino }, entry);
    if (taken) node.lookups += 1;
    else nodes.release(node);
    return taken;
  }

  /** 'unknown' where only its metadata tells, which nobody has asked for. */
  #typeOf(parent: DirectoryNode, { part, found }: Shown): Dirent['type'] {
    if (found.type === 'directory') return 'directory';
    const { attributes, reader } = this.#parts;
    const present = parent.children.get(part);
    if (present?.type === 'file' && present.lookups > 0) return present.kind;
    if (found.version.etag === '' || found.version.bytes > TARGET_BYTES) return 'file';
    const isUnread = reader !== undefined && !reader.isKnownIn(parent, { name: part, found });
    return isUnread ? 'unknown' : attributes.kindAt(parent, part, found.version);
  }

  #dotIno(node: DirectoryNode, cookie: Dirent['cookie']): Attributes['ino'] {
    return this.#parts.attributes.of(cookie === 1 ? node : (node.parent ?? node)).ino;
  }
}
