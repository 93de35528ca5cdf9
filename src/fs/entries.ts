/**
 * What the kernel is told of nodes, and what it sets of them. Where attributes are read of
 * metadata, nothing is told before that is known.
 */
import type { Clock } from '../lib/clock.ts';
import type { AttributeReader } from './attribute-reader.ts';
import type { AttributeSaver } from './attribute-saver.ts';
import type { AttributeStore } from './attributes.ts';
import { FsError } from './errno.ts';
import type {
  AttributeChanges,
  AttributesReply,
  Entry,
  MaybePromise,
  RequestContext,
} from './filesystem.ts';
import type { DirectoryNode, Node } from './nodes.ts';
import { noSuchEntry, staleFile } from './refusals.ts';
import type { FoundNode, Tree } from './tree.ts';

export interface EntriesParts {
  readonly tree: Tree;
  readonly attributes: AttributeStore;
  readonly saver: AttributeSaver;
  /** Undefined where attributes are not read of metadata. */
  readonly attributeReader: AttributeReader | undefined;
  readonly clock: Clock;
  readonly listTtlMs: number;
}

export class Entries {
  readonly #parts: EntriesParts;

  constructor(parts: EntriesParts) {
    this.#parts = parts;
  }

  /** Counts a reference of the kernel. `ttlMs` is that of a name made just now by default. */
  refer(node: Node, ttlMs: number = this.#parts.listTtlMs): Entry {
    const attributes = this.#parts.attributes.of(node);
    node.lookups += 1;
    return { inode: node.inode, attributes, ttlMs };
  }

  /** The entry of a name that was found. @throws FsError ENOENT when it was not. */
  introduce(found: FoundNode | undefined, signal: () => AbortSignal): MaybePromise<Entry> {
    if (found === undefined) throw noSuchEntry;
    const { node, ttlMs } = found;
    const { tree, attributeReader } = this.#parts;
    const read = attributeReader?.know(node, signal);
    if (attributeReader === undefined) return this.refer(node, ttlMs);
    const { parent } = node;
    const refer = (): Entry => {
      if (parent === undefined || node.removed) throw noSuchEntry;
      // Meanwhile it may have been let go of, or turned out to be no regular file.
      return this.refer(tree.rebind(parent, node), ttlMs);
    };
    return read === undefined ? refer() : read.then(refer);
  }

  async makeDirectory(
    parent: DirectoryNode,
    name: string,
    mode: number,
    by: RequestContext,
  ): Promise<Entry> {
    const { tree, attributes, clock } = this.#parts;
    const nowMs = clock.now();
    const metadata = attributes.metadataOfNew(parent, { type: 'directory', mode }, by, nowMs);
    const node = await tree.mkdir(parent, name, by.signal, metadata);
    attributes.created(node, mode, by, nowMs);
    this.changedIn(parent, node);
    return this.refer(node);
  }

  reply(node: Node, ttlMs: number = this.#parts.listTtlMs): AttributesReply {
    return { attributes: this.#parts.attributes.of(node), ttlMs };
  }

  /** fstat of an open file works also when its name has gone, and `ttlMs` with it. */
  show(
    node: Node,
    ttlMs: number | undefined,
    signal: () => AbortSignal,
  ): MaybePromise<AttributesReply> {
    const open = node.type === 'file' ? node.handles.size > 0 : node.opens > 0;
    if (ttlMs === undefined && !open) throw staleFile;
    const { tree, attributeReader } = this.#parts;
    const { parent } = node;
    const read = attributeReader?.know(node, signal);
    if (read === undefined) return this.reply(node, ttlMs ?? 0);
    return read.then(() => {
      // The kernel looks up again what turns out to be no regular file.
      if (parent !== undefined && tree.rebind(parent, node) !== node) throw staleFile;
      return this.reply(node, ttlMs ?? 0);
    });
  }

  /** @throws FsError ENOTSUP for the mode of a link, as Linux says it of every file system. */
  async change(node: Node, changes: AttributeChanges, signal: AbortSignal): Promise<void> {
    const { attributes, attributeReader, saver, clock } = this.#parts;
    const isLink = node.type === 'file' && node.kind === 'symlink';
    if (changes.mode !== undefined && isLink) throw linkMode;
    await attributeReader?.know(node, () => signal);
    await saver.room(signal);
    attributes.change(node, changes, clock.now());
  }

  /** Names in these directories have changed. */
  changedIn(...directories: readonly DirectoryNode[]): void {
    const { attributes, clock } = this.#parts;
    const nowMs = clock.now();
    for (const each of directories) if (!each.removed) attributes.entriesChanged(each, nowMs);
  }
}

const linkMode = new FsError('ENOTSUP', 'change the mode of a link');
