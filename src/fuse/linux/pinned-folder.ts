/** A folder held by a descriptor: whatever is put in its place meanwhile, it stays the same one. */
import { constants } from 'node:fs';
import { open, readlink } from 'node:fs/promises';
import { WireError } from '../../lib/wire-error.ts';

/** `open(2)`: names a folder without reading it. Node has no constant for it; Linux generic ABI. */
const O_PATH = 0o10000000;
const FLAGS = O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW;

export interface PinnedFolder extends AsyncDisposable {
  /** Leads to that very folder, in this process, until disposed. */
  readonly path: string;
}

/**
 * The folder that `path`, absolute and without links, names now.
 *
 * @throws WireError `mount-point` when it is none, or links have come into its path.
 */
export async function pinFolder(path: string): Promise<PinnedFolder> {
  const handle = await open(path, FLAGS).catch((error: unknown) => {
    const { code } = error as NodeJS.ErrnoException;
    // With O_DIRECTORY a link is told as ENOTDIR.
    const answered = code === 'ENOTDIR' ? 'it is a link, or not a directory' : String(code);
    throw refusal(path, answered, error);
  });
  const pinned = `/proc/self/fd/${handle.fd}`;
  const real = await readlink(pinned).catch(() => '');
  if (real === path) {
    return { path: pinned, [Symbol.asyncDispose]: async () => await handle.close() };
  }
  await handle.close();
  throw refusal(path, `it leads to ${real} now`);
}

function refusal(path: string, answered: string, cause?: unknown): WireError {
  const next = 'choose a directory that nobody else can move';
  return new WireError('mount-point', { tried: `mount on ${path}`, answered, next }, { cause });
}
