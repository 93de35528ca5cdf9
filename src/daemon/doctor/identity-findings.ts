/** Whose tokens there are, and what an STS makes of them. Pure. */
import type { JwtClaims } from '../../auth/jwt.ts';
import type { WireError } from '../../lib/wire-error.ts';
import { TokenRefused } from '../../sts/assume-role.ts';
import { type Finding, findingsOf } from './finding.ts';
import { spanOf } from './spans.ts';

export interface IdentityFacts {
  /** Such as `the file /run/token`. */
  readonly place: string;
  readonly issuer: string;
  /** Undefined for an opaque token. */
  readonly claims: JwtClaims | undefined;
  readonly expiresAtMs: number | undefined;
  readonly notes: readonly string[];
}

const make = findingsOf('identity');

export function identityFindings(facts: IdentityFacts, nowMs: number): readonly Finding[] {
  const { claims, place, expiresAtMs, notes } = facts;
  const who = claims?.username ?? claims?.subject ?? 'somebody (the token does not say who)';
  const groups = claims?.groups ?? [];
  const of = groups.length === 0 ? '' : ` (groups ${groups.join(', ')})`;
  const life = expiresAtMs === undefined ? '' : `, good for ${spanOf(expiresAtMs - nowMs)}`;
  return [
    make.ok(`${who}${of}, by ${place}; an access token is there${life}`),
    ...notes.map((note) => make.note(note)),
  ];
}

/** What came of asking an STS for temporary credentials. */
export interface TrustFacts {
  readonly stsEndpoint: string;
  readonly role: string | undefined;
  readonly claims: JwtClaims | undefined;
  readonly refusal?: WireError;
  /** How long credentials were given for. */
  readonly lifeMs?: number;
  /** What a stricter server would have refused the token for. */
  readonly concerns: readonly string[];
  /** Whether the server holds credentials to what a mount needs. */
  readonly enforcement?: 'enforced' | 'not enforced' | 'cannot tell';
  readonly enforcementReason?: string;
}

const makeTrust = findingsOf('sts');

/** Shorter leases are renewed so often that a server notices. */
const SHORT_MS = 600_000;

export function trustFindings(facts: TrustFacts): readonly Finding[] {
  const { stsEndpoint, role, refusal, lifeMs, concerns } = facts;
  if (refusal !== undefined) return [refusalFinding(refusal, facts)];
  const as = role === undefined ? '' : ` for ${role}`;
  const life = lifeMs === undefined ? '' : `, good for ${spanOf(lifeMs)}`;
  const findings = [makeTrust.ok(`${stsEndpoint} gives temporary credentials${as}${life}`)];
  if (lifeMs !== undefined && lifeMs < SHORT_MS) {
    const seen = `temporary credentials live for ${spanOf(lifeMs)} only`;
    findings.push(makeTrust.note(seen, 'ask for longer ones with --duration 1h'));
  }
  for (const concern of concerns) {
    const [text = concern, next] = concern.split('; ');
    findings.push(makeTrust.note(`another server would refuse the token: ${text}`, next));
  }
  return [...findings, ...enforcementFindings(facts)];
}

/**
 * The token's claims beside what the server said, and which of them its answer is about. What the
 * token itself gives away, and what its provider publishes, is in the refusal already.
 */
function refusalFinding(refusal: WireError, { claims, role }: TrustFacts): Finding {
  const { kind, message, facts } = refusal;
  if (!(refusal instanceof TokenRefused)) return makeTrust.refused(refusal);
  const says = claims === undefined ? 'nothing (it is no JWT)' : claimsText(claims);
  const suspicion = refusal.explained ? undefined : suspicions[refusal.code];
  const about = suspicion === undefined ? '' : ` (that is about ${suspicion.about})`;
  const fix = suspicion?.fix(role) ?? facts.next ?? 'ask whoever runs the store';
  return makeTrust.failure(kind, `${message}${about}. The token says ${says}`, fix);
}

interface Suspicion {
  readonly about: string;
  readonly fix: (role: string | undefined) => string;
}

const ofToken: Suspicion = {
  about: 'claim aud or iss, or the signature',
  fix: () =>
    'have the store know the provider as `iss` says, and one of `aud` as its client; or get a token for it with --audience',
};

const ofRole: Suspicion = {
  about: 'the role, or a claim that it asks for: iss, aud, sub or groups',
  fix: (role) =>
    role === undefined
      ? 'name a role with --role, if the server has roles'
      : `check that ${role} is there, and that its trust policy lets these claims in`,
};

const ofTime: Suspicion = {
  about: 'claim exp, iat or nbf',
  fix: () => 'set the clocks of the provider and the store',
};

/**
 * By the codes of AWS STS (API reference, AssumeRoleWithWebIdentity, "Errors"); Ceph RGW says
 * AccessDenied of everything, MinIO InvalidParameterValue, with a message that tells.
 */
const suspicions: Readonly<Record<string, Suspicion>> = {
  InvalidIdentityToken: ofToken,
  IDPRejectedClaim: ofToken,
  ExpiredTokenException: ofTime,
  ExpiredToken: ofTime,
  AccessDenied: ofRole,
};

/** `iss=… aud=… sub=…`, of what an STS may look at; what is missing is told as well. */
export function claimsText(claims: JwtClaims): string {
  const { issuer, audiences, authorizedParty, subject, groups, scopes } = claims;
  const parts: readonly (readonly [string, string | undefined])[] = [
    ['iss', issuer ?? '(none)'],
    ['aud', audiences.length === 0 ? '(none)' : audiences.join(',')],
    ['azp', authorizedParty],
    ['sub', subject ?? '(none)'],
    ['groups', groups.length === 0 ? undefined : groups.join(',')],
    ['scope', scopes.length === 0 ? undefined : scopes.join(',')],
  ];
  return parts
    .flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${value}`]))
    .join(' ');
}

function enforcementFindings({ enforcement, enforcementReason }: TrustFacts): readonly Finding[] {
  if (enforcement !== 'not enforced') return [];
  const why = enforcementReason === undefined ? '' : ` (${enforcementReason})`;
  const seen = `the server does not hold credentials to what a mount needs${why}: they may do all that the role may`;
  return [makeTrust.note(seen, 'give the role itself no more rights than are needed')];
}
