/**
 * Files only their owner can read, replaced in one step. Nothing here follows a symbolic link in
 * the last step of a path, and a file or folder that others own or may read is refused, not fixed:
 * what it holds may be known already.
 */
import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, lstat, open, readdir, rename, unlink } from 'node:fs/promises';
import path from 'node:path';

import { makeFolders } from '../lib/make-folders.ts';
import { WireError } from '../lib/wire-error.ts';

const NEW_FILE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
/** The vault holds a few logins of a few KiB; anything larger is not ours. */
const MAX_BYTES = 4 * 2 ** 20;

/** Makes `folder` (0700) or checks that it is private. */
export async function ensurePrivateFolder(folder: string): Promise<void> {
  await makeFolders(folder, 0o700);
  const found = await lstat(folder);
  if (!found.isDirectory()) throw unsafe(folder, 'it is not a folder', 'move it away');
  assertPrivate(folder, found);
}

/** The content of `file`, or undefined when there is none. */
export async function readPrivateFile(file: string): Promise<Buffer | undefined> {
  const handle = await openToRead(file);
  if (handle === undefined) return undefined;
  try {
    const found = await handle.stat();
    if (!found.isFile()) throw unsafe(file, 'it is not a plain file', 'move it away');
    assertPrivate(file, found);
    if (found.size > MAX_BYTES) throw unsafe(file, 'it is too large to be ours', 'move it away');
    return await handle.readFile();
  } finally {
    await handle.close();
  }
}

/** Writes `content` beside `file`, brings it to stable storage, then renames it over `file`. */
export async function replacePrivateFile(file: string, content: string | Buffer): Promise<void> {
  const beside = `${file}.${randomBytes(8).toString('hex')}.tmp`;
  const handle = await open(beside, NEW_FILE, 0o600);
  try {
    await handle.writeFile(content);
    await handle.sync();
    await handle.close();
    await rename(beside, file);
  } catch (error) {
    await handle.close().catch(() => undefined);
    await unlink(beside).catch(() => undefined);
    throw error;
  }
  await syncFolder(path.dirname(file));
}

/**
 * Removes what a process that died within `replacePrivateFile` left beside `file`. Only for who
 * holds the lock of `file`: nobody else may be writing there.
 */
export async function removeLeftovers(file: string): Promise<void> {
  const folder = path.dirname(file);
  const isLeftover = (name: string): boolean =>
    name.startsWith(`${path.basename(file)}.`) && /\.[0-9a-f]{16}\.tmp$/.test(name);
  for (const name of (await readdir(folder)).filter(isLeftover)) {
    await unlink(path.join(folder, name));
  }
}

/** Without this the rename itself may be lost with the power (`fsync(2)`). */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, constants.O_RDONLY);
  try {
    await handle.sync();
  } catch (error) {
    // Some file systems refuse to sync a folder; they have no promise to keep.
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code !== 'EINVAL' && code !== 'ENOTSUP') throw error;
  } finally {
    await handle.close();
  }
}

async function openToRead(file: string): Promise<FileHandle | undefined> {
  try {
    // O_NONBLOCK: a pipe put in its place must not hold us up.
    return await open(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'ENOENT') return undefined;
    if (code === 'ELOOP') throw unsafe(file, 'it is a symbolic link', 'move it away');
    throw error;
  }
}

function assertPrivate(name: string, found: { readonly uid: number; readonly mode: number }): void {
  // Windows has neither; access lists of the profile folder protect it there.
  if (process.geteuid === undefined) return;
  if (found.uid !== process.geteuid()) {
    throw unsafe(name, 'it belongs to another user', 'move it away');
  }
  if ((found.mode & 0o077) !== 0) {
    const mode = (found.mode & 0o777).toString(8);
    throw unsafe(name, `others may use it (mode ${mode})`, `run: chmod go= '${name}'`);
  }
}

function unsafe(name: string, answered: string, next: string): WireError {
  return new WireError('config', { tried: `use ${name}`, answered, next });
}
