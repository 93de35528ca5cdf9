/** Reading JSON Web Tokens (RFC 7519) without verifying them: to explain and to plan, never to trust. */
import type { Secret } from '../lib/secret.ts';

export interface JwtClaims {
  readonly issuer: string | undefined;
  readonly subject: string | undefined;
  readonly audiences: readonly string[];
  readonly authorizedParty: string | undefined;
  /** Ms since the epoch, by the issuer's clock. */
  readonly expiresAtMs: number | undefined;
  /** Ms since the epoch, by the issuer's clock. */
  readonly issuedAtMs: number | undefined;
  /** Ms since the epoch, by the issuer's clock. */
  readonly notBeforeMs: number | undefined;
  readonly username: string | undefined;
  readonly groups: readonly string[];
  /** `scope` of RFC 9068, space separated. */
  readonly scopes: readonly string[];
}

/** The claims of `token`, or undefined when it is not a JWT: some providers' tokens are opaque. */
export function decodeJwt(token: Secret): JwtClaims | undefined {
  const payload = token.reveal().split('.')[1];
  if (payload === undefined) return undefined;
  try {
    const json: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'));
    return isObject(json) ? toClaims(json) : undefined;
  } catch {
    return undefined;
  }
}

/** The claims of a decoded token or of a userinfo reply. */
export function toClaims(json: Readonly<Record<string, unknown>>): JwtClaims {
  return {
    issuer: text(json['iss']),
    subject: text(json['sub']),
    audiences: texts(json['aud']),
    authorizedParty: text(json['azp']),
    expiresAtMs: seconds(json['exp']),
    issuedAtMs: seconds(json['iat']),
    notBeforeMs: seconds(json['nbf']),
    username: text(json['preferred_username']) ?? text(json['name']),
    // The WLCG profile has a claim of its own (WLCG Common JWT Profiles 1.0).
    groups: texts(json['groups'] ?? json['wlcg.groups']),
    scopes: (text(json['scope']) ?? '').split(' ').filter((scope) => scope !== ''),
  };
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function texts(value: unknown): readonly string[] {
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  return list.filter((item): item is string => typeof item === 'string' && item !== '');
}

/** Within what a `Date` can show (ECMAScript, "Time Values"): some issuers mean "never" by more. */
function seconds(value: unknown): number | undefined {
  return typeof value === 'number' && Math.abs(value) <= 8.64e12 ? value * 1000 : undefined;
}
