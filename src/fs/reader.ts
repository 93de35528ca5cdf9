/**
 * The bytes of objects: blocks in memory over blocks on disk over ranged reads of one version, and
 * what is read ahead of whom.
 *
 * Blocks are named by the version, so that nothing in memory ever needs to be asked again, and all
 * reads of a handle are of the version it pinned when it was opened.
 */
import { BlockCache } from '../cache/block-cache.ts';
import type { BlockDisk } from '../cache/block-disk.ts';
import { BlockLoader } from '../cache/block-loader.ts';
import { Endpoint } from '../cache/endpoint.ts';
import { MEMORY_BYTES, MemoryBudget } from '../cache/memory-budget.ts';
import { BLOCK_BYTES } from '../cache/slots.ts';
import { Streams } from '../cache/streams.ts';
import type { Extent } from '../lib/bytes.ts';
import { MiB } from '../lib/bytes.ts';
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import type { ObjectVersion } from '../store/object-store.ts';
import { ArchivedObjects } from './archived-objects.ts';
import type { Place } from './directory-source.ts';
import type { MaybePromise, ReadBytes } from './filesystem.ts';
import { contentPlaceOf, type FileNode } from './nodes.ts';
import { PinnedObject } from './pinned-object.ts';
import type { PinnedVersion, ReadPosition } from './pinned-version.ts';
import { WholeObjects } from './whole-objects.ts';

export interface ReaderOptions {
  /** Memory for blocks; mounts of one process share it. */
  readonly blocks: BlockCache;
  /** Shared by the mounts of one endpoint. */
  readonly endpoint: Endpoint;
  /** What lies under the memory; absent: nothing. */
  readonly disk?: BlockDisk | undefined;
  readonly clock: Clock;
  readonly log: Log;
  /** Ends with the reader: what it shares with nobody. */
  readonly own?: AsyncDisposable | undefined;
}

/** What `wire status` shows of reading. */
export interface ReaderFigures {
  /** Memory for blocks, of all mounts of the process. */
  readonly memoryBytes: number;
  /** Reads that were answered from memory, and others. */
  readonly hits: number;
  readonly misses: number;
  /** Bytes that programs got, that the store sent, and that came from the disk. */
  readonly readBytes: number;
  readonly fetchedBytes: number;
  readonly diskBytes: number;
  /** `fetchedBytes` for each byte that a program got; 0 before the first. */
  readonly amplification: number;
  /** Keys that could not be read since they are in cold storage; the latest of them. */
  readonly archived: readonly string[];
}

/** A stream that was not read for so long leaves its share of what may be read ahead to others. */
const IDLE_STREAM_MS = 2000;

/**
 * What every stream may ask for ahead, however many there are: requests that are much shorter cost
 * more than they carry. Where memory is too short for all at once, each gets what it waits for
 * (`BlockCache.hasRoomAhead`).
 */
const LEAST_AHEAD_BYTES = 2 * MiB;

/** But where memory is small, only so much of what all may have ahead. */
const LEAST_SHARE = 12;

/** What `copy` holds at once. */
const STEP_BYTES = MiB;

export class Reader implements AsyncDisposable {
  readonly #options: ReaderOptions;
  readonly #loader: BlockLoader;
  readonly #wholes: WholeObjects;
  /** Ends what nobody waits for. */
  readonly #end = new AbortController();
  readonly #pinned = new Set<PinnedObject>();
  /** When each version was last read ahead of. */
  readonly #active = new Map<PinnedVersion, number>();
  readonly #closing = new Set<Promise<void>>();
  #hits = 0;
  #misses = 0;
  #readBytes = 0;
  readonly #archived: ArchivedObjects;

  constructor(options: ReaderOptions) {
    const { blocks: cache, endpoint, clock, log } = options;
    this.#options = options;
    this.#archived = new ArchivedObjects(log);
    this.#loader = new BlockLoader({ cache, endpoint, clock });
    this.#wholes = new WholeObjects(this.#loader);
  }

  get figures(): ReaderFigures {
    const { fetchedBytes, diskBytes } = this.#loader;
    const readBytes = this.#readBytes;
    return {
      memoryBytes: this.#options.blocks.bytes,
      hits: this.#hits,
      misses: this.#misses,
      readBytes,
      fetchedBytes,
      diskBytes,
      amplification: readBytes === 0 ? 0 : fetchedBytes / readBytes,
      archived: this.#archived.keys,
    };
  }

  /** Holds a version for a handle, shared with other handles on it. */
  pin(node: FileNode, version: ObjectVersion): PinnedVersion {
    for (const { pinned } of node.handles) {
      if (pinned?.version.etag !== version.etag) continue;
      pinned.opens += 1;
      return pinned;
    }
    return this.pinAt(() => contentPlaceOf(node), version);
  }

  /** Holds the version at `place`, shared with nobody. */
  pinAt(place: () => Place, version: ObjectVersion): PinnedVersion {
    const { blocks, disk, endpoint } = this.#options;
    const pinned = new PinnedObject({
      endpoint: endpoint.name,
      place,
      version,
      disk,
      pinBlocks: (object, bytes) => blocks.pin(object, bytes),
      onArchived: this.#archived.note,
    });
    this.#pinned.add(pinned);
    return pinned;
  }

  unpin(pinned: PinnedVersion): void {
    pinned.opens -= 1;
    if (pinned.opens > 0 || !(pinned instanceof PinnedObject)) return;
    if (!this.#pinned.delete(pinned)) return;
    this.#active.delete(pinned);
    const closing = this.#close(pinned)
      .catch(() => undefined)
      .finally(() => this.#closing.delete(closing));
    this.#closing.add(closing);
  }

  /**
   * Bytes of `extent`, at once when they are in memory; fewer only at the end. They are views that
   * are good for this turn of the event loop, see `SlotPool.lend`.
   */
  read(
    pinned: PinnedVersion,
    extent: Extent,
    position: ReadPosition,
    signal: () => AbortSignal,
  ): MaybePromise<ReadBytes> {
    const { blocks } = pinned;
    const end = Math.min(extent.end, blocks.bytes);
    const { start } = extent;
    if (start >= end) return new Uint8Array(0);
    const { streams, until = blocks.bytes } = position;
    const most = Math.min(until, blocks.bytes);
    const views = this.#options.blocks.views(blocks, start, end, streams.inOrder);
    // The disk may have it: that is soon known.
    if (views === undefined && pinned.opening !== undefined) {
      return this.#readOpened(pinned, { start, end }, position, signal());
    }
    this.#readBytes += end - start;
    if (views !== undefined) {
      this.#hits += 1;
      if (!streams.coast(start, end)) this.#readAhead(pinned, start, end, streams, false, most);
      return views;
    }
    this.#misses += 1;
    this.#readAhead(pinned, start, end, streams, true, most);
    return this.#loader.read(pinned, { start, end }, streams.inOrder, signal());
  }

  /** Copies the first `bytes` of a version to `take`, in order. */
  async copy(
    node: FileNode,
    version: ObjectVersion,
    bytes: number,
    take: (offset: number, bytes: Uint8Array) => Promise<void>,
    signal: AbortSignal,
  ): Promise<void> {
    const pinned = this.pin(node, version);
    try {
      await this.copyPinned(pinned, bytes, take, signal);
    } finally {
      this.unpin(pinned);
    }
  }

  /** As `copy`. What `take` is given stays as it is until that settles. */
  async copyPinned(
    pinned: PinnedVersion,
    bytes: number,
    take: (offset: number, bytes: Uint8Array) => Promise<void>,
    signal: AbortSignal,
  ): Promise<void> {
    const streams = new Streams();
    await pinned.opening;
    for (let start = 0; start < bytes; start += STEP_BYTES) {
      const end = Math.min(start + STEP_BYTES, bytes);
      this.#readAhead(pinned, start, end, streams, true, bytes);
      const held = await this.#loader.hold(pinned, { start, end }, signal);
      try {
        let at = start;
        for (const piece of held.pieces) {
          await take(at, piece);
          at += piece.byteLength;
        }
      } finally {
        held.release();
      }
    }
  }

  /**
   * Brings a whole object to the disk, see `WholeObjects.warm`.
   *
   * @throws what the store threw; `signal.reason` once `signal` aborts.
   */
  async warm(
    pinned: PinnedVersion,
    signal: AbortSignal,
    progress: (bytes: number) => void,
  ): Promise<void> {
    await this.#wholes.warm(pinned, signal, progress);
  }

  /** A descriptor on the whole object, when the disk has it as it is, see `DiskObject.whole`. */
  whole(pinned: PinnedVersion): number | undefined {
    return pinned.disk?.whole();
  }

  /** Forgets what is in memory of a version. */
  drop(pinned: PinnedVersion): void {
    this.#loader.close(pinned);
    this.#options.blocks.drop(pinned.blocks);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end.abort();
    await this.#loader[Symbol.asyncDispose]();
    for (const pinned of [...this.#pinned]) {
      pinned.opens = 1;
      this.unpin(pinned);
    }
    await Promise.all(this.#closing);
    await this.#options.own?.[Symbol.asyncDispose]();
  }

  async #readOpened(
    pinned: PinnedVersion,
    extent: Extent,
    position: ReadPosition,
    signal: AbortSignal,
  ): Promise<ReadBytes> {
    await pinned.opening;
    signal.throwIfAborted();
    return await this.read(pinned, extent, position, () => signal);
  }

  /** Has loaded what a read at this place makes likely to be wanted, itself included. */
  #readAhead(
    pinned: PinnedVersion,
    start: number,
    end: number,
    streams: Streams,
    stalled: boolean,
    fileBytes: number,
  ): void {
    const { endpoint, blocks: cache } = this.#options;
    const { blocks } = pinned;
    const absentAt = stalled ? cache.absentAt(blocks, start, end) : undefined;
    const maxBytes = this.#mostAhead(pinned);
    const { grainBytes } = endpoint;
    // Several requests fill a window, so that one is always on its way.
    const partBytes = Math.max(
      Math.min(endpoint.partBytes, Math.max(maxBytes / 4, Math.min(MiB, maxBytes / 2))),
      BLOCK_BYTES,
    );
    const limits = { fileBytes, maxBytes, partBytes, grainBytes };
    const step = streams.follow({ start, end, stalled, absentAt }, limits);
    if (step?.fetch === undefined) return;
    const { stream, fetch: extent } = step;
    if (stream.windowBytes > 0) this.#active.set(pinned, this.#options.clock.monotonic());
    else endpoint.askedAtRandom();
    this.#loader.want(pinned, { extent, partBytes, distance: Math.max(extent.start - end, 0) });
  }

  /** What one of the files that are read in order now may have ahead. */
  #mostAhead(pinned: PinnedVersion): number {
    const now = this.#options.clock.monotonic();
    for (const [other, readMs] of this.#active) {
      if (now - readMs > IDLE_STREAM_MS) this.#active.delete(other);
    }
    const readers = this.#active.size + (this.#active.has(pinned) ? 0 : 1);
    const { aheadBytes } = this.#options.blocks;
    const share = Math.max(
      aheadBytes / readers,
      Math.min(LEAST_AHEAD_BYTES, aheadBytes / LEAST_SHARE),
    );
    return Math.floor(share / BLOCK_BYTES) * BLOCK_BYTES;
  }

  async #close(pinned: PinnedObject): Promise<void> {
    this.#loader.close(pinned);
    await this.#loader.settled(pinned);
    if (pinned.hasFetched) await this.#mend(pinned);
    this.#options.blocks.unpin(pinned.blocks);
    await pinned[Symbol.asyncDispose]();
  }

  /** Never fails: an object that is not whole is read as before. */
  async #mend(pinned: PinnedObject): Promise<void> {
    await this.#wholes.mend(pinned, this.#end.signal).catch(() => undefined);
    await this.#loader.settled(pinned);
  }
}

/** What a reader is made of: what it shares with others, or memory of its own. */
export interface ReadingOptions {
  readonly reading?: Pick<ReaderOptions, 'blocks' | 'endpoint' | 'disk'>;
  /** Absent: memory of its own, `memoryBytes` of it. */
  readonly budget?: MemoryBudget;
  readonly memoryBytes?: number;
  readonly clock: Clock;
  readonly log: Log;
}

export function readerFor(options: ReadingOptions): Reader {
  const { reading, memoryBytes = MEMORY_BYTES, clock, log } = options;
  if (reading !== undefined) {
    const { blocks, endpoint, disk } = reading;
    return new Reader({ blocks, endpoint, disk, clock, log });
  }
  const { budget = new MemoryBudget(memoryBytes) } = options;
  const blocks = new BlockCache({ budget, clock });
  return new Reader({ blocks, endpoint: new Endpoint(''), clock, log, own: blocks });
}
