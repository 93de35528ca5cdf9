/**
 * What an STS will say to a token, told from the token itself and from what its provider publishes:
 * servers answer "access denied" (Ceph RGW without any reason) where the person needs to know which
 * option to give. Nothing is refused here; a server may be more lenient than we think.
 */
import { discoverIssuer, sameIssuer } from '../auth/issuer.ts';
import { decodeJwt, isObject, type JwtClaims } from '../auth/jwt.ts';
import type { Secret } from '../lib/secret.ts';
import { exchange, type HttpOptions } from '../net/http.ts';

export type TokenConcernKind =
  | 'opaque'
  | 'no-audience'
  | 'wrong-audience'
  | 'expired'
  | 'not-yet-valid'
  | 'no-subject'
  | 'issuer-slash'
  | 'no-certificates';

export interface TokenConcern {
  readonly kind: TokenConcernKind;
  /** What is the matter, as a clause. */
  readonly text: string;
  /** What to do, as an imperative. */
  readonly next: string;
}

export interface Expectation {
  /** The server's clock if it is known, else ours; ms since the epoch. */
  readonly nowMs: number;
  /** What the server is known to insist on. */
  readonly audience?: string;
}

/** The likely reasons for a refusal of `token`, worst first; none for a token that looks right. */
export function tokenConcerns(token: Secret, expectation: Expectation): readonly TokenConcern[] {
  const claims = decodeJwt(token);
  if (claims === undefined) return [opaque];
  return [
    ...timeConcerns(claims, expectation.nowMs),
    ...audienceConcerns(claims, expectation.audience),
    ...(claims.subject === undefined ? [noSubject] : []),
  ];
}

const opaque: TokenConcern = {
  kind: 'opaque',
  text: 'the access token is not a JWT, which no STS can check',
  next: 'ask the provider for JWT access tokens',
};

const noSubject: TokenConcern = {
  kind: 'no-subject',
  text: 'the access token names nobody (no `sub`)',
  next: 'add openid to the scopes of the login',
};

function timeConcerns(claims: JwtClaims, nowMs: number): readonly TokenConcern[] {
  const { expiresAtMs, notBeforeMs = 0, issuedAtMs = 0 } = claims;
  const concerns: TokenConcern[] = [];
  if (expiresAtMs !== undefined && expiresAtMs <= nowMs) {
    const text = `the access token expired ${seconds(nowMs - expiresAtMs)} ago by the server's clock`;
    const next = 'check the clocks of provider and server';
    concerns.push({ kind: 'expired', text, next });
  }
  const startMs = Math.max(notBeforeMs, issuedAtMs);
  if (startMs > nowMs) {
    const text = `the access token is good only in ${seconds(startMs - nowMs)} by the server's clock`;
    concerns.push({ kind: 'not-yet-valid', text, next: 'check the clocks of provider and server' });
  }
  return concerns;
}

function audienceConcerns(claims: JwtClaims, wanted: string | undefined): readonly TokenConcern[] {
  const { audiences, authorizedParty } = claims;
  if (audiences.length === 0) {
    const text = 'the access token is for no audience (no `aud`), which MinIO and Ceph RGW refuse';
    const next =
      wanted === undefined
        ? 'pass --audience with the client id that the server is configured with'
        : `ask whoever runs the provider to allow the audience ${wanted}`;
    return [{ kind: 'no-audience', text, next }];
  }
  if (wanted === undefined || [...audiences, authorizedParty].includes(wanted)) return [];
  const text = `the access token is for ${audiences.join(', ')}, not for ${wanted}`;
  const next = `ask whoever runs the provider to allow the audience ${wanted}`;
  return [{ kind: 'wrong-audience', text, next }];
}

/**
 * What Ceph RGW may mind of the provider itself: it compares issuers to the letter, and up to
 * version 16 takes only keys that come with a certificate. Asks the provider, so it is for the
 * moment after a refusal. Never fails: without an answer there is nothing to tell.
 *
 * @param issuer whose login `token` is of, with or without a trailing slash.
 */
export async function providerConcerns(
  token: Secret,
  issuer: string,
  http: HttpOptions,
  signal: AbortSignal,
): Promise<readonly TokenConcern[]> {
  const named = decodeJwt(token)?.issuer;
  // A token of somebody else's: what this provider publishes says nothing of it.
  if (named === undefined || !sameIssuer(named, issuer)) return [];
  try {
    const { url, metadata } = await discoverIssuer(issuer, http, signal);
    const slash = named === url ? [] : [issuerSlash(named, url)];
    const { jwks_uri: keysUrl } = metadata;
    if (keysUrl === undefined) return slash;
    const reply = await exchange('read its keys', { method: 'GET', url: keysUrl }, http, signal);
    return isWithoutCertificates(reply.text) ? [...slash, noCertificates] : slash;
  } catch {
    signal.throwIfAborted();
    return [];
  }
}

function issuerSlash(named: string, published: string): TokenConcern {
  return {
    kind: 'issuer-slash',
    text: `the provider calls itself ${published} but its tokens say ${named}, and Ceph RGW compares to the letter`,
    next: `ask whoever runs the store to register the provider there as ${named}`,
  };
}

const noCertificates: TokenConcern = {
  kind: 'no-certificates',
  text: "the provider's keys come without certificates (x5c), which Ceph RGW 16 and older need",
  next: 'ask whoever runs the provider to publish them',
};

/** Whether there are keys, and none of them has a certificate chain (RFC 7517 §4.7). */
function isWithoutCertificates(text: string): boolean {
  const json: unknown = JSON.parse(text);
  const keys: unknown = isObject(json) ? json['keys'] : undefined;
  if (!Array.isArray(keys) || keys.length === 0) return false;
  return !keys.some((key: unknown) => isObject(key) && Array.isArray(key['x5c']));
}

function seconds(ms: number): string {
  return `${Math.ceil(ms / 1000)} s`;
}
