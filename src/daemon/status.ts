/** What there is: living mounts of every process, mounts whose process is gone, stored logins. */
import { sameIssuer } from '../auth/issuer.ts';
import { formatSource } from '../config/source.ts';
import type { FoundProcess } from './control-client.ts';
import type { WatchingStatus } from './control-protocol.ts';
import type { KnownLogins, LoginFacts, ServedMount } from './identity.ts';
import type { LeftFile } from './left-behind.ts';
import type { MountStatus } from './mount.ts';
import type { MountNote } from './mount-notes.ts';

export interface LiveMountStatus extends Omit<MountStatus, 'degraded'> {
  readonly pid: number;
  /** The part that does not work as it should, while the mount goes on: `identity`, when credentials cannot be renewed. */
  readonly degraded?: 'identity';
  /** Why, in one line, with what to do. */
  readonly degradedReason?: string;
}

/** A mount without a process that speaks for it: gone (ENOTCONN), or not answering. */
export interface LostMountStatus {
  readonly mountPoint: string;
  readonly state: 'dead' | 'silent';
  /** What was mounted there, where a note says so: `wire remount` mounts it again. */
  readonly was?: string;
}

/** A process that serves mounts. */
export interface ServingProcess extends WatchingStatus {
  readonly pid: number;
  readonly version: string;
  /** Ms since the epoch. */
  readonly startedMs: number;
}

export interface Status {
  readonly mounts: readonly (LiveMountStatus | LostMountStatus)[];
  /** By pid; absent where nothing is mounted. */
  readonly processes?: readonly ServingProcess[];
  readonly logins: readonly LoginFacts[];
  /** What mounts that have ended have left on this machine; absent when there is nothing. */
  readonly left?: { readonly files: number; readonly bytes: number };
  /** Why no logins can be shown, in one line: `logins` then says nothing. */
  readonly loginsTrouble?: string;
}

/** A line of the kernel's mount table that is ours. */
export interface KernelMount {
  readonly mountPoint: string;
  readonly state: 'alive' | 'dead' | 'silent';
  /** The source, where a note of ours says so. */
  readonly was?: string;
}

/** Pure. */
export function withSources(
  kernel: readonly KernelMount[],
  notes: readonly MountNote[],
): readonly KernelMount[] {
  return kernel.map(({ mountPoint, state }) => {
    const pair = notes.find((note) => note.mountPoint === mountPoint)?.request.mounts[0];
    return { mountPoint, state, ...(pair !== undefined && { was: formatSource(pair.source) }) };
  });
}

/** Pure: puts together what was gathered. Mounts in order of their place. */
export function composeStatus(
  processes: readonly FoundProcess[],
  kernel: readonly KernelMount[],
  { logins, trouble }: KnownLogins,
  leftFiles: readonly Pick<LeftFile, 'bytes'>[] = [],
): Status {
  const live = processes.flatMap(({ status }) =>
    status.mounts.map(({ degraded: reason, ...mount }) => ({
      ...mount,
      ...degradation(reason),
      pid: status.pid,
    })),
  );
  const served = new Set(live.map((mount) => mount.mountPoint));
  const lost = kernel.flatMap(({ mountPoint, state, was }): readonly LostMountStatus[] => {
    if (served.has(mountPoint)) return [];
    const known = was === undefined ? {} : { was };
    return [{ mountPoint, state: state === 'dead' ? 'dead' : 'silent', ...known }];
  });
  const mounts = [...live, ...lost].sort((a, b) => (a.mountPoint < b.mountPoint ? -1 : 1));
  const left = {
    files: leftFiles.length,
    bytes: leftFiles.reduce((sum, { bytes }) => sum + bytes, 0),
  };
  const serving = processes.map(({ status: { pid, version, startedMs, watching } }) => ({
    ...{ pid, version, startedMs },
    ...watching,
  }));
  return {
    mounts,
    ...(serving.length > 0 && { processes: serving.sort((a, b) => a.pid - b.pid) }),
    logins,
    ...(left.files > 0 && { left }),
    ...(trouble !== undefined && { loginsTrouble: trouble.toLine() }),
  };
}

/** Pure: `mounts` as they are now, with the rest as it was `before`: that takes longer to find out. */
export function withMounts(
  before: Status,
  processes: readonly FoundProcess[],
  kernel: readonly KernelMount[],
): Status {
  const { logins, left, loginsTrouble } = before;
  return {
    ...composeStatus(processes, kernel, { logins }),
    ...(left !== undefined && { left }),
    ...(loginsTrouble !== undefined && { loginsTrouble }),
  };
}

/** Pure: the mounts with credentials of `issuer` that are still good, in order of their place. */
export function servedMounts(
  processes: readonly FoundProcess[],
  issuer: string,
  nowMs: number,
): readonly ServedMount[] {
  return processes
    .flatMap(({ status }) => status.mounts)
    .filter((mount) => sameIssuer(mount.issuer, issuer))
    .flatMap(({ mountPoint, credentialsUntilMs: untilMs }) =>
      untilMs !== undefined && untilMs > nowMs ? [{ mountPoint, untilMs }] : [],
    )
    .sort((a, b) => (a.mountPoint < b.mountPoint ? -1 : 1));
}

/** A process tells only why: nothing but the identity degrades. */
function degradation(
  reason: string | undefined,
): Pick<LiveMountStatus, 'degraded' | 'degradedReason'> {
  return reason === undefined ? {} : { degraded: 'identity', degradedReason: reason };
}
