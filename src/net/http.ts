/**
 * One exchange with an identity provider or an STS, within limits: https (plain http only on
 * loopback), a time limit, a size cap, redirects only within the origin. Replies are read whole;
 * what they mean is decided elsewhere.
 */
import { LinkedAbort } from '../lib/abort.ts';
import { isLoopback } from '../lib/host-name.ts';
import { WireError } from '../lib/wire-error.ts';
import { networkFailure, TooLargeError } from './network-failure.ts';

/** The part of `fetch` that an exchange needs: Node's own is one. */
export type Fetch = (url: string, request: FetchRequest) => Promise<FetchAnswer>;

export interface FetchRequest {
  readonly method: string;
  readonly headers: Record<string, string>;
  readonly body?: string;
  readonly redirect: 'manual';
  readonly signal: AbortSignal;
  /** More than that is not wanted: whoever sends need not read on. */
  readonly maxBytes: number;
}

export interface FetchAnswer {
  readonly status: number;
  readonly headers: ReplyHeaders;
  readonly body: AsyncIterable<Uint8Array> | Iterable<Uint8Array> | null;
}

/** By name, in any case; as pairs. */
export interface ReplyHeaders extends Iterable<[string, string]> {
  get(name: string): string | null;
}

export interface HttpOptions {
  /** Sends requests; default: Node's `fetch`. A proxy or a CA of one's own comes in here. */
  readonly fetch?: Fetch;
  /** Limit of one exchange, body included, in ms; default 20,000. */
  readonly timeoutMs?: number;
  /** Largest reply in bytes; default 1 MiB. */
  readonly maxBytes?: number;
  /** Hosts besides the issuer's that its discovery document may name. */
  readonly endpointHosts?: readonly string[];
}

export interface HttpRequest {
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

export interface HttpReply {
  readonly status: number;
  readonly headers: ReplyHeaders;
  readonly text: string;
  /** The server's clock (`Date` header), ms since the epoch, whole seconds. */
  readonly serverTimeMs: number | undefined;
}

const DEFAULT_TIMEOUT_MS = 20_000;
const DEFAULT_MAX_BYTES = 2 ** 20;
/** A host that moves its pages does it in one or two steps. */
const MAX_REDIRECTS = 3;

/**
 * Sends `request` and reads the whole reply, of whatever status.
 *
 * @param tried what the request is for, as in `WireErrorFacts`.
 * @throws WireError `unreachable` when no whole reply came in time, `config` for a URL that is not
 *   safe to send secrets to; `signal.reason` once aborted.
 */
export async function exchange(
  tried: string,
  request: HttpRequest,
  http: HttpOptions,
  signal: AbortSignal,
): Promise<HttpReply> {
  let { url } = request;
  for (let hop = 0; ; hop += 1) {
    const reply = await exchangeOnce(tried, { ...request, url }, http, signal);
    const target = redirectTarget(request, url, reply);
    if (target === undefined || hop === MAX_REDIRECTS) return reply;
    url = target;
  }
}

/** Only a GET follows, and only within its origin: no secret goes where nobody sent it. */
function redirectTarget(request: HttpRequest, url: string, reply: HttpReply): string | undefined {
  const location = reply.headers.get('location');
  if (request.method !== 'GET' || location === null) return undefined;
  if (reply.status < 300 || reply.status > 399) return undefined;
  if (!URL.canParse(location, url)) return undefined;
  const target = new URL(location, url);
  return target.origin === new URL(url).origin ? target.href : undefined;
}

async function exchangeOnce(
  tried: string,
  request: HttpRequest,
  http: HttpOptions,
  signal: AbortSignal,
): Promise<HttpReply> {
  assertSafeUrl(tried, request.url);
  signal.throwIfAborted();
  using limits = new TimeLimit(signal, http.timeoutMs ?? DEFAULT_TIMEOUT_MS);
  try {
    const send = http.fetch ?? fetch;
    const maxBytes = http.maxBytes ?? DEFAULT_MAX_BYTES;
    const response = await send(request.url, {
      maxBytes,
      method: request.method,
      headers: { accept: 'application/json', ...request.headers },
      redirect: 'manual',
      signal: limits.signal,
      ...(request.body === undefined ? {} : { body: request.body }),
    });
    const text = await readBody(response, maxBytes);
    const date = Date.parse(response.headers.get('date') ?? '');
    const serverTimeMs = Number.isNaN(date) ? undefined : date;
    return { status: response.status, headers: response.headers, text, serverTimeMs };
  } catch (error) {
    signal.throwIfAborted();
    throw networkFailure(tried, request.url, limits.signal.aborted ? 'timeout' : error);
  }
}

async function readBody(response: FetchAnswer, maxBytes: number): Promise<string> {
  if (response.body === null) return '';
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body) {
    bytes += chunk.byteLength;
    if (bytes > maxBytes) throw new TooLargeError(maxBytes);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** Follows a signal and fires by itself after a while. Real time: it bounds real I/O. */
class TimeLimit implements Disposable {
  readonly #linked: LinkedAbort;
  readonly #timeout: AbortSignal;
  readonly #expire: () => void;

  constructor(parent: AbortSignal, ms: number) {
    this.#linked = new LinkedAbort(parent);
    this.#timeout = AbortSignal.timeout(ms);
    this.#expire = () => this.#linked.abort(this.#timeout.reason);
    this.#timeout.addEventListener('abort', this.#expire, { once: true });
  }

  get signal(): AbortSignal {
    return this.#linked.signal;
  }

  [Symbol.dispose](): void {
    this.#timeout.removeEventListener('abort', this.#expire);
    this.#linked[Symbol.dispose]();
  }
}

/**
 * Plain http is for loopback by its own name only: a name that somebody else's DNS answers for is
 * not this machine, and neither are link-local addresses, where clouds keep their metadata.
 *
 * @throws WireError `config` unless `url` is https, or http on this machine's loopback, and holds
 *   no user or password: those would go to every place that names the URL.
 */
export function assertSafeUrl(tried: string, url: string): void {
  const fault = faultOf(URL.canParse(url) ? new URL(url) : undefined);
  if (fault === undefined) return;
  throw new WireError('config', { tried, answered: fault, next: 'give an https:// URL' });
}

function faultOf(url: URL | undefined): string | undefined {
  if (url === undefined) return 'that is not a URL';
  if (url.username !== '' || url.password !== '') return 'there is a user or password in it';
  if (url.protocol === 'https:') return undefined;
  if (url.protocol === 'http:' && isLoopback(url.hostname)) return undefined;
  return 'it would go unencrypted';
}
