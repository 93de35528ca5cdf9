/**
 * Memory for content that was written and is not on the local disk yet: for no longer than a
 * second, as a local disk does with what nobody has synced.
 */
import { KiB } from '../lib/bytes.ts';
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import { CHUNK_BYTES, type ChunkPool } from './chunk-pool.ts';

/** Something with bytes in memory. */
export interface Spillable {
  /** Brings what is in memory to the disk. */
  spill(): Promise<void>;
}

export interface ContentMemoryOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly chunks: ChunkPool;
}

/** Shortest piece that is charged: what many small files cost is not their bytes alone. */
export const LEAST_CHUNK_BYTES: number = 4 * KiB;

/** How long bytes may be in memory only. */
const SPILL_MS = 1000;

export class ContentMemory implements AsyncDisposable {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #chunks: ChunkPool;
  /** When each was first changed, in order of that (monotonic). */
  readonly #changed = new Map<Spillable, number>();
  readonly #closing = new AbortController();
  #running: Promise<void> | undefined;

  constructor({ clock, log, chunks }: ContentMemoryOptions) {
    this.#clock = clock;
    this.#log = log;
    this.#chunks = chunks;
  }

  /** Bytes in use, also by other mounts of the process. */
  get used(): number {
    return this.#chunks.used;
  }

  /** Memory of `bytes`, with anything in it; undefined when there is none. */
  take(bytes: number): Uint8Array | undefined {
    return this.#chunks.take(bytes);
  }

  /** As `ChunkPool.give`. */
  give(memory: Uint8Array, isFree: boolean): void {
    this.#chunks.give(memory, isFree);
  }

  /** Runs `work` with a copy of `bytes`, whose memory is used again afterwards. */
  async withCopy<T>(bytes: Uint8Array, work: (copy: Uint8Array) => Promise<T>): Promise<T> {
    const isUsual = bytes.byteLength > CHUNK_BYTES / 2 && bytes.byteLength <= CHUNK_BYTES;
    const memory = this.#chunks.insist(isUsual ? CHUNK_BYTES : bytes.byteLength);
    memory.set(bytes);
    try {
      return await work(memory.subarray(0, bytes.byteLength));
    } finally {
      this.#chunks.give(memory, true);
    }
  }

  /** Has `content` spilled within a second. */
  changed(content: Spillable): void {
    if (this.#changed.has(content) || this.#closing.signal.aborted) return;
    this.#changed.set(content, this.#clock.monotonic());
    this.#running ??= this.#run();
  }

  /** There is nothing to spill any more. */
  unchanged(content: Spillable): void {
    this.#changed.delete(content);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    try {
      for (let [oldest] = this.#changed.values(); oldest !== undefined; ) {
        await this.#clock.sleep(oldest + SPILL_MS - this.#clock.monotonic(), signal);
        await this.#spillDue();
        [oldest] = this.#changed.values();
      }
    } catch (error) {
      if (!signal.aborted) this.#log.error('not-spilled', { error });
    }
    this.#running = undefined;
  }

  /** What cannot be spilled stays in memory, and is tried again after the next second. */
  async #spillDue(): Promise<void> {
    const now = this.#clock.monotonic();
    for (const [content, changedMs] of [...this.#changed]) {
      if (changedMs + SPILL_MS > now) return;
      this.#changed.delete(content);
      try {
        await content.spill();
      } catch (error) {
        this.#log.warn('not-spilled', { error });
        if (!this.#changed.has(content)) this.#changed.set(content, now);
      }
    }
  }
}
