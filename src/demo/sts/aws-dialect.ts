/**
 * AWS STS by its reference: parameters are validated first and all in the same words, then the token,
 * then the role's trust.
 *
 * @see https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html
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
import {
  audiencesOf,
  DEFAULT_ROLE_SECONDS,
  type Role,
  sameIssuer,
  subjectOf,
  trusts,
} from './role.ts';
import { type Claims, TokenError, type TokenFault } from './web-identity.ts';
import { assumedReply, credentialsElement, errorReply } from './xml.ts';

/** Twelve hours: no role may ask for more. */
const MAX_DURATION_SECONDS = 43_200;

export const awsDialect: StsDialect = {
  async assume(form, realm) {
    const asked = checkedParameters(form, realm);
    const claims = await identify(asked.token, realm);
    const subject = subjectOf(claims);
    if (subject === undefined) throw invalidToken('Missing a required claim: sub');
    const role = realm.roles.find(({ arn }) => arn === asked.roleArn);
    if (role === undefined || !trusts(role, claims)) throw notAuthorized();
    return {
      subject,
      audience: audiencesOf(claims)[0] ?? '',
      claims,
      roleArn: role.arn,
      sessionName: asked.sessionName,
      policies: role.policies,
      ...(asked.sessionPolicy && { sessionPolicy: asked.sessionPolicy }),
      expiresAtMs: realm.now() + secondsFor(asked.seconds, role) * 1000,
    };
  },

  refuseAction(action) {
    const signed = action === 'AssumeRole' || action === 'GetSessionToken';
    return signed
      ? new StsRefusal(403, 'AccessDenied', `User is not authorized to perform: sts:${action}`)
      : new StsRefusal(400, 'InvalidAction', `Could not find operation ${action}`);
  },

  reply({ subject, audience, roleArn, sessionName }, key, realm) {
    const arn = roleArn.replace(':iam:', ':sts:').replace(':role/', ':assumed-role/');
    return assumedReply([
      ['SubjectFromWebIdentityToken', subject],
      ['Audience', audience],
      [
        'AssumedRoleUser',
        [
          ['Arn', `${arn}/${sessionName}`],
          ['AssumedRoleId', `${key.accessKeyId}:${sessionName}`],
        ],
      ],
      credentialsElement(key),
      ['Provider', realm.issuer],
    ]);
  },

  refuse: (refusal) => errorReply(refusal, refusal.status < 500 ? 'Sender' : 'Receiver'),
};

function invalidToken(message: string, options?: ErrorOptions): StsRefusal {
  return new StsRefusal(400, 'InvalidIdentityToken', message, options);
}

function notAuthorized(): StsRefusal {
  const message = 'Not authorized to perform sts:AssumeRoleWithWebIdentity';
  return new StsRefusal(403, 'AccessDenied', message);
}

function constraint(name: string, rule: string): StsRefusal {
  const message = `1 validation error detected: Value at '${name}' failed to satisfy constraint: ${rule}`;
  return new StsRefusal(400, 'ValidationError', message);
}

interface Asked {
  readonly token: string;
  readonly roleArn: string;
  readonly sessionName: string;
  readonly seconds: number | undefined;
  readonly sessionPolicy: Policy | undefined;
}

function checkedParameters(form: URLSearchParams, realm: Realm): Asked {
  const needed = (name: string): string => {
    const value = parameter(form, name);
    if (value !== undefined) return value;
    throw constraint(`${name.charAt(0).toLowerCase()}${name.slice(1)}`, 'Member must not be null');
  };
  const [roleArn, sessionName, token] = [
    needed('RoleArn'),
    needed('RoleSessionName'),
    needed('WebIdentityToken'),
  ];
  const pattern = /^[\w+=,.@-]{2,64}$/;
  if (!pattern.test(sessionName)) {
    throw constraint(
      'roleSessionName',
      'Member must satisfy regular expression pattern: [\\w+=,.@-]*',
    );
  }
  if (!/^arn:[\w-]+:iam::\d*:role\/\S+$/.test(roleArn)) {
    throw new StsRefusal(400, 'ValidationError', 'Request ARN is invalid');
  }
  const seconds = askedSeconds(form, realm.minDurationSeconds);
  return { token, roleArn, sessionName, seconds, sessionPolicy: sessionPolicyOf(form) };
}

function askedSeconds(form: URLSearchParams, least: number): number | undefined {
  const text = parameter(form, 'DurationSeconds');
  if (text === undefined) return undefined;
  const seconds = wholeNumber(text);
  if (seconds === undefined || seconds < least) {
    throw constraint('durationSeconds', `Member must have value greater than or equal to ${least}`);
  }
  if (seconds > MAX_DURATION_SECONDS) {
    throw constraint(
      'durationSeconds',
      `Member must have value less than or equal to ${MAX_DURATION_SECONDS}`,
    );
  }
  return seconds;
}

function secondsFor(asked: number | undefined, role: Role): number {
  const most = role.maxDurationSeconds ?? DEFAULT_ROLE_SECONDS;
  if (asked === undefined) return Math.min(DEFAULT_ROLE_SECONDS, most);
  if (asked <= most) return asked;
  const message = 'The requested DurationSeconds exceeds the MaxSessionDuration set for this role.';
  throw new StsRefusal(400, 'ValidationError', message);
}

const wordsFor: Readonly<Record<Exclude<TokenFault, 'unreachable'>, string>> = {
  malformed:
    'The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)',
  'unknown-key': "Couldn't retrieve verification key from your identity provider",
  'bad-signature': 'Token signature invalid',
};

async function identify(token: string, realm: Realm): Promise<Claims> {
  try {
    const claims = await realm.identity.claimsOf(token);
    checkClaims(claims, realm);
    return claims;
  } catch (error) {
    if (!(error instanceof TokenError)) throw error;
    if (error.fault !== 'unreachable') throw invalidToken(wordsFor[error.fault], { cause: error });
    const message = 'The identity provider could not be reached to verify the token';
    throw new StsRefusal(400, 'IDPCommunicationError', message, { cause: error });
  }
}

/** Without leeway: how much AWS gives was not measured. */
function checkClaims(claims: Claims, realm: Realm): void {
  const now = realm.now();
  if (!sameIssuer(claims['iss'], realm.issuer)) {
    throw invalidToken(
      'No OpenIDConnect provider found in your account for the issuer of the token',
    );
  }
  if (!audiencesOf(claims).some((one) => realm.audiences.includes(one))) {
    throw invalidToken('Incorrect token audience');
  }
  const expires = timeClaim(claims, 'exp');
  if (expires === undefined) throw invalidToken('Missing a required claim: exp');
  if (now >= expires) {
    throw new StsRefusal(400, 'ExpiredTokenException', 'Token expired: the web identity has ended');
  }
  const early = ['nbf', 'iat'].some((name) => now < (timeClaim(claims, name) ?? now));
  if (early) throw invalidToken('Token is not valid yet');
}

function sessionPolicyOf(form: URLSearchParams): Policy | undefined {
  const source = parameter(form, 'Policy');
  if (source === undefined) return undefined;
  if (source.length > MAX_POLICY_CHARS) {
    throw constraint('policy', `Member must have length less than or equal to ${MAX_POLICY_CHARS}`);
  }
  try {
    return parsePolicy(source);
  } catch (error) {
    if (!(error instanceof PolicyError)) throw error;
    throw new StsRefusal(400, 'MalformedPolicyDocument', error.message, { cause: error });
  }
}
