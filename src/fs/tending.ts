/**
 * What `wire cache` asks of a mount: to forget what it knows of names, and to bring content to the
 * local disk and hold it there.
 */
import type { BlockPins, CacheFilter } from '../cache/disk-pins.ts';
import { WireError } from '../lib/wire-error.ts';
import type { ObjectSummary } from '../store/object-store.ts';
import { objectsBelow } from '../store/objects-below.ts';
import type { Place } from './directory-source.ts';
import { type DirectoryNode, filePlaceOf, isBucketList, type Node, placeOf } from './nodes.ts';
import type { FileSystemRoot } from './options.ts';
import type { Reader } from './reader.ts';
import { partFor, type Tree } from './tree.ts';

export const fileVerbs = ['refresh', 'warm', 'pin', 'unpin'] as const;
export type FileVerb = (typeof fileVerbs)[number];

/** How far it is; counts grow. */
export interface FileProgress {
  readonly files: number;
  readonly bytes: number;
  /** Of all files, as far as is known by now. */
  readonly totalBytes: number;
}

export interface TenderParts {
  readonly root: FileSystemRoot;
  readonly rootNode: DirectoryNode;
  readonly tree: Tree;
  readonly reader: Reader;
  /** Name of the server, as blocks are kept under it. */
  readonly endpoint: string;
  /** Undefined where no content is kept on a disk. */
  readonly pins: BlockPins | undefined;
}

/** Objects that are read at once: many are short, and then only round trips count. */
const PARALLEL_OBJECTS = 8;

/** One object to bring. */
interface Wanted {
  readonly place: Place;
  readonly version: ObjectSummary;
}

export class Tender {
  readonly #parts: TenderParts;

  constructor(parts: TenderParts) {
    this.#parts = parts;
  }

  /**
   * Does `verb` with what lies at `path`, names from the root on, and below it.
   *
   * @throws WireError `not-found` when nothing is there; `usage` where no content is kept on a disk.
   */
  async tend(
    verb: FileVerb,
    path: readonly string[],
    progress: (done: FileProgress) => void,
    signal: AbortSignal,
  ): Promise<FileProgress> {
    if (verb === 'refresh') {
      await this.#refresh(path, signal);
      return { files: 0, bytes: 0, totalBytes: 0 };
    }
    const { pins } = this.#parts;
    if (pins === undefined) throw nothingKept(verb, path);
    const node = await this.#locate(verb, path, signal);
    if (verb === 'unpin') {
      let files = 0;
      for (const filter of await this.#filters(node, signal)) {
        files += await pins.unpin(filter, signal);
      }
      return { files, bytes: 0, totalBytes: 0 };
    }
    if (verb === 'pin') {
      for (const filter of await this.#filters(node, signal)) await pins.pin(filter, signal);
    }
    return await this.#warm(this.#wanted(node, signal), progress, signal);
  }

  /** What is known is dropped first, so that the way to `path` is asked anew. */
  async #refresh(path: readonly string[], signal: AbortSignal): Promise<void> {
    const { tree, rootNode } = this.#parts;
    let node: Node = rootNode;
    for (const name of path) {
      if (node.type === 'file') break;
      await tree.refresh(node, name);
      const found = await tree.find(node, partFor(Buffer.from(name)), () => signal);
      if (found === undefined) throw notThere('refresh', path);
      node = found.node;
    }
    if (node.type === 'directory') await tree.refreshAll(node);
  }

  async #locate(verb: FileVerb, path: readonly string[], signal: AbortSignal): Promise<Node> {
    let node: Node = this.#parts.rootNode;
    for (const name of path) {
      if (node.type === 'file') throw notThere(verb, path);
      const part = partFor(Buffer.from(name));
      const found = await this.#parts.tree.find(node, part, () => signal);
      if (found === undefined) throw notThere(verb, path);
      node = found.node;
    }
    return node;
  }

  /** What of the cache is at `node` and below it. */
  async #filters(node: Node, signal: AbortSignal): Promise<readonly CacheFilter[]> {
    const { endpoint } = this.#parts;
    if (node.type === 'file') {
      const { store, key } = filePlaceOf(node);
      return [{ endpoint, bucket: store.bucket, key }];
    }
    const places = await this.#places(node, signal);
    return places.map(({ store, key: prefix }) => ({ endpoint, bucket: store.bucket, prefix }));
  }

  /** Where the keys below `node` are: in one bucket, or in each that is shown. */
  async #places(node: DirectoryNode, signal: AbortSignal): Promise<readonly Place[]> {
    const { root } = this.#parts;
    if (!isBucketList(node) || root.kind !== 'buckets') return [placeOf(node)];
    const buckets = await root.stores.buckets(signal);
    return buckets.map(({ name }) => ({ store: root.stores.open(name), key: '' }));
  }

  async *#wanted(node: Node, signal: AbortSignal): AsyncGenerator<Wanted> {
    if (node.type === 'file') {
      const place = filePlaceOf(node);
      // Nothing is in the bucket yet of a file that is being written.
      if (node.version !== undefined) yield { place, version: { ...node.version, key: place.key } };
      return;
    }
    for (const { store, key: prefix } of await this.#places(node, signal)) {
      for await (const version of objectsBelow(store, prefix, signal)) {
        if (!version.key.endsWith('/')) yield { place: { store, key: version.key }, version };
      }
    }
  }

  async #warm(
    wanted: AsyncGenerator<Wanted>,
    progress: (done: FileProgress) => void,
    signal: AbortSignal,
  ): Promise<FileProgress> {
    let done: FileProgress = { files: 0, bytes: 0, totalBytes: 0 };
    const add = (more: Partial<FileProgress>): void => {
      const { files = 0, bytes = 0, totalBytes = 0 } = more;
      done = {
        files: done.files + files,
        bytes: done.bytes + bytes,
        totalBytes: done.totalBytes + totalBytes,
      };
      progress(done);
    };
    const work = async (): Promise<void> => {
      for await (const { place, version } of wanted) {
        signal.throwIfAborted();
        add({ totalBytes: version.bytes });
        await this.#warmOne(place, version, (bytes) => add({ bytes }), signal);
        add({ files: 1 });
      }
    };
    // One generator for all: each takes the next when it is done.
    const workers = await Promise.allSettled(Array.from({ length: PARALLEL_OBJECTS }, work));
    for (const worker of workers) if (worker.status === 'rejected') throw worker.reason;
    return done;
  }

  async #warmOne(
    place: Place,
    version: ObjectSummary,
    more: (bytes: number) => void,
    signal: AbortSignal,
  ): Promise<void> {
    const { reader } = this.#parts;
    const pinned = reader.pinAt(() => place, version);
    let told = 0;
    try {
      await reader.warm(pinned, signal, (bytes) => {
        more(bytes - told);
        told = bytes;
      });
    } finally {
      reader.unpin(pinned);
    }
  }
}

function notThere(verb: FileVerb, path: readonly string[]): WireError {
  return new WireError('not-found', {
    tried: `${verb} ${path.join('/')}`,
    answered: 'there is no such file or folder',
  });
}

function nothingKept(verb: FileVerb, path: readonly string[]): WireError {
  return new WireError('usage', {
    tried: `${verb} ${path.join('/')}`,
    answered: 'this mount keeps no content on the local disk',
    next: 'mount it with --cache full',
  });
}
