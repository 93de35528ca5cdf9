/** The composition root: puts the layers together. Nothing else in wire knows all of them. */
import { sameIssuer } from '../auth/issuer.ts';
import type { Settings } from '../config/options.ts';
import { resolveMountPoint } from '../fuse/linux/mount-point.ts';
import { forceUnmount, listMounts } from '../fuse/linux/unmount.ts';
import { Closers } from '../lib/closers.ts';
import { WireError } from '../lib/wire-error.ts';
import { openNetwork } from '../net/network.ts';
import { cachePlanOf, cacheUsage, clearCache } from './content-cache.ts';
import { type FoundProcess, findProcesses } from './control-client.ts';
import type { MountsAnswer, UnmountRequest } from './control-protocol.ts';
import { ControlServer } from './control-server.ts';
import type { Daemon } from './daemon.ts';
import { knownLogins, logIn, logOut } from './identity.ts';
import { issueCredentials, serveCredentials } from './issue-credentials.ts';
import { type KeptMount, leaveAll } from './kept-mount.ts';
import { discardLeft, exportLeft, listLeft } from './left-behind.ts';
import { MountDesk } from './mount-desk.ts';
import { forgetMount, readNotes } from './mount-notes.ts';
import { removeMadeOf } from './mount-point.ts';
import { type MountEvents, MountProcess } from './mount-process.ts';
import { tendFiles } from './mounted-files.ts';
import type { MountsAsked } from './mounts-asked.ts';
import type { MountsRequest } from './mounts-request.ts';
import { OrphanReaper } from './orphan-reaper.ts';
import { getToken } from './printed-token.ts';
import { findRemountable } from './remount.ts';
import { ServiceNotifier } from './service-notifier.ts';
import type { ProcessFacts } from './shared-parts.ts';
import {
  composeStatus,
  type KernelMount,
  type Status,
  servedMounts,
  withMounts,
  withSources,
} from './status.ts';
import type { StopSignals } from './stop-signals.ts';
import type { Surroundings } from './surroundings.ts';
import { unmountAnywhere } from './unmount.ts';
import { whoAmI } from './who-am-i.ts';

export type { ProcessFacts } from './shared-parts.ts';

/** Reaches no server yet: `settings` and environment say how. */
export async function openDaemon(
  facts: ProcessFacts,
  settings: Settings,
  signal: AbortSignal,
): Promise<Daemon> {
  const { endpointHosts } = settings;
  const network = await openNetwork(settings, facts, signal);
  const http = { fetch: network.fetch, ...(endpointHosts !== undefined && { endpointHosts }) };
  return createDaemon(facts, { ...facts, network, http });
}

function createDaemon(facts: ProcessFacts, surroundings: Surroundings): Daemon {
  const { paths } = surroundings;
  return {
    login: async (input, events, signal) => await logIn(input, events, surroundings, signal),
    logout: async (issuer, forgetClient, signal) => {
      const done = await logOut(issuer, forgetClient, surroundings, signal);
      // After it: a mount may have renewed until then. What cannot be found out now undoes nothing.
      const processes = await findProcesses(paths.runtimeDir, signal).catch(() => []);
      return { ...done, served: servedMounts(processes, done.issuer, surroundings.clock.now()) };
    },
    mount: async (request, events, signals, signal) =>
      await mountAll(request, events, signals, facts, signal),
    serve: async (ready, signals, signal) => {
      const { serveDaemon } = await import('./daemon-process.ts');
      await serveDaemon(facts, ready, signals, signal);
    },
    unmount: async (mountPoint, lazy, progress, signal) =>
      await unmountAnywhere(mountPoint, lazy, progress, surroundings, signal),
    forceUnmount: async (mountPoint, signal) => {
      const path = await resolveMountPoint(mountPoint);
      await forceUnmount(path, signal);
      await removeMadeOf(path, paths.runtimeDir);
      await forgetMount(paths.stateDir, path);
    },
    ownMounts: async (signal) => {
      const { mounts } = await statusOf(surroundings, signal);
      const own = mounts.filter((mount) => 'source' in mount || mount.was !== undefined);
      return own.map(({ mountPoint }) => mountPoint);
    },
    remountable: async (signal) => await findRemountable(surroundings, signal),
    isLoggedIn: async (issuer, signal) => {
      const { logins } = await knownLogins(surroundings, signal);
      return logins.some((login) => sameIssuer(login.issuer, issuer));
    },
    status: async (signal) => await statusOf(surroundings, signal),
    statusAgain: async (before, signal) => {
      const { processes, kernel } = await findMounts(paths, signal);
      return withMounts(before, processes, kernel);
    },
    checkUp: async (request, events, signal) => {
      const { checkUp } = await import('./doctor/checkup.ts');
      const status = async (until: AbortSignal): Promise<Status> =>
        await statusOf(surroundings, until);
      return await checkUp(request, events, { surroundings, status }, signal);
    },
    report: async (request, events, signal) => {
      const { writeReport } = await import('./report/report.ts');
      const status = async (until: AbortSignal): Promise<Status> =>
        await statusOf(surroundings, until);
      return await writeReport(request, events, { surroundings, status }, signal);
    },
    files: async (verb, path, progress, signal) =>
      await tendFiles(verb, path, progress, paths.runtimeDir, signal),
    cacheUsage: async (settings, signal) =>
      await cacheUsage(cachePlanOf(settings, surroundings), surroundings, signal),
    clearCache: async (settings, signal) =>
      await clearCache(cachePlanOf(settings, surroundings), surroundings, signal),
    listLeft: async () => await listLeft(surroundings),
    exportLeft: async (folder, progress) => await exportLeft(folder, surroundings, progress),
    discardLeft: async (id) => await discardLeft(id, surroundings),
    credentials: async (request, events, signal) =>
      await issueCredentials(request, events, surroundings, signal),
    serveCredentials: async (request, events, signal) =>
      await serveCredentials(request, events, surroundings, signal),
    listBuckets: async (settings, signal) => {
      const { listBuckets } = await import('./bucket-list.ts');
      return await listBuckets(settings, surroundings, signal);
    },
    whoAmI: async (settings, signal) => await whoAmI(settings, surroundings, signal),
    token: async (request, signal) => await getToken(request, surroundings, signal),
  };
}

/** Of every process of this user. */
async function statusOf(surroundings: Surroundings, signal: AbortSignal): Promise<Status> {
  const { paths } = surroundings;
  const [{ processes, kernel }, logins, left] = await Promise.all([
    findMounts(paths, signal),
    knownLogins(surroundings, signal),
    listLeft(surroundings).catch(() => []),
  ]);
  return composeStatus(processes, kernel, logins, left);
}

/** Mounts with a process that speaks for them, and those without. */
async function findMounts(
  { runtimeDir, stateDir }: Surroundings['paths'],
  signal: AbortSignal,
): Promise<{
  readonly processes: readonly FoundProcess[];
  readonly kernel: readonly KernelMount[];
}> {
  const processes = await findProcesses(runtimeDir, signal);
  const served = processes.flatMap(({ status }) => status.mounts.map((one) => one.mountPoint));
  const kernel = await listMounts(signal, new Set(served));
  return { processes, kernel: withSources(kernel, await readNotes(stateDir)) };
}

/** In the foreground: for the one who waits for it. */
async function mountAll(
  request: MountsRequest,
  events: MountEvents,
  signals: StopSignals,
  facts: ProcessFacts,
  signal: AbortSignal,
): Promise<void> {
  const { paths, pid, clock, log, environment } = facts;
  const warn = (line: string): void => events.warn?.(line);
  await using service = new ServiceNotifier({ environment, pid, clock, log });
  await using desk = new MountDesk(facts, warn);
  const { mounts } = desk;
  const verbs = {
    status: () => desk.status,
    metrics: () => desk.metrics(),
    unmount: async ({ mountPoint, lazy }: UnmountRequest, until: AbortSignal) =>
      await mounts.unmount(mountPoint, lazy ? 'lazy' : 'wait', until),
    mounts: async (asked: MountsAsked, until: AbortSignal) =>
      await replaceIn(desk, asked, facts, until),
    files: async (...asked: Parameters<typeof mounts.files>) => await mounts.files(...asked),
  };
  const life = {
    began: (added: readonly KeptMount[]) => service.ready(mountedText(added)),
    stopping: () => service.stopping(),
  };
  await using closers = new Closers();
  closers.use(new OrphanReaper({ pid, clock, log }));
  const begin = async (until: AbortSignal): Promise<readonly KeptMount[]> => {
    const { runtimeDir } = paths;
    const added = await desk.open(request, { environment, paths }, until);
    try {
      closers.use(await ControlServer.listen({ runtimeDir, pid, log, verbs }));
      return added;
    } catch (error) {
      // Nobody could ask for its end.
      await leaveAll(added);
      throw error;
    }
  };
  await new MountProcess(mounts, clock, events, life).run(begin, signals, signal);
}

function mountedText(mounts: readonly KeptMount[]): string {
  return mounts
    .map(({ status: { source, mountPoint } }) => `${source} at ${mountPoint}`)
    .join(', ');
}

/** A process in the foreground serves what it was started with: only that can be made anew. */
async function replaceIn(
  desk: MountDesk,
  asked: MountsAsked,
  { version, logFile }: ProcessFacts,
  signal: AbortSignal,
): Promise<MountsAnswer> {
  const strange = asked.request.mounts.find(({ mountPoint }) => !desk.mounts.at(mountPoint));
  if (!asked.replace || strange !== undefined) {
    const answered = 'this process takes no mounts';
    throw new WireError('usage', { tried: 'mount', answered, next: 'ask the daemon' });
  }
  const added = await desk.replace(asked, signal);
  const warnings: string[] = [];
  desk.mounts.tell(added, (line) => warnings.push(line));
  const mounts = added.map((mount) => mount.status);
  return { version, mounts, warnings, ...(logFile !== undefined && { logFile }) };
}
