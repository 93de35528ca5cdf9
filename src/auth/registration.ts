/** Registering wire as a client of its own at a provider (RFC 7591), and deleting it (RFC 7592). */
import { Secret } from '../lib/secret.ts';
import { WireError } from '../lib/wire-error.ts';
import { exchange, type HttpOptions, type HttpReply } from '../net/http.ts';
import { words } from './grant.ts';
import type { Issuer } from './issuer.ts';
import { isObject } from './jwt.ts';
import { defined } from './login-codec.ts';
import { isJson, MalformedReplyError } from './provider-call.ts';
import { refusalOf } from './refusal.ts';
import type { StoredClient } from './token-vault.ts';

export interface RegistrationRequest {
  readonly clientName: string;
  readonly scopes: readonly string[];
  /** Without a secret; else with one where the provider gives one. */
  readonly publicClient: boolean;
  /** Where browsers may come back to; empty for a client of the device flow alone. */
  readonly redirectUris: readonly string[];
}

const byHand = 'have a client registered by hand and pass it with --client-id';

/** INDIGO IAM takes names of 4 to 256 characters. */
const NAME_CHARS = { least: 4, most: 256 } as const;

/**
 * Registers a client for the device flow, and for a browser's where `redirectUris` are given.
 * Confidential unless asked otherwise or refused: a refresh token is then of no use without the
 * secret (RFC 9700 §2.2.2).
 *
 * @throws Refusal when the provider registers nobody; WireError `unsupported` when it cannot.
 */
export async function registerClient(
  issuer: Issuer,
  request: RegistrationRequest,
  http: HttpOptions,
  signal: AbortSignal,
): Promise<StoredClient> {
  const tried = `register wire as a client of ${issuer.url}`;
  const url = issuer.metadata.registration_endpoint;
  if (url === undefined) {
    const answered = 'the provider names no registration_endpoint';
    throw new WireError('unsupported', { tried, answered, next: byHand });
  }
  const send = async (method: string): Promise<HttpReply> => {
    const headers = { 'content-type': 'application/json' };
    const body = JSON.stringify(clientMetadata(issuer, request, method));
    return await exchange(tried, { method: 'POST', url, headers, body }, http, signal);
  };
  const reply = await send(request.publicClient ? 'none' : 'client_secret_basic');
  if (isRegistered(reply)) return parseClient(tried, reply, issuer, request);
  // 400 covers a refused kind of client and much else: only asking tells.
  if (!request.publicClient && reply.status === 400) {
    const second = await send('none');
    if (isRegistered(second)) return parseClient(tried, second, issuer, request);
  }
  throw refusalOf(tried, reply, [], reply.status < 500 ? byHand : undefined);
}

/** 201 by RFC 7591 §3.2.1; some answer 200. */
function isRegistered({ status }: HttpReply): boolean {
  return status === 201 || status === 200;
}

function clientMetadata(
  { metadata }: Issuer,
  { clientName, scopes, redirectUris }: RegistrationRequest,
  method: string,
): unknown {
  const browser = redirectUris.length > 0;
  const device = !browser || metadata.device_authorization_endpoint !== undefined;
  return {
    client_name: withinLimits(clientName),
    grant_types: [
      ...(device ? ['urn:ietf:params:oauth:grant-type:device_code'] : []),
      ...(browser ? ['authorization_code'] : []),
      'refresh_token',
    ],
    // The default would be `code`, which needs a redirect URI.
    response_types: browser ? ['code'] : [],
    // OpenID Connect Registration §2: only native clients may come back to plain http on loopback.
    ...(browser && { application_type: 'native', redirect_uris: redirectUris }),
    token_endpoint_auth_method: method,
    scope: scopes.join(' '),
  };
}

function withinLimits(name: string): string {
  // Half a surrogate pair would be no text.
  const cut = name.slice(0, NAME_CHARS.most).replace(/[\uD800-\uDBFF]$/, '');
  return cut.padEnd(NAME_CHARS.least, '-');
}

/** By hand: INDIGO IAM leaves out `client_secret_expires_at`, which openid-client insists on. */
function parseClient(
  tried: string,
  reply: HttpReply,
  issuer: Issuer,
  { scopes: asked, redirectUris }: RegistrationRequest,
): StoredClient {
  const json = parseObject(reply.text);
  const text = (name: string): string | undefined => {
    const value = json?.[name];
    return typeof value === 'string' && value !== '' ? value : undefined;
  };
  const id = text('client_id');
  if (id === undefined) {
    const answered = `${reply.status}, but without a client_id`;
    throw new MalformedReplyError(tried, answered, !isJson(reply.text));
  }
  const [secret, token, scope] = [
    text('client_secret'),
    text('registration_access_token'),
    text('scope'),
  ];
  const registered = json?.['redirect_uris'];
  const registration = defined({
    redirectUris: redirectUris.length === 0 ? undefined : kept(redirectUris, registered),
    scopes: scope === undefined ? undefined : words(scope),
    uri: sameHost(text('registration_client_uri'), issuer),
    token: token === undefined ? undefined : new Secret(token),
  });
  const authentication = defined({
    secret: secret === undefined ? undefined : new Secret(secret),
    authMethod: text('token_endpoint_auth_method'),
  });
  return { id, ...authentication, registration: { asked, ...registration } };
}

/** A reply that does not repeat them has registered all (RFC 7591 §3.2.1 has it repeat them). */
function kept(asked: readonly string[], registered: unknown): readonly string[] {
  return Array.isArray(registered) ? asked.filter((uri) => registered.includes(uri)) : asked;
}

/** The registration token goes nowhere but to where the client was registered. */
function sameHost(uri: string | undefined, { url, metadata }: Issuer): string | undefined {
  if (uri === undefined || !URL.canParse(uri)) return undefined;
  const hosts = [url, metadata.registration_endpoint ?? url].map((known) => new URL(known).host);
  return hosts.includes(new URL(uri).host) ? uri : undefined;
}

function parseObject(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const json: unknown = JSON.parse(text);
    return isObject(json) ? json : undefined;
  } catch {
    return undefined;
  }
}

/** Whether the provider says that it no longer knows a client that wire registered. */
export async function clientIsGone(
  client: StoredClient,
  http: HttpOptions,
  signal: AbortSignal,
): Promise<boolean> {
  const { uri: url, token } = client.registration ?? {};
  if (url === undefined || token === undefined) return false;
  const headers = { authorization: `Bearer ${token.reveal()}` };
  const tried = `ask ${new URL(url).host} about wire's client`;
  const reply = await exchange(tried, { method: 'GET', url, headers }, http, signal);
  return isGone(reply);
}

/** 401: the registration token died with the client (RFC 7592 §2.1, §2.3). */
function isGone({ status }: HttpReply): boolean {
  return status === 401 || status === 404;
}

/**
 * Deletes a client that wire registered. One that is gone already counts as deleted.
 *
 * @throws Refusal; WireError `unreachable`, or `unsupported` when the provider gave no way to.
 */
export async function deleteClient(
  client: StoredClient,
  http: HttpOptions,
  signal: AbortSignal,
): Promise<void> {
  const { uri: url, token } = client.registration ?? {};
  if (url === undefined || token === undefined) {
    const answered = 'the provider gave no address for that when it was registered';
    throw new WireError('unsupported', { tried: `delete the client ${client.id}`, answered });
  }
  const tried = `delete wire's client at ${new URL(url).host}`;
  const headers = { authorization: `Bearer ${token.reveal()}` };
  const reply = await exchange(tried, { method: 'DELETE', url, headers }, http, signal);
  if (reply.status >= 300 && !isGone(reply)) throw refusalOf(tried, reply, [token]);
}
