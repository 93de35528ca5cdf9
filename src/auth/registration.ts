/** Registering wire as a client of its own at a provider (RFC 7591), and deleting it (RFC 7592). */
import { Secret } from '../lib/secret.ts';
import { WireError } from '../lib/wire-error.ts';
import { exchange, type HttpOptions, type HttpReply } from '../net/http.ts';
import { words } from './grant.ts';
import type { Issuer } from './issuer.ts';
import { isObject } from './jwt.ts';
import { defined } from './login-codec.ts';
import { MalformedReplyError } from './provider-call.ts';
import { refusalOf } from './refusal.ts';
import type { StoredClient } from './token-vault.ts';

export interface RegistrationRequest {
  readonly clientName: string;
  readonly scopes: readonly string[];
  /** Without a secret; else with one where the provider gives one. */
  readonly publicClient: boolean;
}

const byHand = 'have a client registered by hand and pass it with --client-id';

/** INDIGO IAM takes names of 4 to 256 characters. */
const NAME_CHARS = { least: 4, most: 256 } as const;

/**
 * Registers a client for the device flow. Confidential unless asked otherwise or refused: a
 * refresh token is then of no use without the secret (RFC 9700 §2.2.2).
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
    const body = JSON.stringify(clientMetadata(request, method));
    return await exchange(tried, { method: 'POST', url, headers, body }, http, signal);
  };
  let reply = await send(request.publicClient ? 'none' : 'client_secret_basic');
  // 400 covers a refused kind of client and much else: only asking tells.
  if (!request.publicClient && reply.status === 400) reply = await send('none');
  if (reply.status !== 201 && reply.status !== 200) throw refusalOf(tried, reply, [], byHand);
  return parseClient(tried, reply, issuer, request.scopes);
}

function clientMetadata(request: RegistrationRequest, method: string): unknown {
  return {
    client_name: request.clientName.padEnd(NAME_CHARS.least, '-').slice(0, NAME_CHARS.most),
    grant_types: ['urn:ietf:params:oauth:grant-type:device_code', 'refresh_token'],
    // The default would be `code`, which needs a redirect URI.
    response_types: [],
    token_endpoint_auth_method: method,
    scope: request.scopes.join(' '),
  };
}

/** By hand: INDIGO IAM leaves out `client_secret_expires_at`, which openid-client insists on. */
function parseClient(
  tried: string,
  reply: HttpReply,
  issuer: Issuer,
  asked: readonly string[],
): StoredClient {
  const json = parseObject(reply.text);
  const text = (name: string): string | undefined => {
    const value = json?.[name];
    return typeof value === 'string' && value !== '' ? value : undefined;
  };
  const id = text('client_id');
  if (id === undefined) {
    const answered = `${reply.status}, but without a client_id`;
    throw new MalformedReplyError(tried, answered, json === undefined);
  }
  const [secret, token, scope] = [
    text('client_secret'),
    text('registration_access_token'),
    text('scope'),
  ];
  const registration = defined({
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

/** The registration token goes nowhere but to the provider. */
function sameHost(uri: string | undefined, issuer: Issuer): string | undefined {
  if (uri === undefined || !URL.canParse(uri)) return undefined;
  return new URL(uri).host === new URL(issuer.url).host ? uri : undefined;
}

function parseObject(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const json: unknown = JSON.parse(text);
    return isObject(json) ? json : undefined;
  } catch {
    return undefined;
  }
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
  // 401: the registration token died with the client (RFC 7592 §2.3).
  const gone = reply.status < 300 || reply.status === 401 || reply.status === 404;
  if (!gone) throw refusalOf(tried, reply, [token]);
}
