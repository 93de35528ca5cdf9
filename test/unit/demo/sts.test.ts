import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { XMLParser } from 'fast-xml-parser';
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { StoreDialect } from '../../../src/demo/dialect.ts';
import { readPolicy } from '../../../src/demo/policy/policy-document.ts';
import { IssuedKeys } from '../../../src/demo/sts/issued-keys.ts';
import { minioRoleArn } from '../../../src/demo/sts/minio-dialect.ts';
import {
  TokenService,
  type TokenServiceOptions,
} from '../../../src/demo/sts/security-token-service.ts';
import { FakeClock } from '../../fixtures/fake-clock.ts';

type KeyPair = Awaited<ReturnType<typeof generateKeyPair>>;

const AUDIENCE = 'wire-s3';
const ROLE = 'arn:aws:iam:::role/reader';
const read = readPolicy({
  Version: '2012-10-17',
  Statement: { Effect: 'Allow', Action: ['s3:GetObject', 's3:PutObject'], Resource: '*' },
});

let server: Server;
let issuer: string;
let keyPair: KeyPair;
let published: Record<string, unknown>[];
let keyFetches: number;
let clock: FakeClock;
let keys: IssuedKeys;
const life = new AbortController();

beforeAll(async () => {
  keyPair = await generateKeyPair('ES256');
  server = createServer((request, response) => {
    const { url = '' } = request;
    if (url === '/jwk') keyFetches += 1;
    const discovery = { issuer, jwks_uri: `${issuer}/jwk` };
    const body = url === '/jwk' ? { keys: published } : discovery;
    response.writeHead(url === '/gone/.well-known/openid-configuration' ? 503 : 200);
    response.end(JSON.stringify(body));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterAll(async () => {
  life.abort();
  server.close();
  server.closeAllConnections();
  await once(server, 'close');
});

beforeEach(async () => {
  published = [await publicKey(keyPair, 'one')];
  keyFetches = 0;
  clock = new FakeClock();
  keys = new IssuedKeys({ accessKeyId: 'root', secretAccessKey: 'secret' }, clock);
});

async function publicKey(pair: KeyPair, kid: string): Promise<Record<string, unknown>> {
  return { ...(await exportJWK(pair.publicKey)), kid };
}

function seconds(): number {
  return Math.floor(clock.now() / 1000);
}

/** A token that every dialect takes, except for `changes`; a claim set to undefined is left out. */
async function mint(
  changes: Readonly<Record<string, unknown>> = {},
  header: { readonly kid?: string; readonly pair?: KeyPair } = {},
): Promise<string> {
  const iat = seconds();
  const usual: JWTPayload = { iss: issuer, sub: 'alice-sub', aud: AUDIENCE, iat, exp: iat + 600 };
  const claims: JWTPayload = { ...usual, ...changes };
  return await new SignJWT(claims)
    .setProtectedHeader({ alg: 'ES256', kid: header.kid ?? 'one' })
    .sign((header.pair ?? keyPair).privateKey);
}

function service(dialect: StoreDialect, options: Partial<TokenServiceOptions> = {}): TokenService {
  const roles = [{ arn: dialect === 'minio' ? minioRoleArn(AUDIENCE) : ROLE, policies: [read] }];
  return new TokenService(
    { dialect, issuer, audiences: [AUDIENCE], roles, keys, clock, ...options },
    life.signal,
  );
}

type Form = Readonly<Record<string, string | undefined>>;

const parser = new XMLParser({ parseTagValue: false });

interface Tree {
  readonly [name: string]: string | Tree;
}

function branch(tree: Tree, ...path: readonly string[]): Tree | undefined {
  let at: string | Tree | undefined = tree;
  for (const name of path) at = typeof at === 'object' ? at[name] : undefined;
  return typeof at === 'object' ? at : undefined;
}

interface Answer {
  readonly status: number;
  readonly code: string;
  readonly message: string;
  readonly xml: string;
  readonly root: string;
  readonly credentials: Readonly<Record<string, string>>;
}

async function ask(sts: TokenService, dialect: StoreDialect, changes: Form = {}): Promise<Answer> {
  const fields: Form = {
    Action: 'AssumeRoleWithWebIdentity',
    Version: '2011-06-15',
    RoleArn: dialect === 'minio' ? minioRoleArn(AUDIENCE) : ROLE,
    RoleSessionName: 'test',
    WebIdentityToken: await mint(),
    ...changes,
  };
  const form = new URLSearchParams();
  for (const [name, value] of Object.entries(fields)) {
    if (value !== undefined) form.set(name, value);
  }
  const { status, xml } = await sts.answer(form);
  const document = parser.parse(xml) as Tree;
  const root = Object.keys(document).find((name) => name !== '?xml') ?? '';
  const error = branch(document, 'ErrorResponse', 'Error') ?? branch(document, 'Error') ?? {};
  const result = branch(document, root, 'AssumeRoleWithWebIdentityResult', 'Credentials');
  const credentials = (result ?? {}) as Readonly<Record<string, string>>;
  const { Code: code = '', Message: message = '' } = error as Form;
  return { status, code, message, xml, root, credentials };
}

const dialects: readonly StoreDialect[] = ['aws', 'minio', 'rgw'];

describe.each(dialects)('the %s token service', (dialect) => {
  const refused = async (changes: Form, options: Partial<TokenServiceOptions> = {}) => {
    const { status, code } = await ask(service(dialect, options), dialect, changes);
    return `${status} ${code}`;
  };
  /** What a fault of the token gives on this dialect. */
  const fault = (aws: string): string =>
    ({ aws, minio: '400 InvalidParameterValue', rgw: '403 AccessDenied' })[dialect];

  it('trades a token for keys that sign, carry their own session token and end in time', async () => {
    const answer = await ask(service(dialect), dialect, { DurationSeconds: '900' });
    expect(answer.status).toBe(200);
    const { AccessKeyId: id = '', Expiration: expiration = '' } = answer.credentials;
    const principal = keys.find(id);
    expect(principal).toMatchObject({
      name: 'alice-sub',
      secretAccessKey: answer.credentials['SecretAccessKey'],
      sessionToken: answer.credentials['SessionToken'],
      expiresAtMs: Date.parse(expiration),
    });
    expect(Date.parse(expiration)).toBe(clock.now() + 900_000);
    const namespace = 'xmlns="https://sts.amazonaws.com/doc/2011-06-15/"';
    expect(answer.xml.includes(namespace)).toBe(dialect !== 'rgw');
    expect(answer.xml).toContain('<SubjectFromWebIdentityToken>alice-sub<');
  });

  it('gives different keys each time', async () => {
    const sts = service(dialect);
    const [one, two] = [await ask(sts, dialect), await ask(sts, dialect)];
    for (const field of ['AccessKeyId', 'SecretAccessKey', 'SessionToken']) {
      expect(one.credentials[field]).not.toBe(two.credentials[field]);
    }
  });

  it('writes errors as its model does', async () => {
    const answer = await ask(service(dialect), dialect, { WebIdentityToken: 'aaaa.bbbb.cccc' });
    expect(answer.root).toBe(dialect === 'rgw' ? 'Error' : 'ErrorResponse');
    expect(answer.message === '').toBe(dialect === 'rgw');
  });

  it('refuses garbage, a foreign signature and a key nobody published', async () => {
    const stranger = await generateKeyPair('ES256');
    const invalid = fault('400 InvalidIdentityToken');
    expect(await refused({ WebIdentityToken: 'aaaa.bbbb.cccc' })).toBe(invalid);
    expect(await refused({ WebIdentityToken: await mint({}, { pair: stranger }) })).toBe(invalid);
    expect(await refused({ WebIdentityToken: await mint({}, { kid: 'zzz' }) })).toBe(invalid);
  });

  it('refuses an expired token the second it ends', async () => {
    const token = await mint({ exp: seconds() + 5 });
    const sts = service(dialect);
    await clock.advance(4_999);
    expect((await ask(sts, dialect, { WebIdentityToken: token })).status).toBe(200);
    await clock.advance(1);
    const answer = await ask(sts, dialect, { WebIdentityToken: token });
    expect(`${answer.status} ${answer.code}`).toBe(fault('400 ExpiredTokenException'));
    if (dialect === 'minio') expect(answer.message).toBe('Token is expired');
  });

  it('refuses a token from the future', async () => {
    const ahead = seconds() + 1;
    const invalid = fault('400 InvalidIdentityToken');
    expect(await refused({ WebIdentityToken: await mint({ iat: ahead }) })).toBe(invalid);
    expect(await refused({ WebIdentityToken: await mint({ nbf: ahead }) })).toBe(invalid);
  });

  it('refuses a token for somebody else and one for nobody', async () => {
    const invalid = fault('400 InvalidIdentityToken');
    expect(await refused({ WebIdentityToken: await mint({ aud: 'other' }) })).toBe(invalid);
    expect(await refused({ WebIdentityToken: await mint({ aud: undefined }) })).toBe(invalid);
    const nobody = dialect === 'rgw' ? '400 InvalidArgument' : invalid;
    expect(await refused({ WebIdentityToken: await mint({ sub: undefined }) })).toBe(nobody);
  });

  it('compares the issuer as its model does', async () => {
    const status = async (iss: string) =>
      (await ask(service(dialect), dialect, { WebIdentityToken: await mint({ iss }) })).status;
    // MinIO not at all, RGW to the letter.
    const [slash, foreign] = { aws: [200, 400], minio: [200, 200], rgw: [403, 403] }[dialect];
    expect(await status(`${issuer}/`)).toBe(slash);
    expect(await status('https://elsewhere.example')).toBe(foreign);
  });

  it('takes a rotated key at once, also under the same name', async () => {
    const sts = service(dialect);
    expect((await ask(sts, dialect)).status).toBe(200);
    const next = await generateKeyPair('ES256');
    published = [await publicKey(next, 'one')];
    const token = await mint({}, { pair: next });
    expect((await ask(sts, dialect, { WebIdentityToken: token })).status).toBe(200);
    expect((await ask(sts, dialect, { WebIdentityToken: token })).status).toBe(200);
    expect(keyFetches).toBe(2);
  });

  it('says so when the issuer cannot be reached', async () => {
    const expected = fault('400 IDPCommunicationError');
    expect(await refused({}, { issuer: `${issuer}/gone` })).toBe(expected);
  });

  it('wants a role that exists and trusts the token', async () => {
    const arn = dialect === 'minio' ? minioRoleArn(AUDIENCE) : ROLE;
    const bobOnly = [{ arn, policies: [read], subjects: ['bob-sub'] }];
    const otherAudience = [{ arn, policies: [read], audiences: ['other'] }];
    expect(await refused({}, { roles: bobOnly })).toBe('403 AccessDenied');
    expect(await refused({}, { roles: otherAudience })).toBe('403 AccessDenied');
    const odd = arn.replace(/role\/.*/, 'role/nope');
    expect(await refused({ RoleArn: odd })).toBe(fault('403 AccessDenied'));
    expect(await refused({ RoleArn: undefined })).toBe(fault('400 ValidationError'));
  });

  it.each(['899', '0', '-5', 'abc', '1.5', '99999999'])(
    'refuses a duration of %s seconds',
    async (DurationSeconds) => {
      const expected = {
        aws: '400 ValidationError',
        minio: '400 InvalidParameterValue',
        rgw: '400 InvalidArgument',
      };
      expect(await refused({ DurationSeconds })).toBe(expected[dialect]);
    },
  );

  it('takes short durations when told to', async () => {
    const answer = await ask(service(dialect, { minDurationSeconds: 1 }), dialect, {
      DurationSeconds: '2',
    });
    expect(Date.parse(answer.credentials['Expiration'] ?? '')).toBe(clock.now() + 2_000);
  });

  it('gives every lease the length that the playground sets', async () => {
    const sts = service(dialect, { leaseSeconds: 5 });
    const asked = await ask(sts, dialect, { DurationSeconds: '3600' });
    expect(Date.parse(asked.credentials['Expiration'] ?? '')).toBe(clock.now() + 5_000);
    sts.leaseSeconds = undefined;
    const free = await ask(sts, dialect, { DurationSeconds: '3600' });
    expect(Date.parse(free.credentials['Expiration'] ?? '')).toBe(clock.now() + 3_600_000);
  });

  it('ends every lease on demand, and no later than that', async () => {
    const sts = service(dialect);
    const { credentials } = await ask(sts, dialect);
    sts.expireAll();
    expect(keys.find(credentials['AccessKeyId'] ?? '')?.expiresAtMs).toBe(clock.now());
    await clock.advance(1_000);
    sts.expireAll();
    expect(keys.find(credentials['AccessKeyId'] ?? '')?.expiresAtMs).toBe(clock.now() - 1_000);
    expect(keys.find('root')?.expiresAtMs).toBeUndefined();
  });

  it('narrows keys by an inline policy and never widens them', async () => {
    const Policy = JSON.stringify({
      Version: '2012-10-17',
      Statement: { Effect: 'Allow', Action: ['s3:GetObject', 's3:DeleteObject'], Resource: '*' },
    });
    const { credentials } = await ask(service(dialect), dialect, { Policy });
    const principal = keys.find(credentials['AccessKeyId'] ?? '');
    const may = (action: string) => principal?.allows(action, { bucket: 'b', key: 'k' }, {});
    expect([may('s3:GetObject'), may('s3:PutObject'), may('s3:DeleteObject')]).toEqual([
      true,
      false,
      false,
    ]);
  });

  it('refuses an inline policy that is too long or no policy', async () => {
    const policyOf = (Sid: string) =>
      JSON.stringify({
        Version: '2012-10-17',
        Statement: [{ Sid, Effect: 'Allow', Action: 's3:*', Resource: '*' }],
      });
    const ofLength = (length: number) => policyOf('x'.repeat(length - policyOf('').length));
    const invalid = '400 InvalidParameterValue';
    const long = { aws: '400 ValidationError', minio: invalid, rgw: '400 PackedPolicyTooLarge' };
    expect(await refused({ Policy: ofLength(2048) })).toBe('200 ');
    expect(await refused({ Policy: ofLength(2049) })).toBe(long[dialect]);
    const malformed = dialect === 'minio' ? invalid : '400 MalformedPolicyDocument';
    expect(await refused({ Policy: '{' })).toBe(malformed);
  });

  it('refuses what needs a signature of a person, and what it does not know', async () => {
    expect(await refused({ Action: 'AssumeRole' })).toBe('403 AccessDenied');
    const unknown = {
      aws: '400 InvalidAction',
      minio: '400 InvalidParameterValue',
      rgw: '405 MethodNotAllowed',
    };
    expect(await refused({ Action: 'Dance' })).toBe(unknown[dialect]);
  });
});

describe('the MinIO token service', () => {
  const expiration = async (changes: Form): Promise<number> => {
    const { credentials } = await ask(service('minio'), 'minio', changes);
    return Date.parse(credentials['Expiration'] ?? '') - seconds() * 1000;
  };

  it('ends the lease with the token when no duration is asked', async () => {
    const token = await mint({ exp: seconds() + 5 });
    expect(await expiration({ WebIdentityToken: token })).toBe(5_000);
  });

  it('lets an asked duration outlive the token', async () => {
    const token = await mint({ exp: seconds() + 5 });
    const changes = { WebIdentityToken: token, DurationSeconds: '900' };
    expect(await expiration(changes)).toBe(900_000);
  });

  it('wants a duration for a token without end', async () => {
    const token = await mint({ exp: undefined });
    const { status, code } = await ask(service('minio'), 'minio', { WebIdentityToken: token });
    expect([status, code]).toEqual([500, 'InternalError']);
    const changes = { WebIdentityToken: token, DurationSeconds: '900' };
    expect(await expiration(changes)).toBe(900_000);
  });

  it('takes the audience from azp too, if there is any audience at all', async () => {
    const ok = await mint({ aud: 'other', azp: AUDIENCE });
    const none = await mint({ aud: undefined, azp: AUDIENCE });
    const list = await mint({ aud: ['other', AUDIENCE] });
    const status = async (WebIdentityToken: string) =>
      (await ask(service('minio'), 'minio', { WebIdentityToken })).status;
    expect([await status(ok), await status(none), await status(list)]).toEqual([200, 400, 200]);
  });

  it('names its role by the client id', () => {
    expect(minioRoleArn('wire-s3')).toBe('arn:minio:iam:::role/lX2Y1xUEIBbAV7rZ7EMUzZwWbWo');
  });

  it('says which role is missing', async () => {
    const message = async (RoleArn?: string) =>
      (await ask(service('minio'), 'minio', { RoleArn })).message;
    expect(await message()).toBe('Role arn:minio:iam:::role/dummy-internal does not exist');
    expect(await message('arn:aws:iam:::role/x')).toContain('invalid ARN - bad partition field');
    expect(await message('arn:minio:iam:::role/x')).toContain('is not defined');
  });

  it('wants the version of its interface', async () => {
    const { status, code } = await ask(service('minio'), 'minio', { Version: undefined });
    expect([status, code]).toEqual([400, 'MissingParameter']);
  });

  it('counts an inline policy without the space in it', async () => {
    const Policy = '{"Version":"2012-10-17","Statement":[]}'.padEnd(3000);
    expect((await ask(service('minio'), 'minio', { Policy })).status).toBe(200);
  });

  it('wants a Version in an inline policy', async () => {
    const { status, message } = await ask(service('minio'), 'minio', {
      Policy: '{"Statement":[]}',
    });
    expect([status, message]).toEqual([400, "Version cannot be empty expecting '2012-10-17'"]);
  });

  describe('in claim mode', () => {
    const policyClaim = { name: 'policy', policies: { reader: read } };
    const status = async (policy: unknown, RoleArn?: string) => {
      const WebIdentityToken = await mint({ policy });
      const sts = service('minio', { policyClaim });
      return (await ask(sts, 'minio', { WebIdentityToken, RoleArn })).status;
    };

    it('ignores the role', async () => {
      expect(await status('reader')).toBe(200);
      expect(await status('reader', 'garbage')).toBe(200);
    });

    it('takes a list or a text with commas, if one name exists', async () => {
      expect(await status(['nope', 'reader'])).toBe(200);
      expect(await status('nope, reader')).toBe(200);
      expect(await status('nope')).toBe(400);
      expect(await status('toString')).toBe(400);
      expect(await status(undefined)).toBe(400);
    });
  });
});

describe('the RGW token service', () => {
  it('takes any of several audiences', async () => {
    const status = async (aud: string[]) =>
      (await ask(service('rgw'), 'rgw', { WebIdentityToken: await mint({ aud }) })).status;
    expect(await status([AUDIENCE, 'other'])).toBe(200);
    expect(await status(['zz', AUDIENCE, 'aa'])).toBe(200);
    expect(await status(['zz', 'aa'])).toBe(403);
  });

  it('takes a token without an end', async () => {
    const WebIdentityToken = await mint({ exp: undefined });
    expect((await ask(service('rgw'), 'rgw', { WebIdentityToken })).status).toBe(200);
  });

  it('wants a session name of 2 to 64 characters', async () => {
    const status = async (RoleSessionName: string | undefined) =>
      (await ask(service('rgw'), 'rgw', { RoleSessionName })).status;
    expect(await status(undefined)).toBe(403);
    expect(await status('x')).toBe(400);
    expect(await status('x'.repeat(64))).toBe(200);
    expect(await status('x'.repeat(65))).toBe(400);
  });

  it('can insist on certificates as version 16 does', async () => {
    const sts = service('rgw', { x5cRequired: true });
    expect((await ask(sts, 'rgw')).status).toBe(403);
    published = [{ ...published[0], x5c: ['MIIB'] }];
    expect((await ask(sts, 'rgw')).status).toBe(200);
  });
});

describe.each(['aws', 'rgw'] as const)('the %s token service', (dialect) => {
  it('allows more than an hour only where the role does', async () => {
    const roles = [{ arn: ROLE, policies: [read], maxDurationSeconds: 7200 }];
    const status = async (options: Partial<TokenServiceOptions>) =>
      (await ask(service(dialect, options), dialect, { DurationSeconds: '7200' })).status;
    expect(await status({})).toBe(400);
    expect(await status({ roles })).toBe(200);
  });
});

describe('issued keys', () => {
  it('let claims decide, and requests cannot bring claims of their own', () => {
    const own = readPolicy({
      Version: '2012-10-17',
      Statement: {
        Effect: 'Allow',
        Action: 's3:*',
        Resource: '*',
        Condition: { StringEquals: { 'jwt:sub': 'alice-sub' } },
      },
    });
    const grant = { name: 'x', policies: { granted: [own] }, expiresAtMs: 0 };
    const alice = keys.issue({ ...grant, variables: { 'jwt:sub': ['alice-sub'] } });
    const bob = keys.issue({ ...grant, variables: { 'jwt:sub': ['bob-sub'] } });
    expect(alice.allows('s3:GetObject', { bucket: 'b', key: 'k' }, {})).toBe(true);
    for (const forged of ['jwt:sub', 'JWT:SUB']) {
      const conditions = { [forged]: 'alice-sub' };
      expect(bob.allows('s3:GetObject', { bucket: 'b', key: 'k' }, conditions)).toBe(false);
    }
  });

  it('forget the oldest of ten thousand', () => {
    const grant = { name: 'x', policies: { granted: [] }, variables: {}, expiresAtMs: 0 };
    const first = keys.issue(grant);
    const second = keys.issue(grant);
    for (let count = 2; count <= 10_000; count += 1) keys.issue(grant);
    expect(keys.find(first.accessKeyId)).toBeUndefined();
    expect(keys.find(second.accessKeyId)).toBe(second);
  });
});
