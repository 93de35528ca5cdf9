/**
 * MinIO (February 2026) as measured: every fault of a token is 400 InvalidParameterValue, the issuer
 * is not compared, clocks have no leeway, and without `DurationSeconds` the lease ends with the token.
 */
import { createHash } from 'node:crypto';
import type { Policy } from '../policy/policy-document.ts';
import { parsePolicy } from '../policy/policy-document.ts';
import { PolicyError } from '../policy/policy-error.ts';
import {
  type Assumption,
  MAX_POLICY_CHARS,
  type PolicyClaim,
  parameter,
  type Realm,
  type StsDialect,
  timeClaim,
  wholeNumber,
} from './dialect.ts';
import { StsRefusal } from './refusal.ts';
import { audiencesOf, type Role, subjectOf, trusts } from './role.ts';
import { type Claims, TokenError } from './web-identity.ts';
import { assumedReply, credentialsElement, errorReply } from './xml.ts';

/** One year. */
const MAX_DURATION_SECONDS = 31_536_000;
const ROLE_PREFIX = 'arn:minio:iam:::role/';
const DUMMY_ROLE = `${ROLE_PREFIX}dummy-internal`;

/** The ARN that MinIO gives the role policy of an OpenID client. */
export function minioRoleArn(clientId: string): string {
  return ROLE_PREFIX + createHash('sha1').update(clientId).digest('base64url');
}

export const minioDialect: StsDialect = {
  async assume(form, realm) {
    if (form.get('Version') !== '2011-06-15') {
      const version = form.get('Version') ?? '';
      const message = `Invalid STS API version ${version}, expecting 2011-06-15`;
      throw new StsRefusal(400, 'MissingParameter', message);
    }
    const role = realm.policyClaim === undefined ? roleOf(form, realm.roles) : undefined;
    const claims = await identify(form, realm);
    checkTimes(claims, realm.now());
    checkAudience(claims, realm.audiences);
    const expiresAtMs = expiry(form, claims, realm);
    const subject = subjectOf(claims);
    if (subject === undefined) {
      throw invalid('STS JWT Token has `sub` claim missing, `sub` claim is mandatory');
    }
    if (role !== undefined && !trusts(role, claims)) {
      throw new StsRefusal(403, 'AccessDenied', 'Access denied');
    }
    const sessionPolicy = sessionPolicyOf(form);
    return {
      subject,
      audience: audiencesOf(claims)[0] ?? '',
      claims,
      roleArn: role?.arn ?? '',
      sessionName: '',
      policies: role?.policies ?? claimedPolicies(claims, realm.policyClaim),
      ...(sessionPolicy && { sessionPolicy }),
      expiresAtMs,
    };
  },

  refuseAction(action) {
    // Temporary credentials may not assume again, and these need a signature of a person's own.
    const signed = action === 'AssumeRole' || action === 'GetSessionToken';
    return signed
      ? new StsRefusal(403, 'AccessDenied', 'Access Denied.')
      : invalid(`Unsupported action ${action}`);
  },

  reply(assumption: Assumption, key) {
    return assumedReply([
      [
        'AssumedRoleUser',
        [
          ['Arn', ''],
          ['AssumeRoleId', ''],
        ],
      ],
      credentialsElement(key),
      ['SubjectFromWebIdentityToken', assumption.subject],
    ]);
  },

  refuse: (refusal) => errorReply(refusal, ''),
};

function invalid(message: string): StsRefusal {
  return new StsRefusal(400, 'InvalidParameterValue', message);
}

function roleOf(form: URLSearchParams, roles: readonly Role[]): Role {
  const arn = parameter(form, 'RoleArn');
  if (arn === undefined) throw invalid(`Role ${DUMMY_ROLE} does not exist`);
  const failed = 'Error processing RoleArn parameter';
  if (!arn.startsWith('arn:'))
    throw invalid(`${failed}: RoleARN parse err: invalid ARN string format`);
  if (!arn.startsWith('arn:minio:')) {
    throw invalid(`${failed}: RoleARN parse err: invalid ARN - bad partition field`);
  }
  const role = roles.find((one) => one.arn === arn);
  if (role === undefined) throw invalid(`${failed}: RoleARN ${arn} is not defined.`);
  return role;
}

async function identify(form: URLSearchParams, realm: Realm): Promise<Claims> {
  try {
    return await realm.identity.claimsOf(form.get('WebIdentityToken') ?? '');
  } catch (error) {
    if (error instanceof TokenError) throw invalid(error.message);
    throw error;
  }
}

function checkTimes(claims: Claims, now: number): void {
  const expires = timeClaim(claims, 'exp');
  if (expires !== undefined && now >= expires) throw invalid('Token is expired');
  if (now < (timeClaim(claims, 'iat') ?? now)) throw invalid('Token used before issued');
  if (now < (timeClaim(claims, 'nbf') ?? now)) throw invalid('Token is not valid yet');
}

/** `aud` must be there; one of the audiences must be in it, or be the `azp`. */
function checkAudience(claims: Claims, known: readonly string[]): void {
  const audiences = audiencesOf(claims);
  const fits = (one: unknown): boolean => typeof one === 'string' && known.includes(one);
  const must = (name: string): string =>
    `STS JWT Token has \`${name}\` claim invalid, \`${name}\` must match configured OpenID Client ID`;
  if (audiences.length === 0) throw invalid(must('aud'));
  const { azp } = claims;
  if (!audiences.some(fits) && !fits(azp)) throw invalid(must('azp'));
}

/** An asked duration may outlive the token; without one the token's end is the lease's. */
function expiry(form: URLSearchParams, claims: Claims, realm: Realm): number {
  const asked = parameter(form, 'DurationSeconds');
  if (asked === undefined) {
    const expires = timeClaim(claims, 'exp');
    if (expires !== undefined) return expires;
    throw new StsRefusal(500, 'InternalError', 'Invalid arguments specified');
  }
  const seconds = wholeNumber(asked);
  const least = realm.minDurationSeconds;
  if (seconds === undefined || seconds < least || seconds > MAX_DURATION_SECONDS) {
    throw invalid('invalid token expiry');
  }
  return realm.now() + seconds * 1000;
}

const without = 'credentials will not be generated';

/** The claim is a list, or names with commas; one that exists is enough. */
function claimedPolicies(claims: Claims, claim: PolicyClaim | undefined): readonly Policy[] {
  const value = claim === undefined ? undefined : claims[claim.name];
  if (claim === undefined || value === undefined) {
    throw invalid(`policy claim missing from the JWT token, ${without}`);
  }
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  const names = list.flatMap((one) => (typeof one === 'string' ? one.split(',') : []));
  const known = names
    .map((name) => name.trim())
    .filter((name) => Object.hasOwn(claim.policies, name));
  if (known.length === 0) {
    throw invalid(`None of the given policies (\`${names.join(',')}\`) are defined, ${without}`);
  }
  return known.flatMap((name) => claim.policies[name] ?? []);
}

function sessionPolicyOf(form: URLSearchParams): Policy | undefined {
  const source = parameter(form, 'Policy');
  if (source === undefined) return undefined;
  try {
    const policy = parsePolicy(source);
    // Counted without the space between its words.
    if (JSON.stringify(JSON.parse(source)).length > MAX_POLICY_CHARS) {
      throw invalid(`Session policy should not exceed ${MAX_POLICY_CHARS} characters`);
    }
    if (policy.version !== undefined) return policy;
  } catch (error) {
    if (error instanceof PolicyError) throw invalid(error.message);
    throw error;
  }
  throw invalid("Version cannot be empty expecting '2012-10-17'");
}
