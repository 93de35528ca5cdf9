/** A connection through a proxy, by CONNECT (RFC 9110 §9.3.6): the proxy sees only host and port. */
import { request as httpRequest } from 'node:http';
import { isIP, type Socket, connect as tcpConnect } from 'node:net';
import { type SecureContext, connect as tlsConnect } from 'node:tls';
import { proxyRefusal, proxyTrouble, proxyUnreachable } from './connection-trouble.ts';
import type { Proxy } from './proxy-choice.ts';
import { authorityOf, type Target } from './target.ts';

/** For the proxy's whole answer: it has to connect to the target meanwhile. */
const TUNNEL_TIMEOUT_MS = 10_000;

/**
 * A socket that `proxy` has connected to `target`.
 *
 * @param context for the TLS to a proxy that is spoken to over TLS.
 * @throws ProxyError; `signal.reason` once aborted.
 */
export async function openTunnel(
  proxy: Proxy,
  target: Target,
  context: SecureContext,
  signal: AbortSignal,
): Promise<Socket> {
  signal.throwIfAborted();
  const authority = authorityOf(target);
  const { authorization } = proxy;
  const request = httpRequest({
    createConnection: () => connectTo(proxy, context),
    method: 'CONNECT',
    path: authority,
    signal,
    headers: {
      host: authority,
      // Otherwise Node announces that it will close.
      connection: 'keep-alive',
      ...(authorization !== undefined && { 'proxy-authorization': authorization.reveal() }),
    },
  });
  return await new Promise<Socket>((resolve, reject) => {
    request.setTimeout(TUNNEL_TIMEOUT_MS, () => {
      request.destroy(proxyUnreachable(proxy, 'no answer in time'));
    });
    request.once('connect', (response, socket: Socket, head) => {
      const { statusCode: status = 0 } = response;
      if (status < 200 || status > 299) {
        socket.destroy();
        reject(proxyRefusal(proxy, target, status));
        return;
      }
      socket.setTimeout(0);
      socket.removeAllListeners('timeout');
      if (head.length > 0) socket.unshift(head);
      resolve(socket);
    });
    request.once('error', (error: NodeJS.ErrnoException) => {
      reject(signal.aborted ? (signal.reason as Error) : proxyTrouble(proxy, error));
    });
    request.end();
  });
}

function connectTo({ host, port, secure }: Proxy, secureContext: SecureContext): Socket {
  if (!secure) return tcpConnect({ host, port });
  const servername = isIP(host) === 0 ? { servername: host } : {};
  return tlsConnect({ host, port, secureContext, rejectUnauthorized: true, ...servername });
}
