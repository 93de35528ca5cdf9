/** A small HTTP server on 127.0.0.1, one request a connection, for programs of this machine. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { KiB } from '../lib/bytes.ts';
import { WireError } from '../lib/wire-error.ts';

export interface LoopbackLimits {
  /** 0: any free port. */
  readonly port: number;
  /** Time for a request to arrive, ms. */
  readonly requestMs: number;
  readonly maxConnections: number;
  /** Default 4 KiB: what programs send is some hundred bytes. */
  readonly maxHeaderBytes?: number;
}

const MAX_HEADER_BYTES: number = 4 * KiB;

/**
 * @param refusal what was tried, and what to do next, when the port cannot be had.
 * @throws WireError `config` when the port cannot be had.
 */
export async function listenOnLoopback(
  { port, requestMs, maxConnections, maxHeaderBytes = MAX_HEADER_BYTES }: LoopbackLimits,
  refusal: { readonly tried: string; readonly next: string },
  signal: AbortSignal,
): Promise<{ readonly server: Server; readonly port: number }> {
  const server = createServer({
    requestTimeout: requestMs,
    headersTimeout: requestMs,
    connectionsCheckingInterval: Math.min(1000, requestMs),
    maxHeaderSize: maxHeaderBytes,
    keepAlive: false,
  });
  server.maxConnections = maxConnections;
  // What is sent behind a request is not looked at.
  server.maxRequestsPerSocket = 1;
  try {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening', { signal });
  } catch (error) {
    server.close();
    signal.throwIfAborted();
    const answered = (error as NodeJS.ErrnoException).code ?? String(error);
    throw new WireError('config', { answered, ...refusal }, { cause: error });
  }
  return { server, port: (server.address() as AddressInfo).port };
}

/** Ends every connection; returns when the server is closed. */
export async function closeLoopback(server: Server): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await closed;
}

/** Whether the request names this server, and no other that leads here (DNS rebinding). */
export function isNamed({ headers: { host = '' } }: IncomingMessage, port: number): boolean {
  return host === `127.0.0.1:${port}` || host === `localhost:${port}`;
}

export function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || headers['content-length'] !== undefined;
}

/** Answers, and hangs up. */
export function answer(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, {
    'content-type': type,
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    connection: 'close',
  });
  response.end(body);
}
