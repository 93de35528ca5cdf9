/** Files that sts-wire itself has left: tokens and client secrets among them, in clear. */
import { lstat, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';

const INSTANCE_MARK = 'instance.info';
/** Files of sts-wire beside the mark; others in such a folder are somebody's own. */
const instanceFile =
  /^(?:instance\.info|instance\.log|rclone\.conf|rclone\d*\.log(?:\.gz)?|report_\d+\.out|[^/]+\.json)$/;

/**
 * Removes them from `folder`, where sts-wire was run, and from `home`.
 *
 * @returns what was removed.
 */
export async function removeLeftovers(
  folder: string,
  home: string | undefined,
): Promise<readonly string[]> {
  const found = [join(folder, '.token'), ...(await instanceFiles(folder))];
  if (home !== undefined) {
    found.push(join(home, '.cache/sts-wire/rclone'), join(home, '.config/log/sts-wire.log'));
  }
  const removed: string[] = [];
  for (const path of found) {
    if (!(await isFile(path))) continue;
    await rm(path);
    removed.push(path);
  }
  return removed;
}

async function instanceFiles(folder: string): Promise<readonly string[]> {
  const files: string[] = [];
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    if (!entry.isDirectory() || !entry.name.startsWith('.')) continue;
    const instance = join(folder, entry.name);
    if (!(await isMarked(instance))) continue;
    for (const name of await readdir(instance)) {
      if (instanceFile.test(name)) files.push(join(instance, name));
    }
  }
  return files;
}

/** sts-wire writes there which instance it is, as JSON. */
async function isMarked(instance: string): Promise<boolean> {
  try {
    const text = await readFile(join(instance, INSTANCE_MARK), 'utf8');
    return typeof (JSON.parse(text) as { readonly Name?: unknown }).Name === 'string';
  } catch {
    return false;
  }
}

/** Itself, not what a link leads to. */
async function isFile(path: string): Promise<boolean> {
  return await lstat(path).then(
    (stats) => stats.isFile(),
    () => false,
  );
}
