/**
 * Locks that processes sharing a cache folder take: flock(2) through the addon (Node has none),
 * which the kernel takes back from the dead.
 */
import { getSystemErrorName } from 'node:util';
import type { Clock } from '../lib/clock.ts';
import { loadAddon } from '../lib/native-addon.ts';
import { WireError } from '../lib/wire-error.ts';

/** What of the addon is used here; see native/linux/lock.h. */
interface LockAddon {
  lockFile(path: string): number;
  closeDescriptor(descriptor: number): void;
}

/** Who waits looks again after so long. */
const RETRY_MS = 20;
/** The longest work under a lock is to remove many files; who waits longer should hear about it. */
const PATIENCE_MS = 60_000;

/**
 * The lock `file`, made if need be, until it is disposed; undefined while somebody else has it.
 *
 * @throws Error with a `code` when the file cannot be opened; Error when there is no addon.
 */
export function tryLock(file: string): Disposable | undefined {
  const addon = loadAddon() as LockAddon;
  const descriptor = addon.lockFile(file);
  if (descriptor >= 0) return { [Symbol.dispose]: () => addon.closeDescriptor(descriptor) };
  const code = getSystemErrorName(descriptor);
  if (code === 'EAGAIN') return undefined;
  throw Object.assign(new Error(`cannot lock ${file}: ${code}`), { code });
}

/**
 * Does `work` while holding the lock, waiting for it.
 *
 * @throws WireError `unavailable` when somebody else holds it for a minute; as `tryLock`; what
 *   `work` throws; `signal.reason` once `signal` aborts.
 */
export async function withLock<T>(
  file: string,
  clock: Clock,
  work: () => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  const startMs = clock.monotonic();
  for (;;) {
    signal.throwIfAborted();
    using lock = tryLock(file);
    if (lock !== undefined) return await work();
    if (clock.monotonic() - startMs > PATIENCE_MS) throw busy(file);
    await clock.sleep(RETRY_MS, signal);
  }
}

function busy(file: string): WireError {
  return new WireError('unavailable', {
    tried: `use ${file}`,
    answered: 'another process holds it',
    next: 'try again when that one is done with its work on the cache',
  });
}
