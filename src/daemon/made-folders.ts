/**
 * Which folders `--mkdir` made for a mount, on disk: should the process be killed, whoever takes
 * its dead mount away, or mounts there again, still knows what to remove in the end.
 */
import { createHash } from 'node:crypto';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Outermost first. */
export type MadeFolders = readonly string[];

function recordOf(runtimeDir: string, mountPoint: string): string {
  const name = createHash('sha256').update(mountPoint).digest('hex').slice(0, 16);
  return join(runtimeDir, `made-${name}.json`);
}

export async function rememberMade(
  runtimeDir: string,
  mountPoint: string,
  made: MadeFolders,
): Promise<void> {
  if (made.length === 0) return;
  await writeFile(recordOf(runtimeDir, mountPoint), JSON.stringify(made), { mode: 0o600 });
}

/** None where nothing is known. */
export async function recallMade(runtimeDir: string, mountPoint: string): Promise<MadeFolders> {
  const text = await readFile(recordOf(runtimeDir, mountPoint), 'utf8').catch(() => '[]');
  try {
    return foldersAbove(mountPoint, JSON.parse(text));
  } catch {
    return [];
  }
}

export async function forgetMade(runtimeDir: string, mountPoint: string): Promise<void> {
  await rm(recordOf(runtimeDir, mountPoint), { force: true });
}

/** Only the mount point and what it lies in: a record that says more is not believed. */
function foldersAbove(mountPoint: string, record: unknown): MadeFolders {
  if (!Array.isArray(record)) return [];
  return record.filter(
    (folder): folder is string =>
      typeof folder === 'string' &&
      (folder === mountPoint || (folder.startsWith('/') && mountPoint.startsWith(`${folder}/`))),
  );
}
