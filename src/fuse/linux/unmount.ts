/** Taking mounts away, and the list of those that are there. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { getSystemErrorName } from 'node:util';
import { systemClock } from '../../lib/clock.ts';
import { WireError } from '../../lib/wire-error.ts';
import { loadNative, type NativeAddon } from '../native.ts';
import type { UnmountMode } from '../transport.ts';
import { errnoNumbers } from './errno.ts';
import { findFusermount, unmountByHelper, unmountByHelperNow } from './fusermount.ts';
import { type Liveness, probeLiveness } from './liveness.ts';
import { MOUNT_TYPE } from './mount-options.ts';
import type { MountMethod } from './mount-point.ts';
import { type MountedFileSystem, readMountinfo, topMount } from './mountinfo.ts';

export interface WireMount {
  readonly mountPoint: string;
  readonly fsName: string;
  /** `major:minor`: the minor names the connection in /sys/fs/fuse/connections. */
  readonly device: string;
  readonly state: Liveness;
}

/** Where fusectl is usually mounted: one folder for each connection, its owner's to write in. */
const CONNECTIONS_PATH = '/sys/fs/fuse/connections';
/** A daemon that has not answered by then counts as `silent`. */
const PROBE_PATIENCE_MS = 3000;

/**
 * Every mount of ours that this process can see, the top one of each mount point, but those at
 * `known`: to ask one whether it answers takes a process, and keeps it busy for a moment.
 */
export async function listMounts(
  signal: AbortSignal,
  known: ReadonlySet<string> = new Set(),
): Promise<readonly WireMount[]> {
  const mounts = await readMountinfo();
  const ours = mounts.filter(
    (mount) =>
      mount.type === MOUNT_TYPE &&
      !known.has(mount.mountPoint) &&
      topMount(mounts, mount.mountPoint) === mount,
  );
  const mountPoints = ours.map(({ mountPoint }) => mountPoint);
  const states = await probeLiveness(mountPoints, PROBE_PATIENCE_MS, systemClock, signal);
  return ours.map(({ mountPoint, source, device }, at) => ({
    mountPoint,
    fsName: source,
    device,
    state: states[at] ?? 'silent',
  }));
}

/**
 * Unmounts what a daemon that is gone left behind.
 *
 * @throws WireError: `not-found` when no mount of ours is there, `mount-point` when it is busy.
 */
export async function unmountPath(
  mountPoint: string,
  mode: UnmountMode,
  signal: AbortSignal,
): Promise<void> {
  signal.throwIfAborted();
  await requireOurMount(mountPoint);
  await detach(loadNative(), await unmountMethod(), mountPoint, mode);
}

/**
 * Gets rid of a mount that does not answer: cuts its connection off, so that everybody who waits
 * for it gets an error, and takes it out of sight. Asks nothing of the process that serves it; that
 * one notices once it runs again, and what it has staged is its to save.
 *
 * @throws WireError: `not-found` when no mount of ours is there, `mount-point` when it is not ours
 *   to cut off.
 */
export async function forceUnmount(mountPoint: string, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const { device } = await requireOurMount(mountPoint);
  const addon = loadNative();
  await cutOff(addon, device, mountPoint);
  await detach(addon, await unmountMethod(), mountPoint, 'lazy');
}

async function requireOurMount(mountPoint: string): Promise<MountedFileSystem> {
  const top = topMount(await readMountinfo(), mountPoint);
  if (top?.type === MOUNT_TYPE) return top;
  throw new WireError('not-found', {
    tried: `unmount ${mountPoint}`,
    answered: 'no mount of wire is there',
    next: 'see what is mounted: wire status',
  });
}

/** A connection that is gone already needs nothing. */
async function cutOff(addon: NativeAddon, device: string, mountPoint: string): Promise<void> {
  const minor = Number(device.split(':')[1]);
  const refused = await writeFile(join(CONNECTIONS_PATH, String(minor), 'abort'), '1').then(
    () => undefined,
    (error: unknown) => (error as NodeJS.ErrnoException).code ?? 'no answer',
  );
  if (refused === undefined) return;
  if (process.geteuid?.() === 0) {
    const result = await addon.abortConnection(minor);
    if (result === 0 || result === -errnoNumbers.ENOENT) return;
  }
  throw new WireError('mount-point', {
    tried: `cut off the connection of ${mountPoint}`,
    answered: refused === 'ENOENT' ? 'fusectl is not mounted' : refused,
    next: `ask root to run: wire unmount --force ${mountPoint}`,
  });
}

async function unmountMethod(): Promise<MountMethod> {
  if (process.geteuid?.() === 0) return { by: 'kernel' };
  const program = await findFusermount();
  if (program !== undefined) return { by: 'helper', program };
  throw new WireError('no-fuse', {
    tried: 'unmount as an ordinary user',
    answered: 'there is no fusermount3',
    next: 'install fuse3 (Debian, Ubuntu: apt-get install fuse3)',
  });
}

/**
 * Takes the top mount of `mountPoint` away.
 *
 * @throws WireError of kind `mount-point` when the system refuses.
 */
export async function detach(
  addon: NativeAddon,
  method: MountMethod,
  mountPoint: string,
  mode: UnmountMode,
): Promise<void> {
  const lazy = mode === 'lazy';
  let answered: string | undefined;
  if (method.by === 'kernel') {
    const result = await addon.unmount(mountPoint, lazy ? 1 : 0);
    answered = result === 0 ? undefined : describe(getSystemErrorName(result));
  } else {
    answered = (await unmountByHelper(method.program, mountPoint, lazy))?.said;
  }
  if (answered === undefined) return;
  throw new WireError('mount-point', {
    tried: `unmount ${mountPoint}`,
    answered,
    next: `end the programs that use it (fuser -vm ${mountPoint}), or run: wire unmount --lazy`,
  });
}

/** Lazily, before it returns: for the last moments of a process. */
export function detachNow(addon: NativeAddon, method: MountMethod, mountPoint: string): void {
  if (method.by === 'kernel') addon.unmountSync(mountPoint, 1);
  else unmountByHelperNow(method.program, mountPoint);
}

function describe(errno: string): string {
  return errno === 'EBUSY' ? 'it is busy (EBUSY)' : errno;
}
