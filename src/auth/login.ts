/**
 * Logging in, out, and asking who is: the entry of `auth`. A login is a client at the provider
 * (registered by us or given) and what a person granted it; both live in the vault. The client is
 * stored before a code is requested, so a vault that cannot keep anything fails before a person
 * has done anything, and an abandoned login leaves no second client behind.
 */
import { Secret } from '../lib/secret.ts';
import { WireError } from '../lib/wire-error.ts';
import type { AuthContext } from './auth-context.ts';
import { deviceLogin, type Tokens } from './device-login.ts';
import { type Asked, accessOf, refreshExpiryOf, scopesOf } from './grant.ts';
import { whoIs } from './identity.ts';
import { discoverIssuer, type Issuer, withoutSlash } from './issuer.ts';
import { defined } from './login-codec.ts';
import type { LoginEvents } from './login-events.ts';
import { type LoginSummary, summaryOf } from './login-summary.ts';
import type { Answer, Provider } from './provider-call.ts';
import { Refusal } from './refusal.ts';
import { registerClient } from './registration.ts';
import type { StoredClient, StoredGrant, StoredLogin } from './token-vault.ts';

export type { AuthContext } from './auth-context.ts';
export type { DeviceCode, LoginEvents } from './login-events.ts';
export { type LoginSummary, loginState, logins } from './login-summary.ts';
export { type LogoutSummary, logout } from './logout.ts';

export interface ClientOptions {
  readonly id: string;
  readonly secret?: Secret;
}

export interface LoginRequest {
  /** With or without a trailing slash. */
  readonly issuer: string;
  /** A client registered by hand; absent: wire registers one. */
  readonly client?: ClientOptions;
  readonly scopes: readonly string[];
  /** Whom the access tokens shall be for: what the STS expects. */
  readonly audience?: string;
  /** What the person sees on the approval page; 4 to 256 characters. */
  readonly clientName: string;
  /** Register without a secret. */
  readonly publicClient?: boolean;
}

/**
 * Logs in by device code: shows it through `events` and resolves when the person has approved and
 * the login is stored.
 *
 * @throws WireError `login-denied`, `login-expired`, `identity-refused`, `unreachable`,
 *   `unavailable`, `unsupported`, `config`; `signal.reason` at once when aborted.
 */
export async function login(
  request: LoginRequest,
  events: LoginEvents,
  context: AuthContext,
  signal: AbortSignal,
): Promise<LoginSummary> {
  const { vault, clock, http = {} } = context;
  const key = withoutSlash(request.issuer);
  const issuer = await discoverIssuer(key, http, signal);
  const stored = await vault.load(key, signal);
  const known = knownClient(request, stored);
  const asked = { scopes: request.scopes, ...defined({ audience: request.audience }) };

  const attempt = async (client: StoredClient): Promise<LoginSummary> => {
    await storeClient(key, client, context, signal);
    const provider = { issuer, client, http, clock };
    const granted = grantable(client, asked, events);
    const answer = await deviceLogin(provider, granted, events, signal);
    const grant = await grantOf(provider, answer, granted, signal);
    if (grant.refreshToken === undefined) {
      events.note?.('no refresh token was granted: this login ends with its first access token');
    }
    return await storeGrant({ issuer: key, client, grant }, context, signal);
  };

  if (known === undefined) return await attempt(await register(issuer, request, context, signal));
  try {
    return await attempt(known);
  } catch (error) {
    if (known.registration === undefined || !clientIsGone(error)) throw error;
    context.log.info('registered client is gone', { issuer: key });
    return await attempt(await register(issuer, request, context, signal));
  }
}

/** The client to use again: the given one, or one of ours that may ask for all that is wanted. */
function knownClient(
  request: LoginRequest,
  stored: StoredLogin | undefined,
): StoredClient | undefined {
  if (request.client !== undefined) return request.client;
  const client = stored?.client;
  if (client === undefined) return undefined;
  if (request.publicClient === true && client.secret !== undefined) return undefined;
  const asked = client.registration?.asked ?? [];
  return request.scopes.every((scope) => asked.includes(scope)) ? client : undefined;
}

async function register(
  issuer: Issuer,
  request: LoginRequest,
  context: AuthContext,
  signal: AbortSignal,
): Promise<StoredClient> {
  const { scopes, clientName, publicClient = false } = request;
  const wanted = { scopes, clientName, publicClient };
  const client = await registerClient(issuer, wanted, context.http ?? {}, signal);
  context.log.info('client registered', { issuer: issuer.url, client: client.id });
  return client;
}

/** Asking for a scope that the client may not have would fail the whole login. */
function grantable(client: StoredClient, asked: Asked, events: LoginEvents): Asked {
  const allowed = client.registration?.scopes;
  if (allowed === undefined) return asked;
  const kept = asked.scopes.filter((scope) => allowed.includes(scope));
  const stripped = asked.scopes.filter((scope) => !allowed.includes(scope));
  if (stripped.length > 0) {
    events.note?.(`the provider does not let wire ask for: ${stripped.join(' ')}`);
  }
  return { ...asked, scopes: kept };
}

/** INDIGO IAM: 404 without a word for an unknown client at the device endpoint. */
function clientIsGone(error: unknown): boolean {
  if (!(error instanceof Refusal)) return false;
  return error.status === 404 || error.status === 401 || error.code === 'invalid_client';
}

async function grantOf(
  provider: Provider,
  answer: Answer<Tokens>,
  asked: Asked,
  signal: AbortSignal,
): Promise<StoredGrant> {
  const { refresh_token: refresh } = answer.value;
  const refreshToken = refresh === undefined ? undefined : new Secret(refresh);
  return {
    ...(await whoIs(provider, answer.value, signal)),
    scopes: scopesOf(answer.value, asked),
    access: accessOf(answer, asked),
    ...defined({
      audience: asked.audience,
      refreshToken,
      refreshExpiresAtMs: refreshExpiryOf(answer),
    }),
  };
}

/** Keeps the login there is until a new one takes its place, unless its client is another. */
async function storeClient(
  issuer: string,
  client: StoredClient,
  { vault }: AuthContext,
  signal: AbortSignal,
): Promise<void> {
  const store = async (locked: AbortSignal): Promise<void> => {
    const current = await vault.load(issuer, locked);
    if (current?.grant !== undefined && current.client.id !== client.id) return;
    await vault.save({ ...current, issuer, client }, locked);
  };
  await vault.exclusively(issuer, store, signal);
}

async function storeGrant(
  login: StoredLogin,
  { vault }: AuthContext,
  signal: AbortSignal,
): Promise<LoginSummary> {
  await vault.exclusively(login.issuer, async (locked) => await vault.save(login, locked), signal);
  const state = summaryOf(login);
  if (state !== undefined) return state;
  throw new WireError('internal', { tried: 'keep the login', answered: 'it has no grant' });
}
