/**
 * Brings blocks into the cache for one mount: from its disk where they are kept, else from the
 * store, many in one request. Decides nothing about what is worth loading: `fs/reader.ts` does.
 *
 * Invariants
 * - A block is on its way at most once (`Block.load`).
 * - A load that readers waited for, and that all of them left, is given up; so is one ahead when
 *   its object is closed.
 */
import type { Extent } from '../lib/bytes.ts';
import type { Clock } from '../lib/clock.ts';
import type { Block, BlockWaiter } from './block.ts';
import type { BlockCache } from './block-cache.ts';
import type { Endpoint } from './endpoint.ts';
import { type BlockSource, Load, type LoadOwner } from './load.ts';
import { LoadQueue, type QueuedLoad } from './load-queue.ts';
import { type BlockBringer, type HeldBytes, PendingRead } from './pending-read.ts';
import { BLOCK_BYTES } from './slots.ts';
import { WriteBehind } from './write-behind.ts';

/** Reads of the disk at once: it has a queue of its own, and memory is held meanwhile. */
const DISK_READS = 8;

/** What a program wants that reads at random is not longer. */
const LONGEST_SHORT_BYTES = 2 * BLOCK_BYTES;

export interface BlockLoaderOptions {
  readonly cache: BlockCache;
  readonly endpoint: Endpoint;
  readonly clock: Clock;
}

/** What to load, and how. */
export interface Wish {
  readonly extent: Extent;
  /** Length of one request, about. */
  readonly partBytes: number;
  /** How far before `extent` its reader is. */
  readonly distance: number;
}

interface Queued extends QueuedLoad {
  readonly load: Load;
}

/** What a block lacks of a wish. */
interface Piece {
  readonly start: number;
  readonly end: number;
  readonly from: 'disk' | 'store';
}

export class BlockLoader implements BlockBringer, LoadOwner, AsyncDisposable {
  readonly #cache: BlockCache;
  readonly #endpoint: Endpoint;
  readonly #clock: Clock;
  readonly #diskQueue = new LoadQueue({
    aheadLimit: () => DISK_READS,
    longLimit: () => DISK_READS,
    limit: () => DISK_READS,
  });
  readonly #writes: WriteBehind;
  readonly #queued = new Map<Load, Queued>();
  readonly #running = new Map<Load, Promise<void>>();
  #closed = false;
  /** Bytes that came from the store. */
  fetchedBytes = 0;
  /** Bytes that came from the disk. */
  diskBytes = 0;

  constructor({ cache, endpoint, clock }: BlockLoaderOptions) {
    this.#cache = cache;
    this.#endpoint = endpoint;
    this.#clock = clock;
    this.#writes = new WriteBehind(cache, clock, this.#pump);
  }

  /** Loads under way or in line. */
  get loads(): number {
    return this.#queued.size + this.#running.size;
  }

  /** Has all of `extent` brought that is neither here nor on its way. Waits for nothing. */
  want(source: BlockSource, { extent, partBytes, distance }: Wish): void {
    if (this.#closed) throw new Error('BlockLoader is closed');
    let run: Piece | undefined;
    const most = evenParts(extent, partBytes);
    const last = Math.floor((extent.end - 1) / BLOCK_BYTES);
    const flush = (): void => {
      if (run !== undefined) {
        const ahead = distance + Math.max(run.start - extent.start, 0);
        this.#enqueue(source, run, ahead);
      }
      run = undefined;
    };
    for (let index = Math.floor(extent.start / BLOCK_BYTES); index <= last; index += 1) {
      const piece = missing(source, index, extent);
      const goesOn =
        piece !== undefined &&
        run?.end === piece.start &&
        run.from === piece.from &&
        piece.end - run.start <= most;
      if (!goesOn) flush();
      if (piece !== undefined) run = { ...piece, start: run?.start ?? piece.start };
    }
    flush();
  }

  /** Sees to it that `[from, to)` of a block, for which somebody waits, is on its way. */
  await(source: BlockSource, block: Block, from: number, to: number): void {
    if (block.load === undefined) {
      const extent = { start: block.start + from, end: block.start + to };
      this.want(source, { extent, partBytes: BLOCK_BYTES, distance: 0 });
    }
    const { load } = block;
    if (load === undefined) return;
    load.waiters += 1;
    load.hurry();
  }

  /** A reader has left before a block came. */
  leave(block: Block, waiter: BlockWaiter): void {
    if (!block.waiters.delete(waiter)) return;
    const { load } = block;
    if (load === undefined) return;
    load.waiters -= 1;
    if (load.waiters === 0) load.giveUp();
  }

  /** Bytes of `[start, end)` as views for this turn of the event loop, when all have come. */
  async read(
    source: BlockSource,
    { start, end }: Extent,
    inOrder: boolean,
    signal: AbortSignal,
  ): Promise<Uint8Array | Uint8Array[]> {
    const options = { source, start, end, inOrder };
    const held = await new PendingRead(options, this.#cache, this, signal).done;
    for (const slot of held.slots) this.#cache.pool.lend(slot);
    held.release();
    const [only] = held.pieces;
    return held.pieces.length === 1 && only !== undefined ? only : held.pieces;
  }

  /** Bytes that stay as they are until they are released. */
  async hold(source: BlockSource, { start, end }: Extent, signal: AbortSignal): Promise<HeldBytes> {
    const options = { source, start, end, inOrder: true };
    return await new PendingRead(options, this.#cache, this, signal).done;
  }

  /** Gives up what is loaded ahead of a version that nobody has open any more. */
  close(source: BlockSource): void {
    for (const load of [...this.#queued.keys(), ...this.#running.keys()]) {
      if (load.source === source && load.waiters === 0) this.giveUp(load);
    }
  }

  /** Resolves when no block of `source` is lent to the disk any more. */
  async settled(source: BlockSource): Promise<void> {
    const mine = [...this.#running].filter(([load]) => load.source === source);
    await Promise.all(mine.map(async ([, done]) => await done));
    await this.#writes.settled(source);
  }

  /** Resolves when what has come of `source` is on the disk, or left out. */
  async written(source: BlockSource): Promise<void> {
    await this.#writes.settled(source);
  }

  /** Ends every load; who waits, of other mounts too, looks again. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    const running = [...this.#running.values()];
    for (const load of [...this.#queued.keys(), ...this.#running.keys()]) this.giveUp(load);
    await Promise.all(running);
    await this.#writes.settled();
  }

  hurry(load: Load): void {
    const queued = this.#queued.get(load);
    if (queued !== undefined) this.#queueOf(load).hurry(queued);
  }

  giveUp(load: Load): void {
    const queued = this.#queued.get(load);
    if (queued === undefined) {
      load.detach();
      load.controller.abort();
      return;
    }
    this.#queued.delete(load);
    this.#queueOf(load).withdraw(queued);
    load.finish(undefined);
  }

  published({ from, source }: Load, block: Block): void {
    if (from === 'store') this.#writes.add(source, block);
  }

  now(): number {
    return this.#clock.monotonic();
  }

  #queueOf({ from }: Load): LoadQueue {
    return from === 'disk' ? this.#diskQueue : this.#endpoint.queue;
  }

  #enqueue(source: BlockSource, { start, end, from }: Piece, distance: number): void {
    const options = { source, extent: { start, end }, from, distance };
    const load = new Load(options, this.#cache, this);
    const queued: Queued = {
      load,
      urgent: false,
      long: end - start > LONGEST_SHORT_BYTES,
      paused: () => from === 'store' && source.disk !== undefined && this.#writes.behind,
      distance,
      start: () => this.#start(load),
      drop: () => {
        this.#queued.delete(load);
        load.finish(undefined);
      },
    };
    this.#queued.set(load, queued);
    this.#queueOf(load).add(queued);
  }

  #start(load: Load): boolean {
    if (!load.begin()) {
      this.#cache.whenFreed(this.#pump);
      if (load.waiters > 0) this.#giveUpFarthest();
      return false;
    }
    this.#queued.delete(load);
    const done = this.#run(load).finally(() => {
      this.#running.delete(load);
      this.#queueOf(load).ended();
    });
    this.#running.set(load, done);
    return true;
  }

  /** Memory is short: what nobody waits for, and will not for long, makes room. */
  #giveUpFarthest(): void {
    let farthest: Load | undefined;
    for (const load of this.#running.keys()) {
      if (load.waiters > 0 || load.detached) continue;
      if (farthest === undefined || load.distance > farthest.distance) farthest = load;
    }
    if (farthest !== undefined) this.giveUp(farthest);
  }

  readonly #pump = (): void => {
    const served = [this.#diskQueue.pump(), this.#endpoint.queue.pump()];
    if (served.includes(false)) this.#cache.whenFreed(this.#pump);
  };

  /** Never rejects. */
  async #run(load: Load): Promise<void> {
    let failure: unknown;
    try {
      await (load.from === 'disk' ? this.#fromDisk(load) : this.#fromStore(load));
    } catch (error) {
      failure = error;
    }
    load.finish(failure);
  }

  async #fromDisk(load: Load): Promise<void> {
    const { disk } = load.source;
    const [first] = load.targets;
    if (disk === undefined || first === undefined) return;
    const rooms = load.targets.map(({ block, slot }) => slot.bytes.subarray(0, block.bytes));
    for (const there of await disk.read(first.block.index, rooms)) load.filledBlock(there);
    this.diskBytes += load.taken;
  }

  async #fromStore(load: Load): Promise<void> {
    const { source, extent, controller } = load;
    let slowDown = false;
    try {
      await source.fetch(extent, load, controller.signal);
      if (load.taken < extent.end - extent.start) throw new Error('a read gave too few bytes');
    } catch (error) {
      slowDown = source.isSlowDown(error);
      // All came, and was wrong in the end. What comes before a failure is right.
      if (load.taken === extent.end - extent.start) load.revoke();
      throw error;
    } finally {
      this.fetchedBytes += load.taken;
      const endMs = this.#clock.monotonic();
      const { startedMs, firstMs = endMs, taken } = load;
      const whole = taken === extent.end - extent.start;
      if (whole || slowDown) {
        this.#endpoint.note({
          bytes: taken,
          ttfbMs: firstMs - startedMs,
          durationMs: endMs - startedMs,
          slowDown,
          waiting: this.#endpoint.queue.waiting > 0,
          wanted: load.wanted,
          running: this.#endpoint.queue.running,
          nowMs: endMs,
        });
      }
    }
  }
}

/** What has to be asked for of a block; undefined when it is here or on its way. */
function missing(source: BlockSource, index: number, extent: Extent): Piece | undefined {
  const { blocks, disk } = source;
  const start = index * BLOCK_BYTES;
  const end = Math.min(start + BLOCK_BYTES, blocks.bytes);
  const block = blocks.blocks.get(index);
  const from = Math.max(extent.start, start);
  const to = Math.min(extent.end, end);
  if (from >= to || block?.load !== undefined) return undefined;
  if (block?.covers(from - start, to - start) === true && block.slot !== undefined)
    return undefined;
  if (disk?.has(index) === true) return { start, end, from: 'disk' };
  if (block?.slot === undefined) return { start: from, end: to, from: 'store' };
  // The second miss in a block brings the rest of it, in one request.
  if (block.from === 0) return { start: start + block.to, end, from: 'store' };
  if (block.to === block.bytes) return { start, end: start + block.from, from: 'store' };
  return { start, end, from: 'store' };
}

/** The length of each of equal requests for `extent`, none much shorter than the others. */
function evenParts({ start, end }: Extent, partBytes: number): number {
  const parts = Math.max(Math.round((end - start) / partBytes), 1);
  return Math.ceil((end - start) / parts / BLOCK_BYTES) * BLOCK_BYTES;
}
