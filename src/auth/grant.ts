/** From a token reply to what is kept of it: lifetimes by our clock, who it is for. */
import type { TokenEndpointResponse } from 'openid-client';

import { Secret } from '../lib/secret.ts';
import { decodeJwt } from './jwt.ts';
import { defined } from './login-codec.ts';
import type { Answer } from './provider-call.ts';
import type { StoredAccess } from './token-vault.ts';

/** What was asked for: a reply that does not repeat it means it was granted (RFC 6749 §5.1). */
export interface Asked {
  readonly scopes: readonly string[];
  readonly audience?: string;
}

/** No token is good for longer, whatever its reply says: a year. */
const MAX_LIFE_MS = 365 * 86_400_000;

export function accessOf(answer: Answer<TokenEndpointResponse>, asked: Asked): StoredAccess {
  const { value: tokens, sentAtMs, sentAtBoot: issuedAtBoot } = answer;
  const token = new Secret(tokens.access_token);
  const scopes = scopesOf(tokens, asked);
  const isLess = !asked.scopes.every((scope) => scopes.includes(scope));
  const askedScopes = isLess ? asked.scopes : undefined;
  const expiresAtMs = accessExpiry(answer, token);
  return {
    token,
    scopes,
    issuedAtMs: sentAtMs,
    ...defined({ audience: asked.audience, expiresAtMs, askedScopes, issuedAtBoot }),
  };
}

export function scopesOf(tokens: TokenEndpointResponse, asked: Asked): readonly string[] {
  return tokens.scope === undefined ? asked.scopes : words(tokens.scope);
}

export function words(text: string): readonly string[] {
  return text.split(' ').filter((word) => word !== '');
}

/**
 * The sooner of what the reply and the token itself say: STS and store look at the token. Unknown
 * when neither says anything; an `expires_in` of zero or less says nothing.
 */
function accessExpiry(answer: Answer<TokenEndpointResponse>, token: Secret): number | undefined {
  const { value, sentAtMs } = answer;
  const inTokenMs = tokenExpiry(answer, token);
  const life = value.expires_in ?? 0;
  if (life <= 0) return inTokenMs === undefined ? undefined : capped(inTokenMs, sentAtMs);
  const toldMs = sentAtMs + life * 1000;
  // Over on arrival: the clock of its maker differs from the one of the reply. Then it is relative.
  const sound = inTokenMs !== undefined && inTokenMs > sentAtMs;
  return capped(sound ? Math.min(toldMs, inTokenMs) : toldMs, sentAtMs);
}

function capped(endMs: number, fromMs: number): number {
  return Math.min(endMs, fromMs + MAX_LIFE_MS);
}

/** By the server's clock where it is known; without it, the span between the token's own times. */
function tokenExpiry(
  { clockKnown, clockAheadMs, sentAtMs }: Answer<TokenEndpointResponse>,
  token: Secret,
): number | undefined {
  const claims = decodeJwt(token);
  if (claims?.expiresAtMs === undefined) return undefined;
  if (clockKnown || claims.issuedAtMs === undefined) return claims.expiresAtMs - clockAheadMs;
  return sentAtMs + claims.expiresAtMs - claims.issuedAtMs;
}

/** INDIGO IAM's refresh tokens are readable JWTs, Keycloak says it beside them; others keep quiet. */
export function refreshExpiryOf(answer: Answer<TokenEndpointResponse>): number | undefined {
  const { refresh_token: token, refresh_expires_in: life } = answer.value;
  if (token === undefined) return undefined;
  // Keycloak's 0 means: no end.
  if (typeof life === 'number' && Number.isFinite(life)) {
    return life > 0 ? bounded(answer.sentAtMs + life * 1000) : undefined;
  }
  const end = decodeJwt(new Secret(token))?.expiresAtMs;
  return end === undefined ? undefined : bounded(end - answer.clockAheadMs);
}

/** Within what a `Date` can show (ECMAScript, "Time Values"): some providers mean "never" by more. */
function bounded(endMs: number): number | undefined {
  return Math.abs(endMs) < 8.64e15 ? endMs : undefined;
}
