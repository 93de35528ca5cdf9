/** Unmounts what a path names: by the process that serves it, or without it when it is gone. */
import { resolveMountPoint } from '../fuse/linux/mount-point.ts';
import { listMounts, unmountPath } from '../fuse/linux/unmount.ts';
import { LinkedAbort } from '../lib/abort.ts';
import type { Clock } from '../lib/clock.ts';
import { WireError } from '../lib/wire-error.ts';
import { findProcesses, requestUnmount } from './control-client.ts';
import { forgetMount } from './mount-notes.ts';
import { removeMadeOf } from './mount-point.ts';
import type { Surroundings } from './surroundings.ts';

/** What of a mount is not in its bucket yet. */
export interface UnsavedRest {
  readonly files: number;
  readonly bytes: number;
}

/** Between two looks at how far it is. */
const LOOK_MS = 500;

/**
 * @param progress told now and then what is still to be saved.
 * @throws WireError `not-found` when no mount is there, `mount-point` when it is in use,
 *   `unreachable` when its process does not answer, `not-saved` when something written is not in
 *   the bucket: the mount then stays, unless that is in
 *   its journal.
 */
export async function unmountAnywhere(
  mountPoint: string,
  lazy: boolean,
  progress: (left: UnsavedRest) => void,
  { paths: { runtimeDir, stateDir }, clock }: Pick<Surroundings, 'paths' | 'clock'>,
  signal: AbortSignal,
): Promise<void> {
  const path = await resolveMountPoint(mountPoint);
  const processes = await findProcesses(runtimeDir, signal);
  const owner = processes.find(({ status }) =>
    status.mounts.some((mount) => mount.mountPoint === path),
  );
  if (owner !== undefined) {
    using watching = new LinkedAbort(signal);
    const watched = watch(path, runtimeDir, progress, clock, watching.signal);
    try {
      await requestUnmount(owner.socketPath, { mountPoint: path, lazy }, signal);
    } finally {
      watching.abort();
      await watched;
    }
    return;
  }
  if (!lazy) await refuseIfSilent(path, signal);
  await unmountPath(path, lazy ? 'lazy' : 'wait', signal);
  await removeMadeOf(path, runtimeDir);
  await forgetMount(stateDir, path);
}

/** Its process is there, stopped or wedged, and may have what is in no bucket yet. */
async function refuseIfSilent(path: string, signal: AbortSignal): Promise<void> {
  const mount = (await listMounts(signal)).find(({ mountPoint }) => mountPoint === path);
  if (mount?.state !== 'silent') return;
  throw new WireError('unreachable', {
    tried: `unmount ${path}`,
    answered: 'the process that serves it shows no sign of life: it is stopped, or hangs',
    next: `let it go on (kill -CONT), or cut it off: wire unmount --force ${path}`,
  });
}

/** Tells what is left until `signal` aborts. Never rejects: nobody depends on it. */
async function watch(
  path: string,
  runtimeDir: string,
  progress: (left: UnsavedRest) => void,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  try {
    for (;;) {
      await clock.sleep(LOOK_MS, signal);
      const processes = await findProcesses(runtimeDir, signal);
      const mount = processes
        .flatMap(({ status }) => status.mounts)
        .find(({ mountPoint }) => mountPoint === path);
      if (mount === undefined) return;
      if (mount.unsavedFiles === 0) continue;
      progress({ files: mount.unsavedFiles, bytes: mount.unsavedBytes });
    }
  } catch {
    // Aborted; or it cannot be asked, and the answer to the request itself will tell.
  }
}
