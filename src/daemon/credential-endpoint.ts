/**
 * Credentials for other programs of the same user over HTTP on 127.0.0.1, in the form that AWS
 * SDKs ask for in containers. Every user of the machine can connect, and every web page that the
 * user opens can try to: so nothing is answered without the token, under another name than our own
 * (a page whose name was made to point here), or to a browser (it says where the request is from).
 *
 * @see https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from 'node:http';
import { LinkedAbort } from '../lib/abort.ts';
import type { Log } from '../lib/log.ts';
import type { Secret } from '../lib/secret.ts';
import type { Credentials } from '../sts/credential-source.ts';
import { answer, closeLoopback, hasBody, isNamed, listenOnLoopback } from './loopback-server.ts';

export interface CredentialEndpointOptions {
  /** 0: any free port. */
  readonly port: number;
  /** What the Authorization header must be, to the letter. */
  readonly token: Secret;
  readonly credentials: (signal: AbortSignal) => Promise<Credentials>;
  readonly log: Log;
  /** Time for a request to arrive, in ms; default 5,000. */
  readonly requestMs?: number;
}

export const CREDENTIALS_PATH = '/credentials';

const REQUEST_MS = 5_000;

/** A notebook's worth of processes; they ask every few minutes and hang up. */
const MAX_CONNECTIONS = 64;

/** Why a request is not answered, and with which status; for the log alone. */
interface Refusal {
  readonly status: 400 | 401 | 403 | 404 | 405;
  readonly reason: string;
}

export class CredentialEndpoint implements AsyncDisposable {
  readonly port: number;
  readonly #server: Server;
  readonly #options: CredentialEndpointOptions;
  readonly #closing = new AbortController();
  #refused = 0;

  private constructor(server: Server, port: number, options: CredentialEndpointOptions) {
    this.port = port;
    this.#server = server;
    this.#options = options;
    server.on('request', (request, response) => this.#receive(request, response));
  }

  /** @throws WireError `config` when the port cannot be had. */
  static async listen(
    options: CredentialEndpointOptions,
    signal: AbortSignal,
  ): Promise<CredentialEndpoint> {
    const { requestMs = REQUEST_MS } = options;
    const { server, port } = await listenOnLoopback(
      { port: options.port, requestMs, maxConnections: MAX_CONNECTIONS },
      { tried: `listen on 127.0.0.1:${options.port}`, next: 'take another --port' },
      signal,
    );
    return new CredentialEndpoint(server, port, options);
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}${CREDENTIALS_PATH}`;
  }

  /** Ends every connection. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new Error('the endpoint was closed'));
    await closeLoopback(this.#server);
  }

  #receive(request: IncomingMessage, response: ServerResponse): void {
    const { log, token } = this.#options;
    const refusal = refusalOf(request, this.port, token);
    if (refusal !== undefined) {
      this.#refused += 1;
      // Every user of the machine can be refused as often as he likes: 1, 2, 4, 8, … are told.
      if (Number.isInteger(Math.log2(this.#refused))) {
        log.warn('credentials refused', { ...refusal, times: this.#refused });
      }
      send(response, refusal.status, { message: STATUS_CODES[refusal.status] ?? 'refused' });
      return;
    }
    this.#answer(response).catch((error: unknown) => {
      log.warn('no credentials to give', { error });
      // The reason is for the person's log: SDKs print what they get into anything.
      send(response, 503, { message: 'wire has no credentials just now; see its log' });
    });
  }

  async #answer(response: ServerResponse): Promise<void> {
    using asking = new LinkedAbort(this.#closing.signal);
    response.once('close', () => asking.abort(new Error('the program has hung up')));
    const credentials = await this.#options.credentials(asking.signal);
    this.#options.log.info('credentials given', { expiresAtMs: credentials.expiresAtMs });
    const { accessKeyId, secretAccessKey, sessionToken, expiresAtMs } = credentials;
    send(response, 200, {
      AccessKeyId: accessKeyId,
      SecretAccessKey: secretAccessKey.reveal(),
      Token: sessionToken.reveal(),
      Expiration: new Date(expiresAtMs).toISOString(),
    });
  }
}

/** Who asks is looked at before what is asked; undefined: it may be answered. */
function refusalOf(request: IncomingMessage, port: number, token: Secret): Refusal | undefined {
  const { headers, method, url } = request;
  const { origin, authorization = '' } = headers;
  if (!isNamed(request, port)) return { status: 403, reason: 'another Host' };
  if (origin !== undefined) return { status: 403, reason: 'an Origin: from a browser' };
  if (!equal(authorization, token.reveal())) return { status: 401, reason: 'another token' };
  if (url !== CREDENTIALS_PATH) return { status: 404, reason: 'another path' };
  if (method !== 'GET') return { status: 405, reason: 'not GET' };
  return hasBody(request) ? { status: 400, reason: 'a body' } : undefined;
}

/** Takes as long however many characters agree: digests are compared, and all of them. */
function equal(one: string, other: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(one), digest(other));
}

function send(response: ServerResponse, status: number, body: object): void {
  if (response.headersSent || response.destroyed) return;
  answer(response, status, 'application/json', JSON.stringify(body));
}
