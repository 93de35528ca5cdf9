/**
 * Where the person's browser comes back to after a login (RFC 8252 §7.3): a server on 127.0.0.1,
 * never `localhost`, that takes one answer and ends. Whatever else knocks, another page or program
 * of this machine, is refused and changes nothing: only who knows the state can end the login.
 */
import { timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';

import { WireError } from '../lib/wire-error.ts';
import { callbackPage } from './callback-page.ts';

/** What the provider sent along with the browser. */
export interface Arrival {
  /** Its state is right; everything else is yet to be checked. */
  readonly parameters: URLSearchParams;
  /** Shows the page to the person, who waits for it. Not before what came of it is known. */
  readonly reply: (page: string) => Promise<void>;
}

/** More than a browser opens at once. */
const MAX_CONNECTIONS = 16;

export class LoopbackCallback implements AsyncDisposable {
  /** The one of the addresses that is served. */
  readonly redirectUri: string;
  /** Resolves with the first good answer; never rejects. */
  readonly arrival: Promise<Arrival>;
  readonly #server: Server;
  readonly #state: string;
  #arrived = false;
  #arrive: (arrival: Arrival) => void = () => undefined;

  private constructor(server: Server, redirectUri: string, state: string) {
    this.#server = server;
    this.#state = state;
    this.redirectUri = redirectUri;
    this.arrival = new Promise((resolve) => {
      this.#arrive = resolve;
    });
    server.on('request', (request, response) => this.#receive(request, response));
  }

  /**
   * Serves the first of `redirectUris` whose port is free.
   *
   * @throws WireError `unavailable` when none is.
   */
  static async listen(
    redirectUris: readonly string[],
    state: string,
    signal: AbortSignal,
  ): Promise<LoopbackCallback> {
    for (const redirectUri of redirectUris) {
      const server = await listening(Number(new URL(redirectUri).port), signal);
      if (server !== undefined) return new LoopbackCallback(server, redirectUri, state);
    }
    const ports = redirectUris.map((uri) => new URL(uri).port).join(', ');
    throw new WireError('unavailable', {
      tried: 'wait for the browser on 127.0.0.1',
      answered: `the ports ${ports} are all in use`,
      next: 'end the other login that waits there, or log in with --flow device',
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  #receive(request: IncomingMessage, response: ServerResponse): void {
    const refusal = this.#refusal(request);
    if (refusal !== undefined) {
      const [status, text] = refusal;
      send(response, status, callbackPage('This is not for you', text)).catch(() => undefined);
      return;
    }
    this.#arrived = true;
    const { searchParams: parameters } = this.#target(request);
    this.#arrive({ parameters, reply: async (page) => await send(response, 200, page) });
  }

  /** Status and reason for a request that is not the answer. */
  #refusal(request: IncomingMessage): readonly [number, string] | undefined {
    // A page on another host name that resolves to 127.0.0.1 could else read our answers.
    if (request.headers.host !== new URL(this.redirectUri).host) return [400, 'Wrong host.'];
    const { pathname, searchParams } = this.#target(request);
    if (pathname !== new URL(this.redirectUri).pathname) return [404, 'There is no such page.'];
    if (request.method !== 'GET') return [405, 'Only GET is understood.'];
    const [state, ...more] = searchParams.getAll('state');
    if (state === undefined || more.length > 0 || !equal(state, this.#state)) {
      return [400, 'This page belongs to another login, or to none.'];
    }
    // RFC 6749 §4.1.2: exactly one of the two.
    if (searchParams.getAll('code').length + searchParams.getAll('error').length !== 1) {
      return [400, 'The answer of the provider is incomplete.'];
    }
    return this.#arrived ? [410, 'This login has been answered already.'] : undefined;
  }

  #target(request: IncomingMessage): URL {
    const path = request.url ?? '/';
    // Only a path is a target here; `//host/x` would be taken for an address.
    return new URL(`${new URL(this.redirectUri).origin}${path.startsWith('/') ? path : '/'}`);
  }
}

/** Undefined when the port is taken or not ours to take. */
async function listening(port: number, signal: AbortSignal): Promise<Server | undefined> {
  signal.throwIfAborted();
  const server = createServer();
  server.maxConnections = MAX_CONNECTIONS;
  server.listen(port, '127.0.0.1');
  try {
    await once(server, 'listening', { signal });
    return server;
  } catch {
    server.close();
    signal.throwIfAborted();
    return undefined;
  }
}

/** In a time that does not depend on where they differ. */
function equal(one: string, other: string): boolean {
  const [left, right] = [Buffer.from(one), Buffer.from(other)];
  return left.length === right.length && timingSafeEqual(left, right);
}

/** The code was in the address: nothing may keep the page, frame it, or learn where it came from. */
const headers = {
  'content-type': 'text/html; charset=utf-8',
  'cache-control': 'no-store',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'content-security-policy':
    "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'",
  connection: 'close',
} as const;

/** Resolves when the page is on its way, or its reader has gone. */
async function send(response: ServerResponse, status: number, html: string): Promise<void> {
  if (response.destroyed) return;
  await new Promise<void>((resolve) => {
    response.once('close', resolve);
    response.writeHead(status, headers);
    response.end(html, () => resolve());
  });
}
