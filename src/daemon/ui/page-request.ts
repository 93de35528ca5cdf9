/**
 * Who asks for a page, and how: looked at before what is asked. Every user of this machine can
 * connect, and every web page that the user opens can try to.
 */
import type { IncomingMessage } from 'node:http';
import { KiB } from '../../lib/bytes.ts';
import { hasBody, isNamed } from '../loopback-server.ts';
import type { PageDoor } from './page-door.ts';
import type { Fields } from './page-verbs.ts';

/** Carries the key of the session: a header that no form and no other origin can send. */
export const KEY_HEADER = 'x-wire-key';

/** A form with every field filled. */
const MAX_BODY_BYTES: number = 16 * KiB;

export type RefusalStatus = 400 | 401 | 403 | 404 | 405 | 413 | 415;

/** A request that is not answered. The reason is for the log alone. */
export class PageRefusal extends Error {
  override readonly name = 'PageRefusal';
  readonly status: RefusalStatus;

  constructor(status: RefusalStatus, reason: string) {
    super(reason);
    this.status = status;
  }
}

/**
 * Of a page in a browser the request must come from this page itself. Programs may say what they
 * like here: what they lack is the session.
 *
 * @throws PageRefusal
 */
export function checkSender(request: IncomingMessage, port: number): void {
  const { headers, method } = request;
  if (!isNamed(request, port)) throw new PageRefusal(403, 'another Host');
  const { origin, host = '', 'sec-fetch-site': site, 'sec-fetch-mode': mode } = headers;
  if (origin !== undefined && origin !== `http://${host}`) {
    throw new PageRefusal(403, 'another Origin');
  }
  // Every browser names the origin of a POST (Fetch standard, "append a request `Origin` header").
  if (method === 'POST' && origin === undefined) throw new PageRefusal(403, 'no Origin');
  // The address itself may be followed from anywhere; nothing else may be asked for from elsewhere.
  const isFollowed = mode === 'navigate' && method === 'GET' && request.url === '/';
  const isOwn = site === undefined || site === 'same-origin' || site === 'none';
  if (!isOwn && !isFollowed) throw new PageRefusal(403, 'from another site');
}

/** @throws PageRefusal when it is not the browser that has taken the token. */
export function checkSession({ headers }: IncomingMessage, door: PageDoor, port: number): void {
  const key = headers[KEY_HEADER];
  const cookie = cookieOf(headers.cookie, cookieName(port));
  if (door.knows(cookie, typeof key === 'string' ? key : '')) return;
  throw new PageRefusal(401, 'no session');
}

/** Cookies are the same for all ports: two pages must not take each other's. */
export function cookieName(port: number): string {
  return `wire-ui-${port}`;
}

/** Pure: the value of the first cookie of that name; '' without one. */
export function cookieOf(header: string | undefined, name: string): string {
  const found = (header ?? '').split(/; */).find((pair) => pair.startsWith(`${name}=`));
  return found === undefined ? '' : found.slice(name.length + 1);
}

/** @throws PageRefusal for a GET that brings something. */
export function checkNoBody(request: IncomingMessage): void {
  if (hasBody(request)) throw new PageRefusal(400, 'a body');
}

/** The JSON object in a request. @throws PageRefusal */
export async function readFields(request: IncomingMessage): Promise<Fields> {
  if (!/^application\/json(?:;|$)/.test(request.headers['content-type'] ?? '')) {
    throw new PageRefusal(415, 'no JSON');
  }
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) throw new PageRefusal(413, 'too large');
    chunks.push(chunk);
  }
  return parseObject(Buffer.concat(chunks));
}

function parseObject(bytes: Buffer): Fields {
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
    if (isObject) return value as Fields;
  } catch {
    // Told below, as what is no object is.
  }
  throw new PageRefusal(400, 'not a JSON object');
}
