/**
 * Logging in, out, and asking who is: the entry of `auth`. A login is a client at the provider
 * (registered by us or given) and what a person granted it; both live in the vault. The vault is
 * written and read before a person is asked for anything, so that one that cannot keep a login
 * fails first; a client registered for an abandoned login is there for the next.
 */
import { Secret } from '../lib/secret.ts';
import { WireError } from '../lib/wire-error.ts';
import type { AuthContext } from './auth-context.ts';
import { authorizationEndpoint, browserLogin } from './browser-login.ts';
import { deviceEndpoint, deviceLogin, type Tokens } from './device-login.ts';
import { type Asked, accessOf, refreshExpiryOf, scopesOf } from './grant.ts';
import { whoIs } from './identity.ts';
import { discoverIssuer, type Issuer, withoutSlash } from './issuer.ts';
import {
  discard,
  knownClient,
  newClient,
  noteGone,
  retire,
  suits,
  usableUris,
} from './login-client.ts';
import { defined } from './login-codec.ts';
import type { LoginEvents } from './login-events.ts';
import type { LoginRequest } from './login-request.ts';
import { type LoginSummary, summaryOf } from './login-summary.ts';
import type { Answer, Provider } from './provider-call.ts';
import { Refusal } from './refusal.ts';
import type { StoredClient, StoredGrant, StoredLogin } from './token-vault.ts';

export type { AuthContext } from './auth-context.ts';
export type { DeviceCode, LoginEvents, LoginPage } from './login-events.ts';
export type { LoginFlow, LoginRequest } from './login-request.ts';
export { type LoginSummary, loginState, logins } from './login-summary.ts';
export { issuersOfClients, type LogoutSummary, logout } from './logout.ts';

/** One login under way. */
interface Attempt {
  readonly issuer: Issuer;
  readonly request: LoginRequest;
  readonly events: LoginEvents;
  readonly context: AuthContext;
}

/**
 * Logs in: shows a code or a page through `events` and resolves when the person has approved and
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
  const key = withoutSlash(request.issuer);
  const issuer = await discoverIssuer(key, context.http ?? {}, signal);
  // Before a client is registered that could not be used.
  if (request.flow === 'browser') authorizationEndpoint(issuer);
  else deviceEndpoint(issuer);
  const attempt = { issuer, request, events, context };
  const stored = await context.vault.load(key, signal);
  const known = await knownClient(request, stored, events, context, signal);
  const seen = stored?.client.id;
  if (known === undefined) return await logInAnew(attempt, seen, signal);
  try {
    return await logInAs(known, attempt, () => false, signal);
  } catch (error) {
    if (known.registration === undefined || !isUnknownClient(error)) throw error;
    context.log.info('registered client is gone', { issuer: key });
    noteGone(events);
    return await logInAnew(attempt, seen, signal);
  }
}

/** Ctrl-C waits no longer than this for a client to be deleted that nobody would ever use. */
const LAST_WORD_MS = 1000;

/** Whether to go on with the client that another login has stored meanwhile. */
type Adopts = (other: StoredClient) => boolean;

/** @param seen the client that was stored when this login began. */
async function logInAnew(
  attempt: Attempt,
  seen: string | undefined,
  signal: AbortSignal,
): Promise<LoginSummary> {
  const { issuer, request, context } = attempt;
  const client = await newClient(issuer, request, context, signal);
  // Of two first logins at once, one would else delete the client whose code the other shows.
  const adopts: Adopts = (other) => other.id !== seen && suits(other, request);
  try {
    return await logInAs(client, attempt, adopts, signal);
  } catch (error) {
    const last = signal.aborted ? AbortSignal.timeout(LAST_WORD_MS) : signal;
    const stored = await context.vault.load(request.issuer, last).catch(() => undefined);
    if (stored?.client.id !== client.id) await discard(client, context, last);
    throw error;
  }
}

async function logInAs(
  proposed: StoredClient,
  { issuer, request, events, context }: Attempt,
  adopts: Adopts,
  signal: AbortSignal,
): Promise<LoginSummary> {
  const key = withoutSlash(request.issuer);
  const { client, needless } = await tryVault(key, proposed, adopts, context, signal);
  await retire(needless, client, context, signal);
  const { http = {}, clock } = context;
  const provider = { issuer, client, http, clock };
  const wanted = { scopes: request.scopes, ...defined({ audience: request.audience }) };
  const asked = grantable(client, wanted, events);
  const answer = await (request.flow === 'browser'
    ? browserLogin(provider, asked, urisOf(client, events), events, signal)
    : deviceLogin(provider, asked, events, signal));
  const grant = await grantOf(provider, answer, asked, signal);
  noteMissing(grant, asked, events);
  const replaced = await storeLogin({ issuer: key, client, grant }, context, signal);
  await retire(replaced, client, context, signal);
  const summary = summaryOf({ issuer: key, client, grant });
  if (summary !== undefined) return summary;
  throw new WireError('internal', { tried: 'keep the login', answered: 'it has no grant' });
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

/** Nobody but the person knows what a client is registered with that wire did not register. */
function urisOf(client: StoredClient, events: LoginEvents): readonly string[] {
  const uris = usableUris(client);
  if (client.registration === undefined) {
    const [first, ...others] = uris;
    const more = others.length === 0 ? '' : `, and if that port is in use ${others.join(' or ')}`;
    events.note?.(`the client ${client.id} needs this redirect URI: ${first ?? ''}${more}`);
  }
  return uris;
}

/** Scopes of OpenID Connect itself: some providers do not repeat them, and nothing hangs on them. */
const commonScopes = ['openid', 'profile', 'email', 'offline_access'];

function noteMissing(grant: StoredGrant, asked: Asked, events: LoginEvents): void {
  if (grant.refreshToken === undefined) {
    events.note?.('no refresh token was granted: this login ends with its first access token');
  }
  const granted = [...grant.scopes, ...commonScopes];
  const missing = asked.scopes.filter((scope) => !granted.includes(scope));
  if (missing.length > 0) events.note?.(`the provider did not grant: ${missing.join(' ')}`);
}

/** INDIGO IAM: 404 without a word for an unknown client at the device endpoint. */
function isUnknownClient(error: unknown): boolean {
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

interface TriedVault {
  readonly client: StoredClient;
  readonly needless: StoredLogin | undefined;
}

/**
 * Writes and reads back: `proposed`, or the login there is if its client is another, which stays
 * until a new one takes its place.
 *
 * @returns the client to log in with, and one without a login that has to go.
 * @throws WireError `config` when the vault does not keep it.
 */
async function tryVault(
  issuer: string,
  proposed: StoredClient,
  adopts: Adopts,
  { vault }: AuthContext,
  signal: AbortSignal,
): Promise<TriedVault> {
  const store = async (locked: AbortSignal): Promise<TriedVault> => {
    const current = await vault.load(issuer, locked);
    const isOther = current !== undefined && current.client.id !== proposed.id;
    const adopted = isOther && adopts(current.client);
    const client = adopted ? current.client : proposed;
    const stays = isOther && !adopted && current.grant !== undefined;
    const written = stays ? current : { ...current, issuer, client };
    await vault.save(written, locked);
    const read = await vault.load(issuer, locked);
    if (read?.client.id === written.client.id) {
      if (adopted) return { client, needless: { issuer, client: proposed } };
      return { client, needless: stays ? undefined : current };
    }
    throw new WireError('config', {
      tried: 'keep the login',
      answered: 'the vault does not give back what was written',
      next: 'check the disk that holds it, or name another folder in WIRE_STATE_DIR',
    });
  };
  return await vault.exclusively(issuer, store, signal);
}

/** @returns the login that was there before. */
async function storeLogin(
  login: StoredLogin,
  { vault }: AuthContext,
  signal: AbortSignal,
): Promise<StoredLogin | undefined> {
  const store = async (locked: AbortSignal): Promise<StoredLogin | undefined> => {
    const current = await vault.load(login.issuer, locked);
    await vault.save(login, locked);
    return current;
  };
  return await vault.exclusively(login.issuer, store, signal);
}
