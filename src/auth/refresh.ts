/** One use of a refresh token (RFC 6749 §6), and what comes of it. */
import * as oidc from 'openid-client';

import { Secret } from '../lib/secret.ts';
import { WireError } from '../lib/wire-error.ts';
import { clientIsKnown } from './client-check.ts';
import { type Asked, accessOf, refreshExpiryOf } from './grant.ts';
import { isObject } from './jwt.ts';
import { defined } from './login-codec.ts';
import { LoginTrouble, type TroubleReason } from './login-trouble.ts';
import { type Answer, callProvider, type Provider } from './provider-call.ts';
import { Refusal } from './refusal.ts';
import type { StoredGrant } from './token-vault.ts';

export interface Refreshed {
  /** To be stored before anything else happens. */
  readonly grant: StoredGrant;
  /** Whether the old refresh token is spent. */
  readonly rotated: boolean;
  /** Set: nothing but the refresh token of the reply is of use, and this is why. */
  readonly trouble?: WireError;
}

type Tokens = Awaited<ReturnType<typeof oidc.refreshTokenGrant>>;

/**
 * Unless somebody chose a limit. Longer than for other requests: whoever gives up on a provider
 * that rotates gives up the login.
 */
const ANSWER_LIMIT_MS = 40_000;

/**
 * The grant after a refresh. Not to be interrupted: the old token may be spent before the reply is
 * here.
 *
 * @param mayNarrow whether a provider that does not give these scopes any more may say which ones.
 * @throws WireError as the provider's answer means it; ask `mayBeSpent` and `isRefused`.
 */
export async function refreshed(
  provider: Provider,
  grant: StoredGrant,
  refreshToken: Secret,
  asked: Asked,
  mayNarrow: boolean,
): Promise<Refreshed> {
  try {
    return await refreshOnce(provider, grant, refreshToken, asked, asked.scopes);
  } catch (error) {
    const isTooWide = error instanceof Refusal && error.code === 'invalid_scope' && mayNarrow;
    if (!isTooWide) throw error;
    // Without `scope` the provider gives what is left of the grant (RFC 6749 §6).
    return await refreshOnce(provider, grant, refreshToken, asked, []);
  }
}

async function refreshOnce(
  provider: Provider,
  grant: StoredGrant,
  refreshToken: Secret,
  asked: Asked,
  scopes: readonly string[],
): Promise<Refreshed> {
  const parameters = {
    // Both each time: INDIGO IAM counts an audience for the one token only.
    ...(scopes.length > 0 && { scope: scopes.join(' ') }),
    ...defined({ audience: asked.audience }),
  };
  const tried = `renew the login at ${provider.issuer.url}`;
  const { http } = provider;
  const patient = { timeoutMs: ANSWER_LIMIT_MS, ...http };
  const salvage: Salvage = {};
  try {
    const answer = await callProvider(
      tried,
      { ...provider, http: patient },
      [refreshToken, grant.access.token],
      async (configuration) => {
        keepSuccessor(configuration, salvage);
        return await oidc.refreshTokenGrant(configuration, refreshToken.reveal(), parameters);
      },
      new AbortController().signal,
    );
    return successOf(answer, grant, refreshToken, asked);
  } catch (error) {
    if (error instanceof Refusal) throw error;
    const { successor } = salvage;
    if (successor === undefined || !(error instanceof WireError)) throw error;
    return salvaged(successor, grant, refreshToken, error);
  }
}

function successOf(
  answer: Answer<Tokens>,
  grant: StoredGrant,
  refreshToken: Secret,
  asked: Asked,
): Refreshed {
  const { refresh_token: sent } = answer.value;
  const rotated = sent !== undefined && sent !== refreshToken.reveal();
  // The end of the old token says nothing about the new one's.
  const end = refreshExpiryOf(answer) ?? (rotated ? undefined : grant.refreshExpiresAtMs);
  const next = {
    refreshToken: rotated ? new Secret(sent) : refreshToken,
    refreshExpiresAtMs: end,
    refreshIssuedAtMs: rotated ? answer.sentAtMs : madeAtMs(grant),
  };
  return { grant: { ...settled(grant, next, rotated), access: accessOf(answer, asked) }, rotated };
}

/** Before the first refresh the tokens are of one age. */
function madeAtMs({ refreshIssuedAtMs, access }: StoredGrant): number {
  return refreshIssuedAtMs ?? access.issuedAtMs;
}

type RefreshPart = 'refreshToken' | 'refreshExpiresAtMs' | 'refreshIssuedAtMs';

/** What a person granted, with another refresh token that nothing is `pending` about. */
function settled(
  { subject, username, groups, scopes, audience }: StoredGrant,
  part: { readonly [K in RefreshPart]: StoredGrant[K] | undefined },
  rotates: boolean,
): Omit<StoredGrant, 'access'> {
  return { subject, groups, scopes, rotates, ...defined({ username, audience, ...part }) };
}

interface Salvage {
  successor?: Secret;
}

/**
 * Remembers the refresh token of a reply that the library may then find fault with: a broken
 * id_token beside it does not make the old one good again.
 */
function keepSuccessor(configuration: oidc.Configuration, salvage: Salvage): void {
  const send = configuration[oidc.customFetch];
  if (send === undefined) return;
  configuration[oidc.customFetch] = async (...request) => {
    const response = await send(...request);
    const json: unknown = response.ok
      ? await response
          .clone()
          .json()
          .catch(() => undefined)
      : undefined;
    const token = isObject(json) ? json['refresh_token'] : undefined;
    if (typeof token === 'string' && token !== '') salvage.successor = new Secret(token);
    return response;
  };
}

function salvaged(
  successor: Secret,
  grant: StoredGrant,
  refreshToken: Secret,
  trouble: WireError,
): Refreshed {
  const rotated = successor.reveal() !== refreshToken.reveal();
  const next = {
    refreshToken: successor,
    refreshExpiresAtMs: rotated ? undefined : grant.refreshExpiresAtMs,
    refreshIssuedAtMs: rotated ? undefined : madeAtMs(grant),
  };
  // INDIGO IAM has killed the access token that was there.
  const access = { ...grant.access, expiresAtMs: grant.access.issuedAtMs };
  return { grant: { ...settled(grant, next, rotated), access }, rotated, trouble };
}

/**
 * Whether the provider may have taken the refresh token although no answer is here. Not so when
 * the connection was never made, and not when it said no.
 */
export function mayBeSpent(error: unknown): boolean {
  // 503 and 429 come from whoever did not do the work; other 5xx from who may have begun it.
  if (error instanceof Refusal) return error.status >= 500 && error.status !== 503;
  if (error instanceof WireError && error.kind === 'config') return false;
  return !neverConnected(error);
}

/** No connection, no request (`connect(2)`, `getaddrinfo(3)`, undici's and OpenSSL's codes). */
const connectCodes: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'CERT_HAS_EXPIRED',
  'ERR_TLS_CERT_ALTNAME_INVALID',
]);

function neverConnected(error: unknown): boolean {
  return hasCode(error, connectCodes);
}

/**
 * Whether the connection broke off in the middle: often one that had stood idle for too long. To be
 * tried again at once, which is also when providers forgive it.
 */
export function brokeOff(error: unknown): boolean {
  return hasCode(error, breakCodes);
}

const breakCodes: ReadonlySet<string> = new Set(['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE']);

/** In `error` or its causes; undici hides them one or two deep. */
function hasCode(error: unknown, codes: ReadonlySet<string>, depth = 0): boolean {
  if (!(error instanceof Error) || depth > 4) return false;
  if ('code' in error && typeof error.code === 'string' && codes.has(error.code)) return true;
  return hasCode(error.cause, codes, depth + 1);
}

/** Whether the provider refused the refresh token, or says no more than that. */
export function isRefused(error: unknown): error is Refusal {
  if (!(error instanceof Refusal) || error.isPage) return false;
  return error.status === 401 || error.code === 'invalid_grant';
}

/**
 * What a refusal means for the login. RFC 6749 says 400 invalid_grant; INDIGO IAM also says 401,
 * and for some reasons the device endpoint is asked.
 */
export async function meaningOf(
  refusal: Refusal,
  provider: Provider,
  signal: AbortSignal,
): Promise<LoginTrouble> {
  const reason = await reasonOf(refusal, provider, signal);
  const { tried, answered } = refusal.facts;
  const said = words[reason];
  const next = nextStep(reason, provider);
  const facts = { tried, answered: said === '' ? answered : `${answered}: ${said}`, next };
  return new LoginTrouble(reason, facts, { cause: refusal });
}

async function reasonOf(
  refusal: Refusal,
  provider: Provider,
  signal: AbortSignal,
): Promise<TroubleReason> {
  // The one decision by text, and only about the advice: INDIGO IAM says `invalid_grant` for an
  // unsigned acceptable use policy as for a dead token, and names it nowhere but here.
  if (/\bAUP\b/.test(refusal.description)) return 'policy-unsigned';
  if (refusal.code === 'invalid_client') return 'client-gone';
  if (refusal.code !== 'unauthorized') return 'ended';
  const known = await clientIsKnown(provider, signal);
  if (known === undefined) return 'refused';
  return known ? 'person-disabled' : 'client-gone';
}

const words: Readonly<Record<TroubleReason, string>> = {
  ended: '',
  interrupted: '',
  'policy-unsigned': '',
  'person-disabled': 'your account there is not active',
  'client-gone': 'it does not know this client any more, or its secret was changed',
  refused: '',
};

function nextStep(reason: TroubleReason, { issuer, client }: Provider): string {
  const again = `log in again with: wire login ${issuer.url}`;
  switch (reason) {
    case 'policy-unsigned':
      return `sign the acceptable use policy at ${issuer.url}`;
    case 'person-disabled':
      return `ask the administrators of ${issuer.url}; it goes on by itself once they enable it`;
    case 'client-gone':
      return `${again} (if ${client.id} was given to you, ask for another first)`;
    case 'refused':
      return `${again}; if that fails, ask whether your account is active`;
    case 'ended':
    case 'interrupted':
      return again;
  }
}
