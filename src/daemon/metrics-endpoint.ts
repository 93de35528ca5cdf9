/**
 * Metrics on a port of 127.0.0.1, on request, for a Prometheus that cannot use the control socket.
 * Every user of the machine can ask; a web page that the user opens must not: nothing is answered
 * under another name than our own, nor to a browser (it says where the request is from).
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { KiB } from '../lib/bytes.ts';
import { WireError } from '../lib/wire-error.ts';
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
/** What Prometheus sends is some hundred bytes. */
const MAX_HEADER_BYTES: number = 4 * KiB;
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
    const server = createServer({
      requestTimeout: requestMs,
      headersTimeout: requestMs,
      connectionsCheckingInterval: Math.min(1000, requestMs),
      maxHeaderSize: MAX_HEADER_BYTES,
      keepAlive: false,
    });
    server.maxConnections = MAX_CONNECTIONS;
    server.maxRequestsPerSocket = 1;
    // Who does not take the answer is hung up on, too.
    server.setTimeout(requestMs);
    try {
      server.listen(port, '127.0.0.1');
      await once(server, 'listening', { signal });
    } catch (error) {
      server.close();
      signal.throwIfAborted();
      const answered = (error as NodeJS.ErrnoException).code ?? String(error);
      const tried = `serve metrics on 127.0.0.1:${port}`;
      const next = 'take another port: --metrics 127.0.0.1:PORT';
      throw new WireError('config', { tried, answered, next }, { cause: error });
    }
    const bound = (server.address() as AddressInfo).port;
    server.on('connection', (socket) => socket.unref());
    server.on('request', (request, response) => {
      const status = refusalOf(request, bound);
      if (status === undefined) send(response, 200, METRICS_TYPE, metrics());
      else send(response, status, 'text/plain', 'refused\n');
    });
    return new MetricsEndpoint(server, bound);
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}${METRICS_PATH}`;
  }

  /** Ends every connection. */
  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }
}

/** The status of a refusal; undefined: it may be answered. */
function refusalOf(
  { headers, method, url }: IncomingMessage,
  port: number,
): 400 | 403 | 404 | 405 | undefined {
  const { host = '', origin } = headers;
  if (host !== `127.0.0.1:${port}` && host !== `localhost:${port}`) return 403;
  if (origin !== undefined || headers['sec-fetch-site'] !== undefined) return 403;
  if (url !== METRICS_PATH) return 404;
  if (method !== 'GET') return 405;
  const { 'transfer-encoding': coding, 'content-length': length } = headers;
  return coding !== undefined || length !== undefined ? 400 : undefined;
}

function send(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, {
    'content-type': type,
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    connection: 'close',
  });
  response.end(body);
}
