/** Who keeps a mount busy: what fuser(1) would say, from /proc. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';

/** A person can act on a few; a batch node may have hundreds. */
const MAX_NAMED = 3;

/**
 * Processes whose working folder, root or open file lies in `mountPoint`, as `name (pid)`. Only
 * links are read, never what they lead to, so this does not touch the mount itself. Empty where
 * there is no /proc or nothing may be seen.
 */
export async function usersOf(mountPoint: string): Promise<readonly string[]> {
  const found: string[] = [];
  for (const pid of numbersIn('/proc')) {
    // There may be thousands of links; each is memory of the kernel's, read faster than handed to a thread.
    if (uses(`/proc/${pid}`, mountPoint)) found.push(`${nameOf(pid)} (${pid})`);
    if (found.length === MAX_NAMED) break;
    await setImmediate();
  }
  return found;
}

function uses(process: string, mountPoint: string): boolean {
  const files = numbersIn(`${process}/fd`).map((fd) => `${process}/fd/${fd}`);
  return [`${process}/cwd`, `${process}/root`, ...files].some((link) => {
    const target = orElse('', () => readlinkSync(link));
    return target === mountPoint || target.startsWith(`${mountPoint}/`);
  });
}

function nameOf(pid: string): string {
  return orElse('process', () => readFileSync(`/proc/${pid}/comm`, 'utf8')).trim();
}

function numbersIn(folder: string): readonly string[] {
  return orElse<readonly string[]>([], () => readdirSync(folder)).filter((name) =>
    /^\d+$/.test(name),
  );
}

/** Processes end while we look, and those of others are not shown. */
function orElse<T>(instead: T, look: () => T): T {
  try {
    return look();
  } catch {
    return instead;
  }
}
