/**
 * `wire doctor`: looks at this machine, the login, the provider and the store, side by side, and
 * says what it found. What cannot be looked at (nobody is logged in, no SOURCE) is told as that.
 */
import { readFile } from 'node:fs/promises';
import { release, type as systemName } from 'node:os';
import { formatSource } from '../../config/source.ts';
import { exchange } from '../../net/http.ts';
import { readBucketList } from '../../s3/bucket-list-document.ts';
import { S3Connection } from '../../s3/s3-connection.ts';
import type { S3Answer } from '../../s3/s3-request.ts';
import type { RightsKeeper } from '../connection-stores.ts';
import type { Connection } from '../mount-parts.ts';
import type { Status } from '../status.ts';
import type { Surroundings } from '../surroundings.ts';
import { bucketFindings } from './bucket-findings.ts';
import { probeBucket } from './bucket-probe.ts';
import { clockFindings } from './clock-findings.ts';
import { diskFacts } from './disk-facts.ts';
import { diskFindings } from './disk-findings.ts';
import { type Finding, findingsOf } from './finding.ts';
import { fuseFacts } from './fuse-facts.ts';
import { fuseFindings } from './fuse-findings.ts';
import { identityFindings, trustFindings } from './identity-findings.ts';
import { indexerFacts } from './indexer-facts.ts';
import { indexerFindings } from './indexer-findings.ts';
import { vaultFacts } from './login-facts.ts';
import { loginFindings } from './login-findings.ts';
import { mountFindings } from './mount-findings.ts';
import { type ClockQuestion, clientFacts, clockReadings, providerFacts } from './provider-facts.ts';
import { clientFindings, providerFindings } from './provider-findings.ts';
import { type Check, runChecks } from './run-checks.ts';
import { trustFacts } from './trust-facts.ts';
import { type CheckupRequest, type Identity, Visit } from './visit.ts';
import { configFindings, type ProgramFacts, programFindings } from './wire-findings.ts';

export interface CheckupEvents {
  /** Findings of one check, in the order in which they are to be told. */
  found(findings: readonly Finding[]): void;
}

/** What was asked for, and `status` as it is told anyway. */
export interface CheckupParts {
  readonly surroundings: Surroundings;
  readonly status: (signal: AbortSignal) => Promise<Status>;
}

/** Limits: what asks this machine alone, what asks a server once or twice, and what works with one. */
const HERE_MS = 10_000;
const ASK_MS = 25_000;
const WORK_MS = 60_000;
/** A keychain may be locked, and ask a person who is not there. */
const VAULT_MS = 20_000;

/** Requests of the probe: a busy server is not waited for. */
const RETRY_BUDGET_MS = 2_000;
const CONNECTIONS = 2;

/** @throws `signal.reason` once aborted, when what was begun has been taken away again. */
export async function checkUp(
  request: CheckupRequest,
  events: CheckupEvents,
  parts: CheckupParts,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const { surroundings } = parts;
  await using visit = new Visit(request, surroundings, signal);
  const checks = [...checksHere(visit, parts), ...checksOfServers(visit)];
  return await runChecks(checks, (findings) => events.found(findings), surroundings.clock, signal);
}

function checksHere(visit: Visit, { surroundings, status }: CheckupParts): readonly Check[] {
  const { request } = visit;
  const here = { limitMs: HERE_MS, lateFix: 'see whether a disk or a mount hangs: wire status' };
  const { clock, paths, environment } = surroundings;
  const { settings, configTrouble, profile } = request;
  return [
    { ...here, name: 'wire', run: async () => programFindings(await programFacts(surroundings)) },
    {
      ...here,
      name: 'config',
      run: async () =>
        await Promise.resolve(
          configFindings({
            file: paths.configFile,
            profile,
            endpoint: settings.endpoint,
            insecureHosts: settings.insecureHosts ?? [],
            ...(configTrouble !== undefined && { trouble: configTrouble }),
          }),
        ),
    },
    { ...here, name: 'fuse', run: async () => fuseFindings(await fuseFacts()) },
    { ...here, name: 'mounts', run: async (until) => mountFindings(await status(until)) },
    {
      ...here,
      name: 'disk',
      run: async (until) => diskFindings(await diskFacts(settings, surroundings, until)),
    },
    {
      ...here,
      name: 'indexer',
      run: async () => indexerFindings(await indexerFacts(surroundings.uid)),
    },
    {
      name: 'logins',
      limitMs: VAULT_MS,
      lateFix: `unlock the keychain, or set WIRE_NO_KEYCHAIN=1${environment['WIRE_NO_KEYCHAIN'] === undefined ? '' : ' (it is set)'}`,
      run: async (until) => loginFindings(await vaultFacts(surroundings, until), clock.now()),
    },
  ];
}

function checksOfServers(visit: Visit): readonly Check[] {
  const ask = { limitMs: ASK_MS, lateFix: 'check the network, and the address of the server' };
  return [
    { ...ask, name: 'identity', run: async (until) => await identityCheck(visit, until) },
    { ...ask, name: 'provider', run: async (until) => await providerCheck(visit, until) },
    { ...ask, name: 'client', run: async (until) => await clientCheck(visit, until) },
    { ...ask, name: 'clock', run: async (until) => await clockCheck(visit, until) },
    { ...ask, name: 'sts', run: async (until) => await trustCheck(visit, until) },
    {
      ...ask,
      name: 'bucket',
      limitMs: WORK_MS,
      run: async (until) => await bucketCheck(visit, until),
    },
  ];
}

async function programFacts({ version }: Surroundings): Promise<ProgramFacts> {
  const limits = await readFile('/proc/self/limits', 'utf8').catch(() => '');
  const files = /^Max open files\s+(\d+)/m.exec(limits)?.[1];
  const system = `${systemName()} ${release()}`;
  const openFiles = files === undefined ? undefined : Number(files);
  return { version, node: process.versions.node, system, openFiles };
}

async function identityCheck(visit: Visit, signal: AbortSignal): Promise<readonly Finding[]> {
  const identity = await visit.identity(signal);
  if (identity === undefined) {
    const issuer = (await visit.issuer(signal)) ?? 'ISSUER';
    const seen = 'there is no login and no token: rights, STS and buckets are not looked at';
    const fix = `run: wire login ${issuer} (where tokens are looked for: wire whoami --explain)`;
    return [findingsOf('identity').note(seen, fix)];
  }
  return identityFindings(factsOf(identity), visit.surroundings.clock.now());
}

function factsOf({ chosen, access, claims }: Identity): Parameters<typeof identityFindings>[0] {
  const { place, issuer, notes } = chosen;
  return { place, issuer, notes, claims, expiresAtMs: access.expiresAtMs };
}

async function providerCheck(visit: Visit, signal: AbortSignal): Promise<readonly Finding[]> {
  const issuer = await visit.issuer(signal);
  if (issuer !== undefined) {
    return providerFindings(await providerFacts(issuer, visit.surroundings, signal));
  }
  const seen = 'no identity provider is known: none was asked';
  return [findingsOf('provider').note(seen, 'say it with --issuer URL, or `issuer:` in a profile')];
}

async function clientCheck(visit: Visit, signal: AbortSignal): Promise<readonly Finding[]> {
  const issuer = await visit.issuer(signal);
  if (issuer === undefined) return [];
  const facts = await clientFacts(issuer, visit.surroundings, signal);
  return facts === undefined ? [] : clientFindings(facts, issuer);
}

async function clockCheck(visit: Visit, signal: AbortSignal): Promise<readonly Finding[]> {
  const issuer = await visit.issuer(signal);
  const { endpoint } = visit.request.settings;
  const discovery = `${issuer?.replace(/\/$/, '')}/.well-known/openid-configuration`;
  const questions: readonly ClockQuestion[] = [
    ...(issuer === undefined ? [] : [{ whose: 'provider', url: discovery } as const]),
    ...(endpoint === undefined ? [] : [{ whose: 'store', url: endpoint } as const]),
  ];
  return clockFindings(await clockReadings(questions, visit.surroundings, signal));
}

async function trustCheck(visit: Visit, signal: AbortSignal): Promise<readonly Finding[]> {
  const ready = await readyFor(visit, signal);
  if (ready === undefined) return await reachCheck(visit, signal);
  return trustFindings(await trustFacts(visit, ready.identity, ready.connection, signal));
}

/** Without a token: whether anything answers at the endpoint. */
async function reachCheck(visit: Visit, signal: AbortSignal): Promise<readonly Finding[]> {
  const { endpoint } = visit.request.settings;
  if (endpoint === undefined) return [];
  const tried = `reach the store at ${endpoint}`;
  await exchange(tried, { method: 'GET', url: endpoint }, visit.surroundings.http, signal);
  return [findingsOf('sts').ok(`${endpoint} answers; whether it trusts a login was not asked`)];
}

async function bucketCheck(visit: Visit, signal: AbortSignal): Promise<readonly Finding[]> {
  const { source, readOnly } = visit.request;
  const make = findingsOf('bucket');
  if (source === undefined) {
    const seen =
      'no SOURCE was named: rights in a bucket, conditions and latency are not looked at';
    return [make.note(seen, 'name one: wire doctor s3://BUCKET')];
  }
  const ready = await readyFor(visit, signal);
  if (ready === undefined) return [];
  const keeper = await visit.keeper(ready.identity, ready.connection, signal);
  if (!(await hasCredentials(keeper, signal))) {
    // Why is told by the check of the STS.
    return [
      make.note(`${formatSource(source)} was not looked at: there are no credentials for it`),
    ];
  }
  const closing: S3Connection[] = [];
  const open = (of: RightsKeeper): S3Connection => {
    const connection = openConnection(ready.connection, of, visit.surroundings);
    closing.push(connection);
    return connection;
  };
  try {
    const connection = open(keeper);
    if (source.kind === 'buckets') return await bucketsCheck(connection, signal);
    let wide: S3Connection | undefined;
    const wideOnce = (): S3Connection =>
      (wide ??= open(visit.wideKeeper(ready.identity, ready.connection)));
    const { clock } = visit.surroundings;
    const probing = { connection, wide: wideOnce, source, readOnly, clock };
    return bucketFindings(await probeBucket(probing, signal));
  } finally {
    for (const connection of closing) await connection[Symbol.asyncDispose]();
  }
}

async function bucketsCheck(
  connection: S3Connection,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const tried = `list the buckets of ${connection.endpoint}`;
  const read = ({ body }: S3Answer): number => readBucketList(body).length;
  const count = await connection.send(tried, { method: 'GET' }, read, signal);
  const seen = `you may list ${count === 1 ? '1 bucket' : `${count} buckets`}`;
  const fix = 'name one to have your rights in it looked at: wire doctor s3://BUCKET';
  return [findingsOf('bucket').note(seen, fix)];
}

/** Undefined when there is no token, or no endpoint: which is told elsewhere. */
async function readyFor(
  visit: Visit,
  signal: AbortSignal,
): Promise<{ readonly identity: Identity; readonly connection: Connection } | undefined> {
  const identity = await visit.identityOrNothing(signal);
  const connection = identity === undefined ? undefined : visit.connection(identity);
  return identity === undefined || connection === undefined ? undefined : { identity, connection };
}

async function hasCredentials(
  { credentials }: RightsKeeper,
  signal: AbortSignal,
): Promise<boolean> {
  return await credentials.credentials(signal).then(
    () => true,
    () => {
      signal.throwIfAborted();
      return false;
    },
  );
}

function openConnection(
  { endpoint, region, addressing = 'auto', requesterPays = false, keep }: Connection,
  { credentials }: RightsKeeper,
  { network, clock, log }: Surroundings,
): S3Connection {
  return new S3Connection({
    ...{ endpoint, region, addressing, requesterPays, credentials, network, clock, log },
    ...(keep !== undefined && { keep }),
    maxConnections: CONNECTIONS,
    retryBudgetMs: RETRY_BUDGET_MS,
  });
}
