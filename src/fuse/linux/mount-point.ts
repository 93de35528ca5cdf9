/** Checks before a mount: each refusal says what was tried, what answered and what to do next. */
import { constants } from 'node:fs';
import { access, readdir, readFile, realpath, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { type Clock, systemClock } from '../../lib/clock.ts';
import { WireError } from '../../lib/wire-error.ts';
import type { MountOptions } from '../transport.ts';
import { findFusermount } from './fusermount.ts';
import { probeLiveness } from './liveness.ts';
import { MOUNT_TYPE, passedDescriptor, permitsAllowOther } from './mount-options.ts';
import { readMountinfo, topMount } from './mountinfo.ts';

export const DEVICE_PATH = '/dev/fuse';
const FUSE_CONF_PATH = '/etc/fuse.conf';
/** A dead mount answers at once, a living one within this, or it counts as living. */
const PROBE_PATIENCE_MS = 3000;

/** How this process mounts: itself, or through the helper at `program`. */
export type MountMethod =
  | { readonly by: 'kernel' }
  | { readonly by: 'helper'; readonly program: string };

/**
 * `path` as the kernel's list of mounts writes it. Asks nothing of a mount that is already there:
 * a dead one would only answer ENOTCONN.
 */
export async function resolveMountPoint(path: string): Promise<string> {
  const absolute = resolve(path);
  // Following it would only lead to the device.
  if (passedDescriptor(absolute) !== undefined) return absolute;
  const parent = await realpath(dirname(absolute)).catch(() => dirname(absolute));
  const direct = join(parent, basename(absolute));
  if (topMount(await readMountinfo(), direct) !== undefined) return direct;
  return await realpath(direct).catch(() => direct);
}

/**
 * Whether `mountPoint` is a directory to mount on, or holds a dead mount of ours to replace.
 *
 * @throws WireError of kind `mount-point`.
 */
export async function examineMountPoint(
  mountPoint: string,
  signal: AbortSignal,
  clock: Clock = systemClock,
): Promise<'bare' | 'dead'> {
  const tried = `mount on ${mountPoint}`;
  const top = topMount(await readMountinfo(), mountPoint);
  if (top?.type === MOUNT_TYPE) {
    const [state] = await probeLiveness([mountPoint], PROBE_PATIENCE_MS, clock, signal);
    if (state === 'dead') return 'dead';
    throw new WireError('mount-point', {
      tried,
      answered: 'something is mounted there already (busy)',
      next: `unmount it first: wire unmount ${mountPoint}`,
    });
  }
  await examineDirectory(mountPoint, mountPoint);
  return 'bare';
}

/**
 * Whether the directory at `path`, which people know as `name`, may be mounted on.
 *
 * @throws WireError of kind `mount-point`.
 */
export async function examineDirectory(path: string, name: string): Promise<void> {
  const tried = `mount on ${name}`;
  const refuse = (answered: string, next: string): WireError =>
    new WireError('mount-point', { tried, answered, next });
  const facts = await stat(path).catch((error: unknown) => {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') throw refuse('it does not exist', 'make it, or give --mkdir');
    throw refuse(code ?? 'it cannot be read', 'choose another directory');
  });
  if (!facts.isDirectory()) throw refuse('it is not a directory', 'choose a directory');
  const isMine = facts.uid === process.geteuid?.();
  if (process.geteuid?.() !== 0) {
    const isSticky = (facts.mode & 0o1000) !== 0;
    const writable = await access(path, constants.W_OK).then(
      () => true,
      () => false,
    );
    if (!writable || (isSticky && !isMine)) {
      throw refuse(
        `it belongs to somebody else (uid ${facts.uid})`,
        'choose a directory of your own',
      );
    }
  }
  const names = await readdir(path).catch((error: unknown) => {
    const { code } = error as NodeJS.ErrnoException;
    throw refuse(code ?? 'it cannot be listed', 'choose another directory');
  });
  if (names.length > 0) throw refuse('it is not empty', 'choose an empty directory');
}

/**
 * How to mount here.
 *
 * @throws WireError of kind `no-fuse` without the device, the helper or the permission.
 */
export async function chooseMethod({ allowOther }: MountOptions): Promise<MountMethod> {
  const tried = `use ${DEVICE_PATH}`;
  await access(DEVICE_PATH, constants.R_OK | constants.W_OK).catch((error: unknown) => {
    const { code } = error as NodeJS.ErrnoException;
    throw new WireError('no-fuse', {
      tried,
      answered: code === 'ENOENT' ? 'there is no such device' : (code ?? 'no answer'),
      next:
        code === 'ENOENT'
          ? 'load the kernel module (modprobe fuse); in a container give it --device /dev/fuse'
          : `let users open it (root: chmod 666 ${DEVICE_PATH}), or mount as root`,
    });
  });
  if (process.geteuid?.() === 0) return { by: 'kernel' };
  if (allowOther) await requireUserAllowOther();
  const program = await findFusermount();
  if (program !== undefined) return { by: 'helper', program };
  throw new WireError('no-fuse', {
    tried: 'mount as an ordinary user',
    answered: 'there is no fusermount3',
    next: 'install fuse3 (Debian, Ubuntu: apt-get install fuse3), or mount as root',
  });
}

async function requireUserAllowOther(): Promise<void> {
  const conf = await readFile(FUSE_CONF_PATH, 'utf8').catch(() => '');
  if (permitsAllowOther(conf)) return;
  throw new WireError('no-fuse', {
    tried: 'let other users into the mount',
    answered: `${FUSE_CONF_PATH} does not permit it`,
    next: `ask root to add a line user_allow_other to ${FUSE_CONF_PATH}, or leave that option out`,
  });
}
