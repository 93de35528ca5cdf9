/** Who keeps a mount busy: what fuser(1) would say, from /proc. */
import { readdir, readFile, readlink } from 'node:fs/promises';

/** A person can act on a few; a batch node may have hundreds. */
const MAX_NAMED = 3;

/**
 * Processes whose working folder, root or open file lies in `mountPoint`, as `name (pid)`. Only
 * links are read, never what they lead to, so this does not touch the mount itself. Empty where
 * there is no /proc or nothing may be seen.
 */
export async function usersOf(mountPoint: string): Promise<readonly string[]> {
  const found: string[] = [];
  for (const pid of await numbersIn('/proc')) {
    if (!(await uses(`/proc/${pid}`, mountPoint))) continue;
    found.push(`${await nameOf(pid)} (${pid})`);
    if (found.length === MAX_NAMED) break;
  }
  return found;
}

async function uses(process: string, mountPoint: string): Promise<boolean> {
  const files = (await numbersIn(`${process}/fd`)).map((fd) => `${process}/fd/${fd}`);
  for (const link of [`${process}/cwd`, `${process}/root`, ...files]) {
    const target = await readlink(link).catch(() => '');
    if (target === mountPoint || target.startsWith(`${mountPoint}/`)) return true;
  }
  return false;
}

async function nameOf(pid: string): Promise<string> {
  return (await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => 'process')).trim();
}

async function numbersIn(folder: string): Promise<readonly string[]> {
  const names = await readdir(folder).catch(() => []);
  return names.filter((name) => /^\d+$/.test(name));
}
