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

export function accessOf(answer: Answer<TokenEndpointResponse>, asked: Asked): StoredAccess {
  const { value: tokens, sentAtMs } = answer;
  const token = new Secret(tokens.access_token);
  return {
    token,
    scopes: scopesOf(tokens, asked),
    issuedAtMs: sentAtMs,
    ...defined({ audience: asked.audience, expiresAtMs: accessExpiry(answer, token) }),
  };
}

export function scopesOf(tokens: TokenEndpointResponse, asked: Asked): readonly string[] {
  return tokens.scope === undefined ? asked.scopes : words(tokens.scope);
}

export function words(text: string): readonly string[] {
  return text.split(' ').filter((word) => word !== '');
}

/** The reply's word, else the token's own `exp` corrected by the server's clock, else unknown. */
function accessExpiry(answer: Answer<TokenEndpointResponse>, token: Secret): number | undefined {
  const life = answer.value.expires_in;
  if (life !== undefined) return answer.sentAtMs + life * 1000;
  return byOurClock(decodeJwt(token)?.expiresAtMs, answer.clockAheadMs);
}

/** INDIGO IAM's refresh tokens are readable JWTs, Keycloak says it beside them; others keep quiet. */
export function refreshExpiryOf(answer: Answer<TokenEndpointResponse>): number | undefined {
  const { refresh_token: token, refresh_expires_in: life } = answer.value;
  if (token === undefined) return undefined;
  // Keycloak's 0 means: no end.
  if (typeof life === 'number') return life > 0 ? answer.sentAtMs + life * 1000 : undefined;
  return byOurClock(decodeJwt(new Secret(token))?.expiresAtMs, answer.clockAheadMs);
}

function byOurClock(serverMs: number | undefined, aheadMs: number): number | undefined {
  return serverMs === undefined ? undefined : serverMs - aheadMs;
}
