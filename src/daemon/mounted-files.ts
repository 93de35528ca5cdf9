/** Files of living mounts, named by a path of the machine. */
import { realpath } from 'node:fs/promises';
import { relative, sep } from 'node:path';
import { WireError } from '../lib/wire-error.ts';
import { type FoundProcess, findProcesses, requestFiles } from './control-client.ts';
import type { FileProgress, FileVerb } from './mount-parts.ts';

/** Where a path leads inside a mount. */
export interface MountedPath {
  readonly socketPath: string;
  readonly mountPoint: string;
  /** Names from the root of the mount on. */
  readonly path: readonly string[];
}

/** As `Daemon.files`. */
export async function tendFiles(
  verb: FileVerb,
  path: string,
  progress: (done: FileProgress) => void,
  runtimeDir: string,
  signal: AbortSignal,
): Promise<FileProgress> {
  const processes = await findProcesses(runtimeDir, signal);
  const found = locate(path, processes) ?? locate(await resolved(path), processes);
  if (found === undefined) {
    throw new WireError('not-found', {
      tried: `${verb} ${path}`,
      answered: 'it is in no mount of yours that is alive',
      next: 'see: wire status',
    });
  }
  const { socketPath, ...inside } = found;
  return await requestFiles(socketPath, { verb, ...inside }, progress, signal);
}

/** The innermost mount that `path`, absolute and without `..`, lies in. Pure. */
export function locate(
  path: string,
  processes: readonly Pick<FoundProcess, 'socketPath' | 'status'>[],
): MountedPath | undefined {
  let best: MountedPath | undefined;
  for (const { socketPath, status } of processes) {
    for (const { mountPoint } of status.mounts) {
      const inside = relative(mountPoint, path);
      if (inside === '..' || inside.startsWith(`..${sep}`)) continue;
      if (best !== undefined && best.mountPoint.length >= mountPoint.length) continue;
      const parts = inside === '' ? [] : inside.split(sep);
      best = { socketPath, mountPoint, path: parts };
    }
  }
  return best;
}

/** Without links, as the kernel names mounts; as it was where it cannot be resolved. */
async function resolved(path: string): Promise<string> {
  return await realpath(path).catch(() => path);
}
