import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';

export interface EntryBelow {
  readonly path: string;
  readonly isFolder: boolean;
}

/**
 * All that lies below `folder`, folders before what is in them.
 *
 * Not by `recursive` of readdir: where a file system tells no types with the names (a mount with
 * --posix), Node asks for each by a synchronous lstat, and a process that serves the mount's store
 * then waits for itself.
 *
 * @throws the system's error.
 */
export async function entriesBelow(folder: string): Promise<readonly EntryBelow[]> {
  const found: EntryBelow[] = [];
  for (const name of await readdir(folder)) {
    const path = join(folder, name);
    const isFolder = (await lstat(path)).isDirectory();
    found.push({ path, isFolder });
    if (isFolder) found.push(...(await entriesBelow(path)));
  }
  return found;
}
