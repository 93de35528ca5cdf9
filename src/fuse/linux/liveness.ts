/**
 * Whether a daemon still answers behind a mount, found out without ever hanging.
 *
 * Only an access tells: statfs(2), which is never served from the kernel's memory. It waits as long
 * as the daemon does, and such a wait cannot be killed, so it happens in a child that is left alone
 * if it does not come back. Root may not look into another user's mount without allow_other: the
 * kernel then answers statfs itself, and the mount counts as alive.
 */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Clock } from '../../lib/clock.ts';

/** `silent`: there is a daemon, and it did not answer in time. */
export type Liveness = 'alive' | 'dead' | 'silent';

/** ENOTCONN, ECONNABORTED: the daemon is gone, or fusectl cut it off. */
const DEAD_ERRNOS = new Set([107, 103]);

/** Prints one line per path as its answer comes: `index errno`. */
const PROBE = `
for (const [index, path] of process.argv.slice(1).entries())
  require('fs').statfs(path, (error) => console.log(index, error ? -error.errno : 0));
`;

/**
 * Probes all `mountPoints` at once.
 *
 * @throws `signal.reason` as soon as `signal` aborts.
 */
export async function probeLiveness(
  mountPoints: readonly string[],
  patienceMs: number,
  clock: Clock,
  signal: AbortSignal,
): Promise<readonly Liveness[]> {
  const states: Liveness[] = mountPoints.map(() => 'silent');
  if (mountPoints.length === 0) return states;
  // One pool thread for each path, so that one that waits holds up no other.
  const env = { ...process.env, UV_THREADPOOL_SIZE: String(Math.min(mountPoints.length, 1024)) };
  const child = spawn(process.execPath, ['-e', PROBE, '--', ...mountPoints], {
    stdio: ['ignore', 'pipe', 'ignore'],
    detached: true,
    env,
  });
  const finished = new Promise<void>((resolve) => {
    child.on('error', () => resolve());
    child.stdout.on('close', resolve);
  });
  createInterface({ input: child.stdout }).on('line', (line) => {
    const [index, errno] = line.split(' ').map(Number);
    if (index === undefined || errno === undefined) return;
    states[index] = DEAD_ERRNOS.has(errno) ? 'dead' : 'alive';
  });
  const patience = new AbortController();
  const giveUp = (): void => patience.abort(signal.reason);
  signal.addEventListener('abort', giveUp, { once: true });
  try {
    signal.throwIfAborted();
    const late = clock.sleep(patienceMs, patience.signal).catch(() => undefined);
    await Promise.race([finished, late]);
    signal.throwIfAborted();
    return states;
  } finally {
    signal.removeEventListener('abort', giveUp);
    patience.abort();
    child.stdout.destroy();
    child.kill('SIGKILL');
    child.unref();
  }
}
