/**
 * What the mounts of one process share, as far as they were asked for alike:
 *
 * - tokens, connections to servers and leases: where tokens and servers are chosen by the same
 *   settings, environment and folders; then also by the same `Connection` and rights;
 * - caches: of the same tokens, in the same place; their memory is one budget for all who say the
 *   same size;
 * - logs of changes and of operations, and the port for metrics: where they are the same.
 *
 * What the last mount that needs it gives back is closed.
 */
import { createHash } from 'node:crypto';
import type { OptionName, Settings } from '../config/options.ts';
import { ensurePrivateDir } from '../config/paths.ts';
import { Closers } from '../lib/closers.ts';
import { SharedPool } from '../lib/shared-pool.ts';
import { openNetwork } from '../net/network.ts';
import type { Actor } from './audit-log.ts';
import { openStores } from './connection-stores.ts';
import { Connections } from './connections.ts';
import { ContentCache, ContentMemory, cachePlanOf } from './content-cache.ts';
import type { WatchingStatus } from './control-protocol.ts';
import { environmentOfMounts } from './daemon-environment.ts';
import { MetricsEndpoint } from './metrics-endpoint.ts';
import type { Connection, MountParts } from './mount-parts.ts';
import { connectionOf } from './mount-specs.ts';
import type { Caller } from './mounts-asked.ts';
import type { MountPair } from './mounts-request.ts';
import { type OwnPlace, refuseOwnPlaces } from './own-places.ts';
import { createParts } from './real-parts.ts';
import type { Surroundings } from './surroundings.ts';
import { type OwnedTokens, withOwner } from './token-owner.ts';
import { type ChosenTokens, openTokens } from './tokens.ts';
import { Watching } from './watching.ts';

/** What is known before it is said how servers are reached. */
export type ProcessFacts = Omit<Surroundings, 'network' | 'http'>;

export interface SharedPartsOptions {
  readonly facts: ProcessFacts;
  /** What all mounts do, for Prometheus. */
  readonly metrics: () => string;
  /** Something that a person should know, in one line. */
  readonly warn: (line: string) => void;
}

/** What mounts are made with; dispose it when they have ended. */
export interface PartsLease extends AsyncDisposable {
  readonly parts: MountParts;
  readonly connection: Connection;
}

/** Whose tokens, from where, and how servers are reached. */
interface Identity extends AsyncDisposable {
  readonly key: string;
  readonly surroundings: Surroundings;
  readonly chosen: ChosenTokens;
  readonly owned: OwnedTokens;
  readonly connections: Connections;
}

/** Settings that choose an identity; role and session name, since some sources say them. */
const identitySettings: readonly OptionName[] = [
  'issuer',
  'audience',
  'role',
  'sessionName',
  'tokenSource',
  'tokenFile',
  'oidcAgent',
  'mytokenServer',
  'mytokenFile',
  'ca',
  'insecureHosts',
  'endpointHosts',
];

export class SharedParts {
  readonly #options: SharedPartsOptions;
  readonly #identities = new SharedPool<Identity>();
  readonly #contents = new SharedPool<ContentCache>();
  readonly #memories = new SharedPool<ContentMemory>();
  readonly #watchings = new SharedPool<Watching>();
  readonly #endpoints = new SharedPool<MetricsEndpoint>();
  /** Those that are in use, for status. */
  readonly #watching = new Set<Watching>();
  readonly #serving = new Set<MetricsEndpoint>();

  constructor(options: SharedPartsOptions) {
    this.#options = options;
  }

  /** How many of each are held; for tests. */
  get sizes(): { readonly identities: number; readonly caches: number; readonly budgets: number } {
    const [identities, caches, budgets] = [this.#identities, this.#contents, this.#memories];
    return { identities: identities.size, caches: caches.size, budgets: budgets.size };
  }

  get auditFailures(): number {
    return sum(this.#watching, ({ auditFailures }) => auditFailures);
  }

  get accessDropped(): number {
    return sum(this.#watching, ({ accessDropped }) => accessDropped);
  }

  /** Of several places each the first. */
  get status(): WatchingStatus {
    const { auditFailures, accessDropped } = this;
    const [endpoint] = this.#serving;
    const places = [...this.#watching].map((each) => each.status);
    const auditLog = places.find((each) => each.auditLog !== undefined)?.auditLog;
    const accessLog = places.find((each) => each.accessLog !== undefined)?.accessLog;
    return {
      ...(endpoint !== undefined && { metricsUrl: endpoint.url }),
      ...(auditLog !== undefined && { auditLog }),
      ...(accessLog !== undefined && { accessLog }),
      ...(auditFailures > 0 && { auditFailures }),
      ...(accessDropped > 0 && { accessDropped }),
    };
  }

  /**
   * What mounts as `settings` say need, for somebody with this environment and these folders.
   *
   * @throws WireError of what cannot be had: no token, no endpoint, no folder, no port.
   */
  async open(
    settings: Settings,
    caller: Caller,
    mounts: readonly Pick<MountPair, 'mountPoint'>[],
    signal: AbortSignal,
  ): Promise<PartsLease> {
    await using closers = new Closers();
    // What the command line lacks is told before what the machine lacks.
    const identity = await this.#identity(settings, caller, closers, signal);
    const { chosen, owned, surroundings } = identity;
    const { role, sessionName } = chosen.settings;
    const whole: Settings = {
      ...settings,
      ...(role !== undefined && { role }),
      ...(sessionName !== undefined && { sessionName }),
    };
    const connection = connectionOf(whole, chosen.issuer);
    // A token that wire cannot renew and that has expired: no folder need be taken for that.
    if (chosen.fixed) await owned.tokens.accessToken(0, signal);
    const plan = cachePlanOf(whole, surroundings);
    const places = ownPlaces(surroundings, plan.folder, whole);
    for (const { mountPoint } of mounts) await refuseOwnPlaces(mountPoint, places);
    const { stateDir, runtimeDir } = surroundings.paths;
    for (const folder of [stateDir, runtimeDir]) {
      await ensurePrivateDir(folder, surroundings.uid, signal);
    }
    const content = await this.#content(identity, whole, closers, signal);
    const watching = await this.#watch(identity, whole, closers, signal);
    await this.#serve(whole, closers, signal);
    const parts = {
      ...createParts(
        { tokens: owned.tokens, connections: identity.connections },
        content,
        whole,
        surroundings,
      ),
      ...watching.parts,
    };
    const held = closers.move();
    return {
      parts,
      connection,
      [Symbol.asyncDispose]: async () => await held[Symbol.asyncDispose](),
    };
  }

  async #identity(
    settings: Settings,
    caller: Caller,
    closers: Closers,
    signal: AbortSignal,
  ): Promise<Identity> {
    const chosenBy = identitySettings.map((name) => settings[name] ?? null);
    // Secrets of the environment are in it: only a digest is kept.
    const key = digest([chosenBy, environmentOfMounts(caller.environment), caller.paths]);
    const share = await this.#identities.share(
      key,
      async (until) => await this.#openIdentity(key, settings, caller, until),
      signal,
    );
    return closers.use(share).value;
  }

  async #openIdentity(
    key: string,
    settings: Settings,
    { environment, paths }: Caller,
    signal: AbortSignal,
  ): Promise<Identity> {
    const facts = { ...this.#options.facts, environment, paths };
    const { endpointHosts } = settings;
    await using closers = new Closers();
    const network = closers.use(await openNetwork(settings, facts, signal));
    const http = { fetch: network.fetch, ...(endpointHosts !== undefined && { endpointHosts }) };
    const surroundings = { ...facts, network, http };
    const chosen = closers.use(await openTokens(settings, surroundings, signal));
    const owned = withOwner(chosen.tokens);
    const connections = new Connections((connection, rights) =>
      openStores(connection, rights, owned.tokens, surroundings),
    );
    const held = closers.move();
    const dispose = async (): Promise<void> => await held[Symbol.asyncDispose]();
    return { key, surroundings, chosen, owned, connections, [Symbol.asyncDispose]: dispose };
  }

  async #content(
    { key, surroundings }: Identity,
    settings: Settings,
    closers: Closers,
    signal: AbortSignal,
  ): Promise<ContentCache> {
    const plan = cachePlanOf(settings, surroundings);
    const open = async (bytes: number): Promise<ContentMemory> =>
      await Promise.resolve(new ContentMemory(bytes));
    const memory = closers.use(
      await this.#memories.share(
        String(plan.memoryBytes),
        async () => await open(plan.memoryBytes),
        signal,
      ),
    ).value;
    const share = await this.#contents.share(
      digest([key, plan]),
      async () => await Promise.resolve(new ContentCache(plan, surroundings, memory)),
      signal,
    );
    return closers.use(share).value;
  }

  async #watch(
    { key, surroundings, chosen, owned }: Identity,
    settings: Settings,
    closers: Closers,
    signal: AbortSignal,
  ): Promise<Watching> {
    const { accessLog, auditLog } = settings;
    const { issuer, source: tokenSource } = chosen;
    const actor = (): Actor => ({ issuer, subject: owned.subject, tokenSource });
    const { warn } = this.#options;
    const share = await this.#watchings.share(
      digest([key, accessLog ?? null, auditLog ?? null]),
      async () => {
        const opened = await Watching.open({ settings, actor, warn }, surroundings);
        this.#watching.add(opened);
        return withEnd(opened, () => this.#watching.delete(opened));
      },
      signal,
    );
    return closers.use(share).value;
  }

  /** @throws WireError `config` when the port cannot be had. */
  async #serve(
    { metrics: port = 'off' }: Settings,
    closers: Closers,
    signal: AbortSignal,
  ): Promise<void> {
    if (port === 'off') return;
    const { metrics, facts } = this.#options;
    const open = async (until: AbortSignal): Promise<MetricsEndpoint> => {
      const opened = await MetricsEndpoint.listen({ port, metrics }, until);
      facts.log.info('metrics served', { url: opened.url });
      this.#serving.add(opened);
      return withEnd(opened, () => this.#serving.delete(opened));
    };
    closers.use(await this.#endpoints.share(String(port), open, signal));
  }
}

/** `thing`, whose end is told. */
function withEnd<T extends AsyncDisposable>(thing: T, ended: () => void): T {
  const dispose = thing[Symbol.asyncDispose].bind(thing);
  return Object.assign(thing, {
    [Symbol.asyncDispose]: async () => {
      ended();
      await dispose();
    },
  });
}

function sum<T>(values: Iterable<T>, of: (value: T) => number): number {
  return [...values].reduce((all, value) => all + of(value), 0);
}

function digest(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex');
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
