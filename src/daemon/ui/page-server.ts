/**
 * The page on 127.0.0.1, over HTTP. `GET` of a file gives the page itself, which holds nothing of
 * anybody; `POST /session` takes the token of the address, once. With the session, `GET /news` is a
 * stream of JSON lines (`FirstNews`, then `PageNews`), `GET /profiles` what may be chosen, and a
 * `POST` does something (`page-verbs.ts`): it answers what is told of it, or 422 with the line of a
 * refusal.
 */
import { type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from 'node:http';
import { setImmediate as turn } from 'node:timers/promises';
import { KiB, MiB } from '../../lib/bytes.ts';
import type { Log } from '../../lib/log.ts';
import { WireError } from '../../lib/wire-error.ts';
import { answer, closeLoopback, listenOnLoopback } from '../loopback-server.ts';
import type { PageDoor } from './page-door.ts';
import type { PageFile } from './page-files.ts';
import type { PageNews } from './page-news.ts';
import {
  checkNoBody,
  checkSender,
  checkSession,
  cookieName,
  PageRefusal,
  readFields,
} from './page-request.ts';
import { type VerbParts, verbs } from './page-verbs.ts';

export interface PageServerOptions {
  /** 0: any free port. */
  readonly port: number;
  readonly version: string;
  readonly door: PageDoor;
  readonly files: ReadonlyMap<string, PageFile>;
  readonly parts: VerbParts;
  readonly log: Log;
  /** Puts what went wrong into a line for the person. */
  readonly lineOf: (error: unknown) => string;
  readonly events: PageEvents;
  /** Time for a request to arrive and for its answer to be taken, in ms; default 5,000. */
  readonly requestMs?: number;
}

export interface PageEvents {
  /** A browser has taken the token. */
  opened(): void;
  /** The person has had enough of it. */
  over(): void;
}

/** The first line of a stream. */
export interface FirstNews extends PageNews {
  readonly version: string;
}

const REQUEST_MS = 5_000;
/** Six for a browser and host (RFC 9112 §9.4 leaves the number open), of a window or two. */
const MAX_CONNECTIONS = 32;
/** Cookies of 127.0.0.1 go to all its ports: those of a notebook's servers alone may be some KiB. */
const MAX_HEADER_BYTES: number = 32 * KiB;
const MAX_STREAMS = 8;
/** Of news that a browser does not take. */
const MAX_UNTAKEN_BYTES: number = 8 * MiB;

/** Nothing but our own files, and no script but those (Content Security Policy Level 3). */
const policy = [
  "default-src 'none'",
  ...['script-src', 'style-src', 'connect-src', 'img-src'].map((kind) => `${kind} 'self'`),
  ...["base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"],
  "require-trusted-types-for 'script'",
].join('; ');

const headers: Readonly<Record<string, string>> = {
  'content-security-policy': policy,
  'referrer-policy': 'no-referrer',
  'x-frame-options': 'DENY',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
};

export class PageServer implements AsyncDisposable {
  readonly port: number;
  readonly #server: Server;
  readonly #options: PageServerOptions;
  #refused = 0;
  readonly #streams = new Set<ServerResponse>();
  #asked = 0;

  private constructor(server: Server, port: number, options: PageServerOptions) {
    this.port = port;
    this.#server = server;
    this.#options = options;
    server.on('request', (request, response) => {
      this.#receive(request, response).catch((error: unknown) => {
        this.#refuse(response, error instanceof PageRefusal ? error : brokenOff(error));
      });
    });
  }

  /** @throws WireError `config` when the port cannot be had. */
  static async listen(options: PageServerOptions, signal: AbortSignal): Promise<PageServer> {
    const { port: wanted, requestMs = REQUEST_MS } = options;
    const limits = { requestMs, maxConnections: MAX_CONNECTIONS, maxHeaderBytes: MAX_HEADER_BYTES };
    const refusal = { tried: `listen on 127.0.0.1:${wanted}`, next: 'take another --port' };
    const { server, port } = await listenOnLoopback({ port: wanted, ...limits }, refusal, signal);
    return new PageServer(server, port, options);
  }

  /** With the token, which is in the part that browsers send to nobody (RFC 3986 §3.5). */
  get url(): string {
    return `http://127.0.0.1:${this.port}/#${this.#options.door.token.reveal()}`;
  }

  /** How often somebody with a session has asked for something, and whether a page is open now. */
  get use(): { readonly asked: number; readonly open: boolean } {
    return { asked: this.#asked, open: this.#streams.size > 0 };
  }

  /** Ends every connection. */
  async [Symbol.asyncDispose](): Promise<void> {
    // A stream that is cut off is a fault to a browser.
    for (const response of this.#streams) response.end();
    await turn();
    await closeLoopback(this.#server);
  }

  /** Who asks is looked at before what is asked. @throws PageRefusal */
  async #receive(request: IncomingMessage, response: ServerResponse): Promise<void> {
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
    const { door, files } = this.#options;
    const { method = '', url = '' } = request;
    checkSender(request, this.port);
    const file = files.get(url);
    if (file !== undefined) this.#giveFile(request, response, file);
    else if (url === '/session' && method === 'POST') await this.#open(request, response);
    else {
      checkSession(request, door, this.port);
      this.#asked += 1;
      if (method === 'GET') await this.#tell(request, response);
      else if (method === 'POST') await this.#do(request, response);
      else throw new PageRefusal(405, 'another method');
    }
  }

  #giveFile(request: IncomingMessage, response: ServerResponse, { type, text }: PageFile): void {
    if (request.method !== 'GET') throw new PageRefusal(405, 'not GET');
    checkNoBody(request);
    this.#send(response, 200, type, text);
  }

  async #open(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { token } = await readFields(request);
    const { door, events, log } = this.#options;
    const session = typeof token === 'string' ? door.take(token) : undefined;
    if (session === undefined) throw new PageRefusal(401, 'another token, or an old one');
    log.info('page opened');
    events.opened();
    const cookie = `${cookieName(this.port)}=${session.cookie.reveal()}`;
    response.setHeader('set-cookie', `${cookie}; Path=/; HttpOnly; SameSite=Strict`);
    this.#sendJson(response, 200, { key: session.key.reveal() });
  }

  async #tell(request: IncomingMessage, response: ServerResponse): Promise<void> {
    checkNoBody(request);
    const { parts } = this.#options;
    if (request.url === '/news') this.#stream(response);
    else if (request.url === '/profiles') {
      await this.#answer(response, '/profiles', async () => {
        return { profiles: await parts.host.profiles(parts.end) };
      });
    } else throw new PageRefusal(404, 'another path');
  }

  /** Until the browser hangs up, or does not take them. */
  #stream(response: ServerResponse): void {
    const { version, parts } = this.#options;
    if (this.#streams.size >= MAX_STREAMS) {
      this.#sendJson(response, 422, { line: 'too many windows show this page: close one' });
      return;
    }
    response.writeHead(200, {
      'content-type': 'application/x-ndjson',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      connection: 'close',
    });
    this.#streams.add(response);
    let isFirst = true;
    const reading = parts.news.subscribe((news) => {
      const line = isFirst ? ({ version, ...news } satisfies FirstNews) : news;
      isFirst = false;
      if (response.writableLength > MAX_UNTAKEN_BYTES) response.destroy();
      else response.write(`${JSON.stringify(line)}\n`);
    });
    response.once('close', () => {
      this.#streams.delete(response);
      reading[Symbol.dispose]();
    });
  }

  async #do(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { parts, events } = this.#options;
    const { url = '' } = request;
    const verb = Object.hasOwn(verbs, url) ? verbs[url] : undefined;
    if (verb === undefined && url !== '/end') throw new PageRefusal(404, 'another path');
    const fields = await readFields(request);
    if (url === '/end') response.once('finish', () => events.over());
    await this.#answer(response, url, async () => {
      try {
        return (await verb?.(fields, parts)) ?? {};
      } finally {
        parts.news.lookAgain();
      }
    });
  }

  async #answer(
    response: ServerResponse,
    asked: string,
    work: () => Promise<object>,
  ): Promise<void> {
    const { log, lineOf } = this.#options;
    try {
      const told = await work();
      log.info('done for the page', { asked });
      this.#sendJson(response, 200, told);
    } catch (error) {
      log.info('refused to the page', { asked, error });
      const kind = error instanceof WireError ? { kind: error.kind } : {};
      this.#sendJson(response, 422, { line: lineOf(error), ...kind });
    }
  }

  #refuse(response: ServerResponse, { status, message: reason }: PageRefusal): void {
    this.#refused += 1;
    // Every user of the machine can be refused as often as he likes: 1, 2, 4, 8, … are told.
    if (Number.isInteger(Math.log2(this.#refused))) {
      this.#options.log.warn('page refused', { status, reason, times: this.#refused });
    }
    this.#sendJson(response, status, { line: STATUS_CODES[status] ?? 'refused' });
  }

  #sendJson(response: ServerResponse, status: number, body: object): void {
    this.#send(response, status, 'application/json', JSON.stringify(body));
  }

  #send(response: ServerResponse, status: number, type: string, text: string): void {
    if (response.headersSent || response.destroyed) return;
    // Who does not take the answer is hung up on.
    response.setTimeout(this.#options.requestMs ?? REQUEST_MS, () => response.destroy());
    answer(response, status, type, text);
  }
}

/** Whoever asked has hung up, or took too long. */
function brokenOff(error: unknown): PageRefusal {
  return new PageRefusal(400, `it broke off: ${String(error)}`);
}
