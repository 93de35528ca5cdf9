import {
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListBucketsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  S3ServiceException,
} from '@aws-sdk/client-s3';
import { XMLParser } from 'fast-xml-parser';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runConformance } from '../../../scripts/conformance/run.ts';
import type { IamDialect, StoreDialect } from '../../../src/demo/dialect.ts';
import type { IamUser } from '../../../src/demo/iam/options.ts';
import { type Playground, startPlayground } from '../../../src/demo/playground.ts';
import { guide } from '../../../src/demo/playground-guide.ts';
import { alice, bob, type RoleName } from '../../../src/demo/playground-people.ts';

const { signal } = new AbortController();
const parser = new XMLParser({ parseTagValue: false });

interface Keys {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string;
  readonly expiration: Date;
}

beforeAll(() => {
  process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] = 'true';
});

async function assume(
  playground: Playground,
  user: IamUser,
  role: RoleName,
  extra: Readonly<Record<string, string>> = {},
): Promise<Keys> {
  const claims = { sub: user.sub, preferred_username: user.name, groups: [...user.groups] };
  const token = await playground.iam.mint(claims, { audience: playground.audience });
  const body = new URLSearchParams({
    Action: 'AssumeRoleWithWebIdentity',
    Version: '2011-06-15',
    RoleArn: playground.roles[role],
    RoleSessionName: user.name,
    WebIdentityToken: token,
    ...extra,
  });
  const response = await fetch(playground.endpoint, { method: 'POST', body, signal });
  const text = await response.text();
  if (!response.ok) throw new Error(`STS answered ${response.status}`);
  const found = /<Credentials>.*<\/Credentials>/s.exec(text)?.[0] ?? '';
  const { Credentials: keys } = parser.parse(found) as {
    readonly Credentials: Readonly<Record<string, string>>;
  };
  const field = (name: string): string => keys[name] ?? '';
  return {
    accessKeyId: field('AccessKeyId'),
    secretAccessKey: field('SecretAccessKey'),
    sessionToken: field('SessionToken'),
    expiration: new Date(field('Expiration')),
  };
}

function clientOf(playground: Playground, credentials: Omit<Keys, 'expiration'>): S3Client {
  return new S3Client({
    endpoint: playground.endpoint,
    region: 'us-east-1',
    forcePathStyle: true,
    maxAttempts: 1,
    credentials,
  });
}

async function outcome(request: Promise<unknown>): Promise<string> {
  try {
    await request;
    return 'ok';
  } catch (error) {
    if (!(error instanceof S3ServiceException)) throw error;
    return String(error.$metadata.httpStatusCode);
  }
}

const Bucket = 'wire-demo';
const put = (Key: string) => new PutObjectCommand({ Bucket, Key, Body: 'x' });
const get = (Key: string) => new GetObjectCommand({ Bucket, Key });
const list = (Prefix: string) => new ListObjectsV2Command({ Bucket, Prefix, Delimiter: '/' });

/** The checks that MinIO of 2026-02 and Ceph RGW 16.2.15 themselves fail. */
const notKept: Readonly<Record<StoreDialect, readonly string[]>> = {
  aws: [],
  minio: ['UploadPartCopy into an upload with checksums', 'keys in UTF-8 byte order'],
  rgw: [
    'put small: the CRC32 is echoed',
    'put a stream (aws-chunked with trailer): stored without the framing',
    'wrong CRC32 is refused',
    'completion with If-None-Match:* over an object: 412',
    'completion with a wrong If-Match: 412',
    'copy with a wrong x-amz-copy-source-if-match: 412',
    'multipart 5+5+1 MiB in parallel: ETag ends in -3',
    'ListParts, ListMultipartUploads, abort: NoSuchUpload',
    'completion of an upload that is gone: NoSuchUpload',
    'wrong secret: SignatureDoesNotMatch',
    'unknown key: InvalidAccessKeyId',
  ],
};

const storeDialects: readonly StoreDialect[] = ['aws', 'minio', 'rgw'];

describe.each(storeDialects)('the %s playground', (storeDialect) => {
  const iamDialect: IamDialect = storeDialect === 'rgw' ? 'indigo' : 'standard';
  /** InvalidToken and ExpiredToken of AWS are 400; the others deny. */
  const invalidSession = storeDialect === 'aws' ? '400' : '403';
  let playground: Playground;
  let asAlice: S3Client;

  beforeAll(async () => {
    playground = await startPlayground({ storeDialect, iamDialect }, signal);
    for (const key of ['users/alice/own.txt', 'users/bob/secret.txt', 'public/p.txt']) {
      playground.s3.foreign.putObject(Bucket, key, 'x');
    }
    asAlice = clientOf(playground, await assume(playground, alice, 'personal'));
  });

  afterAll(async () => {
    asAlice.destroy();
    await playground[Symbol.asyncDispose]();
  });

  it('lets a person do everything in their own folder and bucket', async () => {
    const own = [
      asAlice.send(get('users/alice/own.txt')),
      asAlice.send(put('users/alice/new.txt')),
      asAlice.send(list('users/alice/')),
      asAlice.send(get('public/p.txt')),
      asAlice.send(new PutObjectCommand({ Bucket: 'alice', Key: 'k', Body: 'x' })),
      asAlice.send(new ListObjectsV2Command({ Bucket: 'alice' })),
    ];
    expect(await Promise.all(own.map(outcome))).toEqual(own.map(() => 'ok'));
  });

  it('keeps a person out of the rest, and says nothing of what is there', async () => {
    const key = 'users/bob/secret.txt';
    const foreign = [
      asAlice.send(get(key)),
      asAlice.send(get('users/bob/none.txt')),
      asAlice.send(new HeadObjectCommand({ Bucket, Key: key })),
      asAlice.send(put('users/bob/evil.txt')),
      asAlice.send(put('users/alicex/x')),
      asAlice.send(put('public/p.txt')),
      asAlice.send(new DeleteObjectCommand({ Bucket, Key: key })),
      asAlice.send(
        new CopyObjectCommand({ Bucket, Key: 'users/alice/c', CopySource: `${Bucket}/${key}` }),
      ),
      asAlice.send(list('users/bob/')),
      asAlice.send(list('')),
      asAlice.send(new CreateMultipartUploadCommand({ Bucket, Key: 'users/bob/m' })),
      asAlice.send(new ListObjectsV2Command({ Bucket: 'bob' })),
    ];
    expect(await Promise.all(foreign.map(outcome))).toEqual(foreign.map(() => '403'));
    const left = playground.s3.foreign.objects(Bucket).map((object) => object.key);
    expect(left.filter((one) => one.startsWith('users/bob/'))).toEqual([key]);
  });

  it('gives alice all of the demo bucket by the role for it, and bob only his part', async () => {
    for (const [user, expected] of [
      [alice, 'ok'],
      [bob, '403'],
    ] as const) {
      const client = clientOf(playground, await assume(playground, user, 'wire-demo'));
      const requests = [
        client.send(list('')),
        client.send(get('users/alice/own.txt')),
        client.send(put(`anywhere/${user.name}`)),
      ];
      expect(await Promise.all(requests.map(outcome))).toEqual(requests.map(() => expected));
      expect(await outcome(client.send(put(`users/${user.name}/mine`)))).toBe('ok');
      client.destroy();
    }
  });

  it('lets the read-only role read and no more', async () => {
    const client = clientOf(playground, await assume(playground, bob, 'read-only'));
    expect(await outcome(client.send(get('users/alice/own.txt')))).toBe('ok');
    expect(await outcome(client.send(put('users/bob/x')))).toBe('403');
    client.destroy();
  });

  it('trusts nobody but alice with the role that is hers', async () => {
    await expect(assume(playground, alice, 'alice-only')).resolves.toBeDefined();
    await expect(assume(playground, bob, 'alice-only')).rejects.toThrow('STS answered 403');
  });

  it('narrows a session by its own policy', async () => {
    const Policy = JSON.stringify({
      Version: '2012-10-17',
      Statement: [
        { Effect: 'Allow', Action: ['s3:GetObject'], Resource: [`arn:aws:s3:::${Bucket}/*`] },
      ],
    });
    const client = clientOf(playground, await assume(playground, alice, 'personal', { Policy }));
    expect(await outcome(client.send(get('users/alice/own.txt')))).toBe('ok');
    expect(await outcome(client.send(put('users/alice/zz')))).toBe('403');
    expect(await outcome(client.send(get('users/bob/secret.txt')))).toBe('403');
    client.destroy();
  });

  it('lists the buckets', async () => {
    const root = clientOf(playground, { ...playground.root, sessionToken: '' });
    const { Buckets: buckets = [] } = await root.send(new ListBucketsCommand());
    expect(buckets.map(({ Name }) => Name)).toEqual(['alice', 'bob', 'wire-demo']);
    root.destroy();
  });

  it('refuses a session whose token was swapped for another', async () => {
    const keys = await assume(playground, alice, 'personal');
    const { sessionToken } = await assume(playground, alice, 'personal');
    const client = clientOf(playground, { ...keys, sessionToken });
    expect(await outcome(client.send(get('users/alice/own.txt')))).toBe(invalidSession);
    client.destroy();
  });

  it('refuses every session once it is told that they have ended', async () => {
    const client = clientOf(playground, await assume(playground, alice, 'personal'));
    expect(await outcome(client.send(get('public/p.txt')))).toBe('ok');
    playground.sts.expireAll();
    expect(await outcome(client.send(get('public/p.txt')))).toBe(invalidSession);
    client.destroy();
  });

  it('keeps what its model keeps of S3', async () => {
    const results = await runConformance({ url: playground.endpoint }, playground.root, signal);
    const missing = results.filter(({ passed }) => !passed).map(({ name }) => name);
    expect(results).toHaveLength(50);
    expect(missing).toEqual(notKept[storeDialect]);
  });
});

describe('a playground', () => {
  it('gives leases of the length it is told', async () => {
    await using playground = await startPlayground({ leaseSeconds: 5 }, signal);
    const before = Date.now();
    const { expiration } = await assume(playground, alice, 'personal', { DurationSeconds: '3600' });
    const life = expiration.getTime() - before;
    // AWS writes whole seconds: up to one of them is lost.
    expect(life).toBeGreaterThan(3_900);
    expect(life).toBeLessThan(7_000);
  });

  it('explains itself without the secret of its root in its description', async () => {
    await using playground = await startPlayground({}, signal);
    const { endpoint, issuer, role, root } = playground;
    const described = playground.describe().join('\n');
    expect(described).toContain(endpoint);
    expect(described).not.toContain(root.secretAccessKey);
    const text = guide(playground, 'wire').join('\n');
    expect(text).toContain(`wire login ${issuer} --audience wire-s3`);
    expect(text).toContain(`--role ${role}`);
  });

  it('is gone after disposal', async () => {
    const playground = await startPlayground({}, signal);
    const { endpoint, issuer } = playground;
    await playground[Symbol.asyncDispose]();
    await expect(fetch(endpoint)).rejects.toThrow();
    await expect(fetch(issuer)).rejects.toThrow();
  });

  it('takes the ports it is given, and leaves nothing when one is taken', async () => {
    const first = await startPlayground({}, signal);
    const port = Number(new URL(first.endpoint).port);
    await expect(startPlayground({ storePort: port }, signal)).rejects.toThrow('EADDRINUSE');
    await first[Symbol.asyncDispose]();
    await using second = await startPlayground({ storePort: port }, signal);
    expect(second.endpoint).toBe(first.endpoint);
  });

  it('does not start when it is told to stop', async () => {
    const stopped = AbortSignal.abort(new Error('stop'));
    await expect(startPlayground({}, stopped)).rejects.toThrow('stop');
  });
});
