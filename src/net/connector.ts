/**
 * Makes connections: by a proxy where one is set, over TLS with the one set of CAs. Certificates
 * are checked but for the hosts of `--insecure`, whatever NODE_TLS_REJECT_UNAUTHORIZED says. TLS
 * sessions are taken up again.
 */
import { isIP, type OnReadOpts, type Socket, connect as tcpConnect } from 'node:net';
import { type SecureContext, type TLSSocket, connect as tlsConnect } from 'node:tls';
import { namesServer } from './host-list.ts';
import { type Environment, type Proxy, proxyFor } from './proxy-choice.ts';
import { openTunnel } from './proxy-tunnel.ts';
import { copyInto, onReadOf, type Reading } from './reading.ts';
import { authorityOf, type Target } from './target.ts';
import type { TrustStore } from './trust-store.ts';

export interface ConnectorOptions {
  readonly trust: TrustStore;
  readonly environment: Environment;
  readonly insecureHosts: readonly string[];
  /** Ends what is still being connected. */
  readonly signal: AbortSignal;
}

/** Servers whose last session is remembered. */
const SESSIONS_KEPT = 100;
/** Before TCP asks whether the other side is still there. */
const KEEP_ALIVE_MS = 1000;

export class Connector {
  readonly #options: ConnectorOptions;
  /** By `authorityOf`; the oldest first. */
  readonly #sessions = new Map<string, Buffer>();

  constructor(options: ConnectorOptions) {
    this.#options = options;
  }

  /**
   * A socket to `target`, which may still be connecting: then its own events tell how that ends.
   * At once where nothing has to be read or asked before; an agent counts its sockets by that.
   *
   * @param reading takes what comes; without it the socket is read as a stream.
   * @throws WireError `config` for certificates or a proxy that cannot be used; ProxyError.
   */
  connect(target: Target, reading?: Reading): Socket | Promise<Socket> {
    const { environment, trust } = this.#options;
    const proxy = proxyFor(target, environment);
    if (proxy === undefined && !target.secure) return open(target, reading);
    const context = trust.loaded;
    if (proxy === undefined && context !== undefined)
      return this.#secured(target, context, reading);
    return this.#connectLater(target, proxy, reading);
  }

  async #connectLater(
    target: Target,
    proxy: Proxy | undefined,
    reading: Reading | undefined,
  ): Promise<Socket> {
    const { trust, signal } = this.#options;
    const context = await trust.context(signal);
    const tunnel =
      proxy === undefined ? undefined : await openTunnel(proxy, target, context, signal);
    tunnel?.setNoDelay(true).setKeepAlive(true, KEEP_ALIVE_MS);
    if (target.secure) return this.#secured(target, context, reading, tunnel);
    if (tunnel === undefined) return open(target, reading);
    if (reading !== undefined) copyInto(reading, tunnel);
    return tunnel;
  }

  #secured(
    target: Target,
    secureContext: SecureContext,
    reading: Reading | undefined,
    socket?: Socket,
  ): TLSSocket {
    const { host, port } = target;
    const key = authorityOf(target);
    const session = this.#sessions.get(key);
    const tls = tlsConnect({
      ...(socket === undefined ? tcpOptions(target, reading) : { host, port, socket }),
      secureContext,
      rejectUnauthorized: !namesServer(this.#options.insecureHosts, host, port),
      ALPNProtocols: ['http/1.1'],
      // RFC 6066 §3: addresses are not sent as names.
      ...(isIP(host) === 0 && { servername: host }),
      ...(session !== undefined && { session }),
    });
    // Node ignores `onread` on a socket that was there before.
    if (socket !== undefined && reading !== undefined) copyInto(reading, tls);
    tls.on('session', (fresh: Buffer) => this.#keepSession(key, fresh));
    const forget = (): void => void this.#sessions.delete(key);
    tls.once('error', forget);
    tls.once('secureConnect', () => tls.off('error', forget));
    return tls;
  }

  #keepSession(key: string, session: Buffer): void {
    this.#sessions.delete(key);
    this.#sessions.set(key, session);
    const [oldest] = this.#sessions.keys();
    if (this.#sessions.size > SESSIONS_KEPT && oldest !== undefined) this.#sessions.delete(oldest);
  }
}

function open(target: Target, reading: Reading | undefined): Socket {
  return tcpConnect(tcpOptions(target, reading));
}

interface TcpOptions {
  readonly host: string;
  readonly port: number;
  readonly noDelay: boolean;
  readonly keepAlive: boolean;
  readonly keepAliveInitialDelay: number;
  readonly onread?: OnReadOpts;
}

function tcpOptions({ host, port }: Target, reading: Reading | undefined): TcpOptions {
  return {
    host,
    port,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: KEEP_ALIVE_MS,
    ...(reading !== undefined && { onread: onReadOf(reading) }),
  };
}
