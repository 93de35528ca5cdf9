/**
 * Lives that have ended and left a journal. The folder of all staging folders has one for each place
 * that was ever mounted; in it each life of a mount there has its own, named for who it is.
 */
import { mkdir, open, readdir, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isDeadOwner, newLeftName } from '../staging-owner.ts';
import { isSameOwner, type Life, parseLife } from './life.ts';
import { decodeFileHead, recordsIn } from './record.ts';
import { isSegmentName } from './segment-row.ts';

/** The first record tells of the life: paths and names, a few hundred bytes. */
const PEEK_BYTES = 64 * 1024;

/** Folders of lives that have ended, below the staging folder of one place. */
export async function deadLives(stagingDir: string): Promise<readonly string[]> {
  const names = await namesIn(stagingDir);
  return names.filter(isDeadOwner).map((name) => join(stagingDir, name));
}

/** Staging folders of all places. */
export async function stagingFolders(root: string): Promise<readonly string[]> {
  return (await namesIn(root)).map((name) => join(root, name));
}

/** Whose journal is in `folder`; undefined where there is none that can be read. */
export async function lifeIn(folder: string): Promise<Life | undefined> {
  for (const name of (await namesIn(folder)).filter((each) => isSegmentName(each)).sort()) {
    const start = await startOf(join(folder, name));
    const head = decodeFileHead(start);
    if (head === undefined) continue;
    for (const found of recordsIn(start, head)) {
      if (!('record' in found) || found.record.type !== 'life') break;
      return parseLife(found.record.json);
    }
  }
  return undefined;
}

/**
 * Moves what other places of the same source and identity have left to `stagingDir`, where it is
 * then taken over. Of several mounts that try only one succeeds.
 */
export async function gatherLeft(stagingDir: string, life: Life): Promise<void> {
  for (const other of await stagingFolders(dirname(stagingDir))) {
    if (other === stagingDir) continue;
    for (const folder of await deadLives(other)) {
      const left = await lifeIn(folder);
      if (left === undefined || !isSameOwner(left, life)) continue;
      await mkdir(stagingDir, { recursive: true, mode: 0o700 });
      await rename(folder, join(stagingDir, newLeftName())).catch(() => undefined);
    }
  }
}

async function startOf(path: string): Promise<Buffer> {
  const file = await open(path, 'r');
  try {
    const start = Buffer.alloc(PEEK_BYTES);
    const { bytesRead } = await file.read(start, 0, PEEK_BYTES, 0);
    return start.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

/** Nothing where there is no such folder, or it is none. */
async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'ENOENT' || code === 'ENOTDIR') return [];
    throw error;
  }
}
