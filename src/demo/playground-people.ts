/** Who lives in the playground, and what its roles let them do: data. */
import type { StoreDialect } from './dialect.ts';
import type { IamUser } from './iam/options.ts';
import { POLICY_VERSION, type Policy, readPolicy } from './policy/policy-document.ts';
import { minioRoleArn } from './sts/minio-dialect.ts';
import type { Role } from './sts/role.ts';

/** Buckets are named after their owners. */
export const DEMO_BUCKET = 'wire-demo';
/** Tokens must be for this audience. */
export const AUDIENCE = 'wire-s3';

export const alice: IamUser = {
  name: 'alice',
  sub: 'a11ce000-0000-4000-8000-000000000001',
  groups: ['wire-users', 'wire-owners'],
};

export const bob: IamUser = {
  name: 'bob',
  sub: 'b0b00000-0000-4000-8000-000000000002',
  groups: ['wire-users'],
};

export const people: readonly IamUser[] = [alice, bob];

/** What each role is for. */
export const roleNames = {
  'wire-demo': 'alice: all of wire-demo; everybody: as personal',
  personal: 'everybody: their own bucket, wire-demo/users/NAME/ and wire-demo/public/ to read',
  'read-only': 'everybody: wire-demo, to read',
  'alice-only': 'as personal, for alice alone',
} as const;

export type RoleName = keyof typeof roleNames;

/** Twelve hours, the longest that AWS lets a role be. */
const MAX_ROLE_SECONDS = 43_200;

/** MinIO names roles by an OpenID client, not by a word of one's own. */
export function roleArn(dialect: StoreDialect, name: RoleName): string {
  if (dialect !== 'minio') return `arn:aws:iam:::role/${name}`;
  return minioRoleArn(name === 'wire-demo' ? AUDIENCE : name);
}

export function rolesFor(dialect: StoreDialect): readonly Role[] {
  const role = (name: RoleName, policy: Policy): Role => ({
    arn: roleArn(dialect, name),
    policies: [policy],
    maxDurationSeconds: MAX_ROLE_SECONDS,
  });
  return [
    role('wire-demo', policyOf([...ownerStatements, ...personalStatements])),
    role('personal', policyOf(personalStatements)),
    role('read-only', policyOf(readStatements)),
    { ...role('alice-only', policyOf(personalStatements)), subjects: [alice.sub] },
  ];
}

type PolicyStatement = Readonly<Record<string, unknown>>;

function policyOf(statements: readonly PolicyStatement[]): Policy {
  return readPolicy({ Version: POLICY_VERSION, Statement: statements });
}

function allow(actions: readonly string[], ...paths: readonly string[]): PolicyStatement {
  const Resource = paths.map((path) => `arn:aws:s3:::${path}`);
  return { Effect: 'Allow', Action: actions, Resource };
}

const list = ['s3:ListBucket', 's3:GetBucketLocation'];
const write = [
  's3:PutObject',
  's3:DeleteObject',
  's3:AbortMultipartUpload',
  's3:ListMultipartUploadParts',
];

/** By `sub`, which every token has: INDIGO IAM's own need not tell a name. */
const ownerStatements: readonly PolicyStatement[] = [
  {
    ...allow(['s3:*'], DEMO_BUCKET, `${DEMO_BUCKET}/*`),
    Condition: { StringEquals: { 'jwt:sub': alice.sub } },
  },
];

const self = '${jwt:preferred_username}';

const personalStatements: readonly PolicyStatement[] = [
  allow(['s3:ListAllMyBuckets'], '*'),
  allow([...list, 's3:ListBucketMultipartUploads'], self),
  allow(['s3:GetObject', ...write], `${self}/*`, `${DEMO_BUCKET}/users/${self}/*`),
  allow(['s3:GetObject'], `${DEMO_BUCKET}/public/*`),
  allow(['s3:GetBucketLocation'], DEMO_BUCKET),
  {
    ...allow(['s3:ListBucket'], DEMO_BUCKET),
    Condition: { StringLike: { 's3:prefix': [`users/${self}/*`, 'public/*'] } },
  },
];

const readStatements: readonly PolicyStatement[] = [
  allow(['s3:ListAllMyBuckets'], '*'),
  allow(list, DEMO_BUCKET),
  allow(['s3:GetObject'], `${DEMO_BUCKET}/*`),
];
