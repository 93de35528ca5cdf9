/** Taking mounts away, and the list of those that are there. */
import { getSystemErrorName } from 'node:util';
import { systemClock } from '../../lib/clock.ts';
import { WireError } from '../../lib/wire-error.ts';
import { loadNative, type NativeAddon } from '../native.ts';
import { findFusermount, unmountByHelper } from './fusermount.ts';
import { type Liveness, probeLiveness } from './liveness.ts';
import { MOUNT_TYPE } from './mount-options.ts';
import type { MountMethod } from './mount-point.ts';
import { readMountinfo, topMount } from './mountinfo.ts';

/** `wait` is refused while programs use the mount; `lazy` hides it and lets them finish. */
export type UnmountMode = 'wait' | 'lazy';

export interface WireMount {
  readonly mountPoint: string;
  readonly fsName: string;
  /** `major:minor`: the minor names the connection in /sys/fs/fuse/connections. */
  readonly device: string;
  readonly state: Liveness;
}

/** A daemon that has not answered by then counts as `silent`. */
const PROBE_PATIENCE_MS = 3000;

/** Every mount of ours that this process can see, the top one of each mount point. */
export async function listMounts(signal: AbortSignal): Promise<readonly WireMount[]> {
  const mounts = await readMountinfo();
  const ours = mounts.filter(
    (mount) => mount.type === MOUNT_TYPE && topMount(mounts, mount.mountPoint) === mount,
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
  if (topMount(await readMountinfo(), mountPoint)?.type !== MOUNT_TYPE) {
    throw new WireError('not-found', {
      tried: `unmount ${mountPoint}`,
      answered: 'no mount of wire is there',
      next: 'see what is mounted: wire status',
    });
  }
  await detach(loadNative(), await unmountMethod(), mountPoint, mode);
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
    next: `end the programs that use it (fuser -vm ${mountPoint}), or unmount it with --lazy`,
  });
}

function describe(errno: string): string {
  return errno === 'EBUSY' ? 'it is busy (EBUSY)' : errno;
}
