/** A cache and a loader over a source whose answers a test gives byte by byte. */
import { setImmediate as turn } from 'node:timers/promises';
import type { ObjectBlocks } from '../../../src/cache/block.ts';
import { BlockCache } from '../../../src/cache/block-cache.ts';
import type { DiskObject } from '../../../src/cache/block-disk.ts';
import { BlockLoader } from '../../../src/cache/block-loader.ts';
import { Endpoint } from '../../../src/cache/endpoint.ts';
import type { BlockSource, ByteSink } from '../../../src/cache/load.ts';
import { MemoryBudget } from '../../../src/cache/memory-budget.ts';
import { BLOCK_BYTES } from '../../../src/cache/slots.ts';
import { type Extent, MiB } from '../../../src/lib/bytes.ts';
import { FakeClock } from '../../fixtures/fake-clock.ts';

export const forever: AbortSignal = new AbortController().signal;

/** One request that the test answers. */
export class Request {
  readonly extent: Extent;
  readonly signal: AbortSignal;
  readonly done: Promise<void>;
  readonly #sink: ByteSink;
  readonly #truth: Uint8Array;
  #end: (error?: Error) => void = () => undefined;

  constructor(extent: Extent, sink: ByteSink, truth: Uint8Array, signal: AbortSignal) {
    this.extent = extent;
    this.signal = signal;
    this.#sink = sink;
    this.#truth = truth;
    this.done = new Promise((resolve, reject) => {
      this.#end = (error) => (error === undefined ? resolve() : reject(error));
      signal.addEventListener('abort', () => reject(signal.reason as Error));
    });
  }

  get blocks(): string {
    const { start, end } = this.extent;
    return `${start / BLOCK_BYTES}-${end / BLOCK_BYTES}`;
  }

  /** Sends the next `bytes`. */
  send(bytes: number): void {
    for (let left = bytes; left > 0; ) {
      const room = this.#sink.room();
      const at = this.extent.start + this.#sink.taken;
      const piece = this.#truth.subarray(at, at + Math.min(room.byteLength, left));
      room.set(piece);
      this.#sink.filled(piece.byteLength);
      left -= piece.byteLength;
    }
  }

  /** Sends all that is left and ends. */
  async finish(): Promise<void> {
    this.send(this.extent.end - this.extent.start - this.#sink.taken);
    await this.end();
  }

  async end(error?: Error): Promise<void> {
    this.#end(error);
    await turn();
  }
}

export class TestSource implements BlockSource {
  readonly blocks: ObjectBlocks;
  readonly truth: Uint8Array;
  readonly requests: Request[] = [];
  disk: DiskObject | undefined;
  /** Answers at once. */
  ready = false;

  constructor(blocks: ObjectBlocks, truth: Uint8Array) {
    this.blocks = blocks;
    this.truth = truth;
  }

  get asked(): string[] {
    return this.requests.map(({ blocks }) => blocks);
  }

  /** The last request, which the test expects to be there. */
  get last(): Request {
    const request = this.requests.at(-1);
    if (request === undefined) throw new Error('nothing was asked for');
    return request;
  }

  async fetch(extent: Extent, sink: ByteSink, signal: AbortSignal): Promise<void> {
    const request = new Request(extent, sink, this.truth, signal);
    this.requests.push(request);
    if (this.ready) {
      await Promise.resolve();
      await request.finish();
    }
    await request.done;
  }

  isSlowDown(): boolean {
    return false;
  }
}

export class BlockRig implements AsyncDisposable {
  readonly clock: FakeClock = new FakeClock();
  readonly budget: MemoryBudget;
  readonly cache: BlockCache;
  readonly endpoint: Endpoint = new Endpoint('https://s3.test');
  readonly loader: BlockLoader;

  constructor(memoryBytes: number = 16 * MiB) {
    const { clock } = this;
    this.budget = new MemoryBudget(memoryBytes);
    const reusing = (bytes: Uint8Array): void => {
      bytes.fill(0xee);
    };
    this.cache = new BlockCache({ budget: this.budget, clock, reusing });
    this.loader = this.newLoader();
  }

  newLoader(): BlockLoader {
    return new BlockLoader({ cache: this.cache, endpoint: this.endpoint, clock: this.clock });
  }

  source(name = 'object', bytes: number = 4 * MiB): TestSource {
    const truth = new Uint8Array(bytes);
    const words = new Uint32Array(truth.buffer, 0, Math.floor(bytes / 4));
    for (let at = 0; at < words.length; at += 1) words[at] = at * 31 + name.length;
    return new TestSource(this.cache.pin(name, bytes), truth);
  }

  /** Has blocks `first` up to `end` loaded that nobody waits for. */
  want(source: TestSource, first: number, end: number, partBytes: number = 64 * MiB): void {
    const extent = { start: first * BLOCK_BYTES, end: end * BLOCK_BYTES };
    this.loader.want(source, { extent, partBytes, distance: first * BLOCK_BYTES });
  }

  /** The bytes of an extent, compared with the truth. */
  async read(
    source: TestSource,
    start: number,
    bytes: number,
    signal: AbortSignal = forever,
    loader: BlockLoader = this.loader,
  ): Promise<string> {
    const end = start + bytes;
    const here = this.cache.views(source.blocks, start, end, true);
    const views = here ?? (await loader.read(source, { start, end }, true, signal));
    for (let hop = 0; hop < 20; hop += 1) await Promise.resolve();
    const read = Buffer.concat(views instanceof Uint8Array ? [views] : views);
    return read.equals(source.truth.subarray(start, end)) ? 'right' : 'wrong';
  }

  /** Reads whole blocks. */
  async block(source: TestSource, index: number, signal: AbortSignal = forever): Promise<string> {
    return await this.read(source, index * BLOCK_BYTES, BLOCK_BYTES, signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.loader[Symbol.asyncDispose]();
    await this.cache[Symbol.asyncDispose]();
  }
}

/** What a read ended with: 'right', 'wrong', or the message of its error. */
export async function outcome(read: Promise<string>): Promise<string> {
  return await read.catch((error: unknown) => (error instanceof Error ? error.message : 'error'));
}
