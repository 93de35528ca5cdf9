/** One use of a refresh token (RFC 6749 §6), and what its refusal means for the login. */
import * as oidc from 'openid-client';

import { Secret } from '../lib/secret.ts';
import { WireError } from '../lib/wire-error.ts';
import { type Asked, accessOf, refreshExpiryOf } from './grant.ts';
import { defined } from './login-codec.ts';
import { callProvider, type Provider } from './provider-call.ts';
import { Refusal } from './refusal.ts';
import type { StoredGrant } from './token-vault.ts';

/**
 * The grant after a refresh, with the successor of the refresh token where there is one. Not to
 * be interrupted: the old token may be spent before the reply is here.
 *
 * @throws WireError `login-expired`, `identity-refused`, `unreachable`, `unavailable`.
 */
export async function refreshed(
  provider: Provider,
  grant: StoredGrant,
  refreshToken: Secret,
  asked: Asked,
): Promise<StoredGrant> {
  const parameters = {
    // Both each time: INDIGO IAM counts an audience for the one token only.
    scope: asked.scopes.join(' '),
    ...defined({ audience: asked.audience }),
  };
  try {
    const answer = await callProvider(
      `renew the login at ${provider.issuer.url}`,
      provider,
      [refreshToken, grant.access.token],
      async (configuration) =>
        await oidc.refreshTokenGrant(configuration, refreshToken.reveal(), parameters),
      new AbortController().signal,
    );
    const { refresh_token: successor } = answer.value;
    const kept = {
      refreshToken: successor === undefined ? refreshToken : new Secret(successor),
      refreshExpiresAtMs: refreshExpiryOf(answer) ?? grant.refreshExpiresAtMs,
    };
    return { ...grant, ...defined(kept), access: accessOf(answer, asked) };
  } catch (error) {
    throw error instanceof Refusal ? meaningOf(error, provider.issuer.url) : error;
  }
}

/** Whether only a new login helps. RFC 6749 says 400 invalid_grant; INDIGO IAM also says 401. */
function meaningOf(refusal: Refusal, issuer: string): WireError {
  if (refusal.status !== 401 && refusal.code !== 'invalid_grant') return refusal;
  const { tried, answered } = refusal.facts;
  const next = nextStep(refusal, issuer);
  return new WireError('login-expired', { tried, answered, next }, { cause: refusal });
}

function nextStep(refusal: Refusal, issuer: string): string {
  // The one decision by text, and only about the advice: INDIGO IAM says `invalid_grant` for an
  // unsigned acceptable use policy as for a dead token, and names it nowhere but here.
  if (/\bAUP\b/.test(refusal.description)) return `sign the acceptable use policy at ${issuer}`;
  // INDIGO IAM: a disabled person, who may be enabled again, or a deleted client.
  if (refusal.code === 'unauthorized') {
    return `log in again with: wire login ${issuer}; if that fails, ask whether your account is active`;
  }
  return `log in again with: wire login ${issuer}`;
}
