/**
 * The bytes of one file that are here: in memory first, then in a sparse file on the local disk.
 * What was written in order goes there a chunk at a time, while the writer goes on; what is short
 * and soon saved never does.
 *
 * A disk that refuses (ENOSPC) loses nothing: the bytes stay in memory. Who wants to write more
 * than memory holds is told, and may try again.
 *
 * Changes must not overlap: their owner holds the node's lock. Reads may come at any time.
 */
import type { Extent } from '../lib/bytes.ts';
import { type Chunk, ContentChunks } from './content-chunks.ts';
import type { ContentDisk } from './content-disk.ts';
import type { ContentMemory } from './content-memory.ts';

export class ContentLocal {
  readonly #disk: ContentDisk;
  readonly #chunks: ContentChunks;
  #writing: Promise<void> | undefined;
  /** The next chunk goes to the disk also if it is not full. */
  #spilling = false;
  /** The disk has refused: nothing more goes there until somebody waits for it. */
  #failure: { readonly error: unknown } | undefined;
  /** What is there is about to change: nothing goes there meanwhile. */
  #changing: Promise<void> | undefined;

  constructor(disk: ContentDisk, memory: ContentMemory) {
    this.#disk = disk;
    this.#chunks = new ContentChunks(memory);
  }

  /** Whether some of it is in memory alone. */
  get isInMemory(): boolean {
    return !this.#chunks.isEmpty;
  }

  /** Takes as much of `bytes` as there is memory for, without waiting; returns how much. */
  take(offset: number, bytes: Uint8Array): number {
    const taken = this.#chunks.put(offset, bytes);
    this.#pump();
    return taken;
  }

  /** Waits until there may be memory for more; false: others have it all, so write it through. */
  async room(): Promise<boolean> {
    if (this.#chunks.isEmpty) return false;
    await this.#oneWritten();
    return true;
  }

  /** Puts `bytes` on the disk at once. Nothing may be in memory. */
  async writeThrough(offset: number, bytes: Uint8Array): Promise<void> {
    await this.#disk.write(offset, bytes);
  }

  /** Fills `into` with what was written from `offset` on; zeros elsewhere. Nothing to wait for: undefined. */
  fill(offset: number, into: Uint8Array): Promise<void> | undefined {
    const extent = { start: offset, end: offset + into.byteLength };
    const chunks = this.#chunks.within(extent);
    const gaps = gapsOf(extent, chunks);
    if (gaps.length > 0 && this.#disk.isThere) return this.#fillGaps(offset, into, chunks, gaps);
    for (const { start, end } of gaps) into.fill(0, start - offset, end - offset);
    overlay(offset, into, chunks);
    return undefined;
  }

  /** Forgets what is at or beyond `bytes`. */
  async cut(bytes: number): Promise<void> {
    await this.#change(async () => {
      this.#chunks.cut(bytes);
      await this.#disk.cut(bytes);
    });
  }

  /** Brings all that is in memory now to the disk; not what is written meanwhile. */
  async spill(): Promise<void> {
    for (let left = this.#chunks.count; left > 0 && !this.#chunks.isEmpty; left -= 1) {
      await this.#oneWritten();
    }
  }

  /** Forgets all that is in memory; nothing is being written when it returns. */
  async clear(): Promise<void> {
    await this.#change(() => this.#chunks.clear());
  }

  /** Runs `work` while nothing is being written. */
  async #change(work: () => Promise<void> | void): Promise<void> {
    await this.#changing;
    const changed = (async () => {
      await this.#writing;
      await work();
    })();
    this.#changing = changed.catch(() => undefined);
    try {
      await changed;
    } finally {
      this.#changing = undefined;
    }
  }

  /** Waits until one chunk more is on the disk. */
  async #oneWritten(): Promise<void> {
    await this.#changing;
    this.#spilling = true;
    this.#failure = undefined;
    this.#pump();
    await this.#writing;
    this.#refuseAsDisk();
  }

  #refuseAsDisk(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  #pump(): void {
    const isBusy = this.#writing !== undefined || this.#changing !== undefined;
    if (isBusy || this.#failure !== undefined) return;
    const chunk = this.#chunks.due(this.#spilling);
    this.#spilling = false;
    if (chunk === undefined) return;
    chunk.sealed = true;
    this.#writing = this.#writeOut(chunk);
  }

  /** Never rejects. */
  async #writeOut(chunk: Chunk): Promise<void> {
    try {
      await this.#disk.write(chunk.start, chunk.memory.subarray(0, chunk.length));
      this.#chunks.remove(chunk);
    } catch (error) {
      chunk.sealed = false;
      this.#failure = { error };
    }
    this.#writing = undefined;
    this.#pump();
  }

  async #fillGaps(
    offset: number,
    into: Uint8Array,
    chunks: readonly Chunk[],
    gaps: readonly Extent[],
  ): Promise<void> {
    // Read before they were on the disk, copied after: what the disk had there was older.
    for (const chunk of chunks) chunk.readers += 1;
    const copies = chunks.map(({ start, length, memory }) => ({ start, length, memory }));
    try {
      for (const { start, end } of gaps) {
        await this.#disk.read(start, into.subarray(start - offset, end - offset));
      }
      overlay(offset, into, copies);
    } finally {
      for (const chunk of chunks) chunk.readers -= 1;
    }
  }
}

function overlay(
  offset: number,
  into: Uint8Array,
  chunks: readonly Pick<Chunk, 'start' | 'length' | 'memory'>[],
): void {
  for (const { start, length, memory } of chunks) {
    const from = Math.max(offset, start);
    const to = Math.min(offset + into.byteLength, start + length);
    into.set(memory.subarray(from - start, to - start), from - offset);
  }
}

/** What of `extent` is in none of `chunks`. */
function gapsOf({ start, end }: Extent, chunks: readonly Chunk[]): readonly Extent[] {
  const gaps: Extent[] = [];
  let at = start;
  for (const chunk of [...chunks].sort((a, b) => a.start - b.start)) {
    if (chunk.start > at) gaps.push({ start: at, end: chunk.start });
    at = Math.max(at, chunk.start + chunk.length);
  }
  if (at < end) gaps.push({ start: at, end });
  return gaps;
}
