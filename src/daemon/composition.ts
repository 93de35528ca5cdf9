/** The composition root: puts the layers together. Nothing else in wire knows all of them. */
import { sameIssuer } from '../auth/issuer.ts';
import type { Settings } from '../config/options.ts';
import { ensurePrivateDir } from '../config/paths.ts';
import { resolveMountPoint } from '../fuse/linux/mount-point.ts';
import { forceUnmount, listMounts } from '../fuse/linux/unmount.ts';
import { openNetwork } from '../net/network.ts';
import type { Actor } from './audit-log.ts';
import { ContentCache, cachePlanOf, cacheUsage, clearCache } from './content-cache.ts';
import { findProcesses } from './control-client.ts';
import { ControlServer } from './control-server.ts';
import type { Daemon, MountsRequest } from './daemon.ts';
import { knownLogins, logIn, logOut } from './identity.ts';
import { issueCredentials, serveCredentials } from './issue-credentials.ts';
import { discardLeft, exportLeft, listLeft } from './left-behind.ts';
import { metricsText, processFigures } from './metrics.ts';
import { removeMadeOf } from './mount-point.ts';
import { type MountEvents, MountProcess } from './mount-process.ts';
import { connectionOf } from './mount-specs.ts';
import { tendFiles } from './mounted-files.ts';
import { type OwnPlace, refuseOwnPlaces } from './own-places.ts';
import { getToken } from './printed-token.ts';
import { createParts } from './real-parts.ts';
import { composeStatus, type Status, servedMounts, withMounts } from './status.ts';
import type { StopSignals } from './stop-signals.ts';
import type { Surroundings } from './surroundings.ts';
import { withOwner } from './token-owner.ts';
import { openTokens } from './tokens.ts';
import { unmountAnywhere } from './unmount.ts';
import { Watching } from './watching.ts';
import { whoAmI } from './who-am-i.ts';
import { YoungGeneration } from './young-generation.ts';

/** What is known before it is said how servers are reached. */
export type ProcessFacts = Omit<Surroundings, 'network' | 'http'>;

/** Reaches no server yet: `settings` and environment say how. */
export async function openDaemon(
  facts: ProcessFacts,
  settings: Settings,
  signal: AbortSignal,
): Promise<Daemon> {
  const { endpointHosts } = settings;
  const network = await openNetwork(settings, facts, signal);
  const http = { fetch: network.fetch, ...(endpointHosts !== undefined && { endpointHosts }) };
  return createDaemon({ ...facts, network, http });
}

function createDaemon(surroundings: Surroundings): Daemon {
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
      await mountAll(request, events, signals, surroundings, signal),
    unmount: async (mountPoint, lazy, progress, signal) =>
      await unmountAnywhere(mountPoint, lazy, progress, surroundings, signal),
    forceUnmount: async (mountPoint, signal) => {
      const path = await resolveMountPoint(mountPoint);
      await forceUnmount(path, signal);
      await removeMadeOf(path, paths.runtimeDir);
    },
    isLoggedIn: async (issuer, signal) => {
      const { logins } = await knownLogins(surroundings, signal);
      return logins.some((login) => sameIssuer(login.issuer, issuer));
    },
    status: async (signal) => await statusOf(surroundings, signal),
    statusAgain: async (before, signal) => {
      const found = [findProcesses(paths.runtimeDir, signal), listMounts(signal)] as const;
      const [processes, kernel] = await Promise.all(found);
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
    exportLeft: async (folder) => await exportLeft(folder, surroundings),
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
  const [processes, kernel, logins, left] = await Promise.all([
    findProcesses(paths.runtimeDir, signal),
    listMounts(signal),
    knownLogins(surroundings, signal),
    listLeft(surroundings).catch(() => []),
  ]);
  return composeStatus(processes, kernel, logins, left);
}

/** What is read or written while a mount is served. */
function ownPlaces(
  { paths, logFile }: Surroundings,
  cacheDir: string,
  { accessLog, auditLog }: Settings,
): readonly OwnPlace[] {
  const { configFile, stateDir, runtimeDir } = paths;
  const namesAudit = auditLog !== undefined && auditLog !== 'off';
  return [
    { what: 'the configuration', path: configFile },
    { what: 'the folder of logins and unsaved files', path: stateDir },
    { what: 'the folder of control sockets', path: runtimeDir },
    { what: 'the cache', path: cacheDir },
    ...(logFile === undefined ? [] : [{ what: 'the log file', path: logFile }]),
    ...(accessLog === undefined ? [] : [{ what: 'the access log', path: accessLog }]),
    ...(namesAudit ? [{ what: 'the audit log', path: auditLog }] : []),
  ];
}

async function mountAll(
  request: MountsRequest,
  events: MountEvents,
  signals: StopSignals,
  surroundings: Surroundings,
  signal: AbortSignal,
): Promise<void> {
  const { paths, uid, pid, version, clock, log, atExit } = surroundings;
  // What the command line lacks is told before what the machine lacks.
  await using chosen = await openTokens(request.settings, surroundings, signal);
  const { issuer, source: tokenSource } = chosen;
  const owned = withOwner(chosen.tokens);
  const { tokens } = owned;
  const connection = connectionOf(chosen.settings, issuer);
  // A token that wire cannot renew and that has expired: no folder need be taken for that.
  if (chosen.fixed) await tokens.accessToken(0, signal);
  const plan = cachePlanOf(chosen.settings, surroundings);
  const places = ownPlaces(surroundings, plan.folder, chosen.settings);
  for (const { mountPoint } of request.mounts) await refuseOwnPlaces(mountPoint, places);
  await ensurePrivateDir(paths.stateDir, uid, signal);
  await ensurePrivateDir(paths.runtimeDir, uid, signal);
  await using content = new ContentCache(plan, surroundings);
  const actor = (): Actor => ({ issuer, subject: owned.subject, tokenSource });
  const warn = (line: string): void => events.warn?.(line);
  await using watching = await Watching.open(
    { settings: chosen.settings, actor, warn },
    surroundings,
  );
  const parts = {
    ...createParts(tokens, content, chosen.settings, surroundings),
    ...watching.parts,
  };
  using young = new YoungGeneration();
  young.hold();
  const mounts = new MountProcess(parts, events);
  const dying = atExit(() => mounts.crash());
  const startedMs = clock.now();
  const metrics = (): string => {
    const { auditFailures, accessDropped } = watching;
    const process = processFigures({ version, startedMs, auditFailures, accessDropped });
    return metricsText(process, mounts.watched);
  };
  await watching.serve(metrics, signal);
  const control = await ControlServer.listen({
    runtimeDir: paths.runtimeDir,
    pid,
    log,
    verbs: {
      status: () => {
        const { status } = mounts;
        return { pid, version, startedMs, mounts: status, watching: watching.status };
      },
      metrics,
      unmount: async ({ mountPoint, lazy }, until) =>
        await mounts.unmount(mountPoint, lazy ? 'lazy' : 'wait', until),
      files: async (asked, progress, until) => await mounts.files(asked, progress, until),
    },
  });
  try {
    const { allowOther, makeDirectory, options, transport } = request;
    const specs = request.mounts.map((pair) => ({
      ...pair,
      connection,
      allowOther,
      makeDirectory,
      ...(options !== undefined && { options }),
      ...(transport !== undefined && { transport }),
    }));
    await mounts.run(specs, signals, signal);
  } finally {
    await control[Symbol.asyncDispose]();
    dying[Symbol.dispose]();
  }
}
