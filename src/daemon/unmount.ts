/** Unmounts what a path names: by the process that serves it, or without it when it is gone. */
import { resolveMountPoint } from '../fuse/linux/mount-point.ts';
import { unmountPath } from '../fuse/linux/unmount.ts';
import { findProcesses, requestUnmount } from './control-client.ts';
import { removeMadeOf } from './mount-point.ts';

/**
 * @throws WireError `not-found` when no mount is there, `mount-point` when it is in use,
 *   `not-saved` when something written is not in the bucket: the mount then stays.
 */
export async function unmountAnywhere(
  mountPoint: string,
  lazy: boolean,
  runtimeDir: string,
  signal: AbortSignal,
): Promise<void> {
  const path = await resolveMountPoint(mountPoint);
  const processes = await findProcesses(runtimeDir, signal);
  const owner = processes.find(({ status }) =>
    status.mounts.some((mount) => mount.mountPoint === path),
  );
  if (owner !== undefined) {
    await requestUnmount(owner.socketPath, { mountPoint: path, lazy }, signal);
    return;
  }
  await unmountPath(path, lazy ? 'lazy' : 'wait', signal);
  await removeMadeOf(path, runtimeDir);
}
