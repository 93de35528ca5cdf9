/**
 * The playground: an identity provider, a token service and an object store that trust each other,
 * with two people and a few buckets. Everything listens on 127.0.0.1 and is gone on disposal.
 */
import { randomBytes } from 'node:crypto';
import { LinkedAbort } from '../lib/abort.ts';
import { type Clock, systemClock } from '../lib/clock.ts';
import { Closers } from '../lib/closers.ts';
import type { IamDialect, StoreDialect } from './dialect.ts';
import { type Iam, startIam } from './iam/iam.ts';
import type { IamUser } from './iam/options.ts';
import {
  AUDIENCE,
  DEMO_BUCKET,
  people,
  type RoleName,
  roleArn,
  roleNames,
  rolesFor,
} from './playground-people.ts';
import { type ObjectServer, startObjectServer } from './s3/object-server.ts';
import { IssuedKeys, type RootKey } from './sts/issued-keys.ts';
import { TokenService } from './sts/security-token-service.ts';

/** Nobody here is protected by a slower one; RFC 8628 takes 5 where the provider names none. */
const POLL_SECONDS = 1;

export interface PlaygroundOptions {
  /** Default `standard`. */
  readonly iamDialect?: IamDialect;
  /** Default `aws`. */
  readonly storeDialect?: StoreDialect;
  /** As MinIO with OPA: session policies are taken and ignored. Default false. */
  readonly sessionPoliciesIgnored?: boolean;
  /** Life of access tokens. Default 3600. */
  readonly accessTokenSeconds?: number;
  /** Life of all temporary credentials, whatever is asked. Default: as asked. */
  readonly leaseSeconds?: number;
  /** Default: as the dialect of the IAM does. */
  readonly rotateRefreshTokens?: boolean;
  /** On 127.0.0.1. Default: any free port. */
  readonly iamPort?: number;
  /** As `IamOptions`. */
  readonly iamOrigin?: string;
  /** On 127.0.0.1, for objects and tokens both. Default: any free port. */
  readonly storePort?: number;
  /** Where a folder for large objects is made. Default: the system's temp folder. */
  readonly storage?: string;
  /** Default: the system's. */
  readonly clock?: Clock;
}

export interface Playground extends AsyncDisposable {
  readonly issuer: string;
  /** Of the object store and of STS. */
  readonly endpoint: string;
  /** What access tokens have to be for. */
  readonly audience: string;
  /** ARN of the role to take when there is no reason for another. */
  readonly role: string;
  /** ARNs of all roles. */
  readonly roles: Readonly<Record<RoleName, string>>;
  /** The bucket to begin with. Each person has one of their name as well. */
  readonly bucket: string;
  readonly root: RootKey;
  readonly users: readonly IamUser[];
  readonly iam: Iam;
  readonly s3: ObjectServer;
  readonly sts: TokenService;
  readonly keys: IssuedKeys;
  /** What runs where, for people; the root's secret is not in it. */
  describe(): readonly string[];
}

/** Runs until disposed. `signal` aborts the start, and the fetches of STS afterwards. */
export async function startPlayground(
  options: PlaygroundOptions,
  signal: AbortSignal,
): Promise<Playground> {
  await using closers = new Closers();
  const life = new LinkedAbort(signal);
  closers.defer(() => {
    life.abort();
    life[Symbol.dispose]();
  });
  const iam = closers.use(await startIam(iamOptions(options), life.signal));
  const { storeDialect: dialect = 'aws', clock = systemClock } = options;
  const root = newRootKey();
  const keys = new IssuedKeys(root, clock);
  const { leaseSeconds } = options;
  const realm = { issuer: iam.issuer, audiences: [AUDIENCE], roles: rolesFor(dialect) };
  const lease = {
    ...(leaseSeconds !== undefined && { leaseSeconds }),
    sessionPoliciesIgnored: options.sessionPoliciesIgnored ?? false,
  };
  const sts = new TokenService({ dialect, ...realm, keys, clock, ...lease }, life.signal);
  const { storePort: port, storage } = options;
  const place = { ...(port !== undefined && { port }), ...(storage !== undefined && { storage }) };
  const s3 = closers.use(
    await startObjectServer({ dialect, principals: keys, sts, clock, ...place }, life.signal),
  );
  for (const bucket of [DEMO_BUCKET, ...people.map(({ name }) => name)]) {
    s3.foreign.createBucket(bucket);
  }
  return toPlayground({ dialect, root, iam, s3, sts, keys }, closers.move());
}

function iamOptions(options: PlaygroundOptions): Parameters<typeof startIam>[0] {
  const { accessTokenSeconds, rotateRefreshTokens, iamPort, iamOrigin, clock } = options;
  return {
    dialect: options.iamDialect ?? 'standard',
    users: people,
    pollIntervalSeconds: POLL_SECONDS,
    ...(iamPort !== undefined && { port: iamPort }),
    ...(iamOrigin !== undefined && { origin: iamOrigin }),
    ...(clock !== undefined && { clock }),
    ...(rotateRefreshTokens !== undefined && { rotateRefreshTokens }),
    ...(accessTokenSeconds !== undefined && { lifetimes: { accessToken: accessTokenSeconds } }),
  };
}

/** New each time: whoever else uses the machine must not know it. */
function newRootKey(): RootKey {
  return { accessKeyId: 'PLAYGROUNDROOT', secretAccessKey: randomBytes(20).toString('hex') };
}

interface Parts {
  readonly dialect: StoreDialect;
  readonly root: RootKey;
  readonly iam: Iam;
  readonly s3: ObjectServer;
  readonly sts: TokenService;
  readonly keys: IssuedKeys;
}

function toPlayground(parts: Parts, closers: Closers): Playground {
  const { dialect, iam, s3 } = parts;
  const roles = {
    'wire-demo': roleArn(dialect, 'wire-demo'),
    personal: roleArn(dialect, 'personal'),
    'read-only': roleArn(dialect, 'read-only'),
    'alice-only': roleArn(dialect, 'alice-only'),
  };
  const names = people.map(({ name }) => name);
  const describe = (): readonly string[] => [
    `issuer    ${iam.issuer}`,
    `endpoint  ${s3.url} (${dialect}: objects and STS)`,
    `audience  ${AUDIENCE}`,
    `people    ${names.join(', ')} (any password)`,
    `buckets   ${[DEMO_BUCKET, ...names].join(', ')}`,
    ...Object.entries(roleNames).flatMap(([name, use]) => [
      `role      ${roleArn(dialect, name as RoleName)}`,
      `          ${name}: ${use}`,
    ]),
  ];
  return {
    ...{ issuer: iam.issuer, endpoint: s3.url, audience: AUDIENCE, bucket: DEMO_BUCKET },
    ...{ role: roles['wire-demo'], roles, root: parts.root, users: people },
    ...{ iam, s3, sts: parts.sts, keys: parts.keys, describe },
    [Symbol.asyncDispose]: async () => await closers[Symbol.asyncDispose](),
  };
}
