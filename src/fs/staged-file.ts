/**
 * The local content of one file that is being written: a sparse file on the local disk. Counts
 * its changes, so that one knows whether the bucket has them all.
 *
 * The disk file is made with the first byte. Calls that change it must not overlap: its owner
 * holds the node's lock.
 */
import { constants } from 'node:fs';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import type { ETag, ObjectVersion } from '../store/object-store.ts';

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_RDWR } = constants;

export class StagedFile {
  readonly #path: string;
  #file: FileHandle | undefined;
  #bytes = 0;
  #changes = 0;
  #saved = 0;
  #failedAt: number | undefined;
  #discarded = false;
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
    this.base = version;
    this.versions.add(version.etag);
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
    for (let done = 0; done < bytes.byteLength; ) {
      const left = bytes.byteLength - done;
      done += (await file.write(bytes, done, left, offset + done)).bytesWritten;
    }
    this.#bytes = Math.max(this.#bytes, offset + bytes.byteLength);
  }

  async truncate(bytes: number): Promise<void> {
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

  /** Moves the bytes to `path` for a person to find, instead of `discard`. */
  async keep(path: string): Promise<void> {
    const file = await this.#open();
    await file.truncate(this.#bytes);
    await file.sync();
    await rename(this.#path, path);
    this.#discarded = true;
    this.#file = undefined;
    await file.close();
  }

  async #open(): Promise<FileHandle> {
    this.#file ??= await open(this.#path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
    return this.#file;
  }
}
