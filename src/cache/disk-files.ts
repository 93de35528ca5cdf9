/**
 * Opening files of the cache folder. Links are never followed, and what is not a plain file of
 * this user with one name is not opened, whatever put it there.
 */
import * as fs from 'node:fs';
import { promisify } from 'node:util';

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_RDWR } = fs.constants;
const openFile = promisify(fs.open);
const statFile = promisify(fs.fstat);

export const closeFile: (descriptor: number) => Promise<void> = promisify(fs.close);
export const truncateFile: (descriptor: number, bytes: number) => Promise<void> = promisify(
  fs.ftruncate,
);
const readPieces = promisify(fs.readv);
const writePieces = promisify(fs.writev);

/** Files of the cache are their owner's alone. */
const MODE = 0o600;

export interface OwnFile {
  readonly descriptor: number;
  readonly stats: fs.Stats;
}

/** There is something of that name which is not a file of ours. */
export class ForeignFileError extends Error {
  override readonly name = 'ForeignFileError';
}

/**
 * Undefined when there is no such file.
 *
 * @throws ForeignFileError; Error with a `code` for all else.
 */
export async function openOwn(path: string): Promise<OwnFile | undefined> {
  let descriptor: number;
  try {
    descriptor = await openFile(path, O_RDWR | O_NOFOLLOW);
  } catch (error) {
    const code = codeOf(error);
    if (code === 'ENOENT') return undefined;
    if (code === 'ELOOP' || code === 'EISDIR') throw new ForeignFileError(path, { cause: error });
    throw error;
  }
  try {
    const stats = await statFile(descriptor);
    if (!isOwn(stats)) throw new ForeignFileError(path);
    return { descriptor, stats };
  } catch (error) {
    await closeFile(descriptor);
    throw error;
  }
}

/** @throws Error with a `code`: EEXIST when there is anything of that name. */
export async function createOwn(path: string): Promise<number> {
  return await openFile(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, MODE);
}

/** Reads until `rooms` are full or the file ends; returns how many bytes came. */
export async function readInto(
  descriptor: number,
  rooms: readonly Uint8Array[],
  position: number,
): Promise<number> {
  const wanted = lengthOf(rooms);
  let { bytesRead: got } = await readPieces(descriptor, rooms, position);
  // Linux gives less than asked for only at the end, or beyond 2 GiB (read(2)): a second look.
  while (got > 0 && got < wanted) {
    const { bytesRead } = await readPieces(descriptor, after(rooms, got), position + got);
    if (bytesRead === 0) break;
    got += bytesRead;
  }
  return got;
}

/** @throws Error with a `code`; part of `pieces` may then have been written. */
export async function writeFrom(
  descriptor: number,
  pieces: readonly Uint8Array[],
  position: number,
): Promise<void> {
  const wanted = lengthOf(pieces);
  for (let done = 0; done < wanted; ) {
    const left = done === 0 ? pieces : after(pieces, done);
    const { bytesWritten } = await writePieces(descriptor, left, position + done);
    if (bytesWritten === 0) throw Object.assign(new Error('nothing written'), { code: 'ENOSPC' });
    done += bytesWritten;
  }
}

/** Whether a file is a plain one of this user, with no second name elsewhere. */
export function isOwn(stats: fs.Stats): boolean {
  // A file evicted while it was being opened has no name left: its bytes are still good.
  return stats.isFile() && stats.uid === ownUser() && stats.nlink <= 1;
}

/** 0 where the system has no users, as `stat` says there: nothing is told apart. */
export function ownUser(): number {
  return process.geteuid?.() ?? 0;
}

/** The name of a system error, as `ENOSPC`; undefined for any other. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string'
    ? error.code
    : undefined;
}

export function lengthOf(pieces: readonly Uint8Array[]): number {
  let bytes = 0;
  for (const piece of pieces) bytes += piece.byteLength;
  return bytes;
}

/** `pieces` without their first `bytes`. */
function after(pieces: readonly Uint8Array[], bytes: number): readonly Uint8Array[] {
  let skip = bytes;
  const left: Uint8Array[] = [];
  for (const piece of pieces) {
    if (skip < piece.byteLength) left.push(piece.subarray(skip));
    skip = Math.max(0, skip - piece.byteLength);
  }
  return left;
}
