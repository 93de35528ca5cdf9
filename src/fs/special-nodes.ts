/**
 * Symbolic links, fifos, sockets and devices: objects whose metadata says what they are. As s3fs
 * writes them: the body of a link is its target, the others have none. The kernel follows links and
 * opens fifos and devices by itself; here they are made, and links read.
 */
import type { Clock } from '../lib/clock.ts';
import { StoreError } from '../store/errors.ts';
import type { ObjectVersion, ReadSink } from '../store/object-store.ts';
import { childId } from './attribute-records.ts';
import type { AttributeStore, Maker, NewAttributes } from './attributes.ts';
import { FsError } from './errno.ts';
import type { MaybePromise } from './filesystem.ts';
import type { InodeTable } from './inode-table.ts';
import {
  contentPlaceOf,
  type DirectoryNode,
  type FileNode,
  type Node,
  type Overrides,
} from './nodes.ts';
import type { Metadata } from './object-metadata.ts';
import { alreadyThere } from './refusals.ts';
import { placeIn, type Remains } from './remains.ts';
import { refuseInBucketList, refuseLongKey, type Tree } from './tree.ts';
import type { TreeLock } from './tree-lock.ts';

export interface SpecialNodesParts {
  readonly tree: Tree;
  readonly nodes: InodeTable;
  readonly attributes: AttributeStore;
  readonly remains: Remains;
  readonly treeLock: TreeLock;
  readonly clock: Clock;
}

/** What mknod(2) and symlink(2) make; a link with its target. */
export interface NewSpecial extends NewAttributes {
  readonly type: Exclude<NewAttributes['type'], 'directory'>;
}

/** PATH_MAX of limits.h counts the final NUL. */
const TARGET_BYTES = 4095;

export class SpecialNodes {
  readonly #parts: SpecialNodesParts;

  constructor(parts: SpecialNodesParts) {
    this.#parts = parts;
  }

  /** @throws FsError EEXIST when the name is taken. */
  async make(
    parent: DirectoryNode,
    name: string,
    made: NewSpecial,
    by: Maker,
    signal: AbortSignal,
  ): Promise<FileNode> {
    const { tree, attributes, clock } = this.#parts;
    refuseInBucketList(parent);
    refuseLongKey(parent, name);
    if ((await tree.find(parent, name, () => signal)) !== undefined) throw alreadyThere;
    const nowMs = clock.now();
    const metadata = attributes.metadataOfNew(parent, made, by, nowMs);
    const version = await this.#put(parent, name, { made, metadata }, signal);
    const record = attributes.recordOfNew(parent, version, made, by, nowMs);
    const node = this.#appear(parent, name, version, { metadata, record });
    if (made.target !== undefined) keepTarget(attributes, node, made.target);
    return node;
  }

  /**
   * The target of a link.
   *
   * @throws FsError EINVAL for what is no link, EIO when its object holds no target.
   */
  readLink(node: Node, signal: () => AbortSignal): MaybePromise<Uint8Array> {
    if (node.type === 'directory' || node.kind !== 'symlink') throw notALink;
    const known = this.#parts.attributes.targetOf(node);
    return known === undefined ? this.#readBody(node, signal()) : Buffer.from(known, 'utf8');
  }

  async #readBody(node: FileNode, signal: AbortSignal): Promise<Uint8Array> {
    const { attributes } = this.#parts;
    const { version } = node;
    if (version === undefined || version.bytes === 0 || version.bytes > TARGET_BYTES)
      throw noTarget;
    const { store, key } = contentPlaceOf(node);
    const sink = new Gathered(version.bytes);
    await store.read(key, { start: 0, end: version.bytes }, version.etag, sink, signal);
    const target = sink.bytes;
    if (target.includes(0)) throw noTarget;
    keepTarget(attributes, node, target);
    return target;
  }

  async #put(
    parent: DirectoryNode,
    name: string,
    { made, metadata }: { readonly made: NewSpecial; readonly metadata: Metadata },
    signal: AbortSignal,
  ): Promise<ObjectVersion> {
    const { treeLock, remains } = this.#parts;
    const body = made.target ?? new Uint8Array(0);
    const put = async (): Promise<ObjectVersion> => {
      const place = placeIn(parent, name);
      await remains.clear(place, signal);
      const options = { metadata, precondition: { must: 'be-absent' } as const };
      return await place.store.put(place.key, body, options, signal);
    };
    try {
      return await treeLock.run({ stay: [parent] }, put, signal);
    } catch (error) {
      // What the name leads to is anybody's guess.
      if (error instanceof StoreError) parent.directory.invalidate(name);
      throw error;
    }
  }

  #appear(
    parent: DirectoryNode,
    name: string,
    version: ObjectVersion,
    { metadata, record }: { readonly metadata: Metadata; readonly record: Overrides },
  ): FileNode {
    const { attributes, nodes, clock } = this.#parts;
    attributes.records.put(childId(parent, name, 'file'), record);
    parent.directory.changed(name, { type: 'file', version });
    parent.changedMs = clock.now();
    const node = nodes.bind(parent, name, { type: 'file', version }) as FileNode;
    attributes.storedAs(node, version, metadata);
    return node;
  }
}

const notALink = new FsError('EINVAL', 'read a link that is none');
const noTarget = new FsError('EIO', 'read a link that holds no target');

/** Only what comes back as it is may be kept as text. */
function keepTarget(attributes: AttributeStore, node: FileNode, target: Uint8Array): void {
  const text = Buffer.from(target).toString('utf8');
  if (Buffer.from(text, 'utf8').equals(target)) attributes.readTarget(node, text);
}

/** Takes so many bytes into memory. */
class Gathered implements ReadSink {
  readonly #bytes: Uint8Array;
  #filled = 0;

  constructor(bytes: number) {
    this.#bytes = new Uint8Array(bytes);
  }

  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#filled);
  }

  room(): Uint8Array {
    return this.#bytes.subarray(this.#filled);
  }

  filled(bytes: number): void {
    this.#filled += bytes;
  }
}
