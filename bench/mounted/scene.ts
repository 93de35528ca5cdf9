/**
 * What a benchmark of a mount needs: a store, alice with the real command, her credentials for the
 * raw client, and the ways to the store: direct and through the proxy.
 */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { Agent, setGlobalDispatcher } from 'undici';
import type { ConformanceCredentials } from '../../scripts/conformance/target.ts';
import { WireUser } from '../../scripts/demo/wire-user.ts';
import { type NginxFront, startNginx } from '../../scripts/servers/nginx.ts';
import { Closers } from '../../src/lib/closers.ts';
import { ChildProgram } from '../child-program.ts';
import type { ProxyCounts } from '../delay-proxy.ts';
import type { ProxyFacts } from '../delay-proxy-process.ts';
import type { RawStore } from '../raw/raw-client.ts';
import { type BenchStore, type StoreName, startStore } from '../stores/bench-store.ts';
import { WireMount, type WireMountOptions } from './wire-mount.ts';

/** A way to the store. */
export interface Site {
  readonly rttMs: number;
  /** Behind the name of every result that was measured on this way. */
  readonly suffix: string;
  readonly endpoint: URL;
  /** The same store at the same distance, where bytes and requests are counted. */
  readonly countedEndpoint: URL;
  counts(signal: AbortSignal): Promise<ProxyCounts>;
}

export class BenchScene implements AsyncDisposable {
  readonly store: BenchStore;
  readonly user: WireUser;
  /** Of every mount so far that had the default memory: the most it ever used, in MB. */
  readonly peaks: number[] = [];
  readonly #closers: Closers;

  private constructor(store: BenchStore, user: WireUser, closers: Closers) {
    this.store = store;
    this.user = user;
    this.#closers = closers;
  }

  static async open(name: StoreName, signal: AbortSignal): Promise<BenchScene> {
    await using closers = new Closers();
    const store = closers.use(await startStore(name, signal));
    const user = closers.use(await WireUser.create(resolve('bin', 'wire.js')));
    const login = [store.issuer, '--audience', store.audience];
    await user.login(login, 'alice', () => undefined, signal);
    return new BenchScene(store, user, closers.move());
  }

  /** With a proxy in between where there is a distance, and otherwise only where it counts. */
  async site(rttMs: number, signal: AbortSignal): Promise<Site> {
    const script = new URL('../delay-proxy-process.js', import.meta.url);
    const args = [this.store.endpoint, String(rttMs / 2)];
    const proxy = this.#closers.use(await ChildProgram.start<ProxyFacts>(script, args, signal));
    const countedEndpoint = new URL(`http://127.0.0.1:${proxy.facts.port}`);
    return {
      rttMs,
      suffix: rttMs === 0 ? '' : `-${rttMs}ms`,
      endpoint: rttMs === 0 ? new URL(this.store.endpoint) : countedEndpoint,
      countedEndpoint,
      counts: async (signal) => (await proxy.ask('counts', null, signal)) as ProxyCounts,
    };
  }

  /** Through nginx, which speaks TLS; everything that is started from here on trusts its CA. */
  async secureSite(signal: AbortSignal): Promise<Site> {
    const plain = await this.site(0, signal);
    const say = (line: string): void => void process.stderr.write(`bench: ${line}\n`);
    const front = this.#closers.use(await startNginx(say, signal));
    await trust(front);
    return {
      ...plain,
      suffix: '-tls',
      endpoint: new URL(await front.before(this.store.endpoint, signal)),
      countedEndpoint: new URL(await front.before(plain.countedEndpoint.href, signal)),
    };
  }

  async mount(options: WireMountOptions, signal: AbortSignal): Promise<WireMount> {
    const seen = (peakMb: number): void => {
      if (options.memory === undefined) this.peaks.push(peakMb);
    };
    return await WireMount.start(this.user, this.store, options, seen, signal);
  }

  /** For the raw client: as the mount's, for the same bucket. */
  async rawStore(endpoint: URL, signal: AbortSignal): Promise<RawStore> {
    const { bucket, audience, role } = this.store;
    const where = ['--endpoint', this.store.endpoint, '--audience', audience];
    const args = [...where, ...(role === undefined ? [] : ['--role', role])];
    const { stdout } = await this.user.wire(['credentials', `s3://${bucket}`, ...args], signal);
    const printed = JSON.parse(stdout) as Readonly<Record<string, string>>;
    const credentials: ConformanceCredentials = {
      accessKeyId: printed['AccessKeyId'] ?? '',
      secretAccessKey: printed['SecretAccessKey'] ?? '',
      sessionToken: printed['SessionToken'] ?? '',
    };
    return { endpoint, bucket, credentials };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#closers[Symbol.asyncDispose]();
  }
}

/** Wire, curl and Node's children are told by the environment; our own `fetch` has started already. */
async function trust({ caFile }: NginxFront): Promise<void> {
  for (const name of ['SSL_CERT_FILE', 'CURL_CA_BUNDLE', 'NODE_EXTRA_CA_CERTS']) {
    process.env[name] = caFile;
  }
  setGlobalDispatcher(new Agent({ connect: { ca: await readFile(caFile, 'utf8') } }));
}
