/** Which mounts can be mounted again: what is known of each, and who serves it. */
import { resolveMountPoint } from '../fuse/linux/mount-point.ts';
import { listMounts } from '../fuse/linux/unmount.ts';
import { type FoundProcess, findProcesses, requestMounts } from './control-client.ts';
import type { MountsAnswer } from './control-protocol.ts';
import { type MountNote, readNotes } from './mount-notes.ts';
import type { MountsAsked } from './mounts-asked.ts';
import type { Surroundings } from './surroundings.ts';

/** A mount that has a note. */
export interface Remountable {
  readonly note: MountNote;
  /** Absent: nobody serves it. */
  readonly server?: RemountServer;
  /** The kernel has it, and nobody answers for it. */
  readonly isDead: boolean;
}

export interface RemountServer {
  readonly socketPath: string;
  readonly version: string;
}

/** In order of their places. */
export async function findRemountable(
  { paths: { runtimeDir, stateDir } }: Pick<Surroundings, 'paths'>,
  signal: AbortSignal,
): Promise<readonly Remountable[]> {
  const processes = await findProcesses(runtimeDir, signal);
  // A mount that is being served is not asked whether it lives: it may be slow.
  const served = processes.flatMap(({ status }) => status.mounts.map((one) => one.mountPoint));
  const kernel = await listMounts(signal, new Set(served));
  const notes = await readNotes(stateDir);
  const dead = new Set(kernel.flatMap((each) => (each.state === 'dead' ? [each.mountPoint] : [])));
  return notes.map((note) => {
    const server = serverOf(note.mountPoint, processes);
    return {
      note,
      isDead: server === undefined && dead.has(note.mountPoint),
      ...(server !== undefined && { server }),
    };
  });
}

/** The one of `known` to whose place `path` leads, also through links. */
export async function remountableAt(
  known: readonly Remountable[],
  path: string,
): Promise<Remountable | undefined> {
  const mountPoint = await resolveMountPoint(path);
  return known.find(({ note }) => note.mountPoint === mountPoint);
}

function serverOf(
  mountPoint: string,
  processes: readonly FoundProcess[],
): RemountServer | undefined {
  const found = processes.find(({ status }) =>
    status.mounts.some((mount) => mount.mountPoint === mountPoint),
  );
  return found && { socketPath: found.socketPath, version: found.status.version };
}

/** Saved, taken away and mounted again by the process that serves it. @throws as `requestMounts`. */
export async function remountThere(
  { socketPath }: RemountServer,
  asked: MountsAsked,
  signal: AbortSignal,
): Promise<MountsAnswer> {
  return await requestMounts(socketPath, { ...asked, replace: true }, signal);
}
