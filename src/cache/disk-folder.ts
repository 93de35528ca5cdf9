/**
 * The folder of the disk cache: made, looked at, and refused when somebody else could have put
 * something there. All that is ours is below `wire-blocks` in it, which has a marker file.
 */
import { randomBytes } from 'node:crypto';
import { constants, type Stats } from 'node:fs';
import { lstat, mkdir, open, readdir, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../lib/clock.ts';
import { makeFolders } from '../lib/make-folders.ts';
import { WireError } from '../lib/wire-error.ts';
import { codeOf, ownUser } from './disk-files.ts';
import { withLock } from './disk-lock.ts';
import { ROOT_NAME } from './disk-names.ts';
import { removeStored, storedObjects } from './disk-walk.ts';

/** Raised when what lies in the folder means something else than before. */
const FORMAT = 1;
const MARKER = 'format';
const MARKER_TEXT = /^wire blocks \d+\n$/;
/** What may be there before the marker is: a process may have ended in between. */
const BEFORE_MARKER = /^(?:lock|format\.[\da-f]{16})$/;
const PRIVATE = 0o700;
const GROUP_AND_OTHERS = 0o077;
const WRITABLE_BY_OTHERS = 0o022;
const STICKY = 0o1000;

/** Short work on what processes share; see `disk-quota.ts`. */
export function lockPath(root: string): string {
  return join(root, 'lock');
}

/** Held by the one process that measures and evicts, or pins. */
export function evictionLockPath(root: string): string {
  return join(root, 'evict.lock');
}

/**
 * Makes the cache folder ready and gives the folder in it that is ours. Objects of another format
 * are removed.
 *
 * @throws WireError `config` when the folder is not safe to use, or cannot be used at all.
 */
export async function prepareFolder(
  folder: string,
  clock: Clock,
  signal: AbortSignal,
): Promise<string> {
  try {
    await makeFolders(folder, PRIVATE);
    refuseShared(folder, await stat(folder));
    const root = join(folder, ROOT_NAME);
    await makePrivate(root);
    const settle = async (): Promise<void> => await settleFormat(root, signal);
    await withLock(lockPath(root), clock, settle, signal);
    return root;
  } catch (error) {
    signal.throwIfAborted();
    const code = codeOf(error);
    if (error instanceof WireError || code === undefined) throw error;
    throw refused(folder, code, 'name another folder, or none', error);
  }
}

/**
 * A folder of ours alone, made if need be.
 *
 * @throws WireError `config` when something else has its name.
 */
export async function makePrivate(path: string): Promise<void> {
  try {
    await mkdir(path, { mode: PRIVATE });
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error;
  }
  const stats = await lstat(path);
  if (!stats.isDirectory()) throw refused(path, 'it is not a folder', 'move it away');
  if (stats.uid !== ownUser()) throw refused(path, 'it belongs to another user', 'move it away');
  if ((stats.mode & GROUP_AND_OTHERS) !== 0) {
    throw refused(path, 'other users have rights to it', `chmod 700 ${path}`);
  }
}

/** Who may rename what is in `folder` could put a folder of theirs in the place of ours. */
function refuseShared(folder: string, { uid, mode }: Stats): void {
  if (uid !== ownUser() && uid !== 0) {
    throw refused(folder, 'it belongs to another user', 'name a folder of your own');
  }
  if ((mode & WRITABLE_BY_OTHERS) !== 0 && (mode & STICKY) === 0) {
    throw refused(folder, 'other users may write to it', `chmod go-w ${folder}`);
  }
}

async function settleFormat(root: string, signal: AbortSignal): Promise<void> {
  const text = `wire blocks ${FORMAT}\n`;
  const found = await readMarker(join(root, MARKER));
  if (found === text) return;
  if (found === undefined) {
    const names = await readdir(root);
    if (!names.every((name) => BEFORE_MARKER.test(name))) throw notOurs(root);
  } else if (MARKER_TEXT.test(found)) {
    for await (const object of storedObjects(root, undefined, signal)) await removeStored(object);
  } else {
    throw notOurs(root);
  }
  await writeMarker(root, text);
}

async function readMarker(path: string): Promise<string | undefined> {
  try {
    await using file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
    return await file.readFile('utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** Whole or not at all, also when this process ends in between. */
async function writeMarker(root: string, text: string): Promise<void> {
  const path = join(root, `${MARKER}.${randomBytes(8).toString('hex')}`);
  {
    await using file = await open(path, 'wx', 0o600);
    await file.writeFile(text);
  }
  await rename(path, join(root, MARKER));
}

function notOurs(root: string): WireError {
  return refused(root, 'it holds what wire did not put there', 'name another folder, or none');
}

function refused(path: string, answered: string, next: string, cause?: unknown): WireError {
  return new WireError('config', { tried: `keep blocks in ${path}`, answered, next }, { cause });
}
