/**
 * The folder a mount appears on: found once, made if asked for, removed afterwards. Whether it is
 * fit to be mounted on is looked at where the mount is made (`fuse/`).
 */
import { lstat, mkdir, realpath, rmdir, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { resolveMountPoint } from '../fuse/linux/mount-point.ts';
import { readMountinfo, topMount } from '../fuse/linux/mountinfo.ts';
import { WireError } from '../lib/wire-error.ts';

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
}

/** @throws WireError `mount-point` when it is missing, a link, or cannot be made. */
export async function prepareMountPoint(
  request: MountPointRequest,
  signal: AbortSignal,
): Promise<MountPoint> {
  signal.throwIfAborted();
  const asked = resolve(request.mountPoint);
  const path = await resolveMountPoint(asked);
  // What is mounted there is not asked: it may be dead, and then it is replaced, or never answer.
  if (topMount(await readMountinfo(), path) !== undefined) {
    return { path, deviceBefore: undefined, made: [] };
  }
  const missing = await missingFolders(asked);
  if (missing.length > 0) return await makeMountPoint(asked, missing, request.makeDirectory);
  try {
    const facts = await lstat(asked);
    if (!facts.isSymbolicLink()) return { path, deviceBefore: facts.dev, made: [] };
  } catch (error) {
    throw refusal(asked, describe(error), 'choose another folder', error);
  }
  throw refusal(asked, 'it is a symbolic link', `name the folder itself: ${path}`);
}

/** Removes the folders that `prepareMountPoint` made, as far as they are empty. */
export async function removeMade(point: MountPoint): Promise<void> {
  for (const folder of point.made.toReversed()) {
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

async function makeMountPoint(
  path: string,
  missing: readonly string[],
  allowed: boolean,
): Promise<MountPoint> {
  if (!allowed) throw refusal(path, 'there is no such folder', 'make it, or add --mkdir');
  try {
    await mkdir(path, { recursive: true });
    const real = await realpath(path);
    const deviceBefore = await deviceOf(real);
    // Links can only be in the part that was there before: the tails are the same.
    const made = missing.map((folder) =>
      real.slice(0, real.length - (path.length - folder.length)),
    );
    return { path: real, deviceBefore, made };
  } catch (error) {
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
