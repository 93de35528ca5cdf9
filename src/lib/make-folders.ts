/** Making folders with those above them. */
import { mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * As `mkdir` with `recursive`, but that it ends: where a folder cannot be made and the system says
 * that the one above is not there, although it is (`/proc`), Node tries for ever.
 *
 * @param mode of those that are made.
 * @throws Error of mkdir(2); ENOTDIR where something else is in the way.
 */
export async function makeFolders(path: string, mode: number): Promise<void> {
  const code = await codeOf(mkdir(path, { mode }));
  if (code === undefined || (code === 'EEXIST' && (await stat(path)).isDirectory())) return;
  const above = dirname(path);
  if (code === 'ENOENT' && above !== path) await makeFolders(above, mode);
  // What keeps it from being made is said by the system; another process may have made it.
  const again = await codeOf(mkdir(path, { mode }));
  if (again === undefined || (again === 'EEXIST' && (await stat(path)).isDirectory())) return;
  throw Object.assign(new Error(`mkdir ${path}: ${again}`), { code: again });
}

async function codeOf(work: Promise<unknown>): Promise<string | undefined> {
  return await work.then(
    () => undefined,
    (error: unknown) => (error as NodeJS.ErrnoException).code ?? String(error),
  );
}
