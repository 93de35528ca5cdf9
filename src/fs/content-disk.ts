/**
 * The sparse file on the local disk that holds content which is being written. It is made with the
 * first byte. Its mode says to whoever finds it after a crash whether it holds changes
 * (`isDirtyMode`).
 */
import { constants } from 'node:fs';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { MiB } from '../lib/bytes.ts';

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_RDWR } = constants;
const FRESH = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW;

const DIRTY_MODE = 0o600;
/** All of it is in the bucket. */
const CLEAN_MODE = 0o400;
/** Bytes copied at once where a file cannot be renamed. */
const COPY_BYTES = MiB;

export class ContentDisk {
  #path: string;
  #file: FileHandle | undefined;
  #opening: Promise<FileHandle> | undefined;
  /** What the mode of the file says. */
  #markedDirty = true;

  /** @param file of what is at `path` already. */
  constructor(path: string, file?: FileHandle) {
    this.#path = path;
    this.#file = file;
  }

  get path(): string {
    return this.#path;
  }

  get isThere(): boolean {
    return this.#file !== undefined;
  }

  /** Puts all of `bytes` at `offset`. They must not change until it settles. */
  async write(offset: number, bytes: Uint8Array): Promise<void> {
    const file = await this.#open();
    for (let done = 0; done < bytes.byteLength; ) {
      const left = bytes.byteLength - done;
      done += (await file.write(bytes, done, left, offset + done)).bytesWritten;
    }
  }

  /** Fills `into` from `offset` on: zeros beyond the end, and where nothing was written. */
  async read(offset: number, into: Uint8Array): Promise<void> {
    const file = this.#file;
    let done = 0;
    while (file !== undefined && done < into.byteLength) {
      const { bytesRead } = await file.read(into, done, into.byteLength - done, offset + done);
      if (bytesRead === 0) break;
      done += bytesRead;
    }
    into.fill(0, done);
  }

  /** Cuts it, which gives disk space back; a longer one needs no more than what was written. */
  async cut(bytes: number): Promise<void> {
    const file = this.#file;
    if (file === undefined || (await file.stat()).size <= bytes) return;
    await file.truncate(bytes);
  }

  /** Says in its mode whether it holds changes. */
  async mark(dirty: boolean): Promise<void> {
    if (this.#file === undefined || this.#markedDirty === dirty) return;
    await this.#file.chmod(dirty ? DIRTY_MODE : CLEAN_MODE);
    this.#markedDirty = dirty;
  }

  async sync(): Promise<void> {
    await this.#file?.datasync();
  }

  /** Lets go of the file, which stays. */
  async close(): Promise<void> {
    await this.#opening?.catch(() => undefined);
    const file = this.#file;
    this.#file = undefined;
    await file?.close();
  }

  /** Gives the disk space back. */
  async discard(): Promise<void> {
    await this.#opening?.catch(() => undefined);
    const file = this.#file;
    this.#file = undefined;
    if (file === undefined) return;
    await file.close();
    await rm(this.#path, { force: true });
  }

  /** What is not on the disk yet is to be at `path`, and nowhere before. */
  startAt(path: string): void {
    if (this.#file === undefined && this.#opening === undefined) this.#path = path;
  }

  /** Moves it to `folder`, of the same file system, where it is not there yet. */
  async moveInto(folder: string): Promise<void> {
    await this.#opening?.catch(() => undefined);
    const path = join(folder, basename(this.#path));
    if (path === this.#path) return;
    if (this.#file !== undefined) await rename(this.#path, path);
    this.#path = path;
  }

  /** Moves it to `path`, `bytes` long, for a person to find, instead of `discard`. */
  async keep(path: string, bytes: number): Promise<void> {
    this.startAt(path);
    const file = await this.#open();
    await file.truncate(bytes);
    await file.sync();
    if (this.#path !== path) await this.#moveTo(path, file);
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
    this.#opening ??= open(this.#path, FRESH, DIRTY_MODE).finally(() => {
      this.#opening = undefined;
    });
    this.#file = await this.#opening;
    return this.#file;
  }
}

/** Opens what is at `path`, of an earlier life. */
export async function reopenedDisk(path: string): Promise<ContentDisk> {
  return new ContentDisk(path, await open(path, O_RDWR | O_NOFOLLOW));
}

/** Whether a staged file of that mode may hold bytes that are nowhere else. */
export function isDirtyMode(mode: number): boolean {
  return (mode & DIRTY_MODE) !== CLEAN_MODE;
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
