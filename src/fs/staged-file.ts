/**
 * One file that is being changed, as all who have it open see it. Counts the changes of its content
 * (`staged-content.ts`), so that one knows whether the bucket has them all, and keeps what the disk
 * says of it for the next mount.
 *
 * Calls that change it must not overlap: its owner holds the node's lock.
 */
import type { ETag, ObjectVersion } from '../store/object-store.ts';
import type { ContentDisk } from './content-disk.ts';
import { ContentDoubts, type Doubt, type SentContent } from './content-doubts.ts';
import type { ContentMemory } from './content-memory.ts';
import type { ContentRecord, UnfinishedContent } from './content-record.ts';
import type { Piece } from './extents.ts';
import type { MaybePromise, ReadBytes } from './filesystem.ts';
import type { ReadPosition } from './pinned-version.ts';
import { StagedContent, type StagedContentOptions } from './staged-content.ts';

export interface StagedFileOptions extends StagedContentOptions {
  readonly nowMs: number;
  /** Where what is unsaved and not all here is described, for the next mount. */
  readonly describe?: ((content: UnfinishedContent | undefined) => Promise<void>) | undefined;
}

/** Parts of content that were sent before its save. */
export interface EarlyParts {
  /** `[start, end)` is not what was sent. */
  changed(start: number, end: number): void;
  /** Nobody will save it. */
  giveUp(): Promise<void>;
}

export class StagedFile {
  readonly #disk: ContentDisk;
  readonly #content: StagedContent;
  readonly #memory: ContentMemory;
  readonly #describe: StagedFileOptions['describe'];
  #isDescribed: boolean;
  #describing: Promise<void> = Promise.resolve();
  #changes = 0;
  #saved = 0;
  #failedAt: number | undefined;
  #acceptedAt: number | undefined;
  #discarded = false;
  readonly #doubts = new ContentDoubts();
  /** ETags of all versions this content has been: handles on any of them see it. */
  readonly versions: Set<ETag> = new Set<ETag>();
  /** Last change of the content, ms since the epoch, unless a program set another. */
  mtimeMs: number;
  /** Made by O_EXCL: somebody else's object of the name is EEXIST. */
  exclusive = false;
  /** An earlier life may have sent it: a refusal may mean that it has arrived. */
  sentBefore = false;
  /** No answer tells whether a delete of ours has removed the object that it is of. */
  mayBeGone = false;
  /** For the journal that has accepted it. */
  beforeSending: ((sent: SentContent) => Promise<void>) | undefined;
  /** Last change of anything. */
  changedMs: number;
  /** What is sent of it while it is being written. */
  early: EarlyParts | undefined;

  constructor(options: StagedFileOptions) {
    const { base, disk, memory, nowMs, extents, describe } = options;
    this.#disk = disk;
    this.#memory = memory;
    this.#describe = describe;
    this.#content = new StagedContent(options, {
      changing: (start, end) => this.#tellEarly(start, end),
      changed: () => memory.changed(this),
    });
    this.#isDescribed = extents !== undefined;
    this.mtimeMs = base?.modifiedMs ?? nowMs;
    this.changedMs = this.mtimeMs;
    if (base !== undefined) this.versions.add(base.etag);
  }

  /** The version the content began as, then the last one made of it; undefined: a new file. */
  get base(): ObjectVersion | undefined {
    return this.#content.base;
  }

  /** A rename has made a copy of it, which has the same content. */
  set base(copy: ObjectVersion | undefined) {
    this.#content.movedTo(copy);
  }

  /** Where the disk file is, or would be. */
  get path(): string {
    return this.#disk.path;
  }

  get bytes(): number {
    return this.#content.bytes;
  }

  /** What `st_blocks` tells: all but holes. */
  get allocatedBytes(): number {
    return this.bytes - this.#content.holeBytes;
  }

  /** Bytes that only the base has. */
  get missingBytes(): number {
    return this.#content.missingBytes;
  }

  /** What the local bytes are not all of; undefined: they are all there is. */
  get lacks(): UnfinishedContent | undefined {
    return this.#content.lacks;
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
    return this.sentBefore || this.#doubts.some;
  }

  /** What was sent, and no answer tells whether the bucket has it. */
  get sent(): readonly Doubt[] {
    return this.#doubts.all;
  }

  /** No longer what its file holds: reading and writing it makes no sense. */
  get discarded(): boolean {
    return this.#discarded;
  }

  /** Up to here it was written from its start, in order. */
  get inOrderBytes(): number {
    return this.#content.inOrderBytes;
  }

  /** What is as in the base (`base`), and what a save has to send. */
  *changes(): Generator<Piece> {
    yield* this.#content.changes();
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
    this.sentBefore = false;
    this.mayBeGone = false;
    this.replacedBy(version);
    this.#content.saved();
  }

  /**
   * The object is `version` now, which an earlier state of this content was sent as: where this
   * one is as its base still, so is that.
   */
  replacedBy(version: ObjectVersion): void {
    this.#content.replacedBy(version);
    this.versions.add(version.etag);
  }

  /**
   * Its base was removed or replaced by our own doing, and is not needed: from now on all of it is
   * to take the place of `present`; undefined: it is a new file.
   */
  beginAnew(present?: ObjectVersion): void {
    this.#content.beginAnew(present);
    if (present !== undefined) this.versions.add(present.etag);
    this.exclusive = false;
    this.mayBeGone = false;
  }

  /**
   * Told where what is sent could not be known again after a crash: its base goes with the answer,
   * a file on the disk may have been changed by then, and what no journal has accepted is lost.
   */
  async sending(sent: () => SentContent): Promise<void> {
    const { isPartOfBase, isOnDisk } = this.#content;
    if (isPartOfBase || isOnDisk || !this.isAccepted) await this.beforeSending?.(sent());
  }

  /** A save of the present content had no answer. */
  mayBeStored(sent: SentContent): void {
    this.#doubts.add(sent, this.#changes);
  }

  /** The same of what it was before its present content. */
  mayHaveBeenStored(sent: SentContent): void {
    this.#doubts.add(sent, -1);
  }

  /** This mount may have put something there that is no earlier state of this content. */
  mayBeReplacedBy(other: SentContent): void {
    this.#doubts.add(other, 'other');
  }

  /** An earlier life has left it, and nothing has changed since. */
  get isAsLeft(): boolean {
    return this.sentBefore && this.#changes === 1;
  }

  /**
   * Whether `version` is what an earlier save has sent: 'all' when nothing has changed since, 'part'
   * when it is an earlier state. Never of a file that must be new: somebody else may have made the
   * same, and be first.
   */
  recognize(version: ObjectVersion): 'all' | 'part' | 'other' | undefined {
    if (this.exclusive && this.base === undefined) return undefined;
    const changes = this.#doubts.sentAs(version);
    if (changes === undefined || changes === 'other') return changes;
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
    return this.#content.read(offset, length, position, signal);
  }

  /** Fills `into` with the content from `offset` on; zeros beyond the end. */
  async fill(offset: number, into: Uint8Array, signal: AbortSignal): Promise<void> {
    await this.#content.fill(offset, into, signal);
  }

  /** As `StagedContent.take`. */
  take(offset: number, bytes: Uint8Array): number {
    return this.#content.take(offset, bytes);
  }

  /** As `StagedContent.write`. */
  async write(offset: number, bytes: Uint8Array): Promise<void> {
    await this.#content.write(offset, bytes);
  }

  async truncate(bytes: number): Promise<void> {
    await this.#content.truncate(bytes);
  }

  /** As `StagedContent.zero`. */
  zero(start: number, end: number): void {
    this.#content.zero(start, end);
  }

  /** As lseek(2): undefined when there is none. */
  seek(offset: number, whence: 'data' | 'hole'): number | undefined {
    return this.#content.seek(offset, whence);
  }

  /** Brings what only the base has to the local disk. */
  async fetch(signal: AbortSignal): Promise<void> {
    await this.#content.fetch(signal);
  }

  /** What of it is in memory goes to the disk, so that a crash leaves it. */
  async spill(): Promise<void> {
    // A journal has it: to write a file as well would cost more than all else.
    if (this.isAccepted) return;
    await this.#content.spill();
    await this.mark();
  }

  /** As `StagedContent.fillIn`. */
  async fillIn(inline: Uint8Array): Promise<void> {
    await this.#content.fillIn(inline);
  }

  /** What a journal needs to save it later. What is short is not brought to the disk for that. */
  async record(): Promise<ContentRecord> {
    return { ...(await this.#content.record()), exclusive: this.exclusive };
  }

  /** Brings what the disk says of it up to date: whether it is unsaved, and what it lacks then. */
  async mark(): Promise<void> {
    if (this.#discarded) return;
    await this.#disk.mark(this.dirty);
    const unfinished = this.dirty ? this.#content.unfinished : undefined;
    if (unfinished !== undefined || this.#isDescribed) await this.#tell(unfinished);
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
    await this.#content.spillWhole();
    await this.#end();
    await this.#disk.keep(path, this.bytes);
    if (this.#isDescribed) await this.#tell(undefined);
  }

  /** The disk file is in `folder` from now on: a journal there can name it. */
  async moveInto(folder: string): Promise<void> {
    // The next mark describes it there.
    if (this.#isDescribed) await this.#tell(undefined);
    await this.#disk.moveInto(folder);
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
    await this.#content.close();
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
}
