/**
 * The bytes of one file that is being changed: what was written here over what it still has of the
 * version it began as.
 *
 * Two maps say of each byte
 * - `#sources`: where it is read: here, from the base, or nowhere (a hole is zeros);
 * - `#changed`: whether it is as in the base, which a save need not send, or was changed since.
 * They differ in what was written and then saved: it is the base's now, and still here.
 *
 * Calls that change it must not overlap: its owner holds the node's lock.
 */
import { KiB, MiB } from '../lib/bytes.ts';
import type { ObjectVersion } from '../store/object-store.ts';
import type { ContentBase } from './content-base.ts';
import type { ContentDisk } from './content-disk.ts';
import { ContentLocal } from './content-local.ts';
import type { ContentMemory } from './content-memory.ts';
import type { ContentRecord, UnfinishedContent } from './content-record.ts';
import { ExtentMap, type Piece } from './extents.ts';
import type { MaybePromise, ReadBytes } from './filesystem.ts';
import { newPosition, type ReadPosition } from './pinned-version.ts';
import { staleFile } from './refusals.ts';

export interface StagedContentOptions {
  /** The version it begins as; undefined: a new file. */
  readonly base: ObjectVersion | undefined;
  /** Reads that version; absent where nothing of it is kept. */
  readonly reads?: ContentBase | undefined;
  readonly disk: ContentDisk;
  readonly memory: ContentMemory;
  /** What is in `disk` already, of an earlier life; absent: it begins as the base. */
  readonly extents?: ExtentMap;
  /** It begins as only so much of the base. */
  readonly baseBytes?: number;
}

/** Who follows what changes. Neither may throw. */
export interface ContentObserver {
  /** `[start, end)` is about to change; still as long as it was. */
  changing(start: number, end: number): void;
  changed(): void;
}

/** Content up to here is written down together with the intent to save it. */
const INLINE_BYTES = 256 * KiB;
/** What is brought here of the base at once. */
const FETCH_BYTES = MiB;

export class StagedContent {
  readonly #disk: ContentDisk;
  readonly #local: ContentLocal;
  readonly #reads: ContentBase | undefined;
  readonly #observer: ContentObserver;
  readonly #sources: ExtentMap;
  #changed: ExtentMap;
  /** Where a hole is, the disk file may have bytes. */
  #hasRemnants: boolean;
  #base: ObjectVersion | undefined;
  #inOrder = 0;

  constructor(options: StagedContentOptions, observer: ContentObserver) {
    const { base, reads, disk, memory, extents } = options;
    this.#base = base;
    this.#reads = reads;
    this.#disk = disk;
    this.#observer = observer;
    this.#local = new ContentLocal(disk, memory);
    const before = extents ?? ExtentMap.ofBase(options.baseBytes ?? base?.bytes ?? 0);
    this.#sources = before;
    this.#changed = before.copy();
    this.#hasRemnants = extents !== undefined;
  }

  /** The version it began as, then the last one made of it. */
  get base(): ObjectVersion | undefined {
    return this.#base;
  }

  get bytes(): number {
    return this.#sources.bytes;
  }

  /** Bytes that are neither here nor in the base. */
  get holeBytes(): number {
    return this.#sources.total('hole');
  }

  /** Bytes that only the base has. */
  get missingBytes(): number {
    return this.#sources.total('base');
  }

  /** Whether some of it is as in the base, so that a save need not send that. */
  get isPartOfBase(): boolean {
    return this.#changed.total('base') > 0;
  }

  /** Whether some of it is, or was, in a file on the disk, and not in memory alone. */
  get isOnDisk(): boolean {
    return this.#disk.isThere;
  }

  /** Up to here it was written from its start, in order. */
  get inOrderBytes(): number {
    return this.isPartOfBase ? 0 : this.#inOrder;
  }

  /** What the local bytes are not all of; undefined: they are all there is. */
  get lacks(): UnfinishedContent | undefined {
    return this.missingBytes === 0 ? undefined : this.#described;
  }

  /** What the disk file lacks, or has too much of; undefined: it is as the content. */
  get unfinished(): UnfinishedContent | undefined {
    return this.missingBytes > 0 || this.#hasRemnants ? this.#described : undefined;
  }

  /** What is as in the base (`base`), and what a save has to send. */
  *changes(): Generator<Piece> {
    yield* this.#changed.pieces();
  }

  /** The object was copied: the copy has the same content. */
  movedTo(copy: ObjectVersion | undefined): void {
    this.#base = copy;
    if (copy !== undefined) this.#reads?.moved(copy);
  }

  /** The object is `version` now; what is as in the base still is as in that. */
  replacedBy(version: ObjectVersion): void {
    this.#reads?.release();
    this.#base = version;
  }

  /** The base has all of it by now. */
  saved(): void {
    this.#changed = ExtentMap.ofBase(this.bytes);
  }

  /** The base is gone, and not needed: `base` has nothing of this content. */
  beginAnew(base?: ObjectVersion): void {
    this.#reads?.release();
    this.#base = base;
    this.#changed = this.#sources.copy();
  }

  /** Up to `length` bytes at `offset`; fewer only at the end. */
  read(
    offset: number,
    length: number,
    position: ReadPosition,
    signal: () => AbortSignal,
  ): MaybePromise<ReadBytes> {
    const end = Math.min(offset + length, this.bytes);
    if (offset >= end) return new Uint8Array(0);
    const first = this.#sources.at(offset);
    if (first?.from === 'base' && first.end >= end && this.#base !== undefined && this.#reads) {
      return this.#reads.read(this.#base, { start: offset, end }, position, signal);
    }
    const into = Buffer.allocUnsafe(end - offset);
    const filled = this.#fill(offset, into, position, signal);
    return filled === undefined ? into : filled.then(() => into);
  }

  /** Fills `into` with the content from `offset` on; zeros beyond the end. */
  async fill(offset: number, into: Uint8Array, signal: AbortSignal): Promise<void> {
    const position = newPosition(offset + into.byteLength);
    await this.#fill(offset, into, position, () => signal);
  }

  /** Takes as much of `bytes` as memory has room for, without waiting; returns how much. */
  take(offset: number, bytes: Uint8Array): number {
    const taken = this.#local.take(offset, bytes);
    this.#wrote(offset, offset + taken);
    return taken;
  }

  /**
   * Puts `bytes`, which must be the caller's own, at `offset`. When it fails, a part of them from
   * their start may be there, as with write(2).
   */
  async write(offset: number, bytes: Uint8Array): Promise<void> {
    for (let done = this.take(offset, bytes); done < bytes.byteLength; ) {
      const left = bytes.subarray(done);
      if (await this.#local.room()) done += this.take(offset + done, left);
      else {
        await this.#writeThrough(offset + done, left);
        return;
      }
    }
  }

  async truncate(bytes: number): Promise<void> {
    // First, so that nothing is cut off that still counts when it fails.
    if (bytes < this.bytes) await this.#local.cut(bytes);
    this.#observer.changing(bytes, Infinity);
    this.#sources.truncate(bytes);
    this.#changed.truncate(bytes);
    this.#inOrder = Math.min(this.#inOrder, bytes);
    if (this.missingBytes === 0) this.#reads?.release();
    this.#observer.changed();
  }

  /** Makes `[start, end)` zeros that take no room; the file grows if it ends before. */
  zero(start: number, end: number): void {
    this.#observer.changing(start, end);
    this.#sources.zero(start, end);
    this.#changed.zero(start, end);
    this.#hasRemnants = true;
    this.#inOrder = Math.min(this.#inOrder, start);
    this.#observer.changed();
  }

  /** As lseek(2): undefined when there is none. */
  seek(offset: number, whence: 'data' | 'hole'): number | undefined {
    return this.#sources.seek(offset, whence);
  }

  /** Brings what only the base has to the local disk. */
  async fetch(signal: AbortSignal): Promise<void> {
    const base = this.#base;
    const missing = [...this.#sources.pieces()].filter(({ from }) => from === 'base');
    for (const { start, end } of missing) {
      const position = newPosition(end);
      for (let at = start; at < end; at += FETCH_BYTES) {
        const into = Buffer.allocUnsafe(Math.min(FETCH_BYTES, end - at));
        if (base === undefined || this.#reads === undefined) return;
        await this.#reads.fill(base, at, into, position, signal);
        await this.#store(at, into);
        this.#sources.write(at, at + into.byteLength);
      }
    }
    this.#reads?.release();
  }

  /** What of it is in memory goes to the disk. */
  async spill(): Promise<void> {
    await this.#local.spill();
  }

  /** The same, and the disk file has nothing else. */
  async spillWhole(): Promise<void> {
    await this.#local.spill();
    if (this.#hasRemnants) await this.#eraseRemnants();
  }

  /** Puts bytes that a journal has written down one after another where they belong. */
  async fillIn(inline: Uint8Array): Promise<void> {
    let at = 0;
    for (const { start, end, from } of [...this.#changed.pieces()]) {
      if (from !== 'local') continue;
      await this.#store(start, inline.slice(at, at + end - start));
      at += end - start;
    }
  }

  /** What a journal needs to save it later. What is short is not brought to the disk for that. */
  async record(): Promise<Omit<ContentRecord, 'exclusive'>> {
    const { base, bytes } = this;
    const extents = this.#changed.encode();
    const local = this.#changed.total('local');
    const told = { base, bytes, extents };
    if (local > INLINE_BYTES || this.#disk.isThere) {
      await this.#local.spill();
      return { ...told, content: { file: this.#disk.path } };
    }
    const inline = Buffer.allocUnsafe(local);
    let at = 0;
    for (const { start, end, from } of this.#changed.pieces()) {
      if (from !== 'local') continue;
      await this.#local.fill(start, inline.subarray(at, at + end - start));
      at += end - start;
    }
    return { ...told, content: { inline } };
  }

  /** Ends it; the disk file stays as it is. */
  async close(): Promise<void> {
    this.#reads?.close();
    await this.#local.clear();
  }

  get #described(): UnfinishedContent {
    return { base: this.#base, bytes: this.bytes, extents: this.#sources.encode() };
  }

  /** Undefined: there was nothing to wait for. */
  #fill(
    offset: number,
    into: Uint8Array,
    position: ReadPosition,
    signal: () => AbortSignal,
  ): Promise<void> | undefined {
    if (offset + into.byteLength > this.bytes) into.fill(0, Math.max(this.bytes - offset, 0));
    const late: Piece[] = [];
    let first: Promise<void> | undefined;
    for (const piece of this.#sources.pieces(offset, offset + into.byteLength)) {
      if (first === undefined) first = this.#fillPiece(piece, offset, into, position, signal);
      else late.push(piece);
    }
    return first?.then(async () => {
      for (const piece of late) await this.#fillPiece(piece, offset, into, position, signal);
    });
  }

  #fillPiece(
    { start, end, from }: Piece,
    offset: number,
    into: Uint8Array,
    position: ReadPosition,
    signal: () => AbortSignal,
  ): Promise<void> | undefined {
    const part = into.subarray(start - offset, end - offset);
    if (from === 'local') return this.#local.fill(start, part);
    if (from === 'base') return this.#fillFromBase(start, part, position, signal());
    part.fill(0);
    return undefined;
  }

  async #fillFromBase(
    start: number,
    into: Uint8Array,
    position: ReadPosition,
    signal: AbortSignal,
  ): Promise<void> {
    if (this.#base === undefined || this.#reads === undefined) throw staleFile;
    await this.#reads.fill(this.#base, start, into, position, signal);
  }

  /** Brings `bytes` here that the content has already. */
  async #store(offset: number, bytes: Uint8Array): Promise<void> {
    for (let done = 0; done < bytes.byteLength; ) {
      done += this.#local.take(offset + done, bytes.subarray(done));
      if (done === bytes.byteLength || (await this.#local.room())) continue;
      await this.#local.writeThrough(offset + done, bytes.subarray(done));
      return;
    }
  }

  async #writeThrough(start: number, bytes: Uint8Array): Promise<void> {
    const end = start + bytes.byteLength;
    try {
      await this.#local.writeThrough(start, bytes);
    } catch (error) {
      // Some of it may be on the disk: where that counts it has to be sent.
      for (const piece of [...this.#sources.pieces(start, end)]) {
        if (piece.from === 'local') this.#wrote(piece.start, piece.end);
      }
      throw error;
    }
    this.#wrote(start, end);
  }

  #wrote(start: number, end: number): void {
    if (start === end) return;
    this.#observer.changing(start, end);
    this.#sources.write(start, end);
    this.#changed.write(start, end);
    if (start <= this.#inOrder) this.#inOrder = Math.max(this.#inOrder, end);
    this.#observer.changed();
  }

  async #eraseRemnants(): Promise<void> {
    const zeros = new Uint8Array(FETCH_BYTES);
    const holes = [...this.#sources.pieces()].filter(({ from }) => from === 'hole');
    for (const { start, end } of holes) {
      for (let at = start; at < end; at += FETCH_BYTES) {
        await this.#disk.write(at, zeros.subarray(0, Math.min(FETCH_BYTES, end - at)));
      }
    }
  }
}
