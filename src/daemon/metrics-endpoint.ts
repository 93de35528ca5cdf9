/**
 * Metrics on a port of 127.0.0.1, on request, for a Prometheus that cannot use the control socket.
 * Every user of the machine can ask; a web page that the user opens must not: nothing is answered
 * under another name than our own, nor to a browser (it says where the request is from).
 */
import type { IncomingMessage, Server } from 'node:http';
import { answer, closeLoopback, hasBody, isNamed, listenOnLoopback } from './loopback-server.ts';
import { METRICS_TYPE } from './metrics-text.ts';

export interface MetricsEndpointOptions {
  /** 0: any free port. */
  readonly port: number;
  readonly metrics: () => string;
  /** Time for a request to arrive and for its answer to be taken, in ms; default 5,000. */
  readonly requestMs?: number;
}

export const METRICS_PATH = '/metrics';

const REQUEST_MS = 5_000;
/** A scraper or two. */
const MAX_CONNECTIONS = 16;

export class MetricsEndpoint implements AsyncDisposable {
  readonly port: number;
  readonly #server: Server;

  private constructor(server: Server, port: number) {
    this.#server = server;
    this.port = port;
  }

  /** @throws WireError `config` when the port cannot be had. */
  static async listen(
    { port, metrics, requestMs = REQUEST_MS }: MetricsEndpointOptions,
    signal: AbortSignal,
  ): Promise<MetricsEndpoint> {
    const { server, port: bound } = await listenOnLoopback(
      { port, requestMs, maxConnections: MAX_CONNECTIONS },
      {
        tried: `serve metrics on 127.0.0.1:${port}`,
        next: 'take another port: --metrics 127.0.0.1:PORT',
      },
      signal,
    );
    // Who does not take the answer is hung up on, too.
    server.setTimeout(requestMs);
    server.on('connection', (socket) => socket.unref());
    server.on('request', (request, response) => {
      const status = refusalOf(request, bound);
      if (status === undefined) answer(response, 200, METRICS_TYPE, metrics());
      else answer(response, status, 'text/plain', 'refused\n');
    });
    return new MetricsEndpoint(server, bound);
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}${METRICS_PATH}`;
  }

  /** Ends every connection. */
  async [Symbol.asyncDispose](): Promise<void> {
    await closeLoopback(this.#server);
  }
}

/** The status of a refusal; undefined: it may be answered. */
function refusalOf(request: IncomingMessage, port: number): 400 | 403 | 404 | 405 | undefined {
  const { headers, method, url } = request;
  if (!isNamed(request, port)) return 403;
  if (headers.origin !== undefined || headers['sec-fetch-site'] !== undefined) return 403;
  if (url !== METRICS_PATH) return 404;
  if (method !== 'GET') return 405;
  return hasBody(request) ? 400 : undefined;
}
