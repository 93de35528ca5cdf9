/**
 * One at a time looks at a mount point and mounts there: without it, two that start together both
 * see a bare directory and one comes to lie on the other. Held for that moment only; afterwards the
 * mount itself says that the place is taken. The kernel takes the lock back from a process that dies.
 */
import { createHash } from 'node:crypto';
import { unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { getSystemErrorName } from 'node:util';
import { WireError } from '../../lib/wire-error.ts';
import type { NativeAddon } from '../native.ts';
import type { MountOptions } from '../transport.ts';

const EAGAIN = 11;
/** Enough of the hash to tell paths apart, short enough for any file system. */
const NAME_HEX = 32;

/**
 * Does `work` while nobody else mounts there, as far as they use the same folder for locks.
 *
 * @throws WireError of kind `mount-point` when somebody else is at it, or the lock cannot be made.
 */
export async function whileLocked<T>(
  addon: NativeAddon,
  { lockFolder, mountPoint }: MountOptions,
  work: () => Promise<T>,
): Promise<T> {
  if (lockFolder === undefined) return await work();
  const path = join(lockFolder, lockName(mountPoint));
  const descriptor = addon.lockFile(path);
  if (descriptor < 0) throw refusal(mountPoint, path, lockFolder, descriptor);
  try {
    return await work();
  } finally {
    // While it is still ours: who opened it before sees that it is gone and makes a new one.
    unlinkSync(path);
    addon.closeDescriptor(descriptor);
  }
}

function lockName(mountPoint: string): string {
  const hash = createHash('sha256').update(mountPoint).digest('hex');
  return `mounting-${hash.slice(0, NAME_HEX)}.lock`;
}

function refusal(mountPoint: string, path: string, folder: string, result: number): WireError {
  if (result === -EAGAIN) {
    return new WireError('mount-point', {
      tried: `mount on ${mountPoint}`,
      answered: 'another wire is mounting there just now',
      next: 'see what it does: wire status',
    });
  }
  return new WireError('mount-point', {
    tried: `lock ${path}`,
    answered: getSystemErrorName(result),
    next: `make ${folder} writable, or name another with WIRE_RUNTIME_DIR`,
  });
}
