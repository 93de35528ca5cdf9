/**
 * The folder a mount appears on: found once, made if asked for, removed afterwards. Whether it is
 * fit to be mounted on is looked at where the mount is made (`fuse/`).
 */
import { lstat, mkdir, realpath, rmdir, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { resolveMountPoint } from '../fuse/linux/mount-point.ts';
import { readMountinfo, topMount } from '../fuse/linux/mountinfo.ts';
import { WireError } from '../lib/wire-error.ts';
import { forgetMade, recallMade, rememberMade } from './made-folders.ts';
import { isPassedDescriptor } from './passed-descriptor.ts';

export interface MountPointRequest {
  readonly mountPoint: string;
  /** Make a missing folder, and remove it afterwards. */
  readonly makeDirectory: boolean;
}

export interface MountPoint {
  /** Absolute, without links. */
  readonly path: string;
  /** Device number of the bare folder; undefined when something is mounted there already. */
  readonly deviceBefore: number | undefined;
  /** Folders that were made, outermost first. */
  readonly made: readonly string[];
  /** Where `made` is recorded while the mount lives. */
  readonly runtimeDir: string;
}

/** @throws WireError `mount-point` when it is missing, a link, or cannot be made. */
export async function prepareMountPoint(
  request: MountPointRequest,
  runtimeDir: string,
  signal: AbortSignal,
): Promise<MountPoint> {
  signal.throwIfAborted();
  const asked = resolve(request.mountPoint);
  const path = await resolveMountPoint(asked);
  const there = { path, deviceBefore: undefined, made: [], runtimeDir };
  if (isPassedDescriptor(path)) return there;
  // What is mounted there is not asked: it may be dead, and then it is replaced, or never answer.
  if (topMount(await readMountinfo(), path) !== undefined) {
    return { ...there, made: await recallMade(runtimeDir, path) };
  }
  const missing = await missingFolders(asked);
  if (missing.length > 0) {
    if (!request.makeDirectory) {
      throw refusal(asked, 'there is no such folder', 'make it, or add --mkdir');
    }
    return await makeMountPoint(asked, missing, runtimeDir, signal);
  }
  try {
    const facts = await lstat(asked);
    if (!facts.isSymbolicLink()) return { ...there, deviceBefore: facts.dev };
  } catch (error) {
    throw refusal(asked, describe(error), 'choose another folder', error);
  }
  throw refusal(asked, 'it is a symbolic link', `name the folder itself: ${path}`);
}

/**
 * Removes the folders that were made for the mount, as far as they are empty. A mount that is still
 * there, dead, keeps its folders and the record of them.
 */
export async function removeMade(point: MountPoint): Promise<void> {
  const { path, made, runtimeDir } = point;
  if (made.length === 0 || topMount(await readMountinfo(), path) !== undefined) return;
  await removeFolders(made);
  await forgetMade(runtimeDir, path);
}

/** The same for a mount whose process is gone. */
export async function removeMadeOf(mountPoint: string, runtimeDir: string): Promise<void> {
  const made = await recallMade(runtimeDir, mountPoint);
  await removeMade({ path: mountPoint, deviceBefore: undefined, made, runtimeDir });
}

async function removeFolders(made: readonly string[]): Promise<void> {
  for (const folder of made.toReversed()) {
    try {
      await rmdir(folder);
    } catch {
      return; // somebody has put something there meanwhile: it is theirs now
    }
  }
}

export async function deviceOf(path: string): Promise<number> {
  return (await stat(path)).dev;
}

/** Folders on the way to `path` that do not exist, outermost first. */
async function missingFolders(path: string): Promise<readonly string[]> {
  const missing: string[] = [];
  for (let at = path; at !== dirname(at); at = dirname(at)) {
    try {
      await lstat(at);
      return missing;
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') return missing;
      missing.unshift(at);
    }
  }
  return missing;
}

/**
 * One folder after the other: where none can be made and none is there (/proc), Node's recursive
 * mkdir goes on for ever.
 */
async function makeMountPoint(
  path: string,
  missing: readonly string[],
  runtimeDir: string,
  signal: AbortSignal,
): Promise<MountPoint> {
  const made: string[] = [];
  try {
    for (const folder of missing) {
      signal.throwIfAborted();
      await mkdir(folder);
      // Links can only be in the part that was there before.
      made.push(await realpath(folder));
    }
    const real = await realpath(path);
    await rememberMade(runtimeDir, real, made);
    return { path: real, deviceBefore: await deviceOf(real), made, runtimeDir };
  } catch (error) {
    await removeFolders(made);
    signal.throwIfAborted();
    throw refusal(path, `making it failed: ${describe(error)}`, 'choose another folder', error);
  }
}

function refusal(path: string, answered: string, next: string, cause?: unknown): WireError {
  return new WireError('mount-point', { tried: `mount on ${path}`, answered, next }, { cause });
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}

/** The system's refusal in words. */
function describe(error: unknown): string {
  const code = codeOf(error);
  if (code === 'EACCES' || code === 'EPERM') return 'permission denied';
  if (code === 'ENOTDIR') return 'something on the way is not a folder';
  if (code === 'EROFS') return 'the file system is read-only';
  return code ?? String(error);
}
