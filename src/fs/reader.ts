/**
 * Reads of versions in the bucket: whole blocks through the cache, ahead of a reader that goes in
 * order. What a block holds never changes, since its name holds the version.
 */
import { BlockCache, type BlockId } from '../cache/block-cache.ts';
import { initialReadahead, nextReadahead } from '../cache/readahead.ts';
import { type Extent, MiB } from '../lib/bytes.ts';
import { StoreError } from '../store/errors.ts';
import type { ObjectVersion } from '../store/object-store.ts';
import { BufferSink } from '../store/read-sink.ts';
import { FsError } from './errno.ts';
import type { MaybePromise, ReadBytes } from './filesystem.ts';
import { type FileNode, filePlaceOf } from './nodes.ts';
import type { PinnedVersion, ReadPosition } from './pinned-version.ts';
import { staleFile } from './refusals.ts';

/** One request's length: large beside a round trip's worth, small beside the memory for all. */
const BLOCK_BYTES = MiB;

/** Of one request of `copy`, which holds that much. */
const COPY_BYTES = 8 * MiB;

export class Reader implements AsyncDisposable {
  readonly #blocks: BlockCache;
  readonly #maxAheadBytes: number;
  readonly #pinned = new Map<string, PinnedVersion>();

  constructor(memoryBytes: number) {
    // One reader may take half; the rest is for others, and for what was read.
    this.#maxAheadBytes = Math.floor(memoryBytes / 2);
    this.#blocks = new BlockCache({
      blockBytes: BLOCK_BYTES,
      maxBytes: memoryBytes,
      load: async (id, signal) => await this.#load(id, signal),
    });
  }

  /** Holds a version for a handle, shared with other handles on it. */
  pin(node: FileNode, version: ObjectVersion): PinnedVersion {
    for (const { pinned } of node.handles) {
      if (pinned?.version.etag !== version.etag) continue;
      pinned.opens += 1;
      return pinned;
    }
    const object = `${node.inode} ${version.etag}`;
    const place = (): ReturnType<typeof filePlaceOf> => filePlaceOf(node);
    const pinned: PinnedVersion = { object, place, version, opens: 1 };
    this.#pinned.set(object, pinned);
    return pinned;
  }

  unpin(pinned: PinnedVersion): void {
    pinned.opens -= 1;
    if (pinned.opens === 0 && this.#pinned.get(pinned.object) === pinned) {
      this.#pinned.delete(pinned.object);
    }
  }

  /** Bytes of `extent`, at once when they are in memory; fewer only at the end. */
  read(
    pinned: PinnedVersion,
    extent: Extent,
    position: ReadPosition,
    signal: () => AbortSignal,
  ): MaybePromise<ReadBytes> {
    const fileBytes = pinned.version.bytes;
    const end = Math.min(extent.end, fileBytes);
    if (extent.start >= end) return new Uint8Array(0);
    this.#readAhead(pinned, { start: extent.start, end }, position);
    const first = Math.floor(extent.start / BLOCK_BYTES);
    const last = Math.floor((end - 1) / BLOCK_BYTES);
    const pieces: MaybePromise<Uint8Array>[] = [];
    for (let index = first; index <= last; index += 1) {
      const at = index * BLOCK_BYTES;
      const wanted = {
        start: Math.max(extent.start - at, 0),
        end: Math.min(end - at, BLOCK_BYTES),
      };
      const block = this.#blocks.get({ object: pinned.object, index }, signal());
      pieces.push(
        block instanceof Promise
          ? block.then((bytes) => bytes.subarray(wanted.start, wanted.end))
          : block.subarray(wanted.start, wanted.end),
      );
    }
    if (pieces.every((piece) => piece instanceof Uint8Array)) return pieces;
    return Promise.all(pieces.map(async (piece) => await piece));
  }

  /** Copies the first `bytes` of a version to `take`, in order. */
  async copy(
    node: FileNode,
    version: ObjectVersion,
    bytes: number,
    take: (offset: number, bytes: Uint8Array) => Promise<void>,
    signal: AbortSignal,
  ): Promise<void> {
    const { store, key } = filePlaceOf(node);
    try {
      const part = Buffer.allocUnsafeSlow(Math.min(bytes, COPY_BYTES));
      for (let start = 0; start < bytes; start += part.byteLength) {
        const end = Math.min(start + part.byteLength, bytes);
        const sink = new BufferSink(part.subarray(0, end - start));
        await store.read(key, { start, end }, version.etag, sink, signal);
        if (sink.bytes.byteLength !== end - start) {
          throw shortRead(key, start + sink.bytes.byteLength, bytes);
        }
        await take(start, sink.bytes);
      }
    } catch (error) {
      throw goneIsStale(error);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#blocks[Symbol.asyncDispose]();
  }

  #readAhead(pinned: PinnedVersion, extent: Extent, position: ReadPosition): void {
    const { object, version } = pinned;
    const options = { fileBytes: version.bytes, maxBytes: this.#maxAheadBytes };
    const { state, fetch } = nextReadahead(position.readahead, extent, options);
    position.readahead = state;
    if (fetch === undefined) return;
    const last = Math.floor((fetch.end - 1) / BLOCK_BYTES);
    for (let index = Math.floor(fetch.start / BLOCK_BYTES); index <= last; index += 1) {
      this.#blocks.prefetch({ object, index });
    }
  }

  async #load(id: BlockId, signal: AbortSignal): Promise<Uint8Array> {
    const pinned = this.#pinned.get(id.object);
    if (pinned === undefined) throw staleFile;
    const asked = pinned.version;
    try {
      return await loadBlock(pinned, id.index, signal);
    } catch (error) {
      // A rename moved it between our question and the answer: ask where it is now.
      const moved = pinned.version !== asked && isGone(error);
      if (!moved) throw goneIsStale(error);
      return await loadBlock(pinned, id.index, signal).catch((again: unknown) => {
        throw goneIsStale(again);
      });
    }
  }
}

/** Where a reader stands who has read nothing. */
export function newPosition(): ReadPosition {
  return { readahead: initialReadahead };
}

async function loadBlock(
  { place, version }: PinnedVersion,
  index: number,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const start = index * BLOCK_BYTES;
  const end = Math.min(start + BLOCK_BYTES, version.bytes);
  const { store, key } = place();
  const sink = new BufferSink(Buffer.allocUnsafeSlow(end - start));
  await store.read(key, { start, end }, version.etag, sink, signal);
  const { bytes } = sink;
  if (bytes.byteLength !== end - start) throw shortRead(key, start + bytes.byteLength, end);
  return bytes;
}

function shortRead(key: string, got: number, wanted: number): FsError {
  return new FsError('EIO', `read ${key}: ${got} of ${wanted} bytes came`);
}

function isGone(error: unknown): boolean {
  if (!(error instanceof StoreError)) return false;
  return error.kind === 'not-found' || error.kind === 'precondition-failed';
}

/** To somebody who has the file open, "not found" means that it changed. */
export function goneIsStale(error: unknown): unknown {
  if (!isGone(error)) return error;
  return new FsError('ESTALE', 'read an object that changed', { cause: error });
}
