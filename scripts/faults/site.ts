/**
 * A store with its identity provider, a way to the store on which faults can be planted, and a
 * person with the real command. One site serves all rounds of a run.
 */
import { access } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { BenchStore, StoreName } from '../../bench/stores/bench-store.ts';
import type { Iam } from '../../src/demo/iam/iam.ts';
import { startPlayground } from '../../src/demo/playground.ts';
import { DEMO_BUCKET } from '../../src/demo/playground-people.ts';
import { MiB } from '../../src/lib/bytes.ts';
import { Closers } from '../../src/lib/closers.ts';
import { Random } from '../../test/fixtures/random.ts';
import { unmountAll } from '../../test/fixtures/real-mount.ts';
import { WireUser } from '../demo/wire-user.ts';
import { s3Client } from '../servers/real-server.ts';
import { prepareServer, startServer } from '../servers/start.ts';
import { FaultProxy } from './fault-proxy.ts';
import { FaultRules } from './fault-rules.ts';
import type { Abilities } from './plan.ts';
import { SmallDisk } from './small-disk.ts';

/** Debian's `libfaketime`; the one for programs with threads. */
const FAKETIME = '/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1';

/** So short that several renewals fall into each round. */
const ACCESS_TOKEN_SECONDS = 8;
const LEASE_SECONDS = 6;
/** MinIO's leases end with the token. */
const MINIO_TOKEN_SECONDS = 20;
/** Staged files and the journal: little, so that a load of large files can fill it by itself. */
const DISK_BYTES = 160 * MiB;

/** As `BenchStore`, without the ways of benchmarks. */
export type FaultStore = Pick<
  BenchStore,
  'name' | 'version' | 'issuer' | 'endpoint' | 'audience' | 'role' | 'bucket' | 'client'
> & {
  readonly iam: Iam;
  readonly expireLeases?: () => void;
  /** Leases given so far; of others than the playground: access tokens. */
  readonly renewals: () => number;
};

export interface SiteOptions {
  readonly server: StoreName;
  readonly seed: number;
  /** Life of access tokens and leases; default: a few seconds. */
  readonly tokenSeconds?: number;
  /** The playground's refresh tokens stay: an answer that comes too late ends no login. */
  readonly keepsRefreshTokens?: boolean;
  /** A folder for what mounts write down of themselves; default: nowhere that stays. */
  readonly evidence?: string | undefined;
}

export class FaultSite implements AsyncDisposable {
  readonly store: FaultStore;
  readonly proxy: FaultProxy;
  readonly user: WireUser;
  readonly abilities: Abilities;
  readonly faketime = FAKETIME;
  /** Where the mounts of this person stage what they save. */
  readonly disk: SmallDisk | undefined;
  readonly evidence: string | undefined;
  readonly #closers: Closers;

  private constructor(
    parts: Pick<FaultSite, 'store' | 'proxy' | 'user' | 'abilities' | 'disk' | 'evidence'>,
    closers: Closers,
  ) {
    this.store = parts.store;
    this.proxy = parts.proxy;
    this.user = parts.user;
    this.abilities = parts.abilities;
    this.disk = parts.disk;
    this.evidence = parts.evidence;
    this.#closers = closers;
  }

  static async open(options: SiteOptions, signal: AbortSignal): Promise<FaultSite> {
    await using closers = new Closers();
    const store = await startFaultStore(options, closers, signal);
    const rules = new FaultRules(new Random(options.seed));
    const proxy = closers.use(await FaultProxy.start(new URL(store.endpoint), rules));
    const user = closers.use(await WireUser.create(resolve('bin', 'wire.js')));
    closers.defer(async () => await unmountAll(user.folder));
    const place = join(user.folder, 'state', 'staging');
    const disk = await SmallDisk.mount(place, DISK_BYTES, signal);
    if (disk !== undefined) closers.use(disk);
    const abilities = {
      clock: await access(FAKETIME).then(
        () => true,
        () => false,
      ),
      disk: disk !== undefined,
      expireLeases: store.expireLeases !== undefined,
    };
    const { evidence } = options;
    const parts = { store, proxy, user, abilities, disk, evidence };
    const site = new FaultSite(parts, closers.move());
    await site.login(signal);
    return site;
  }

  async login(signal: AbortSignal): Promise<void> {
    const { issuer, audience } = this.store;
    await this.user.login([issuer, '--audience', audience], 'alice', () => undefined, signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#closers[Symbol.asyncDispose]();
  }
}

/** Given back by `closers`. */
export async function startFaultStore(
  options: Pick<SiteOptions, 'server' | 'tokenSeconds' | 'keepsRefreshTokens'>,
  closers: Closers,
  signal: AbortSignal,
): Promise<FaultStore> {
  const { server, tokenSeconds } = options;
  if (server !== 'playground') return await startReal(server, tokenSeconds, closers, signal);
  const accessTokenSeconds = tokenSeconds ?? ACCESS_TOKEN_SECONDS;
  const leaseSeconds = tokenSeconds ?? LEASE_SECONDS;
  const rotation = options.keepsRefreshTokens === true ? { rotateRefreshTokens: false } : {};
  const playground = closers.use(
    await startPlayground({ accessTokenSeconds, leaseSeconds, ...rotation }, signal),
  );
  const { issuer, endpoint, audience, role, bucket, iam, s3, root } = playground;
  const client = s3Client(endpoint, root);
  closers.defer(() => client.destroy());
  return {
    ...{ name: 'playground', version: 'playground' },
    ...{ issuer, endpoint, audience, role, bucket, client, iam },
    expireLeases: () => s3.expireNow(),
    renewals: () => s3.counters.requests('AssumeRoleWithWebIdentity'),
  };
}

async function startReal(
  name: 'rgw' | 'minio',
  tokenSeconds: number = MINIO_TOKEN_SECONDS,
  closers: Closers,
  signal: AbortSignal,
): Promise<FaultStore> {
  const say = (line: string): void => void process.stderr.write(`${line}\n`);
  const program = name === 'rgw' ? 'rgw' : 'minio-claims';
  await prepareServer(program, say, signal);
  const lifetimes = name === 'minio' ? { accessToken: tokenSeconds } : {};
  const server = closers.use(await startServer(program, { lifetimes }, signal));
  const { version, endpoint, audience, role, iam, root } = server;
  const client = s3Client(endpoint, root);
  closers.defer(() => client.destroy());
  return {
    ...{ name, version, issuer: iam.issuer, endpoint, audience, bucket: DEMO_BUCKET, client, iam },
    ...(role !== undefined && { role }),
    renewals: () => iam.counters().token,
  };
}
