/** What may be assumed, by whom, and what it then allows. */
import type { Policy } from '../policy/policy-document.ts';
import type { Claims } from './web-identity.ts';

/** Longest life of a role's credentials unless it says otherwise (AWS and Ceph: one hour). */
export const DEFAULT_ROLE_SECONDS = 3600;

export interface Role {
  /** `arn:aws:iam:::role/NAME`, or `arn:minio:iam:::role/...`. */
  readonly arn: string;
  readonly policies: readonly Policy[];
  /** Only these `sub`; absent: everybody the issuer knows. */
  readonly subjects?: readonly string[];
  /** Only tokens for one of these; absent: any audience the service takes. */
  readonly audiences?: readonly string[];
  readonly maxDurationSeconds?: number;
}

/** Whether the role's trust conditions take a token with these claims. */
export function trusts(role: Role, claims: Claims): boolean {
  const { subjects, audiences } = role;
  const subjectFits = subjects === undefined || subjects.includes(subjectOf(claims) ?? '');
  if (!subjectFits) return false;
  return audiences === undefined || audiencesOf(claims).some((one) => audiences.includes(one));
}

export function subjectOf(claims: Claims): string | undefined {
  const { sub } = claims;
  return typeof sub === 'string' && sub !== '' ? sub : undefined;
}

/** The `aud` claim as a list; empty when there is none (RFC 7519, 4.1.3). */
export function audiencesOf(claims: Claims): readonly string[] {
  const { aud } = claims;
  const list: readonly unknown[] = Array.isArray(aud) ? aud : [aud];
  return list.filter((one) => typeof one === 'string');
}

/** Issuers are the same with and without a final slash: INDIGO IAM writes both. */
export function sameIssuer(one: unknown, other: string): boolean {
  return typeof one === 'string' && withoutSlash(one) === withoutSlash(other);
}

function withoutSlash(issuer: string): string {
  return issuer.endsWith('/') ? issuer.slice(0, -1) : issuer;
}
