/**
 * rename(2) on a store that cannot rename: copies on the server, then deletes. A file's copy
 * appears whole before its old name goes; a directory's keys are all copied before the first is
 * deleted, and when a copy fails the others are taken back. Once the copies are there, only a
 * store that refuses to delete anything turns a rename back.
 */
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import { childDirectory, childKey } from '../store/keys.ts';
import type { ObjectStore, ObjectVersion } from '../store/object-store.ts';
import type { AttributeStore } from './attributes.ts';
import { becomeVersion } from './become-version.ts';
import { deleteSurely, isRefusal } from './deletes.ts';
import { foundDirectory } from './directory-source.ts';
import { FsError } from './errno.ts';
import type { RenameFlags } from './filesystem.ts';
import type { InodeTable } from './inode-table.ts';
import type { IntentNotes, NotedIntent } from './journal/intents.ts';
import {
  type DirectoryNode,
  type FileNode,
  filePlaceOf,
  isWithin,
  keepInView,
  type Node,
  placeOf,
} from './nodes.ts';
import type { Metadata } from './object-metadata.ts';
import { type Copy, PrefixMover } from './prefix-mover.ts';
import {
  alreadyThere,
  isADirectory,
  noSuchEntry,
  notADirectory,
  notPermitted,
} from './refusals.ts';
import { placeIn, type Remains } from './remains.ts';
import { hasNoAnswer } from './save-outcomes.ts';
import { refuseIfHeld, refuseInBucketList, refuseLongKey, type Tree } from './tree.ts';
import type { TreeLock } from './tree-lock.ts';
import type { WriteBack } from './write-back.ts';
import type { Writer } from './writer.ts';

export interface RenamerParts {
  readonly tree: Tree;
  readonly nodes: InodeTable;
  readonly attributes: AttributeStore;
  readonly writer: Writer;
  readonly treeLock: TreeLock;
  readonly remains: Remains;
  /** What was accepted and is not in the bucket yet. */
  readonly pending?: WriteBack;
  /** Where moves are written down; undefined: a crash leaves both names. */
  readonly notes: IntentNotes | undefined;
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
    // No order of copies and deletes has each content under one of the two names at every moment.
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
    const { writer } = this.#parts;
    const replacing = async (): Promise<void> => {
      if (target === undefined) {
        await locked();
        return;
      }
      const done = locked();
      target.replacing = done.catch(() => undefined);
      await done.finally(() => (target.replacing = undefined));
    };
    const locked = async (): Promise<void> => {
      const isHere = this.#isOnlyHere(source, target);
      // Else the bucket's copy is what moves, so it must be the whole truth.
      if (!isHere) await writer.saveLocked(source, signal);
      if (target !== undefined) await writer.preserve(target, signal);
      const move = async (): Promise<void> => {
        if (isHere) await this.#moveAccepted(source, target, to);
        else await this.#moveFile(source, target, to, flags.noReplace, signal);
      };
      const { parent } = source;
      if (parent === undefined) throw noSuchEntry;
      await this.#parts.treeLock.run({ stay: [parent, to.parent] }, move, signal);
    };
    // Always in the same order, or two renames could wait for each other.
    const nodes = [source, ...(target === undefined ? [] : [target])];
    nodes.sort((a, b) => b.inode - a.inode);
    let work = replacing;
    for (const node of nodes) {
      const inner = work;
      work = async () => await node.changing.run(inner, signal);
    }
    await work();
  }

  /**
   * Whether `source` was accepted and has no object yet, so that none need be moved. Not where an
   * upload may have arrived unheard, nor where what is replaced was accepted too: that is not given
   * up before this is written down.
   */
  #isOnlyHere(source: FileNode, target: FileNode | undefined): boolean {
    const { pending } = this.#parts;
    const { staged, version } = source;
    if (pending?.keeps(source) !== true || version !== undefined) return false;
    if (staged?.isAccepted !== true || staged.inDoubt || staged.sentBefore) return false;
    return target === undefined || (target.staged?.dirty !== true && !pending.keeps(target));
  }

  /** Gives another name to what is to be saved there; it replaces what is there then. */
  async #moveAccepted(source: FileNode, target: FileNode | undefined, to: NameAt): Promise<void> {
    const { tree, pending } = this.#parts;
    const { parent, name } = source;
    if (parent === undefined) throw noSuchEntry;
    const replaced = target?.version;
    if (target !== undefined) tree.gone(target);
    this.#replacing(source, to, replaced);
    try {
      await pending?.moved(source);
    } catch (error) {
      this.#replacing(source, { parent, name }, undefined);
      to.parent.directory.invalidate(to.name);
      throw error;
    }
    parent.directory.dropLocal(name);
    to.parent.directory.addLocal(to.name, 'file');
    keepInView(parent);
    this.#changedNow(parent, to.parent);
  }

  #replacing(node: FileNode, to: NameAt, version: ObjectVersion | undefined): void {
    const { attributes, nodes } = this.#parts;
    attributes.take(node);
    nodes.move(node, to.parent, to.name);
    node.version = version;
    if (node.staged !== undefined) {
      node.staged.base = version;
      node.staged.exclusive &&= version === undefined;
    }
    attributes.give(node);
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
      await this.#parts.remains.clear({ store, key: newKey }, signal);
      const condition = noReplace ? { precondition: { must: 'be-absent' } as const } : {};
      // What was set of late goes along.
      const set = this.#parts.attributes.forCopy(source);
      if (target !== undefined) await this.#parts.pending?.replacing(target, before);
      const copying = store.copy({ key, ...before }, newKey, { ...condition, ...set }, signal);
      const copy = await copying.catch((error: unknown) => {
        // What the target has to save may find the copy there: that is nobody else's.
        if (hasNoAnswer(error)) target?.staged?.mayBeReplacedBy(before);
        throw error;
      });
      // From here both names lead to the content: readers go to the new one.
      if (target !== undefined) this.#parts.tree.gone(target);
      this.#moved(source, to, before, copy, set.metadata);
      to.parent.directory.changed(to.name, { type: 'file', version: copy });
      const back = async (): Promise<void> => {
        // What was replaced cannot come back: then both names stay.
        if (target !== undefined) return;
        this.#moved(source, { parent, name }, copy, before);
        await deleteSurely(store, newKey);
      };
      const noted = await this.#noteOldName(store, key, before);
      await this.#deleteOldName(async () => await deleteSurely(store, key), back).finally(
        async () => await noted?.forget().catch(() => undefined),
      );
      parent.directory.changed(name, undefined);
      keepInView(parent);
      this.#changedNow(parent, to.parent);
    } catch (error) {
      parent.directory.invalidate(name);
      to.parent.directory.invalidate(to.name);
      throw error;
    }
  }

  /** From here on a crash is to end the rename. Without a note it leaves both names. */
  async #noteOldName(
    { bucket }: ObjectStore,
    key: string,
    { etag }: ObjectVersion,
  ): Promise<NotedIntent | undefined> {
    const { notes, log } = this.#parts;
    try {
      return await notes?.note({ kind: 'delete', bucket, key, etag });
    } catch (error) {
      log.warn('delete-not-noted', { key, error });
      return undefined;
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
  #moved(
    node: FileNode,
    to: NameAt,
    before: ObjectVersion,
    copy: ObjectVersion,
    metadata?: Metadata,
  ): void {
    const { attributes, nodes } = this.#parts;
    attributes.take(node);
    nodes.move(node, to.parent, to.name);
    becomeVersion(node, before, copy, attributes, metadata);
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
        keepInView(parent);
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
    const { remains } = this.#parts;
    const target_ = placeIn(to.parent, to.name);
    const newKey = childDirectory(placeOf(to.parent).key, to.name);
    // What was unlinked below does not move, and nothing of it may be left behind.
    await remains.clear(target_, signal);
    await remains.clearBelow({ store: target_.store, key: newKey }, signal);
    await remains.clearBelow(placeOf(source), signal);
    const mover = new PrefixMover(placeOf(source), newKey, { ...this.#parts, hidden: remains });
    const copies = await mover.copy(signal);
    if (target !== undefined) this.#parts.tree.gone(target);
    this.#movedDirectory(source, to, copies);
    await this.#parts.pending?.movedBelow(source);
    const back = async (): Promise<void> => {
      this.#movedDirectory(source, from, reversed(copies));
      await this.#parts.pending?.movedBelow(source);
      await mover.takeBack();
    };
    return await this.#deleteOldName(async () => await mover.deleteOld(copies), back);
  }

  #movedDirectory(source: DirectoryNode, to: NameAt, copies: ReadonlyMap<string, Copy>): void {
    const { attributes, nodes } = this.#parts;
    const below = [...allNodes(source)];
    const keys = below.map((node) => (node.type === 'file' ? filePlaceOf(node).key : ''));
    for (const node of below) attributes.take(node);
    nodes.move(source, to.parent, to.name);
    for (const [at, node] of below.entries()) {
      const copy = copies.get(keys[at] ?? '');
      if (node.type === 'file' && copy !== undefined) {
        becomeVersion(node, copy.before, copy.version, attributes);
      }
      attributes.give(node);
      if (node.type === 'directory') node.directory.invalidateAll();
    }
    to.parent.directory.changed(to.name, foundDirectory);
    // With nothing but local files below, the store has no key that shows it.
    if (copies.size === 0) keepInView(source);
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

function* allNodes(node: Node): Generator<Node> {
  yield node;
  if (node.type === 'directory') for (const child of node.children.values()) yield* allNodes(child);
}
