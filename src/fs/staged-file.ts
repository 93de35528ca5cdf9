/**
 * The content of one file that is being changed, as all who have it open see it: what was written
 * here over what it still has of the version it began as. Counts its changes, so that one knows
 * whether the bucket has them all.
 *
 * Two maps say of each byte
 * - `#sources`: where it is read: here, from the base, or nowhere (a hole is zeros);
 * - `#changes`: whether it is as in the base, which a save need not send, or was changed since.
 * They differ in what was written and then saved: it is the base's now, and still here.
 *
 * Calls that change it must not overlap: its owner holds the node's lock.
 */
import { KiB, MiB } from '../lib/bytes.ts';
import type { ETag, ObjectVersion } from '../store/object-store.ts';
import type { ContentBase } from './content-base.ts';
import type { ContentDisk } from './content-disk.ts';
import { ContentDoubts, type SentContent } from './content-doubts.ts';
import { ContentLocal } from './content-local.ts';
import type { ContentMemory } from './content-memory.ts';
import { type EncodedExtents, ExtentMap, type Piece } from './extents.ts';
import type { MaybePromise, ReadBytes } from './filesystem.ts';
import { newPosition, type ReadPosition } from './pinned-version.ts';
import { staleFile } from './refusals.ts';

export interface StagedFileOptions {
  /** The version it begins as; undefined: a new file. */
  readonly base: ObjectVersion | undefined;
  /** Reads that version; absent where nothing of it is kept. */
  readonly reads?: ContentBase | undefined;
  readonly disk: ContentDisk;
  readonly memory: ContentMemory;
  readonly nowMs: number;
  /** What is in `disk` already, of an earlier life; absent: it begins as the base. */
  readonly extents?: ExtentMap;
  /** It begins as only so much of the base. */
  readonly baseBytes?: number;
  /** Where what is unsaved and not all here is described, for the next mount. */
  readonly describe?: ((content: UnfinishedContent | undefined) => Promise<void>) | undefined;
}

/** What the disk file of an unsaved file lacks, or has too much of. */
export interface UnfinishedContent {
  readonly base: ObjectVersion | undefined;
  readonly bytes: number;
  readonly extents: EncodedExtents;
}

/** Content that is to be saved, for a journal: all but where it is to go. */
export interface ContentRecord extends UnfinishedContent {
  readonly exclusive: boolean;
  /** The local bytes: a file that has them where they belong, or all of them one after another. */
  readonly content: { readonly file: string } | { readonly inline: Uint8Array };
}

/** Parts of content that were sent before its save. */
export interface EarlyParts {
  /** `[start, end)` is not what was sent. */
  changed(start: number, end: number): void;
  /** Nobody will save it. */
  giveUp(): Promise<void>;
}

/** Content up to here is written down together with the intent to save it. */
const INLINE_BYTES = 256 * KiB;
/** What is brought here of the base at once. */
const FETCH_BYTES = MiB;

export class StagedFile {
  readonly #disk: ContentDisk;
  readonly #local: ContentLocal;
  readonly #memory: ContentMemory;
  readonly #reads: ContentBase | undefined;
  readonly #describe: StagedFileOptions['describe'];
  readonly #sources: ExtentMap;
  #changed: ExtentMap;
  /** Where a hole is, the disk file may have bytes. */
  #hasRemnants: boolean;
  #isDescribed: boolean;
  #describing: Promise<void> = Promise.resolve();
  #changes = 0;
  #saved = 0;
  #failedAt: number | undefined;
  #acceptedAt: number | undefined;
  #discarded = false;
  readonly #doubts = new ContentDoubts();
  #base: ObjectVersion | undefined;
  #inOrder = 0;
  /** ETags of all versions this content has been: handles on any of them see it. */
  readonly versions: Set<ETag> = new Set<ETag>();
  /** Last change of the content, ms since the epoch, unless a program set another. */
  mtimeMs: number;
  /** Made by O_EXCL: somebody else's object of the name is EEXIST. */
  exclusive = false;
  /** An earlier life may have sent it: a refusal may mean that it has arrived. */
  sentBefore = false;
  /** Last change of anything. */
  changedMs: number;
  /** What is sent of it while it is being written. */
  early: EarlyParts | undefined;

  constructor(options: StagedFileOptions) {
    const { base, reads, disk, memory, nowMs, extents, describe } = options;
    this.#base = base;
    this.#reads = reads;
    this.#disk = disk;
    this.#memory = memory;
    this.#describe = describe;
    this.#local = new ContentLocal(disk, memory);
    const before = extents ?? ExtentMap.ofBase(options.baseBytes ?? base?.bytes ?? 0);
    this.#sources = before;
    this.#changed = before.copy();
    this.#hasRemnants = extents !== undefined;
    this.#isDescribed = extents !== undefined;
    this.mtimeMs = base?.modifiedMs ?? nowMs;
    this.changedMs = this.mtimeMs;
    if (base !== undefined) this.versions.add(base.etag);
  }

  /** The version the content began as, then the last one made of it; undefined: a new file. */
  get base(): ObjectVersion | undefined {
    return this.#base;
  }

  /** A rename has made a copy of it, which has the same content. */
  set base(copy: ObjectVersion | undefined) {
    this.#base = copy;
    if (copy !== undefined) this.#reads?.moved(copy);
  }

  /** Where the disk file is, or would be. */
  get path(): string {
    return this.#disk.path;
  }

  get bytes(): number {
    return this.#sources.bytes;
  }

  /** What `st_blocks` tells: all but holes. */
  get allocatedBytes(): number {
    return this.bytes - this.#sources.total('hole');
  }

  /** Bytes that only the base has. */
  get missingBytes(): number {
    return this.#sources.total('base');
  }

  /** What the local bytes are not all of; undefined: they are all there is. */
  get lacks(): UnfinishedContent | undefined {
    if (this.missingBytes === 0) return undefined;
    return { base: this.#base, bytes: this.bytes, extents: this.#sources.encode() };
  }

  /** Whether something here is not in the bucket. */
  get dirty(): boolean {
    return this.#changes !== this.#saved;
  }

  /** Goes up with each change. */
  get changeCount(): number {
    return this.#changes;
  }

  /** Whether saving failed, and nothing has changed since. */
  get failed(): boolean {
    return this.#failedAt === this.#changes;
  }

  /** Whether the bucket may hold content of this file that nobody has confirmed. */
  get inDoubt(): boolean {
    return this.#doubts.some;
  }

  /** No longer what its file holds: reading and writing it makes no sense. */
  get discarded(): boolean {
    return this.#discarded;
  }

  /** Up to here it was written from its start, in order. */
  get inOrderBytes(): number {
    return this.#changed.total('base') === 0 ? this.#inOrder : 0;
  }

  /** What is as in the base (`base`), and what a save has to send. */
  *changes(): Generator<Piece> {
    yield* this.#changed.pieces();
  }

  /** Counts a change of content. */
  touch(nowMs: number): void {
    this.#changes += 1;
    this.mtimeMs = nowMs;
    this.changedMs = nowMs;
  }

  /** The bucket has all up to now: nothing may have changed since its upload began. */
  savedAs(version: ObjectVersion): void {
    this.#saved = this.#changes;
    this.#failedAt = undefined;
    this.#doubts.clear();
    this.replacedBy(version);
    this.#changed = ExtentMap.ofBase(this.bytes);
  }

  /**
   * The object is `version` now, which an earlier state of this content was sent as: where this
   * one is as its base still, so is that.
   */
  replacedBy(version: ObjectVersion): void {
    this.#reads?.release();
    this.#base = version;
    this.versions.add(version.etag);
  }

  /** A save of the present content had no answer. */
  mayBeStored(sent: SentContent): void {
    this.#doubts.add(sent, this.#changes);
  }

  /**
   * Whether `version` is what an earlier save has sent: 'all' when nothing has changed since.
   * Never of a file that must be new: somebody else may have made the same, and be first.
   */
  recognize(version: ObjectVersion): 'all' | 'part' | undefined {
    if (this.exclusive && this.#base === undefined) return undefined;
    const changes = this.#doubts.sentAs(version);
    if (changes === undefined) return undefined;
    return changes === this.#changes ? 'all' : 'part';
  }

  /** A journal has all up to now, and will have it saved. */
  accepted(): void {
    this.#acceptedAt = this.#changes;
  }

  get isAccepted(): boolean {
    return this.#acceptedAt === this.#changes;
  }

  saveFailed(): void {
    this.#failedAt = this.#changes;
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
    await this.#fill(offset, into, newPosition(), () => signal);
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
    this.#tellEarly(bytes, Infinity);
    this.#sources.truncate(bytes);
    this.#changed.truncate(bytes);
    this.#inOrder = Math.min(this.#inOrder, bytes);
    if (this.missingBytes === 0) this.#reads?.release();
    this.#memory.changed(this);
  }

  /** Makes `[start, end)` zeros that take no room; the file grows if it ends before. */
  zero(start: number, end: number): void {
    this.#tellEarly(start, end);
    this.#sources.zero(start, end);
    this.#changed.zero(start, end);
    this.#hasRemnants = true;
    this.#inOrder = Math.min(this.#inOrder, start);
    this.#memory.changed(this);
  }

  /** As lseek(2): undefined when there is none. */
  seek(offset: number, whence: 'data' | 'hole'): number | undefined {
    return this.#sources.seek(offset, whence);
  }

  /** Brings what only the base has to the local disk. */
  async fetch(signal: AbortSignal): Promise<void> {
    const base = this.#base;
    const position = newPosition();
    const missing = [...this.#sources.pieces()].filter(({ from }) => from === 'base');
    for (const { start, end } of missing) {
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

  /** What of it is in memory goes to the disk, so that a crash leaves it. */
  async spill(): Promise<void> {
    // A journal has it: to write a file as well would cost more than all else.
    if (this.isAccepted) return;
    await this.#local.spill();
    await this.mark();
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
  async record(): Promise<ContentRecord> {
    const { base, exclusive, bytes } = this;
    const extents = this.#changed.encode();
    const local = this.#changed.total('local');
    const told = { base, exclusive, bytes, extents };
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

  /** Brings what the disk says of it up to date: whether it is unsaved, and what it lacks then. */
  async mark(): Promise<void> {
    if (this.#discarded) return;
    await this.#disk.mark(this.dirty);
    const unfinished = this.dirty && (this.missingBytes > 0 || this.#hasRemnants);
    if (unfinished) {
      const { bytes } = this;
      await this.#tell({ base: this.#base, bytes, extents: this.#sources.encode() });
    } else if (this.#isDescribed) await this.#tell(undefined);
  }

  /** Gives the disk space back. */
  async discard(): Promise<void> {
    await this.#end();
    await this.#disk.discard();
    if (this.#isDescribed) await this.#tell(undefined);
  }

  /**
   * Moves the bytes to `path` for a person to find, instead of `discard`. Where only the base has
   * them the file has zeros.
   */
  async keep(path: string): Promise<void> {
    this.#disk.startAt(path);
    await this.#local.spill();
    if (this.#hasRemnants) await this.#eraseRemnants();
    await this.#end();
    await this.#disk.keep(path, this.bytes);
    if (this.#isDescribed) await this.#tell(undefined);
  }

  /** Ends it, and leaves the disk file as it is. */
  async leave(): Promise<void> {
    await this.#end();
    await this.#disk.close();
  }

  async #end(): Promise<void> {
    this.#discarded = true;
    this.#memory.unchanged(this);
    const { early } = this;
    this.early = undefined;
    await early?.giveUp();
    this.#reads?.close();
    await this.#local.clear();
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
    this.#tellEarly(start, end);
    this.#sources.write(start, end);
    this.#changed.write(start, end);
    if (start <= this.#inOrder) this.#inOrder = Math.max(this.#inOrder, end);
    this.#memory.changed(this);
  }

  /** Call before the maps change: what comes at the end is in no part that was sent. */
  #tellEarly(start: number, end: number): void {
    if (start < this.bytes) this.early?.changed(start, end);
  }

  /** One after the other: the last one holds. */
  async #tell(content: UnfinishedContent | undefined): Promise<void> {
    this.#isDescribed = content !== undefined;
    const before = this.#describing;
    this.#describing = before
      .catch(() => undefined)
      .then(async () => await this.#describe?.(content));
    await this.#describing;
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
