/**
 * rename(2) on a store that cannot rename: copies on the server, then deletes. A file's copy
 * appears whole before its old name goes; a directory's keys are all copied before the first is
 * deleted, and when a copy fails the others are taken back.
 */
import { LinkedAbort } from '../lib/abort.ts';
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import { childDirectory, childKey } from '../store/keys.ts';
import type { ObjectStore, ObjectSummary, ObjectVersion } from '../store/object-store.ts';
import type { AttributeStore } from './attributes.ts';
import { foundDirectory } from './directory-source.ts';
import { FsError } from './errno.ts';
import type { RenameFlags } from './filesystem.ts';
import type { InodeTable } from './inode-table.ts';
import type { SharedLock } from './locks.ts';
import { type DirectoryNode, type FileNode, filePlaceOf, type Node, placeOf } from './nodes.ts';
import {
  alreadyThere,
  isADirectory,
  noSuchEntry,
  notADirectory,
  notPermitted,
} from './refusals.ts';
import { refuseInBucketList, refuseLongKey, refuseUnlessEmpty, type Tree } from './tree.ts';
import type { Writer } from './writer.ts';

export interface RenamerParts {
  readonly tree: Tree;
  readonly nodes: InodeTable;
  readonly attributes: AttributeStore;
  readonly writer: Writer;
  readonly treeLock: SharedLock;
  readonly clock: Clock;
  readonly log: Log;
}

/** A name in a directory. */
export interface NameAt {
  readonly parent: DirectoryNode;
  readonly name: string;
}

/** Copies and deletes of one directory under way at once. */
const PARALLEL = 16;

export class Renamer {
  readonly #parts: RenamerParts;

  constructor(parts: RenamerParts) {
    this.#parts = parts;
  }

  async rename(from: NameAt, to: NameAt, flags: RenameFlags, signal: AbortSignal): Promise<void> {
    if (flags.exchange) throw new FsError('EINVAL', 'exchange two names');
    refuseInBucketList(from.parent);
    refuseInBucketList(to.parent);
    const source = (await this.#parts.tree.find(from.parent, from.name, () => signal))?.node;
    if (source === undefined) throw noSuchEntry;
    if (placeOf(from.parent).store !== placeOf(to.parent).store) {
      throw new FsError('EXDEV', 'rename into another bucket');
    }
    if (isWithin(to.parent, source)) throw new FsError('EINVAL', 'move a directory into itself');
    const target = (await this.#parts.tree.find(to.parent, to.name, () => signal))?.node;
    if (target === source) return;
    if (target !== undefined && flags.noReplace) throw alreadyThere;
    refuseLongKey(to.parent, to.name);
    if (source.type === 'file') await this.#renameFile(source, target, to, flags, signal);
    else await this.#renameDirectory(source, target, to, signal);
  }

  async #renameFile(
    source: FileNode,
    target: Node | undefined,
    to: NameAt,
    flags: RenameFlags,
    signal: AbortSignal,
  ): Promise<void> {
    if (target?.type === 'directory') throw isADirectory;
    const locked = async (): Promise<void> => {
      // The bucket's copy is what moves, so it must be the whole truth.
      await this.#parts.writer.saveLocked(source, signal);
      const move = async (): Promise<void> =>
        await this.#moveFile(source, target, to, flags.noReplace, signal);
      await this.#parts.treeLock.share(move, signal);
    };
    // Always in the same order, or two renames could wait for each other.
    const nodes = [source, ...(target === undefined ? [] : [target])];
    nodes.sort((a, b) => b.inode - a.inode);
    let work = locked;
    for (const node of nodes) {
      const inner = work;
      work = async () => await node.changing.run(inner, signal);
    }
    await work();
  }

  async #moveFile(
    source: FileNode,
    target: FileNode | undefined,
    to: NameAt,
    noReplace: boolean,
    signal: AbortSignal,
  ): Promise<void> {
    const { parent, name } = source;
    if (parent === undefined || source.version === undefined) throw noSuchEntry;
    const { store, key } = filePlaceOf(source);
    const newKey = childKey(placeOf(to.parent).key, to.name);
    try {
      const before = source.version;
      const options = noReplace ? { precondition: { must: 'be-absent' } as const } : {};
      const copy = await store.copy({ key, ...before }, newKey, options, signal);
      // From here both names lead to the content: readers go to the new one.
      if (target !== undefined) this.#parts.tree.gone(target);
      this.#moved(source, to, before, copy);
      to.parent.directory.changed(to.name, { type: 'file', version: copy });
      await store.delete(key, signal);
      parent.directory.changed(name, undefined);
      this.#parts.tree.keepInView(parent);
      this.#changedNow(parent, to.parent);
    } catch (error) {
      parent.directory.invalidate(name);
      to.parent.directory.invalidate(to.name);
      throw error;
    }
  }

  #changedNow(...directories: readonly DirectoryNode[]): void {
    for (const directory of directories) directory.changedMs = this.#parts.clock.now();
  }

  /** A file is at another name now, as another version with the same content. */
  #moved(node: FileNode, to: NameAt, before: ObjectVersion, copy: ObjectVersion): void {
    const { attributes, nodes } = this.#parts;
    attributes.take(node);
    nodes.move(node, to.parent, to.name);
    becomeVersion(node, before, copy);
    attributes.give(node);
  }

  async #renameDirectory(
    source: DirectoryNode,
    target: Node | undefined,
    to: NameAt,
    signal: AbortSignal,
  ): Promise<void> {
    if (target?.type === 'file') throw notADirectory;
    if (source.top !== undefined) throw notPermitted;
    const move = async (): Promise<void> => {
      if (target !== undefined) await refuseUnlessEmpty(target, signal);
      const { store, key } = placeOf(source);
      const newKey = childDirectory(placeOf(to.parent).key, to.name);
      const { parent } = source;
      if (parent === undefined) throw noSuchEntry;
      const { name } = source;
      try {
        const copies = await this.#copyAll(store, key, newKey, signal);
        if (target !== undefined) this.#parts.tree.gone(target);
        this.#movedDirectory(source, to, copies);
        await inParallel(
          [...copies.keys()],
          async (old, abort) => {
            await store.delete(old, abort);
          },
          signal,
        );
        parent.directory.changed(name, undefined);
        this.#parts.tree.keepInView(parent);
        this.#changedNow(parent, to.parent);
      } catch (error) {
        parent.directory.invalidate(name);
        to.parent.directory.invalidate(to.name);
        source.directory.invalidateAll();
        throw error;
      }
    };
    await this.#parts.treeLock.alone(move, signal);
  }

  /** Copies every key under `from`; by its old key, what each has become. */
  async #copyAll(
    store: ObjectStore,
    from: string,
    to: string,
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, Copy>> {
    const copies = new Map<string, Copy>();
    const objects = await allBelow(store, from, signal);
    try {
      await inParallel(
        objects,
        async (object, abort) => {
          const key = to + object.key.slice(from.length);
          const version = await store.copy(object, key, {}, abort);
          copies.set(object.key, { key, before: object, version });
        },
        signal,
      );
    } catch (error) {
      await this.#takeBack(store, [...copies.values()]);
      throw error;
    }
    return copies;
  }

  async #takeBack(store: ObjectStore, copies: readonly Copy[]): Promise<void> {
    const { signal } = new AbortController();
    try {
      await inParallel(copies, async ({ key }) => await store.delete(key, signal), signal);
    } catch (error) {
      this.#parts.log.warn('copies-left', { copies: copies.length, error });
    }
  }

  #movedDirectory(source: DirectoryNode, to: NameAt, copies: ReadonlyMap<string, Copy>): void {
    const { attributes, nodes, tree } = this.#parts;
    const below = [...allNodes(source)];
    const keys = below.map((node) => (node.type === 'file' ? filePlaceOf(node).key : ''));
    for (const node of below) attributes.take(node);
    nodes.move(source, to.parent, to.name);
    for (const [at, node] of below.entries()) {
      const copy = copies.get(keys[at] ?? '');
      if (node.type === 'file' && copy !== undefined) {
        becomeVersion(node, copy.before, copy.version);
      }
      attributes.give(node);
      if (node.type === 'directory') node.directory.invalidateAll();
    }
    to.parent.directory.changed(to.name, foundDirectory);
    // With nothing but local files below, the store has no key that shows it.
    if (copies.size === 0) tree.keepInView(source);
  }
}

/** A key that became another. */
interface Copy {
  readonly key: string;
  readonly before: ObjectVersion;
  readonly version: ObjectVersion;
}

/** Handles and local content of the version `before` go on with `copy`, which has its bytes. */
function becomeVersion(node: FileNode, before: ObjectVersion, copy: ObjectVersion): void {
  const { staged, overrides } = node;
  for (const { pinned } of node.handles) {
    if (pinned?.version.etag === before.etag) pinned.version = copy;
  }
  if (staged?.base?.etag === before.etag) {
    staged.base = copy;
    staged.versions.add(copy.etag);
  }
  if (node.cachedEtag === before.etag) node.cachedEtag = copy.etag;
  if (node.version?.etag !== before.etag) return;
  node.version = copy;
  // A rename does not change when the content was written.
  const timed = overrides?.etag === before.etag ? overrides : {};
  node.overrides = {
    ...overrides,
    mtimeMs: timed.mtimeMs ?? before.modifiedMs,
    etag: copy.etag,
  };
}

function isWithin(directory: DirectoryNode, node: Node): boolean {
  for (let at: DirectoryNode | undefined = directory; at; at = at.parent) {
    if (at === node) return true;
  }
  return false;
}

function* allNodes(node: Node): Generator<Node> {
  yield node;
  if (node.type === 'directory') for (const child of node.children.values()) yield* allNodes(child);
}

async function allBelow(
  store: ObjectStore,
  prefix: string,
  signal: AbortSignal,
): Promise<readonly ObjectSummary[]> {
  const objects: ObjectSummary[] = [];
  let continuation: string | undefined;
  do {
    const more = continuation === undefined ? {} : { continuation };
    const page = await store.list({ prefix, ...more }, signal);
    objects.push(...page.objects);
    continuation = page.next;
  } while (continuation !== undefined);
  return objects;
}

/** Does `work` for each item, some at once; the first failure ends the rest. */
async function inParallel<T>(
  items: readonly T[],
  work: (item: T, signal: AbortSignal) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const waiting = items.values();
  using abort = new LinkedAbort(signal);
  const worker = async (): Promise<void> => {
    for (const item of waiting) {
      abort.signal.throwIfAborted();
      await work(item, abort.signal);
    }
  };
  const workers = Array.from({ length: Math.min(PARALLEL, items.length) }, worker);
  try {
    await Promise.all(workers);
  } catch (error) {
    abort.abort(error);
    await Promise.allSettled(workers);
    throw error;
  }
}
