/**
 * MinIO with the playground's IAM as its OpenID provider. What people may do it takes from a claim
 * of their tokens that names policies, or from a role that everybody has, or it asks OPA.
 *
 * @see https://docs.min.io/community/minio-object-store/operations/external-iam/configure-openid-external-identity-management.html
 */
import { createHash, randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { startIam } from '../../src/demo/iam/iam.ts';
import type { IamLifetimes } from '../../src/demo/iam/options.ts';
import { AUDIENCE, DEMO_BUCKET, people } from '../../src/demo/playground-people.ts';
import { Closers } from '../../src/lib/closers.ts';
import { freePort } from './free-port.ts';
import type { GoProgram } from './go-program.ts';
import { type OpaPolicy, startOpa } from './opa.ts';
import { makeBuckets, PEOPLE_BUCKET, type RealServer, type ServerName } from './real-server.ts';
import { ServerGroup, type ServerProcess } from './server-group.ts';
import { type AdminKey, sendSigned } from './signed-request.ts';

export interface MinioOptions {
  readonly name: ServerName;
  readonly program: GoProgram;
  /** Where policies come from. With `opa` the role is there as well, and decides nothing. */
  readonly policies: 'claims' | 'role';
  /** Decides everything, when it is there. */
  readonly opa?: { readonly program: GoProgram; readonly policy: OpaPolicy };
  readonly lifetimes?: Partial<IamLifetimes>;
}

const READY_MS = 30_000;

/** A second or two. */
export async function startMinio(options: MinioOptions, signal: AbortSignal): Promise<RealServer> {
  await using closers = new Closers();
  const { name, program, policies, opa, lifetimes = {} } = options;
  // MinIO reads the discovery document when it starts: the IAM is first.
  const iam = closers.use(await startIam({ dialect: 'indigo', users: people, lifetimes }, signal));
  const group = closers.use(await ServerGroup.create('minio'));
  const place = `127.0.0.1:${await freePort()}`;
  const endpoint = `http://${place}`;
  const root = { accessKeyId: 'root', secretAccessKey: randomBytes(20).toString('hex') };
  const store = join(group.folder, 'store');
  await mkdir(store);
  const plugin =
    opa === undefined ? undefined : await startOpa(group, opa.program, opa.policy, signal);
  const server = group.start('minio', program.path, ['server', '--address', place, store], {
    ...commonEnvironment(group.folder, root),
    ...openIdEnvironment(iam.issuer, policies),
    ...(plugin !== undefined && { MINIO_POLICY_PLUGIN_URL: plugin }),
  });
  await untilReady(group, server, endpoint, signal);
  for (const [policy, statements] of Object.entries(namedPolicies)) {
    await addPolicy(endpoint, root, policy, statements, signal);
  }
  await makeBuckets(endpoint, root, signal);
  const held = closers.move();
  const role = policies === 'role' ? roleArnOf(AUDIENCE) : undefined;
  const version = [program, ...(opa === undefined ? [] : [opa.program])]
    .map((found) => found.version)
    .join(', ');
  return {
    ...{ name, version, iam, endpoint, root, audience: AUDIENCE, folder: group.folder },
    ...(role !== undefined && { role }),
    personal: { bucket: PEOPLE_BUCKET, hasShared: true, roleOf: () => role },
    [Symbol.asyncDispose]: async () => await held[Symbol.asyncDispose](),
  };
}

function commonEnvironment(folder: string, root: AdminKey): Readonly<Record<string, string>> {
  return {
    HOME: folder,
    MINIO_ROOT_USER: root.accessKeyId,
    MINIO_ROOT_PASSWORD: root.secretAccessKey,
    MINIO_BROWSER: 'off',
    MINIO_UPDATE: 'off',
  };
}

/** The claim that names policies, and the role's policies. */
const CLAIM = 'groups';
const ROLE_POLICIES = 'wire-users,wire-owners';

function openIdEnvironment(
  issuer: string,
  policies: MinioOptions['policies'],
): Readonly<Record<string, string>> {
  return {
    MINIO_IDENTITY_OPENID_CONFIG_URL: `${issuer}.well-known/openid-configuration`,
    MINIO_IDENTITY_OPENID_CLIENT_ID: AUDIENCE,
    // With an empty one MinIO takes tokens that anybody has signed with nothing (HS256).
    MINIO_IDENTITY_OPENID_CLIENT_SECRET: randomBytes(24).toString('base64url'),
    ...(policies === 'claims'
      ? { MINIO_IDENTITY_OPENID_CLAIM_NAME: CLAIM }
      : { MINIO_IDENTITY_OPENID_ROLE_POLICY: ROLE_POLICIES }),
  };
}

/** MinIO names roles by the OpenID client: SHA-1 of its id, in base64url. */
function roleArnOf(clientId: string): string {
  return `arn:minio:iam:::role/${createHash('sha1').update(clientId).digest('base64url')}`;
}

/** Its health is good before its STS is: that one answers 503 until it has seen the provider. */
async function untilReady(
  group: ServerGroup,
  server: ServerProcess,
  endpoint: string,
  signal: AbortSignal,
): Promise<void> {
  const form = {
    Action: 'AssumeRoleWithWebIdentity',
    Version: '2011-06-15',
    WebIdentityToken: 'x',
  };
  const refuses = async (): Promise<boolean> => {
    const body = new URLSearchParams(form);
    return (await fetch(endpoint, { method: 'POST', body, signal })).status === 400;
  };
  await group.ready(server, refuses, READY_MS, signal);
}

type Statement = Readonly<Record<string, unknown>>;

const self = '${jwt:preferred_username}';

const objectActions = [
  's3:GetObject',
  's3:PutObject',
  's3:DeleteObject',
  's3:AbortMultipartUpload',
  's3:ListMultipartUploadParts',
];

/** Named after the groups of the playground's people. */
const namedPolicies: Readonly<Record<string, readonly Statement[]>> = {
  'wire-users': [
    allow(['s3:ListBucket', 's3:GetBucketLocation'], self),
    allow(['s3:GetObject', 's3:PutObject', 's3:DeleteObject'], `${self}/*`),
    allow(
      objectActions,
      ...[`users/${self}/*`, `shared/${self}/*`].map((path) => `${PEOPLE_BUCKET}/${path}`),
    ),
    {
      ...allow(['s3:ListBucket'], PEOPLE_BUCKET),
      Condition: { StringLike: { 's3:prefix': [`users/${self}/*`, 'shared/*'] } },
    },
  ],
  'wire-owners': [allow(['s3:*'], DEMO_BUCKET, `${DEMO_BUCKET}/*`)],
};

function allow(actions: readonly string[], ...paths: readonly string[]): Statement {
  const resources = paths.map((path) => `arn:aws:s3:::${path}`);
  return { Effect: 'Allow', Action: actions, Resource: resources };
}

async function addPolicy(
  endpoint: string,
  root: AdminKey,
  name: string,
  statements: readonly Statement[],
  signal: AbortSignal,
): Promise<void> {
  const url = new URL(`/minio/admin/v3/add-canned-policy?name=${name}`, endpoint);
  const body = JSON.stringify({ Version: '2012-10-17', Statement: statements });
  const contentType = 'application/json';
  const request = { method: 'PUT', url, service: 's3', contentType, body } as const;
  await sendSigned(request, root, new Date(), signal);
}
