/**
 * What an STS will say to a token, told from the token itself: servers answer "access denied"
 * (Ceph RGW without any reason) where the person needs to know which option to give. Nothing is
 * refused here; a server may be more lenient than we think.
 */
import { decodeJwt } from '../auth/jwt.ts';
import type { Secret } from '../lib/secret.ts';

export type TokenConcernKind =
  | 'opaque'
  | 'no-audience'
  | 'wrong-audience'
  | 'expired'
  | 'not-yet-valid'
  | 'no-subject';

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
  if (claims === undefined) {
    const text = 'the access token is not a JWT, which no STS can check';
    return [{ kind: 'opaque', text, next: 'ask the provider for JWT access tokens' }];
  }
  const { audiences, authorizedParty, expiresAtMs, subject } = claims;
  const concerns: TokenConcern[] = [];
  const { nowMs, audience } = expectation;
  if (expiresAtMs !== undefined && expiresAtMs <= nowMs) {
    const text = `the access token expired ${seconds(nowMs - expiresAtMs)} ago`;
    concerns.push({
      kind: 'expired',
      text,
      next: 'check the clocks of this machine and the server',
    });
  }
  const startMs = Math.max(claims.notBeforeMs ?? 0, claims.issuedAtMs ?? 0);
  if (startMs > nowMs) {
    const text = `the access token is good only in ${seconds(startMs - nowMs)}`;
    concerns.push({ kind: 'not-yet-valid', text, next: 'check the clocks of provider and server' });
  }
  if (audiences.length === 0) {
    const text = 'the access token is for no audience (no `aud`), which MinIO and Ceph RGW refuse';
    const next = 'pass --audience with the client id that the server is configured with';
    concerns.push({ kind: 'no-audience', text, next });
  } else if (audience !== undefined && ![...audiences, authorizedParty].includes(audience)) {
    const text = `the access token is for ${audiences.join(', ')}, not for ${audience}`;
    concerns.push({ kind: 'wrong-audience', text, next: `pass --audience ${audience}` });
  }
  if (subject === undefined) {
    const text = 'the access token names nobody (no `sub`)';
    concerns.push({ kind: 'no-subject', text, next: 'add openid to the scopes of the login' });
  }
  return concerns;
}

function seconds(ms: number): string {
  return `${Math.ceil(ms / 1000)} s`;
}
