/**
 * What this process knows and does of one object version on the disk, shared by all who have it
 * open. A block counts as there once its slot was written, which happens after its bytes were.
 * Invariant: a block is given only after its bytes were proven by its slot, in that very read.
 */
import { fstatSync, lstatSync } from 'node:fs';
import { BlockChecks, type CheckedBlocks } from './disk-checks.ts';
import { codeOf, ForeignFileError, isOwn, readInto, writeFrom } from './disk-files.ts';
import { recordPath } from './disk-names.ts';
import type { DiskPins } from './disk-pins.ts';
import type { DiskQuota } from './disk-quota.ts';
import type { BlockSeal, DiskSeal } from './disk-seal.ts';
import { SlotTable } from './disk-slots.ts';
import type { DiskTrouble } from './disk-trouble.ts';
import type { DiskTurns } from './disk-turns.ts';
import {
  closeVersion,
  createVersion,
  fingerprint,
  isNamed,
  openVersion,
  readSlots,
  removeData,
  setPinned,
  touch,
  type VersionFiles,
  type VersionPlace,
} from './disk-version-files.ts';

/** What all versions of a cache share. */
export interface VersionContext {
  readonly blockBytes: number;
  readonly seal: DiskSeal;
  readonly quota: DiskQuota;
  readonly trouble: DiskTrouble;
  readonly pins: DiskPins;
  readonly reads: DiskTurns;
  readonly counts: DiskCounts;
  readonly nowMs: () => number;
  /** Makes the folder of a shard, and all above it that is missing. */
  readonly makeShard: (path: string) => Promise<void>;
}

/** Blocks since this process began. */
export interface DiskCounts {
  /** Given from the disk. */
  hits: number;
  /** Came from elsewhere, and were offered to be kept. */
  misses: number;
  /** Found wrong, and forgotten. */
  damaged: number;
  /** Not kept: no room, or a disk too slow. */
  dropped: number;
}

/** Times of use are written down at most so often. */
const TOUCH_MS = 60_000;
/** Files are counted in whole blocks of the file system. */
const DISK_BLOCK_BYTES = 4096;
/** Record, and a folder or two. */
const NEW_FILES_BYTES = 3 * DISK_BLOCK_BYTES;

export class DiskVersion {
  readonly id: string;
  readonly place: VersionPlace;
  readonly #context: VersionContext;
  readonly #seal: BlockSeal;
  readonly #slots: SlotTable;
  readonly #checks: BlockChecks;
  #files: VersionFiles | undefined;
  /** Files whose names were taken away while somebody may read from them. */
  readonly #retired: VersionFiles[] = [];
  #preparing: Promise<VersionFiles | undefined> | undefined;
  #isRefused = false;
  #touchedMs = 0;

  constructor(id: string, place: VersionPlace, seal: BlockSeal, context: VersionContext) {
    this.id = id;
    this.place = place;
    this.#context = context;
    this.#seal = seal;
    this.#slots = new SlotTable(place.blocks, place.slotBytes);
    this.#checks = new BlockChecks(place.blocks);
  }

  /** Finds what is there. Never fails. */
  async load(known: CheckedBlocks | undefined): Promise<void> {
    try {
      await this.#load();
      this.#checks.believe(known);
    } catch (error) {
      this.#isRefused = error instanceof ForeignFileError;
      this.#context.trouble.note(error);
    }
  }

  has(index: number): boolean {
    return this.#slots.has(index);
  }

  get blockBytes(): number {
    return this.#context.blockBytes;
  }

  get isComplete(): boolean {
    return this.#slots.present === this.place.blocks;
  }

  /** Whether `whole` lacks nothing but checks. */
  get needsChecks(): boolean {
    return this.#mayServe && this.isComplete && this.#checks.count < this.place.blocks;
  }

  whole(): number | undefined {
    const files = this.#files;
    if (!this.#mayServe || files === undefined || !this.isComplete) return undefined;
    this.#lookForChanges(files);
    return this.#checks.count === this.place.blocks ? files.data : undefined;
  }

  /** The first block from `first` on that is there and was not checked yet. */
  unchecked(first: number): number | undefined {
    for (let index = first; index < this.place.blocks; index += 1) {
      if (this.has(index) && !this.#checks.has(index)) return index;
    }
    return undefined;
  }

  async read(first: number, rooms: readonly Uint8Array[]): Promise<readonly boolean[]> {
    const given = rooms.map(() => false);
    for (let at = 0; at < rooms.length; ) {
      let end = at;
      while (end < rooms.length && this.has(first + end)) end += 1;
      if (end > at) await this.#readRun(first + at, rooms.slice(at, end), given, at);
      at = Math.max(end, at + 1);
    }
    return given;
  }

  /** Keeps blocks that are not there yet. Never rejects. */
  async store(first: number, blocks: readonly Uint8Array[]): Promise<void> {
    try {
      for (let at = 0; at < blocks.length; ) {
        let end = at;
        while (end < blocks.length && !this.has(first + end)) end += 1;
        if (end > at) await this.#storeRun(first + at, blocks.slice(at, end));
        at = Math.max(end, at + 1);
      }
    } catch (error) {
      this.#context.counts.dropped += blocks.length;
      this.#isRefused ||= error instanceof ForeignFileError || codeOf(error) === 'EFBIG';
      if (this.#isRefused) this.#context.trouble.note(error);
      else this.#context.trouble.pause(error);
    }
  }

  /** What to believe at the next `load`. Nobody uses it any more. */
  async close(): Promise<CheckedBlocks | undefined> {
    const files = this.#files;
    this.#files = undefined;
    try {
      if (files === undefined) return undefined;
      this.#touch(files);
      this.#lookForChanges(files);
      return this.#checks.kept;
    } catch (error) {
      this.#context.trouble.note(error);
      return undefined;
    } finally {
      const all = files === undefined ? this.#retired : [...this.#retired, files];
      for (const open of all.splice(0)) await closeVersion(open).catch(() => undefined);
    }
  }

  get #mayServe(): boolean {
    return this.#context.seal.clear && !this.place.isInline && this.#files !== undefined;
  }

  async #load(): Promise<void> {
    const { shard } = this.place;
    const facts = lstatSync(shard, { throwIfNoEntry: false });
    if (facts === undefined) return;
    if (!facts.isDirectory()) throw new ForeignFileError(shard);
    this.#files = await openVersion(this.place);
    if (this.#files === undefined) return;
    this.#lookForChanges(this.#files);
    await readSlots(this.place, this.#files, (index, slot) => this.#slots.set(index, slot));
    this.#touchedMs = fstatSync(this.#files.record).mtimeMs;
    this.#touch(this.#files);
  }

  /** A run of blocks that are there. */
  async #readRun(
    first: number,
    rooms: readonly Uint8Array[],
    given: boolean[],
    at: number,
  ): Promise<void> {
    const files = this.#files;
    if (files === undefined) return;
    const { reads, trouble, counts } = this.#context;
    this.#lookForChanges(files);
    const slots = rooms.map((_room, place) => this.#slots.get(first + place));
    const position = files.dataAt + first * this.#context.blockBytes;
    let got: number;
    try {
      got = await reads.run(async () => await readInto(files.data, rooms, position));
    } catch (error) {
      trouble.note(error);
      rooms.forEach((_room, place) => this.#forget(first + place));
      return;
    }
    for (const [place, room] of rooms.entries()) {
      const slot = slots[place];
      got -= room.byteLength;
      const isRight = got >= 0 && slot !== undefined && this.#isRight(first + place, room, slot);
      given[at + place] = isRight || (await this.#readAgain(files, first + place, room, slot));
    }
    counts.hits += given.slice(at, at + rooms.length).filter(Boolean).length;
    this.#touch(files);
  }

  #isRight(index: number, room: Uint8Array, slot: Uint8Array): boolean {
    if (!this.#seal.unseal(index, room, slot)) return false;
    if (this.#slots.has(index)) this.#checks.add(index);
    return true;
  }

  /** Another process may have sealed the block anew since we read its slot; else it is damaged. */
  async #readAgain(
    files: VersionFiles,
    index: number,
    room: Uint8Array,
    old: Uint8Array | undefined,
  ): Promise<boolean> {
    const slot = Buffer.alloc(this.place.slotBytes);
    const slotAt = files.slotsAt + index * this.place.slotBytes;
    try {
      await readInto(files.record, [slot], slotAt);
      if (old !== undefined && !slot.equals(old)) {
        const position = files.dataAt + index * this.#context.blockBytes;
        const got = await readInto(files.data, [room], position);
        if (files === this.#files) this.#slots.set(index, slot);
        if (got === room.byteLength && this.#isRight(index, room, slot)) return true;
      }
      if (files === this.#files) this.#forget(index);
      this.#context.counts.damaged += 1;
      this.#context.trouble.damaged(this.id);
      await writeFrom(files.record, [slot.fill(0)], slotAt);
    } catch (error) {
      this.#forget(index);
      this.#context.trouble.note(error);
    }
    return false;
  }

  #lookForChanges(files: VersionFiles): void {
    this.#checks.look(() => this.#look(files));
  }

  async #change(files: VersionFiles, change: () => Promise<void>): Promise<void> {
    this.#lookForChanges(files);
    await this.#checks.change(
      () => (files === this.#files ? this.#look(files) : undefined),
      change,
    );
  }

  /** Empty when it cannot be known. */
  #look(files: VersionFiles): string {
    try {
      return fingerprint(files);
    } catch (error) {
      this.#context.trouble.note(error);
      return '';
    }
  }

  #forget(index: number): void {
    this.#slots.delete(index);
    this.#checks.delete(index);
  }

  /** A run of blocks of which none is there. */
  async #storeRun(first: number, blocks: readonly Uint8Array[]): Promise<void> {
    const { quota, trouble, counts, blockBytes } = this.#context;
    const isReady = !this.#isRefused && !trouble.paused;
    if (!isReady || !(await quota.take(this.#diskBytes(blocks)))) {
      counts.dropped += blocks.length;
      return;
    }
    const slots = Buffer.alloc(blocks.length * this.place.slotBytes);
    const slotAt = (at: number): Buffer =>
      slots.subarray(at * this.place.slotBytes, (at + 1) * this.place.slotBytes);
    const stored = blocks.map((block, at) => this.#seal.seal(first + at, block, slotAt(at)));
    const files = await this.#writable(this.place.isInline ? [slots, ...stored] : undefined);
    if (files === undefined) {
      counts.dropped += blocks.length;
      return;
    }
    if (!this.place.isInline) {
      const position = files.dataAt + first * blockBytes;
      await this.#change(files, async () => await writeFrom(files.data, stored, position));
      await writeFrom(files.record, [slots], files.slotsAt + first * this.place.slotBytes);
    }
    trouble.over();
    if (files !== this.#files) return;
    for (let at = 0; at < blocks.length; at += 1) {
      this.#slots.set(first + at, slotAt(at));
      this.#checks.add(first + at);
    }
  }

  /** Files that still have their names; made if need be, with the only block of an inline object. */
  async #writable(inline: readonly Uint8Array[] | undefined): Promise<VersionFiles | undefined> {
    const files = this.#files;
    if (inline === undefined && files !== undefined && isNamed(files)) return files;
    this.#preparing ??= this.#prepare(inline).finally(() => {
      this.#preparing = undefined;
    });
    return await this.#preparing;
  }

  async #prepare(inline: readonly Uint8Array[] | undefined): Promise<VersionFiles | undefined> {
    if (this.#files !== undefined) {
      await removeData(this.place, this.#files);
      this.#retired.push(this.#files);
      this.#files = undefined;
      this.#slots.clear();
      this.#checks.clear();
    }
    // Another process may have begun it meanwhile.
    if (inline === undefined && this.#isRecorded()) await this.#load();
    this.#files ??= await this.#create(inline);
    if (this.#files !== undefined) this.#lookForChanges(this.#files);
    return this.#files;
  }

  #isRecorded(): boolean {
    const record = recordPath(this.place.shard, this.place.name);
    const facts = lstatSync(record, { throwIfNoEntry: false });
    return facts !== undefined && isOwn(facts);
  }

  async #create(inline: readonly Uint8Array[] | undefined): Promise<VersionFiles | undefined> {
    const { pins, seal, makeShard, nowMs } = this.#context;
    const { object, shard } = this.place;
    const { endpoint, bucket, key, etag, bytes } = object;
    const text = seal.sealText(JSON.stringify([endpoint, bucket, key, etag, bytes]));
    const begin = async (): Promise<VersionFiles | undefined> => {
      await pins.refresh();
      const pinned = pins.isPinned(object);
      const beginning = inline === undefined ? { text, pinned } : { text, pinned, inline };
      const files = await createVersion(this.place, beginning);
      // Who pinned it meanwhile may have looked for it before it was there.
      await pins.refresh();
      if (files !== undefined && pins.isPinned(object) !== pinned) setPinned(files, !pinned);
      return files;
    };
    this.#touchedMs = nowMs();
    try {
      return await begin();
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') throw error;
      await makeShard(shard);
      return await begin();
    }
  }

  #touch(files: VersionFiles): void {
    const nowMs = this.#context.nowMs();
    if (Math.abs(nowMs - this.#touchedMs) < TOUCH_MS) return;
    this.#touchedMs = nowMs;
    try {
      touch(files, nowMs);
    } catch (error) {
      this.#context.trouble.note(error);
    }
  }

  #diskBytes(blocks: readonly Uint8Array[]): number {
    let bytes = this.#files === undefined ? NEW_FILES_BYTES : 0;
    for (const block of blocks) {
      bytes += Math.ceil(block.byteLength / DISK_BLOCK_BYTES) * DISK_BLOCK_BYTES;
    }
    return bytes;
  }
}
