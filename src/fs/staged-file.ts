/**
 * The local content of one file that is being written: a sparse file on the local disk. Counts
 * its changes, so that one knows whether the bucket has them all.
 *
 * The disk file is made with the first byte. Its mode says to whoever finds it after a crash
 * whether it holds changes (`isDirtyMode`). Calls that change it must not overlap: its owner holds
 * the node's lock.
 */
import { constants } from 'node:fs';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { MiB } from '../lib/bytes.ts';
import type { ETag, ObjectVersion } from '../store/object-store.ts';

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_RDWR } = constants;
const FRESH = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW;

const DIRTY_MODE = 0o600;
/** All of it is in the bucket. */
const CLEAN_MODE = 0o400;
/** Bytes copied at once where a file cannot be renamed. */
const COPY_BYTES = MiB;

/** What a save has sent without hearing that it arrived. */
export interface SentContent {
  readonly bytes: number;
  /** What S3 calls such content, where that can be told. */
  readonly etag: ETag | undefined;
}

interface Doubt extends SentContent {
  /** `#changes` when it was sent. */
  readonly changes: number;
}

export class StagedFile {
  readonly #path: string;
  #file: FileHandle | undefined;
  #bytes = 0;
  #changes = 0;
  #saved = 0;
  #failedAt: number | undefined;
  #discarded = false;
  #doubts: readonly Doubt[] = [];
  /** What the mode of the disk file says. */
  #markedDirty = false;
  /** The version the content began as, then the last one made of it; undefined: a new file. */
  base: ObjectVersion | undefined;
  /** ETags of all versions this content has been: handles on any of them see it. */
  readonly versions: Set<ETag> = new Set<ETag>();
  /** Last change of the content, ms since the epoch, unless a program set another. */
  mtimeMs: number;
  /** Made by O_EXCL: somebody else's object of the name is EEXIST. */
  exclusive = false;
  /** Last change of anything. */
  changedMs: number;

  constructor(path: string, base: ObjectVersion | undefined, nowMs: number) {
    this.#path = path;
    this.base = base;
    this.mtimeMs = base?.modifiedMs ?? nowMs;
    this.changedMs = this.mtimeMs;
    if (base !== undefined) this.versions.add(base.etag);
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Whether something here is not in the bucket. */
  get dirty(): boolean {
    return this.#changes !== this.#saved;
  }

  /** Whether saving failed, and nothing has changed since. */
  get failed(): boolean {
    return this.#failedAt === this.#changes;
  }

  /** Whether the bucket may hold content of this file that nobody has confirmed. */
  get inDoubt(): boolean {
    return this.#doubts.length > 0;
  }

  /** No longer what its file holds: reading and writing it makes no sense. */
  get discarded(): boolean {
    return this.#discarded;
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
    this.#doubts = [];
    this.base = version;
    this.versions.add(version.etag);
  }

  /** A save of the present content had no answer. */
  mayBeStored(sent: SentContent): void {
    this.#doubts = [...this.#doubts, { ...sent, changes: this.#changes }];
  }

  /**
   * Whether `version` is what an earlier save has sent: 'all' when nothing has changed since.
   * Never of a file that must be new: somebody else may have made the same, and be first.
   */
  recognize({ bytes, etag }: ObjectVersion): 'all' | 'part' | undefined {
    if (this.exclusive && this.base === undefined) return undefined;
    const same = (sent: Doubt): boolean =>
      sent.bytes === bytes && sent.etag !== undefined && bare(sent.etag) === bare(etag);
    const doubt = this.#doubts.findLast(same);
    if (doubt === undefined) return undefined;
    return doubt.changes === this.#changes ? 'all' : 'part';
  }

  saveFailed(): void {
    this.#failedAt = this.#changes;
  }

  /** Up to `length` bytes at `offset`; fewer only at the end. */
  async read(offset: number, length: number): Promise<Uint8Array> {
    const wanted = Math.max(Math.min(length, this.#bytes - offset), 0);
    // Zeros: where the disk file is shorter or missing, the content is a hole.
    const into = Buffer.alloc(wanted);
    if (wanted === 0 || this.#file === undefined) return into;
    for (let done = 0; done < wanted; ) {
      const { bytesRead } = await this.#file.read(into, done, wanted - done, offset + done);
      if (bytesRead === 0) break;
      done += bytesRead;
    }
    return into;
  }

  /** Puts `bytes`, which must be the caller's own, at `offset`. */
  async write(offset: number, bytes: Uint8Array): Promise<void> {
    const file = await this.#open();
    await this.mark();
    for (let done = 0; done < bytes.byteLength; ) {
      const left = bytes.byteLength - done;
      done += (await file.write(bytes, done, left, offset + done)).bytesWritten;
    }
    this.#bytes = Math.max(this.#bytes, offset + bytes.byteLength);
  }

  async truncate(bytes: number): Promise<void> {
    await this.mark();
    // Longer: the disk file needs no more than what was written.
    if (bytes < this.#bytes) await this.#file?.truncate(bytes);
    this.#bytes = bytes;
  }

  /** Gives the disk space back. */
  async discard(): Promise<void> {
    this.#discarded = true;
    const file = this.#file;
    this.#file = undefined;
    if (file === undefined) return;
    await file.close();
    await rm(this.#path, { force: true });
  }

  /** Brings the mode of the disk file up to date. */
  async mark(): Promise<void> {
    const { dirty } = this;
    if (this.#file === undefined || this.#markedDirty === dirty) return;
    await this.#file.chmod(dirty ? DIRTY_MODE : CLEAN_MODE);
    this.#markedDirty = dirty;
  }

  /** Moves the bytes to `path` for a person to find, instead of `discard`. */
  async keep(path: string): Promise<void> {
    const file = this.#file ?? (await open(path, FRESH, DIRTY_MODE));
    await file.truncate(this.#bytes);
    await file.sync();
    if (this.#file !== undefined) await this.#moveTo(path, file);
    this.#discarded = true;
    this.#file = undefined;
    await file.close();
  }

  async #moveTo(path: string, file: FileHandle): Promise<void> {
    try {
      await rename(this.#path, path);
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
      // Somebody removed the name; the descriptor still has the bytes.
      await copyTo(path, file);
    }
  }

  async #open(): Promise<FileHandle> {
    if (this.#file !== undefined) return this.#file;
    const { dirty } = this;
    this.#file = await open(this.#path, FRESH, dirty ? DIRTY_MODE : CLEAN_MODE);
    this.#markedDirty = dirty;
    return this.#file;
  }
}

/** Whether a staged file of that mode may hold bytes that are nowhere else. */
export function isDirtyMode(mode: number): boolean {
  return (mode & DIRTY_MODE) !== CLEAN_MODE;
}

/** Servers and SDKs differ in whether they give an ETag its quotes. */
function bare(etag: ETag): string {
  return etag.replaceAll('"', '');
}

async function copyTo(path: string, from: FileHandle): Promise<void> {
  const to = await open(path, FRESH, DIRTY_MODE);
  try {
    const piece = Buffer.allocUnsafe(COPY_BYTES);
    for (let offset = 0; ; ) {
      const { bytesRead } = await from.read(piece, 0, piece.length, offset);
      if (bytesRead === 0) break;
      await to.writeFile(piece.subarray(0, bytesRead));
      offset += bytesRead;
    }
    await to.sync();
  } finally {
    await to.close();
  }
}
