/**
 * Answers READDIR and READDIRPLUS. Where attributes are read of metadata, that of the names of one
 * reply is asked for at once before any of them is told.
 */
import type { AttributeReader, ListedEntry } from './attribute-reader.ts';
import type { AttributeStore } from './attributes.ts';
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

/** One name on its way to the kernel; '.' and '..' have no part. */
interface Listed {
  readonly dirent: ListedName;
  readonly part: string | undefined;
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
    const take = (dirent: ListedName, part: string | undefined): boolean =>
      part === undefined
        ? fill({ ...dirent, ino: this.#dotIno(node, dirent) })
        : fill({ ...dirent, type: this.#typeOf(node, part, dirent), ino: ino(part, dirent.type) });
    return walkDirectory(directory, cookie, take, () => context.signal);
  }

  entries(
    directory: DirectoryHandle,
    cookie: number,
    fill: FillEntries,
    context: RequestContext,
  ): MaybePromise<void> {
    const { node } = directory;
    const take = (dirent: ListedName, part: string | undefined): boolean =>
      this.#fillOne(node, { dirent, part }, fill);
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
    const listed: Listed[] = [];
    const gather = (dirent: ListedName, part: string | undefined): boolean => {
      if (listed.length === MOST_READ) return false;
      listed.push({ dirent, part });
      return true;
    };
    await walkDirectory(directory, cookie, gather, () => context.signal);
    const entries = listed.flatMap(({ part }): ListedEntry[] => {
      const found = part === undefined ? undefined : node.directory.shown(part);
      return part === undefined || found === undefined ? [] : [{ name: part, found }];
    });
    await reader.knowAll(node, entries, context.signal);
    for (const each of listed) if (!this.#fillOne(node, each, fill)) return;
  }

  #fillOne(node: DirectoryNode, { dirent, part }: Listed, fill: FillEntries): boolean {
    if (part === undefined) return fill({ ...dirent, ino: this.#dotIno(node, dirent) }, undefined);
    return this.#fillEntry(node, dirent, part, fill);
  }

  #fillEntry(parent: DirectoryNode, dirent: ListedName, part: string, fill: FillEntries): boolean {
    const { nodes, tree, attributes } = this.#parts;
    const found = parent.directory.shown(part);
    if (found === undefined) return true;
    if (nodes.isFull && !parent.children.has(part)) {
      const type = this.#typeOf(parent, part, dirent);
      return fill({ ...dirent, type, ino: childInos(parent)(part, dirent.type) }, undefined);
    }
    const node = tree.bind(parent, part, found);
    const ttlMs = parent.directory.peek(part)?.ttlMs ?? 0;
    const shown = attributes.of(node);
    const entry: Entry = { inode: node.inode, attributes: shown, ttlMs };
    const taken = fill({ ...dirent, type: shown.type, ino: shown.ino }, entry);
    if (taken) node.lookups += 1;
    else nodes.release(node);
    return taken;
  }

  /** 'unknown' where only its metadata tells, which nobody has asked for. */
  #typeOf(parent: DirectoryNode, part: string, { type }: ListedName): Dirent['type'] {
    if (type === 'directory') return type;
    const { attributes, reader } = this.#parts;
    const present = parent.children.get(part);
    if (present?.type === 'file' && present.lookups > 0) return present.kind;
    const found = parent.directory.shown(part);
    if (found?.type !== 'file' || found.version.etag === '') return type;
    if (found.version.bytes > TARGET_BYTES) return type;
    const isUnread = reader !== undefined && !reader.isKnownIn(parent, { name: part, found });
    return isUnread ? 'unknown' : attributes.kindAt(parent, part, found.version);
  }

  #dotIno(node: DirectoryNode, { cookie }: Pick<Dirent, 'cookie'>): Attributes['ino'] {
    return this.#parts.attributes.of(cookie === 1 ? node : (node.parent ?? node)).ino;
  }
}
