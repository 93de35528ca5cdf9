/**
 * Exchanges with providers and STS, over the same HTTP/1.1 as those with the store. Rare and short:
 * a reply is held whole. No library does it: the one that did took as long to load as Node itself
 * takes to start.
 */

import type { Connector } from './connector.ts';
import type { FetchAnswer, FetchRequest, ReplyHeaders } from './http.ts';
import type { AnswerHead } from './http1/answer-head.ts';
import type { HttpPatience, HttpRequest, Receiver } from './http1/http-exchange.ts';
import { HttpPool } from './http1/http-pool.ts';
import { TooLargeError } from './network-failure.ts';
import { targetOf } from './target.ts';

/** Silence is bounded by the exchange as a whole, which is shorter. */
const PATIENCE: HttpPatience = { connectMs: 10_000, quietMs: 60_000, silenceMs: 60_000 };
/** An idle connection older than this might be dead; exchanges are rarer than that. */
const LONGEST_IDLE_MS = 10_000;
/** To one server: `wire whoami` asks a few things at once. */
const MOST_CONNECTIONS = 4;
const FIRST_ROOM_BYTES = 8 * 1024;

interface Server {
  readonly pool: HttpPool;
  usedAtMs: number;
}

export class IdentityFetch implements Disposable {
  readonly #connector: Connector;
  /** By origin. */
  readonly #servers = new Map<string, Server>();
  /** Those that finish what they have under way. */
  readonly #retired = new Set<HttpPool>();

  constructor(connector: Connector) {
    this.#connector = connector;
  }

  /** @throws TooLargeError; whatever broke the connection; `signal.reason` once aborted. */
  async fetch(url: string, request: FetchRequest): Promise<FetchAnswer> {
    const { signal } = request;
    signal.throwIfAborted();
    const reply = new WholeReply(request.maxBytes);
    const target = new URL(url);
    const pool = this.#poolFor(target);
    const exchange = pool.exchange(requestOf(target, request), reply, PATIENCE);
    const onAbort = (): void => exchange.cancel(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      await exchange.ended;
    } finally {
      signal.removeEventListener('abort', onAbort);
      if (this.#retired.has(pool)) pool.dropIdle();
    }
    return await reply.finish();
  }

  #poolFor(url: URL): HttpPool {
    const now = performance.now();
    const known = this.#servers.get(url.origin);
    if (known !== undefined) {
      if (now - known.usedAtMs > LONGEST_IDLE_MS) known.pool.dropIdle();
      known.usedAtMs = now;
      return known.pool;
    }
    const target = targetOf(url.origin);
    const connect = this.#connector.connect.bind(this.#connector, target);
    const pool = new HttpPool(connect, MOST_CONNECTIONS);
    this.#servers.set(url.origin, { pool, usedAtMs: now });
    return pool;
  }

  /**
   * The next exchange makes a new connection. One that is under way goes on: it may be a refresh
   * whose answer has arrived already, and to lose that is to lose the login.
   */
  dropIdle(): void {
    for (const { pool } of this.#servers.values()) {
      pool.dropIdle();
      this.#retired.add(pool);
    }
    this.#servers.clear();
  }

  [Symbol.dispose](): void {
    this.dropIdle();
    for (const pool of this.#retired) pool.destroy();
    this.#retired.clear();
  }
}

/** Takes a body into one piece of memory that grows as needed. */
class WholeReply implements Receiver {
  readonly #maxBytes: number;
  #head: AnswerHead | undefined;
  #bytes = new Uint8Array(FIRST_ROOM_BYTES);
  #length = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  begin(head: AnswerHead): this {
    this.#head = head;
    return this;
  }

  room(): Uint8Array {
    if (this.#length === this.#bytes.byteLength) {
      const larger = new Uint8Array(2 * this.#length);
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    return this.#bytes.subarray(this.#length);
  }

  filled(bytes: number): void {
    this.#length += bytes;
    if (this.#length > this.#maxBytes) throw new TooLargeError(this.#maxBytes);
  }

  async finish(): Promise<FetchAnswer> {
    const { status = 0, headers = new Map<string, string>() } = this.#head ?? {};
    const bytes = this.#bytes.subarray(0, this.#length);
    const packed = headers.get('content-encoding')?.toLowerCase() === 'gzip';
    const body = packed ? await unpacked(bytes, this.#maxBytes) : bytes;
    return { status, headers: new FieldMap(headers), body: [body] };
  }
}

/** Some servers pack whatever they are asked. */
async function unpacked(bytes: Uint8Array, maxOutputLength: number): Promise<Uint8Array> {
  const { gunzipSync } = await import('node:zlib');
  try {
    return gunzipSync(bytes, { maxOutputLength });
  } catch (error) {
    const large = (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE';
    throw large ? new TooLargeError(maxOutputLength) : error;
  }
}

class FieldMap implements ReplyHeaders {
  readonly #fields: ReadonlyMap<string, string>;

  constructor(fields: ReadonlyMap<string, string>) {
    this.#fields = fields;
  }

  get(name: string): string | null {
    return this.#fields.get(name.toLowerCase()) ?? null;
  }

  [Symbol.iterator](): Iterator<[string, string]> {
    return this.#fields.entries();
  }
}

function requestOf(url: URL, { method, headers, body }: FetchRequest): HttpRequest {
  const bytes = body === undefined ? undefined : Buffer.from(body);
  const fields = {
    host: url.host,
    'user-agent': 'wire',
    'accept-encoding': 'identity',
    ...lowerCased(headers),
    ...(method === 'POST' && { 'content-length': String(bytes?.byteLength ?? 0) }),
  };
  return {
    head: headOf(`${method} ${url.pathname}${url.search} HTTP/1.1`, fields),
    ...(bytes !== undefined && { body: bytes }),
    // A refresh that was done twice would have lost the login.
    repeatable: method === 'GET',
  };
}

function lowerCased(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]),
  );
}

/** What may stand in a field (RFC 9110 §5.5): nothing that could end it and begin another. */
const fieldValue = /^[\t\x20-\x7e\x80-\xff]*$/;

function headOf(line: string, fields: Readonly<Record<string, string>>): string {
  const lines = Object.entries(fields).map(([name, value]) => {
    if (!fieldValue.test(value)) throw new TypeError(`${name} has characters no header may have`);
    return `${name}: ${value}\r\n`;
  });
  return `${line}\r\n${lines.join('')}\r\n`;
}
