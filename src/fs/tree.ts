/**
 * Names: what they lead to, and making and removing them. Changes claim their directory in the
 * tree's lock, so that none above moves meanwhile; the kernel itself lets one change at a time
 * into a directory.
 */
import type { Clock } from '../lib/clock.ts';
import { StoreError } from '../store/errors.ts';
import { childDirectory, childKey, fitsKey, nameOfPart, partOfName } from '../store/keys.ts';
import type { ObjectSummary } from '../store/object-store.ts';
import type { AttributeStore } from './attributes.ts';
import { isRefusal } from './deletes.ts';
import type { Answer } from './directory.ts';
import { type Found, foundDirectory, type HiddenObjects, type Place } from './directory-source.ts';
import { FsError } from './errno.ts';
import type { MaybePromise } from './filesystem.ts';
import type { InodeTable } from './inode-table.ts';
import type { KernelCache } from './kernel-cache.ts';
import {
  type DirectoryNode,
  type FileNode,
  filePlaceOf,
  isBucketList,
  keepInView,
  type Node,
  placeOf,
} from './nodes.ts';
import type { Metadata } from './object-metadata.ts';
import type { Consistency } from './options.ts';
import {
  alreadyThere,
  isADirectory,
  noSuchEntry,
  notADirectory,
  notEmpty,
  notPermitted,
} from './refusals.ts';
import { placeIn, type Remains } from './remains.ts';
import type { TreeLock } from './tree-lock.ts';
import type { WriteBack } from './write-back.ts';

/** A node found by name, and for how long the kernel may believe it. */
export interface FoundNode {
  readonly node: Node;
  readonly ttlMs: number;
}

export interface TreeParts {
  readonly nodes: InodeTable;
  readonly attributes: AttributeStore;
  readonly treeLock: TreeLock;
  readonly remains: Remains;
  /** What was accepted and is not in the bucket yet. */
  readonly pending?: Pick<WriteBack, 'unlinked' | 'moved'>;
  readonly clock: Clock;
  readonly listTtlMs: number;
  /** 'strict': an open asks the store whatever is known. By default the TTL counts there too. */
  readonly consistency?: Consistency | undefined;
  /** Hears of what is refreshed. */
  readonly kernel?: KernelCache | undefined;
}

/** What an open may believe: what is known for the TTL, or only the store's word. */
const MARKER = {
  precondition: { must: 'be-absent' },
  contentType: 'application/x-directory',
} as const;

export class Tree {
  readonly #parts: TreeParts;

  constructor(parts: TreeParts) {
    this.#parts = parts;
  }

  /** What `name` leads to; undefined when there is nothing. */
  find(
    parent: DirectoryNode,
    name: string,
    signal: () => AbortSignal,
  ): MaybePromise<FoundNode | undefined> {
    const answer = parent.directory.peek(name);
    if (answer !== undefined) return this.#bind(parent, name, answer);
    return this.#ask(parent, name, signal());
  }

  /** The node that `found` in a listing of `parent` stands for. */
  bind(parent: DirectoryNode, name: string, found: Found): Node {
    return this.#parts.nodes.bind(parent, name, found);
  }

  /** The node of the same name for what `node` is, now that more may be known of that. */
  rebind(parent: DirectoryNode, node: Node): Node {
    const { name, type } = node;
    if (type === 'directory') return this.bind(parent, name, foundDirectory);
    const { version } = node;
    return version === undefined ? node : this.bind(parent, name, { type: 'file', version });
  }

  /**
   * Brings a node up to date with its name, when what is known of that is too old, and says for
   * how long that holds; undefined when the name leads elsewhere by now, or nowhere.
   */
  freshFor(node: Node, signal: () => AbortSignal): MaybePromise<number | undefined> {
    const { parent } = node;
    // The root has no name that could change.
    if (parent === undefined) return node.removed ? undefined : this.#parts.listTtlMs;
    const found = this.find(parent, node.name, signal);
    const same = (now: FoundNode | undefined): number | undefined =>
      now?.node === node ? now.ttlMs : undefined;
    return found instanceof Promise ? found.then(same) : same(found);
  }

  /** The same at an open, where the mount may be told to ask the store each time. */
  freshForOpen(node: FileNode, signal: () => AbortSignal): MaybePromise<number | undefined> {
    const { parent, name, staged } = node;
    const isStrict = this.#parts.consistency === 'strict' && staged?.dirty !== true;
    if (!isStrict || parent === undefined) return this.freshFor(node, signal);
    const asked = parent.directory.ask(name, signal());
    return asked.then((answer) => {
      const now = this.#bind(parent, name, answer);
      return now?.node === node ? now.ttlMs : undefined;
    });
  }

  /** Drops what is known of `name`, here and in the kernel. */
  async refresh(parent: DirectoryNode, name: string): Promise<void> {
    parent.directory.invalidate(name);
    await this.#parts.kernel?.invalidateEntry(parent.inode, nameOfPart(name));
  }

  /** Drops what is known of names in `directory` and below it, here and in the kernel. */
  async refreshAll(directory: DirectoryNode): Promise<void> {
    const { kernel } = this.#parts;
    for (const node of [...allBelow(directory)]) {
      if (node.type === 'directory') node.directory.invalidateAll();
      await kernel?.invalidateAttributes(node.inode);
      const { parent, name } = node;
      const isInside = node !== directory && parent !== undefined;
      if (isInside) await kernel?.invalidateEntry(parent.inode, nameOfPart(name));
    }
  }

  /** `metadata` is for the object that stands for it. */
  async mkdir(
    parent: DirectoryNode,
    name: string,
    signal: AbortSignal,
    metadata: Metadata,
  ): Promise<DirectoryNode> {
    refuseInBucketList(parent);
    const { treeLock, nodes, remains, clock } = this.#parts;
    if ((await this.find(parent, name, () => signal)) !== undefined) throw alreadyThere;
    const put = async (): Promise<void> => {
      const { store, key } = placeOf(parent);
      const marker = childDirectory(key, name);
      if (!fitsKey(marker)) throw keyTooLong;
      // A key beside keys below it would be a file that a directory hides.
      await remains.clear(placeIn(parent, name), signal);
      await store.put(marker, new Uint8Array(0), { ...MARKER, metadata }, signal);
    };
    const claim = { stay: [parent] };
    await this.#tried(parent, name, async () => await treeLock.run(claim, put, signal));
    parent.directory.changed(name, foundDirectory);
    const node = nodes.bind(parent, name, foundDirectory) as DirectoryNode;
    node.directory.isNew();
    node.changedMs = clock.now();
    parent.changedMs = clock.now();
    return node;
  }

  async unlink(parent: DirectoryNode, name: string, signal: AbortSignal): Promise<void> {
    refuseInBucketList(parent);
    const found = await this.find(parent, name, () => signal);
    if (found === undefined) throw noSuchEntry;
    const { node } = found;
    if (node.type === 'directory') throw isADirectory;
    await node.changing.run(async () => await this.#unlinkLocked(node, signal), signal);
  }

  async rmdir(parent: DirectoryNode, name: string, signal: AbortSignal): Promise<void> {
    refuseInBucketList(parent);
    const found = await this.find(parent, name, () => signal);
    if (found === undefined) throw noSuchEntry;
    const { node } = found;
    if (node.type === 'file') throw notADirectory;
    const { remains } = this.#parts;
    const remove = async (): Promise<void> => {
      refuseIfHeld(node);
      const place = placeOf(node);
      await refuseUnlessMarkerOnly(place, remains, signal);
      await remains.clearBelow(place, signal);
      await place.store.delete(place.key, signal);
      this.gone(node);
    };
    await this.#tried(parent, name, async () => {
      await this.#parts.treeLock.run({ stay: [parent] }, remove, signal);
    });
  }

  /**
   * `node` has lost its name by our own doing. One that was never `stored` leaves the name to an
   * object that somebody else may have made meanwhile, which was never ours to delete.
   */
  gone(node: Node, stored = true): void {
    const { parent, name } = node;
    if (parent === undefined) return;
    keepInView(parent);
    parent.changedMs = this.#parts.clock.now();
    if (stored) parent.directory.changed(name, undefined);
    else parent.directory.dropLocal(name);
    this.#parts.attributes.take(node);
    node.unlinked = true;
    if (node.type === 'file') this.#parts.pending?.unlinked(node);
    this.#parts.nodes.detach(node);
  }

  async #unlinkLocked(node: FileNode, signal: AbortSignal): Promise<void> {
    const { parent, name } = node;
    if (parent === undefined) throw noSuchEntry;
    const { remains } = this.#parts;
    const { version } = node;
    // An upload whose answer was lost may have arrived all the same.
    const isInDoubt = node.staged?.inDoubt === true;
    const stored = version !== undefined || isInDoubt;
    const remove = async (): Promise<void> => {
      if (version !== undefined && !isInDoubt && remains.isNeeded(node)) {
        await remains.leave(node, version);
      } else if (stored) await this.#deleteObject(node, signal);
    };
    await this.#tried(parent, name, async () => {
      await this.#parts.treeLock.run({ stay: [parent] }, remove, signal);
    });
    this.gone(node, stored);
  }

  /**
   * Deletes the object of `node`. Unless that is refused, what is saved of it later may find it
   * gone: that is written down first, since a kill may come before the answer.
   */
  async #deleteObject(node: FileNode, signal: AbortSignal): Promise<void> {
    const { store, key } = filePlaceOf(node);
    const before = node.staged?.mayBeGone === true;
    await this.#mayBeGone(node, true);
    try {
      await store.delete(key, signal);
    } catch (error) {
      if (isRefusal(error)) await this.#mayBeGone(node, before);
      throw error;
    }
  }

  /** Where it cannot be written down, a crash makes a conflict of it: put aside, not lost. */
  async #mayBeGone(node: FileNode, mayBe: boolean): Promise<void> {
    if (node.staged === undefined) return;
    node.staged.mayBeGone = mayBe;
    await this.#parts.pending?.moved(node).catch(() => undefined);
  }

  async #ask(
    parent: DirectoryNode,
    name: string,
    signal: AbortSignal,
  ): Promise<FoundNode | undefined> {
    return this.#bind(parent, name, await parent.directory.find(name, signal));
  }

  #bind(parent: DirectoryNode, name: string, { found, ttlMs }: Answer): FoundNode | undefined {
    if (found !== undefined) return { node: this.bind(parent, name, found), ttlMs };
    // Somebody else removed it.
    const before = parent.children.get(name);
    if (before === undefined) return undefined;
    if (before.type === 'directory' && holdsUnsaved(before)) {
      // What is being written there needs it; the upload makes it anew.
      parent.directory.addLocal(name, 'directory');
      return { node: before, ttlMs };
    }
    this.#parts.nodes.detach(before);
    return undefined;
  }

  /** After a refusal, what the name leads to is anybody's guess. */
  async #tried(parent: DirectoryNode, name: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (error instanceof StoreError) parent.directory.invalidate(name);
      throw error;
    }
  }
}

const keyTooLong = new FsError('ENAMETOOLONG', 'make a path of more than 1024 bytes');

/**
 * A name as the kernel gave it, as part of a key.
 *
 * @throws FsError ENAMETOOLONG, or EINVAL for what no key can hold.
 */
export function partFor(name: Uint8Array): string {
  const answer = partOfName(name);
  if (answer.ok) return answer.part;
  if (answer.why === 'too-long') throw new FsError('ENAMETOOLONG', 'use a name of over 255 bytes');
  throw new FsError('EINVAL', 'use a name that is not UTF-8, or reserved');
}

/** @throws FsError ENAMETOOLONG when the store cannot hold the key. */
export function refuseLongKey(parent: DirectoryNode, name: string): void {
  if (!fitsKey(childKey(placeOf(parent).key, name))) throw keyTooLong;
}

export function refuseInBucketList(parent: DirectoryNode): void {
  if (isBucketList(parent)) throw notPermitted;
}

/** @throws FsError ENOTEMPTY when this mount has something in `node`, EPERM for a bucket. */
export function refuseIfHeld(node: DirectoryNode): void {
  if (node.top !== undefined) throw notPermitted;
  if (node.hasLocal) throw notEmpty;
}

/**
 * Whether the store has the marker of the directory `place`.
 *
 * @throws FsError ENOTEMPTY when it has anything below, shown or not, but what is `hidden`.
 */
export async function refuseUnlessMarkerOnly(
  { store, key }: Place,
  hidden: HiddenObjects,
  signal: AbortSignal,
): Promise<boolean> {
  const counts = (object: ObjectSummary): boolean =>
    object.key !== key && !hidden.hides({ store, key: object.key }, object);
  let hasMarker = false;
  let continuation: string | undefined;
  do {
    const more = continuation === undefined ? {} : { continuation };
    const page = await store.list({ prefix: key, maxKeys: 2, ...more }, signal);
    if (page.objects.some(counts)) throw notEmpty;
    hasMarker ||= page.objects.some((object) => object.key === key);
    continuation = page.next;
  } while (continuation !== undefined);
  return hasMarker;
}

function* allBelow(node: Node): Generator<Node> {
  yield node;
  if (node.type === 'directory') for (const child of node.children.values()) yield* allBelow(child);
}

function holdsUnsaved(directory: DirectoryNode): boolean {
  for (const child of directory.children.values()) {
    if (child.type === 'directory' ? holdsUnsaved(child) : child.staged?.dirty === true)
      return true;
  }
  return false;
}
