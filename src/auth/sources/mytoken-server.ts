/** The two calls to a mytoken server that wire makes (oidc-mytoken server API, version 0). */
import type { Clock } from '../../lib/clock.ts';
import { Secret } from '../../lib/secret.ts';
import { WireError } from '../../lib/wire-error.ts';
import { assertSafeUrl, exchange, type HttpOptions, type HttpReply } from '../../net/http.ts';
import { withoutSlash } from '../issuer.ts';
import { decodeJwt, isObject } from '../jwt.ts';
import { refusalOf } from '../refusal.ts';
import type { AccessToken } from '../token-source.ts';
import type { Wanted } from './source.ts';

export interface MytokenAnswer {
  readonly access: AccessToken;
  /** Set when the mytoken was rotated: the one that was sent is dead. */
  readonly successor: Secret | undefined;
}

/** No token lives longer than a year: such a number says nothing. */
const MAX_LIFE_S = 365 * 86_400;

/** Where access tokens are made. @throws WireError `config` when `server` cannot be trusted so far. */
export async function mytokenEndpoint(
  server: string,
  http: HttpOptions,
  signal: AbortSignal,
): Promise<string> {
  const url = `${withoutSlash(server)}/.well-known/mytoken-configuration`;
  const tried = `read ${url}`;
  const reply = await exchange(tried, { method: 'GET', url }, http, signal);
  if (reply.status >= 500 || reply.status === 429) throw refusalOf(tried, reply, []);
  const endpoint = parse(reply)?.['access_token_endpoint'];
  if (reply.status !== 200 || typeof endpoint !== 'string') {
    const { answered } = refusalOf(tried, reply, []).facts;
    const next = 'check the address of the mytoken server';
    throw new WireError('config', { tried, answered, next });
  }
  assertSafeUrl(`use the access_token_endpoint of ${server}`, endpoint);
  const { host } = new URL(endpoint);
  if (host !== new URL(server).host && !(http.endpointHosts ?? []).includes(host)) {
    throw new WireError('config', {
      tried,
      answered: `its access_token_endpoint is on another host, ${host}`,
      next: `if that is meant, allow it with --allow-endpoint-host ${host}`,
    });
  }
  return endpoint;
}

/**
 * Trades `mytoken`. Not to be interrupted once sent: it may be dead before the answer is here.
 *
 * @throws WireError `login-expired` when the mytoken is dead; `identity-refused` when its
 *   restrictions forbid this; `unreachable` or `unavailable`.
 */
export async function tradeMytoken(
  endpoint: string,
  mytoken: Secret,
  wanted: Wanted,
  { http, clock }: { readonly http: HttpOptions; readonly clock: Clock },
): Promise<MytokenAnswer> {
  const tried = `get an access token from ${new URL(endpoint).host}`;
  const { audience, scopes } = wanted;
  const body = JSON.stringify({
    grant_type: 'mytoken',
    mytoken: mytoken.reveal(),
    comment: 'wire',
    ...(audience !== undefined && { audience }),
    ...(scopes !== undefined && { scope: scopes.join(' ') }),
  });
  const headers = { 'content-type': 'application/json' };
  const sentAtMs = clock.now();
  const request = { method: 'POST', url: endpoint, headers, body } as const;
  const reply = await exchange(tried, request, http, new AbortController().signal);
  if (reply.status !== 200) throw meaningOf(tried, reply, mytoken);
  const json = parse(reply) ?? {};
  const { access_token: token, expires_in: lifeSeconds, token_update: update } = json;
  const successor = isObject(update) ? update['mytoken'] : undefined;
  if (typeof token !== 'string') {
    const answered = 'its answer has no access token';
    throw new WireError('identity-refused', { tried, answered, next: 'tell its administrators' });
  }
  const access = new Secret(token);
  const known = typeof lifeSeconds === 'number' && lifeSeconds > 0 && lifeSeconds < MAX_LIFE_S;
  return {
    access: {
      token: access,
      expiresAtMs: known ? sentAtMs + lifeSeconds * 1000 : decodeJwt(access)?.expiresAtMs,
    },
    successor: typeof successor === 'string' ? new Secret(successor) : undefined,
  };
}

function meaningOf(tried: string, reply: HttpReply, mytoken: Secret): WireError {
  const refusal = refusalOf(tried, reply, [mytoken]);
  // RFC 6750 and RFC 6749 words for the same: expired, revoked, or rotated away.
  const dead = refusal.code === 'invalid_token' || refusal.code === 'invalid_grant';
  if (!dead && reply.status !== 401) return refusal;
  const { answered } = refusal.facts;
  const next = 'get a new mytoken there, and write it into the file of --mytoken-file';
  return new WireError('login-expired', { tried, answered, next }, { cause: refusal });
}

function parse(reply: HttpReply): Readonly<Record<string, unknown>> | undefined {
  try {
    const json: unknown = JSON.parse(reply.text);
    return isObject(json) ? json : undefined;
  } catch {
    return undefined;
  }
}
