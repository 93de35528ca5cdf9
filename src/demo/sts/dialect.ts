/** What one real security token service does with AssumeRoleWithWebIdentity. */
import type { Policy } from '../policy/policy-document.ts';
import type { StsReply } from '../s3/principal.ts';
import type { TemporaryKey } from './issued-keys.ts';
import type { StsRefusal } from './refusal.ts';
import type { Role } from './role.ts';
import type { Claims, WebIdentity } from './web-identity.ts';

/** MinIO's claim mode: the token itself names the policies. */
export interface PolicyClaim {
  readonly name: string;
  readonly policies: Readonly<Record<string, Policy>>;
}

/** What the service knows and trusts. */
export interface Realm {
  readonly issuer: string;
  /** Client ids or audiences that tokens may be for. */
  readonly audiences: readonly string[];
  readonly roles: readonly Role[];
  readonly policyClaim: PolicyClaim | undefined;
  readonly identity: WebIdentity;
  /** Least `DurationSeconds` that is taken. */
  readonly minDurationSeconds: number;
  /** Ms since the epoch. */
  now(): number;
}

/** A decision for the caller. */
export interface Assumption {
  readonly subject: string;
  readonly audience: string;
  readonly claims: Claims;
  readonly roleArn: string;
  readonly sessionName: string;
  readonly policies: readonly Policy[];
  /** Narrows `policies`. */
  readonly sessionPolicy?: Policy;
  readonly expiresAtMs: number;
}

export interface StsDialect {
  /** @throws StsRefusal */
  assume(form: URLSearchParams, realm: Realm): Promise<Assumption>;
  /** The answer to every other `Action`, or to none. What needs a signature is not for us to grant. */
  refuseAction(action: string): StsRefusal;
  reply(assumption: Assumption, key: TemporaryKey, realm: Realm): StsReply;
  refuse(refusal: StsRefusal): StsReply;
}

/** Longest inline session policy, in characters, on all three. */
export const MAX_POLICY_CHARS = 2048;

/** A parameter that is there and not empty. */
export function parameter(form: URLSearchParams, name: string): string | undefined {
  const value = form.get(name);
  return value === null || value === '' ? undefined : value;
}

/** A whole number, or undefined for anything else. */
export function wholeNumber(text: string): number | undefined {
  return /^-?\d{1,12}$/.test(text) ? Number(text) : undefined;
}

/** A time claim in ms since the epoch (`exp`, `nbf`, `iat`: RFC 7519, seconds). */
export function timeClaim(claims: Claims, name: string): number | undefined {
  const value = claims[name];
  return typeof value === 'number' ? value * 1000 : undefined;
}
