/** Who a token reply is about, for people: from the id_token, the access token, or userinfo. */
import * as oidc from 'openid-client';

import { Secret } from '../lib/secret.ts';
import { decodeJwt, type JwtClaims, toClaims } from './jwt.ts';
import { defined } from './login-codec.ts';
import { callProvider, type Provider } from './provider-call.ts';
import { presentable } from './refusal.ts';

export interface Identity {
  readonly subject: string;
  readonly username?: string;
  readonly groups: readonly string[];
}

const UNKNOWN = 'unknown';

/** A courtesy must not hold up a login. */
const USERINFO_LIMIT_MS = 5000;

/** Never fails: what nobody tells stays empty. */
export async function whoIs(
  provider: Provider,
  tokens: oidc.TokenEndpointResponse & oidc.TokenEndpointResponseHelpers,
  signal: AbortSignal,
): Promise<Identity> {
  const told = tokens.claims();
  const token = new Secret(tokens.access_token);
  const known = [told === undefined ? undefined : toClaims(told), decodeJwt(token)];
  const first = merge(known);
  const named = first.username !== undefined && first.groups.length > 0;
  if (named || first.subject === UNKNOWN) return first;
  return merge([...known, await userinfo(provider, token, first.subject, signal)]);
}

function merge(sources: readonly (JwtClaims | undefined)[]): Identity {
  const claims = sources.filter((source) => source !== undefined);
  const username = claims.find((claim) => claim.username !== undefined)?.username;
  const shown = (text: string): string => presentable(text, []);
  return {
    subject: claims.find((claim) => claim.subject !== undefined)?.subject ?? UNKNOWN,
    groups: (claims.find((claim) => claim.groups.length > 0)?.groups ?? []).map(shown),
    ...defined({ username: username === undefined ? undefined : shown(username) }),
  };
}

/** INDIGO IAM's default profile names nobody in its tokens. */
async function userinfo(
  provider: Provider,
  token: Secret,
  subject: string,
  signal: AbortSignal,
): Promise<JwtClaims | undefined> {
  if (provider.issuer.metadata.userinfo_endpoint === undefined) return undefined;
  const http = { ...provider.http, timeoutMs: USERINFO_LIMIT_MS };
  try {
    const { value } = await callProvider(
      `ask ${provider.issuer.url} who you are`,
      { ...provider, http },
      [token],
      async (configuration) => await oidc.fetchUserInfo(configuration, token.reveal(), subject),
      signal,
    );
    return toClaims(value);
  } catch {
    signal.throwIfAborted();
    return undefined;
  }
}
