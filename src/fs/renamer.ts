/**
 * rename(2) on a store that cannot rename: copies on the server, then deletes. A file's copy
 * appears whole before its old name goes; a directory's keys are all copied before the first is
 * deleted, and when a copy fails the others are taken back. Once the copies are there, only a
 * store that refuses to delete anything turns a rename back.
 */
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import { childDirectory, childKey } from '../store/keys.ts';
import type { ObjectVersion } from '../store/object-store.ts';
import type { AttributeStore } from './attributes.ts';
import { foundDirectory } from './directory-source.ts';
import { FsError } from './errno.ts';
import type { RenameFlags } from './filesystem.ts';
import type { InodeTable } from './inode-table.ts';
import {
  type DirectoryNode,
  type FileNode,
  filePlaceOf,
  isWithin,
  type Node,
  placeOf,
} from './nodes.ts';
import { type Copy, deleteSurely, isRefusal, PrefixMover } from './prefix-mover.ts';
import {
  alreadyThere,
  isADirectory,
  noSuchEntry,
  notADirectory,
  notPermitted,
} from './refusals.ts';
import { refuseIfHeld, refuseInBucketList, refuseLongKey, type Tree } from './tree.ts';
import type { TreeLock } from './tree-lock.ts';
import type { Writer } from './writer.ts';

export interface RenamerParts {
  readonly tree: Tree;
  readonly nodes: InodeTable;
  readonly attributes: AttributeStore;
  readonly writer: Writer;
  readonly treeLock: TreeLock;
  readonly clock: Clock;
  readonly log: Log;
}

/** A name in a directory. */
export interface NameAt {
  readonly parent: DirectoryNode;
  readonly name: string;
}

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
      if (target !== undefined) await this.#parts.writer.preserve(target, signal);
      const move = async (): Promise<void> =>
        await this.#moveFile(source, target, to, flags.noReplace, signal);
      const { parent } = source;
      if (parent === undefined) throw noSuchEntry;
      await this.#parts.treeLock.run({ stay: [parent, to.parent] }, move, signal);
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
      const back = async (): Promise<void> => {
        // What was replaced cannot come back: then both names stay.
        if (target !== undefined) return;
        this.#moved(source, { parent, name }, copy, before);
        await deleteSurely(store, newKey);
      };
      await this.#deleteOldName(async () => await deleteSurely(store, key), back);
      parent.directory.changed(name, undefined);
      this.#parts.tree.keepInView(parent);
      this.#changedNow(parent, to.parent);
    } catch (error) {
      parent.directory.invalidate(name);
      to.parent.directory.invalidate(to.name);
      throw error;
    }
  }

  /** A store that refuses to delete has deleted nothing: then the copies go. */
  async #deleteOldName<T>(work: () => Promise<T>, back: () => Promise<void>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (isRefusal(error)) {
        await back().catch((left: unknown) => {
          this.#parts.log.error('copies-left', { copies: 1, error: left });
        });
      }
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
    const { parent } = source;
    if (parent === undefined) throw noSuchEntry;
    const move = async (): Promise<void> => {
      if (target !== undefined) refuseIfHeld(target);
      const { name } = source;
      try {
        const left = await this.#moveDirectory(
          source,
          target,
          { from: { parent, name }, to },
          signal,
        );
        if (left === 0) parent.directory.changed(name, undefined);
        else parent.directory.invalidate(name);
        this.#parts.tree.keepInView(parent);
        this.#changedNow(parent, to.parent);
      } catch (error) {
        parent.directory.invalidate(name);
        to.parent.directory.invalidate(to.name);
        source.directory.invalidateAll();
        throw error;
      }
    };
    const claim = {
      stay: [parent, to.parent],
      move: target === undefined ? [source] : [source, target],
    };
    await this.#parts.treeLock.run(claim, move, signal);
  }

  /** Returns how many old keys could not be deleted. */
  async #moveDirectory(
    source: DirectoryNode,
    target: DirectoryNode | undefined,
    { from, to }: { readonly from: NameAt; readonly to: NameAt },
    signal: AbortSignal,
  ): Promise<number> {
    const newKey = childDirectory(placeOf(to.parent).key, to.name);
    const mover = new PrefixMover(placeOf(source), newKey, this.#parts.log);
    const copies = await mover.copy(signal);
    if (target !== undefined) this.#parts.tree.gone(target);
    this.#movedDirectory(source, to, copies);
    const back = async (): Promise<void> => {
      this.#movedDirectory(source, from, reversed(copies));
      await mover.takeBack();
    };
    return await this.#deleteOldName(async () => await mover.deleteOld([...copies.keys()]), back);
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

/** What takes nodes back to where they were. */
function reversed(copies: ReadonlyMap<string, Copy>): ReadonlyMap<string, Copy> {
  const back = new Map<string, Copy>();
  for (const [key, copy] of copies) {
    back.set(copy.key, { key, before: copy.version, version: copy.before });
  }
  return back;
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

function* allNodes(node: Node): Generator<Node> {
  yield node;
  if (node.type === 'directory') for (const child of node.children.values()) yield* allNodes(child);
}
