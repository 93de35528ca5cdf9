/**
 * Ceph RGW from Debian's packages, with the playground's IAM as an OpenID Connect provider and a
 * role that it may assume.
 *
 * @see https://docs.ceph.com/en/pacific/radosgw/STS/
 */
import { createHash } from 'node:crypto';
import { type Iam, startIam } from '../../src/demo/iam/iam.ts';
import type { IamLifetimes, IamUser } from '../../src/demo/iam/options.ts';
import { AUDIENCE, DEMO_BUCKET, people } from '../../src/demo/playground-people.ts';
import { Closers } from '../../src/lib/closers.ts';
import { startCeph } from './ceph.ts';
import { makeBuckets, PEOPLE_BUCKET, type RealServer } from './real-server.ts';
import { ServerGroup } from './server-group.ts';
import { sendSigned } from './signed-request.ts';

export interface RgwOptions {
  readonly lifetimes?: Partial<IamLifetimes>;
  /** Default 900, as Ceph's own. */
  readonly leaseFloorSeconds?: number;
}

const ROLE = 'S3AccessIAMRole';

/** 15 to 25 seconds; the packages have to be there (`packages.ts`). */
export async function startRgw(options: RgwOptions, signal: AbortSignal): Promise<RealServer> {
  await using closers = new Closers();
  const { lifetimes = {}, leaseFloorSeconds = 900 } = options;
  const iam = closers.use(await startIam({ dialect: 'indigo', users: people, lifetimes }, signal));
  const group = closers.use(await ServerGroup.create('rgw'));
  const { version, endpoint, delayedEndpoint, root } = await startCeph(
    group,
    { leaseFloorSeconds },
    signal,
  );
  const call: Call = async (action, fields) => {
    const body = new URLSearchParams({ Action: action, Version: '2010-05-08', ...fields });
    const contentType = 'application/x-www-form-urlencoded';
    const url = new URL(endpoint);
    const request = { method: 'POST', url, service: 'iam', contentType } as const;
    await sendSigned({ ...request, body: body.toString() }, root, new Date(), signal);
  };
  await trustProvider(call, iam, signal);
  await makeRole(call, iam, ROLE, ownerStatements);
  for (const user of people) {
    await makeRole(call, iam, `${ROLE}-${user.name}`, personalStatements(user.name), user);
  }
  await makeBuckets(endpoint, root, signal);
  const held = closers.move();
  return {
    ...{ name: 'rgw', version, iam, endpoint, audience: AUDIENCE, root, folder: group.folder },
    role: arnOf(ROLE),
    personal: {
      bucket: PEOPLE_BUCKET,
      hasShared: true,
      roleOf: (user) => arnOf(`${ROLE}-${user}`),
    },
    otherEndpoints: { 'without TCP_NODELAY': delayedEndpoint },
    [Symbol.asyncDispose]: async () => await held[Symbol.asyncDispose](),
  };
}

/** One call of the administration's API. */
type Call = (action: string, fields: Readonly<Record<string, string>>) => Promise<void>;

async function trustProvider(call: Call, iam: Iam, signal: AbortSignal): Promise<void> {
  await call('CreateOpenIDConnectProvider', {
    Url: iam.issuer,
    'ClientIDList.member.1': AUDIENCE,
    'ThumbprintList.member.1': await thumbprintOf(iam, signal),
  });
}

/** @param user who alone may take it; default: everybody whom the provider knows. */
async function makeRole(
  call: Call,
  iam: Iam,
  name: string,
  rights: readonly Statement[],
  user?: IamUser,
): Promise<void> {
  const provider = iam.issuer.replace(/^https?:\/\//, '');
  const trust = {
    Effect: 'Allow',
    Principal: { Federated: [`arn:aws:iam:::oidc-provider/${provider}`] },
    Action: ['sts:AssumeRoleWithWebIdentity'],
    ...(user && { Condition: { StringEquals: { [`${provider}:sub`]: user.sub } } }),
  };
  await call('CreateRole', {
    RoleName: name,
    Path: '/',
    AssumeRolePolicyDocument: policy([trust]),
  });
  const fields = { RoleName: name, PolicyName: 'objects', PolicyDocument: policy(rights) };
  await call('PutRolePolicy', fields);
}

function arnOf(role: string): string {
  return `arn:aws:iam:::role/${role}`;
}

type Statement = Readonly<Record<string, unknown>>;

const ownerStatements: readonly Statement[] = [allow(['s3:*'], DEMO_BUCKET, `${DEMO_BUCKET}/*`)];

/** Ceph RGW 16 knows no variables in policies: a role for each person. */
function personalStatements(user: string): readonly Statement[] {
  const folders = [`users/${user}/*`, `shared/${user}/*`];
  return [
    allow(['s3:*'], ...folders.map((folder) => `${PEOPLE_BUCKET}/${folder}`)),
    {
      ...allow(['s3:ListBucket'], PEOPLE_BUCKET),
      Condition: { StringLike: { 's3:prefix': [`users/${user}/*`, 'shared/*'] } },
    },
  ];
}

function allow(actions: readonly string[], ...paths: readonly string[]): Statement {
  const Resource = paths.map((path) => `arn:aws:s3:::${path}`);
  return { Effect: 'Allow', Action: actions, Resource };
}

function policy(statements: readonly Statement[]): string {
  return JSON.stringify({ Version: '2012-10-17', Statement: statements });
}

/** SHA-1 of the certificate of the signing key, in hexadecimal. */
async function thumbprintOf(iam: Iam, signal: AbortSignal): Promise<string> {
  const url = new URL('/.well-known/openid-configuration', iam.issuer);
  const metadata = (await (await fetch(url, { signal })).json()) as { readonly jwks_uri: string };
  const published = (await (await fetch(metadata.jwks_uri, { signal })).json()) as {
    readonly keys: readonly { readonly x5c?: readonly string[] }[];
  };
  const certificate = published.keys[0]?.x5c?.[0];
  if (certificate === undefined) throw new Error('the IAM publishes no certificate (x5c)');
  return createHash('sha1').update(Buffer.from(certificate, 'base64')).digest('hex');
}
