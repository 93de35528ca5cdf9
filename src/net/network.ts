/**
 * How wire reaches servers: one set of trusted certificates, proxies and connections for the
 * identity provider, the STS and the store alike.
 */
import type { Socket } from 'node:net';
import { resolve } from 'node:path';
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import { Connector } from './connector.ts';
import type { Fetch } from './http.ts';
import { IdentityFetch } from './identity-fetch.ts';
import { machineAddresses, type NetworkChange, NetworkWatch } from './network-watch.ts';
import type { Environment } from './proxy-choice.ts';
import type { Reading } from './reading.ts';
import { targetOf } from './target.ts';
import { GRID_CERTIFICATES, trustSources } from './trust-sources.ts';
import { TrustStore } from './trust-store.ts';

export type { NetworkChange } from './network-watch.ts';

/** What a person said about certificates; the environment says the rest. */
export interface NetworkSettings {
  /** A PEM file or a hashed folder with CA certificates to trust besides the usual ones. */
  readonly ca?: string;
  /** `host` or `host:port`, whose certificate is not checked. */
  readonly insecureHosts?: readonly string[];
}

/** What a network works with. */
export interface NetworkSurroundings {
  readonly environment: Environment;
  readonly clock: Clock;
  readonly log: Log;
  /** Folder of the IGTF's CAs, used when it is there; default: the usual one. */
  readonly gridCertificates?: string;
  /** Addresses of this machine; default: what the system says. */
  readonly addresses?: () => ReadonlySet<string>;
}

export interface Network extends AsyncDisposable {
  /** Sends a request, given as URL and options, with these certificates and proxies. */
  readonly fetch: Fetch;

  /**
   * A connection to the server of `url`, for somebody who speaks by himself what is spoken there,
   * ends it, and ends it also after a change of the network that it does not survive. It may still
   * be connecting: then its own events tell how that ends. What comes goes to `reading`.
   *
   * @throws WireError `config` for certificates or a proxy that cannot be used.
   */
  connect(url: string, reading: Reading): Socket | Promise<Socket>;

  /**
   * Calls `listener` after a sleep of the machine or a change of its addresses, when connections
   * that are dead by it have been dropped, until disposed. It must not throw.
   */
  onChange(listener: (change: NetworkChange) => void): Disposable;
}

/** Makes no request and reads no file: what is wrong with either is told when it is used first. */
export async function openNetwork(
  settings: NetworkSettings,
  surroundings: NetworkSurroundings,
  signal: AbortSignal,
): Promise<Network> {
  signal.throwIfAborted();
  return await Promise.resolve(new RealNetwork(settings, surroundings));
}

class RealNetwork implements Network {
  readonly fetch: Fetch;
  readonly #surroundings: NetworkSurroundings;
  readonly #connector: Connector;
  readonly #closing = new AbortController();
  readonly #identity: IdentityFetch;
  readonly #listeners = new Set<(change: NetworkChange) => void>();
  /** While somebody would notice a change. */
  #watch: NetworkWatch | undefined;

  constructor({ ca, insecureHosts = [] }: NetworkSettings, surroundings: NetworkSurroundings) {
    const { environment, log, gridCertificates = GRID_CERTIFICATES } = surroundings;
    // The process may leave its folder before the file is read.
    const file = ca === undefined ? undefined : resolve(ca);
    const trust = new TrustStore(trustSources(file, environment, gridCertificates), log);
    const { signal } = this.#closing;
    this.#surroundings = surroundings;
    this.#connector = new Connector({ trust, environment, insecureHosts, signal });
    this.#identity = new IdentityFetch(this.#connector);
    this.fetch = async (url, request) => await this.#identity.fetch(url, request);
    if (insecureHosts.length > 0) log.warn('certificates are not checked', { insecureHosts });
  }

  connect(url: string, reading: Reading): Socket | Promise<Socket> {
    return this.#connector.connect(targetOf(url), reading);
  }

  onChange(listener: (change: NetworkChange) => void): Disposable {
    this.#listeners.add(listener);
    this.#watchWhileNeeded();
    return {
      [Symbol.dispose]: () => {
        this.#listeners.delete(listener);
        this.#watchWhileNeeded();
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new Error('the network was closed'));
    this.#listeners.clear();
    await this.#watch?.[Symbol.asyncDispose]();
    this.#identity[Symbol.dispose]();
  }

  #watchWhileNeeded(): void {
    const needed = this.#listeners.size > 0;
    if (needed && this.#watch === undefined && !this.#closing.signal.aborted) {
      const { clock, addresses = machineAddresses } = this.#surroundings;
      this.#watch = new NetworkWatch({
        clock,
        addresses,
        changed: (change) => this.#changed(change),
      });
    }
    if (needed) return;
    // Ends by itself from here: its loop only waits for the clock, and catches the abort.
    this.#watch?.[Symbol.asyncDispose]().catch(() => undefined);
    this.#watch = undefined;
  }

  #changed(change: NetworkChange): void {
    const { slept, lost } = change;
    this.#surroundings.log.info('network changed', { slept, lost: [...lost] });
    this.#identity.dropIdle();
    for (const listener of [...this.#listeners]) listener(change);
  }
}
