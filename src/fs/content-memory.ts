/**
 * Memory for content that was written and is not on the local disk yet: bounded over all files of
 * a mount, and for no longer than a second, as a local disk does with what nobody has synced.
 */
import { KiB, MiB } from '../lib/bytes.ts';
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';

/** Something with bytes in memory. */
export interface Spillable {
  /** Brings what is in memory to the disk. */
  spill(): Promise<void>;
}

export interface ContentMemoryOptions {
  readonly clock: Clock;
  readonly log: Log;
  /** Default 12 MiB: some 10 ms of a fast disk. */
  readonly bytes?: number;
}

/** Longest piece of memory; pieces of this length are used again and again. */
export const CHUNK_BYTES: number = MiB;
/** Shortest piece that is charged: what many small files cost is not their bytes alone. */
export const LEAST_CHUNK_BYTES: number = 4 * KiB;

const MEMORY_BYTES = 12 * MiB;
/** For those who wait for memory, with a copy of what they want to write. */
const LEAST_SPARE = 2;
/** How long bytes may be in memory only. */
const SPILL_MS = 1000;

export class ContentMemory implements AsyncDisposable {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #bytes: number;
  /** Pieces that wait to be used again; with those in use not more than there may be. */
  readonly #spare: Uint8Array[] = [];
  /** When each was first changed, in order of that (monotonic). */
  readonly #changed = new Map<Spillable, number>();
  readonly #closing = new AbortController();
  #running: Promise<void> | undefined;
  #used = 0;

  constructor({ clock, log, bytes = MEMORY_BYTES }: ContentMemoryOptions) {
    this.#clock = clock;
    this.#log = log;
    this.#bytes = bytes;
  }

  /** Bytes in use. */
  get used(): number {
    return this.#used;
  }

  /** Takes all of `bytes`, or nothing. */
  take(bytes: number): boolean {
    if (this.#used + bytes > this.#bytes) return false;
    this.#used += bytes;
    // One of them may be what the bytes are for.
    const room = Math.ceil((this.#bytes - this.#used) / CHUNK_BYTES) + 1;
    this.#spare.length = Math.min(this.#spare.length, Math.max(room, LEAST_SPARE));
    return true;
  }

  give(bytes: number): void {
    this.#used -= bytes;
  }

  /** Memory of `bytes`, with anything in it. */
  allocate(bytes: number): Uint8Array {
    const spare = bytes === CHUNK_BYTES ? this.#spare.pop() : undefined;
    return spare ?? Buffer.allocUnsafeSlow(bytes);
  }

  /** Nobody refers to `chunk` any more: it may be used again. */
  recycle(chunk: Uint8Array): void {
    if (chunk.byteLength !== CHUNK_BYTES) return;
    const held = this.#used + this.#spare.length * CHUNK_BYTES;
    if (held + CHUNK_BYTES <= this.#bytes || this.#spare.length < LEAST_SPARE) {
      this.#spare.push(chunk);
    }
  }

  /** Runs `work` with a copy of `bytes`, whose memory is used again afterwards. */
  async withCopy<T>(bytes: Uint8Array, work: (copy: Uint8Array) => Promise<T>): Promise<T> {
    const isUsual = bytes.byteLength > CHUNK_BYTES / 2 && bytes.byteLength <= CHUNK_BYTES;
    const memory = this.allocate(isUsual ? CHUNK_BYTES : bytes.byteLength);
    memory.set(bytes);
    try {
      return await work(memory.subarray(0, bytes.byteLength));
    } finally {
      this.recycle(memory);
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
