/**
 * Written bytes of one file in memory, on their way to its disk file. Writes that go on where the
 * last one ended share a chunk, so that the disk gets them as one.
 *
 * Invariants
 * - Chunks are in the order of their writes: where two overlap, the later one is right.
 * - No chunk crosses a multiple of CHUNK_BYTES, so that a file written in order is cut alike always.
 * - A sealed chunk is being written to the disk: its bytes do not change.
 */
import type { Extent } from '../lib/bytes.ts';
import { CHUNK_BYTES } from './chunk-pool.ts';
import { type ContentMemory, LEAST_CHUNK_BYTES } from './content-memory.ts';

export interface Chunk {
  readonly start: number;
  /** How much of `memory` is in use. */
  length: number;
  memory: Uint8Array;
  sealed: boolean;
  /** Who copies from it now: its memory must stay as it is. */
  readers: number;
}

/** More of them would make each write and read slow: then they go to the disk though not full. */
const MOST_CHUNKS = 64;

export class ContentChunks {
  readonly #memory: ContentMemory;
  #chunks: Chunk[] = [];

  constructor(memory: ContentMemory) {
    this.#memory = memory;
  }

  get isEmpty(): boolean {
    return this.#chunks.length === 0;
  }

  get count(): number {
    return this.#chunks.length;
  }

  /** Takes as much of `bytes` as there is memory for, from its start; returns how much. */
  put(offset: number, bytes: Uint8Array): number {
    let done = 0;
    while (done < bytes.byteLength) {
      const at = offset + done;
      const room = CHUNK_BYTES - (at % CHUNK_BYTES);
      const piece = bytes.subarray(done, done + room);
      const chunk = this.#chunkFor(at, piece.byteLength);
      if (chunk === undefined) break;
      chunk.memory.set(piece, at - chunk.start);
      chunk.length = Math.max(chunk.length, at - chunk.start + piece.byteLength);
      done += piece.byteLength;
    }
    return done;
  }

  /** Those that hold any of `extent`, in the order of their writes. */
  within({ start, end }: Extent): readonly Chunk[] {
    return this.#chunks.filter((one) => one.start < end && one.start + one.length > start);
  }

  /** The one to write to the disk next: a full one, or any if `all`. */
  due(all: boolean): Chunk | undefined {
    const [oldest] = this.#chunks;
    if (all || this.#chunks.length > MOST_CHUNKS) return oldest;
    const full = this.#chunks.find(isFull);
    // The order matters where they overlap, so all before it go first.
    return full === undefined ? undefined : oldest;
  }

  /** It is on the disk. */
  remove(chunk: Chunk): void {
    const at = this.#chunks.indexOf(chunk);
    if (at < 0) return;
    this.#chunks.splice(at, 1);
    this.#free(chunk);
  }

  /** Forgets what is at or beyond `bytes`; no chunk may be sealed. */
  cut(bytes: number): void {
    for (const chunk of [...this.#chunks]) {
      if (chunk.start >= bytes) this.remove(chunk);
      else chunk.length = Math.min(chunk.length, bytes - chunk.start);
    }
  }

  clear(): void {
    for (const chunk of this.#chunks) this.#free(chunk);
    this.#chunks = [];
  }

  /** A chunk with room for `length` bytes at `at`, on top of all others there. */
  #chunkFor(at: number, length: number): Chunk | undefined {
    for (let nth = this.#chunks.length - 1; nth >= 0; nth -= 1) {
      const chunk = this.#chunks[nth];
      if (chunk === undefined) break;
      const { start, sealed } = chunk;
      const end = start + chunk.length;
      const overlaps = start < at + length && at < end;
      const isInSlot = Math.floor(start / CHUNK_BYTES) === Math.floor(at / CHUNK_BYTES);
      if (!sealed && isInSlot && at >= start && at <= end) {
        return this.#reach(chunk, at - start + length) ? chunk : undefined;
      }
      if (overlaps) break;
    }
    return this.#add(at, length);
  }

  #add(start: number, length: number): Chunk | undefined {
    const last = this.#chunks.at(-1);
    const goesOn = last !== undefined && isFull(last) && last.start + last.length === start;
    const bytes = goesOn ? CHUNK_BYTES : capacityFor(length);
    const memory = this.#memory.take(bytes);
    if (memory === undefined) return undefined;
    const chunk = { start, length: 0, memory, sealed: false, readers: 0 };
    this.#chunks.push(chunk);
    return chunk;
  }

  /** Whether `chunk` has memory for `bytes` now. */
  #reach(chunk: Chunk, bytes: number): boolean {
    if (bytes <= chunk.memory.byteLength) return true;
    const memory = this.#memory.take(capacityFor(bytes));
    if (memory === undefined) return false;
    memory.set(chunk.memory.subarray(0, chunk.length));
    this.#free(chunk);
    chunk.memory = memory;
    return true;
  }

  #free(chunk: Chunk): void {
    this.#memory.give(chunk.memory, chunk.readers === 0);
  }
}

function isFull({ start, length }: Chunk): boolean {
  return (start + length) % CHUNK_BYTES === 0 && length > 0;
}

/** Powers of two, so that a file that grows by little writes is moved seldom. */
function capacityFor(bytes: number): number {
  let capacity = LEAST_CHUNK_BYTES;
  while (capacity < bytes) capacity *= 2;
  return capacity;
}
