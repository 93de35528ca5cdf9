/**
 * Ceph RGW 16.2 as measured: role and session name are required, durations out of range are
 * InvalidArgument, and whatever else is wrong is the same AccessDenied without a word of why.
 */
import type { Policy } from '../policy/policy-document.ts';
import { parsePolicy } from '../policy/policy-document.ts';
import { PolicyError } from '../policy/policy-error.ts';
import {
  MAX_POLICY_CHARS,
  parameter,
  type Realm,
  type StsDialect,
  timeClaim,
  wholeNumber,
} from './dialect.ts';
import { StsRefusal } from './refusal.ts';
import { audiencesOf, DEFAULT_ROLE_SECONDS, type Role, subjectOf, trusts } from './role.ts';
import { type Claims, TokenError } from './web-identity.ts';
import { plainAssumedReply, storeErrorReply } from './xml.ts';

export const rgwDialect: StsDialect = {
  async assume(form, realm) {
    const roleArn = parameter(form, 'RoleArn');
    const sessionName = parameter(form, 'RoleSessionName');
    const token = parameter(form, 'WebIdentityToken');
    if (roleArn === undefined || sessionName === undefined || token === undefined) throw denied();
    if (sessionName.length < 2 || sessionName.length > 64) throw badArgument();
    const sessionPolicy = sessionPolicyOf(form);
    const role = realm.roles.find(({ arn }) => arn === roleArn);
    const seconds = duration(form, realm, role);
    const claims = await identify(token, realm);
    const subject = subjectOf(claims);
    if (subject === undefined) throw badArgument();
    if (role === undefined || !trusts(role, claims)) throw denied();
    return {
      subject,
      audience: audiencesOf(claims)[0] ?? '',
      claims,
      roleArn,
      sessionName,
      policies: role.policies,
      ...(sessionPolicy && { sessionPolicy }),
      expiresAtMs: realm.now() + seconds * 1000,
    };
  },

  refuseAction(action) {
    const signed = action === 'AssumeRole' || action === 'GetSessionToken';
    return signed ? denied() : new StsRefusal(405, 'MethodNotAllowed', '');
  },

  reply({ subject, audience, roleArn, sessionName }, key, realm) {
    const arn = roleArn.replace(':iam:', ':sts:').replace(':role/', ':assumed-role/');
    return plainAssumedReply([
      ['SubjectFromWebIdentityToken', subject],
      ['Audience', audience],
      [
        'AssumedRoleUser',
        [
          ['Arn', `${arn}/${sessionName}`],
          ['AssumeRoleId', `${key.accessKeyId}:${sessionName}`],
        ],
      ],
      [
        'Credentials',
        [
          ['AccessKeyId', key.accessKeyId],
          ['Expiration', new Date(key.expiresAtMs).toISOString()],
          ['SecretAccessKey', key.secretAccessKey],
          ['SessionToken', key.sessionToken],
        ],
      ],
      ['Provider', realm.issuer],
      ['PackedPolicySize', '0'],
    ]);
  },

  refuse: storeErrorReply,
};

function denied(cause?: unknown): StsRefusal {
  return new StsRefusal(403, 'AccessDenied', '', { cause });
}

function badArgument(): StsRefusal {
  return new StsRefusal(400, 'InvalidArgument', '');
}

function duration(form: URLSearchParams, realm: Realm, role: Role | undefined): number {
  const asked = parameter(form, 'DurationSeconds');
  if (asked === undefined) return DEFAULT_ROLE_SECONDS;
  const seconds = wholeNumber(asked);
  const most = role?.maxDurationSeconds ?? DEFAULT_ROLE_SECONDS;
  if (seconds === undefined || seconds < realm.minDurationSeconds || seconds > most) {
    throw badArgument();
  }
  return seconds;
}

/** The issuer to the letter, one known audience, no leeway for clocks; the end may be missing. */
async function identify(token: string, realm: Realm): Promise<Claims> {
  let claims: Claims;
  try {
    claims = await realm.identity.claimsOf(token);
  } catch (error) {
    if (error instanceof TokenError) throw denied(error);
    throw error;
  }
  const now = realm.now();
  const known = audiencesOf(claims).some((one) => realm.audiences.includes(one));
  const expired = now >= (timeClaim(claims, 'exp') ?? Number.POSITIVE_INFINITY);
  const early = ['nbf', 'iat'].some((name) => now < (timeClaim(claims, name) ?? now));
  if (claims['iss'] !== realm.issuer || !known || expired || early) throw denied();
  return claims;
}

function sessionPolicyOf(form: URLSearchParams): Policy | undefined {
  const source = parameter(form, 'Policy');
  if (source === undefined) return undefined;
  if (source.length > MAX_POLICY_CHARS) throw new StsRefusal(400, 'PackedPolicyTooLarge', '');
  try {
    return parsePolicy(source);
  } catch (error) {
    if (!(error instanceof PolicyError)) throw error;
    throw new StsRefusal(400, 'MalformedPolicyDocument', '', { cause: error });
  }
}
