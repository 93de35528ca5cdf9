/**
 * One call of openid-client at one provider. The library speaks the protocol; the exchange runs
 * within our limits, known deviations are repaired first (`reply-repairs.ts`), and a refusal is
 * read from the reply itself: the library's errors carry whole bodies, tokens and all, so none of
 * them is ever thrown on or kept as a cause.
 */
import * as oidc from 'openid-client';

import type { BootMoment, Clock } from '../lib/clock.ts';
import type { Secret } from '../lib/secret.ts';
import { WireError } from '../lib/wire-error.ts';
import { assertSafeUrl, exchange, type HttpOptions, type HttpReply } from '../net/http.ts';
import type { Issuer } from './issuer.ts';
import { refusalOf } from './refusal.ts';
import { repaired } from './reply-repairs.ts';

/** A client of a provider, registered by us or by its administrators. */
export interface Client {
  readonly id: string;
  /** Absent: a public client. */
  readonly secret?: Secret;
  /** How the secret is presented; default `client_secret_basic` where the provider takes it. */
  readonly authMethod?: string;
}

export interface Provider {
  readonly issuer: Issuer;
  readonly client: Client;
  readonly http: HttpOptions;
  readonly clock: Clock;
}

export interface Answer<T> {
  readonly value: T;
  /** How far the server's clock is ahead of ours, ms; 0 when it did not say. */
  readonly clockAheadMs: number;
  /** Whether it said. */
  readonly clockKnown: boolean;
  /** Our wall clock when the request was sent: lifetimes count from here, the safe side. */
  readonly sentAtMs: number;
  /** The same moment on the clock that nobody sets. */
  readonly sentAtBoot?: BootMoment;
}

/** The server's `Date` has whole seconds: a smaller difference says nothing. */
const CLOCK_RESOLUTION_MS = 2000;

/**
 * The reply arrived, but it is not what the protocol says. One that is `foreign` says nothing about
 * the login: it is `unavailable`, and will be answered once the provider is back in reach.
 */
export class MalformedReplyError extends WireError {
  override readonly name = 'MalformedReplyError';
  /** Whether it was not even JSON: a captive portal or a proxy spoke, not the provider. */
  readonly foreign: boolean;

  constructor(tried: string, answered: string, foreign: boolean) {
    const next = foreign
      ? 'check the network: something else answers in its place; then try again'
      : 'tell the administrators of the provider';
    super(foreign ? 'unavailable' : 'identity-refused', { tried, answered, next });
    this.foreign = foreign;
  }
}

/**
 * Runs `call` with a configuration of openid-client.
 *
 * @param secrets what the request carries besides the client's secret, to be kept out of errors.
 * @throws Refusal, MalformedReplyError, or WireError `unreachable`; `signal.reason` once aborted.
 */
export async function callProvider<T>(
  tried: string,
  provider: Provider,
  secrets: readonly Secret[],
  call: (configuration: oidc.Configuration) => Promise<T>,
  signal: AbortSignal,
): Promise<Answer<T>> {
  const { clock, client } = provider;
  const sentAtMs = clock.now();
  const sentAtBoot = clock.boot?.();
  const recorder: { reply?: HttpReply; failure?: Error } = {};
  const send: oidc.CustomFetch = async (url, { method, headers, body }) => {
    try {
      const request = { method: method === 'GET' ? 'GET' : 'POST', url, headers } as const;
      const sent = bodyText(body);
      const full = sent === undefined ? request : { ...request, body: sent };
      const reply = await exchange(tried, full, provider.http, signal);
      recorder.reply = repaired(reply, url, provider.issuer.metadata, client);
      return toResponse(recorder.reply);
    } catch (error) {
      if (error instanceof Error) recorder.failure = error;
      throw error;
    }
  };
  const answerOf = (value: T): Answer<T> => ({
    value,
    clockAheadMs: clockAhead(recorder.reply, clock),
    clockKnown: recorder.reply?.serverTimeMs !== undefined,
    sentAtMs,
    ...(sentAtBoot !== undefined && { sentAtBoot }),
  });
  try {
    return answerOf(await call(configure(tried, provider, 0, send)));
  } catch (error) {
    signal.throwIfAborted();
    const { reply, failure } = recorder;
    if (failure !== undefined) throw failure;
    if (reply === undefined) throw error;
    const aheadMs = clockAhead(reply, clock);
    if (isSuccess(reply) && aheadMs !== 0) {
      // The times in it may be right, and our clock wrong: read it once more by the server's.
      const again = await reread(tried, provider, aheadMs, reply, call);
      if (again !== undefined) return answerOf(again.value);
    }
    const all = client.secret === undefined ? secrets : [...secrets, client.secret];
    throw explain(tried, reply, error, all);
  }
}

/** What `call` makes of a `reply` that is here already, where the server's clock is `aheadMs`. */
async function reread<T>(
  tried: string,
  provider: Provider,
  aheadMs: number,
  reply: HttpReply,
  call: (configuration: oidc.Configuration) => Promise<T>,
): Promise<{ readonly value: T } | undefined> {
  const replay: oidc.CustomFetch = async () => await Promise.resolve(toResponse(reply));
  try {
    return { value: await call(configure(tried, provider, aheadMs, replay)) };
  } catch {
    // The first reading's reason is the one to tell.
    return undefined;
  }
}

function configure(
  tried: string,
  { issuer, client, clock }: Provider,
  aheadMs: number,
  send: oidc.CustomFetch,
): oidc.Configuration {
  // The library checks id_tokens against Date.now(); ours may be a corrected or a faked clock.
  const metadata = {
    [oidc.clockSkew]: Math.round((clock.now() + aheadMs - Date.now()) / 1000),
    [oidc.clockTolerance]: 300,
  };
  const authentication = clientAuthentication(issuer, client);
  const configuration = new oidc.Configuration(
    issuer.metadata,
    client.id,
    metadata,
    authentication,
  );
  configuration[oidc.customFetch] = send;
  const { token_endpoint: endpoint } = issuer.metadata;
  if (endpoint === undefined) throw missing(tried, issuer, 'token_endpoint');
  assertSafeUrl(tried, endpoint);
  // Only loopback is left for plain http after that check; each request is checked again.
  // eslint-disable-next-line @typescript-eslint/no-deprecated -- marked so to be noticed in reviews
  oidc.allowInsecureRequests(configuration);
  return configuration;
}

/** A provider whose document lacks what the flow needs. */
export function missing(tried: string, issuer: Issuer, name: string): WireError {
  const answered = `the provider names no ${name}`;
  const next = `ask the administrators of ${issuer.url} to enable it`;
  return new WireError('unsupported', { tried, answered, next });
}

function clientAuthentication(issuer: Issuer, client: Client): oidc.ClientAuth {
  if (client.secret === undefined || client.authMethod === 'none') return oidc.None();
  const secret = client.secret.reveal();
  const offered = issuer.metadata.token_endpoint_auth_methods_supported;
  // RFC 8414 §2: a document without the list means Basic.
  const basic = offered === undefined || offered.includes('client_secret_basic');
  const method = client.authMethod ?? (basic ? 'client_secret_basic' : 'client_secret_post');
  return method === 'client_secret_post'
    ? oidc.ClientSecretPost(secret)
    : oidc.ClientSecretBasic(secret);
}

function explain(
  tried: string,
  reply: HttpReply,
  error: unknown,
  secrets: readonly Secret[],
): WireError {
  if (!isSuccess(reply)) return refusalOf(tried, reply, secrets);
  const { answered } = refusalOf(tried, reply, secrets).facts;
  if (!isJson(reply.text)) return new MalformedReplyError(tried, answered, true);
  // The library's message names the property or claim, never its value.
  const said = error instanceof Error ? error.message : 'it cannot be read';
  const claim = claimOf(error);
  const reason = claim === undefined ? said : `${said} (${claim})`;
  return new MalformedReplyError(tried, `${reply.status}, but ${reason}`, false);
}

function isSuccess({ status }: HttpReply): boolean {
  return status >= 200 && status < 300;
}

/** The claim that the library did not like: it is in the cause of the cause, beside all others. */
function claimOf(error: unknown, depth = 0): string | undefined {
  if (typeof error !== 'object' || error === null || depth > 3) return undefined;
  if ('claim' in error && typeof error.claim === 'string') return error.claim;
  return 'cause' in error ? claimOf(error.cause, depth + 1) : undefined;
}

/** Whether a provider may have written it at all. */
export function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function clockAhead(reply: HttpReply | undefined, clock: Clock): number {
  if (reply?.serverTimeMs === undefined) return 0;
  const ahead = reply.serverTimeMs - clock.now();
  return Math.abs(ahead) < CLOCK_RESOLUTION_MS ? 0 : ahead;
}

function bodyText(body: unknown): string | undefined {
  if (typeof body === 'string') return body;
  return body instanceof URLSearchParams ? body.toString() : undefined;
}

/** Statuses that may not have a body (Fetch standard, "null body status"). */
const bodiless = new Set([204, 205, 304]);

function toResponse({ status, headers, text }: HttpReply): Response {
  const copied = new Headers([...headers]);
  // The body is already decoded and whole.
  for (const name of ['content-encoding', 'content-length']) copied.delete(name);
  return new Response(bodiless.has(status) ? null : text, { status, headers: copied });
}
