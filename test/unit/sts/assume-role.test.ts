import { inspect } from 'node:util';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { Secret } from '../../../src/lib/secret.ts';
import { WireError } from '../../../src/lib/wire-error.ts';
import type { HttpOptions } from '../../../src/net/http.ts';
import {
  type AssumeRoleRequest,
  assumeRoleWithWebIdentity,
  requestLease,
} from '../../../src/sts/assume-role.ts';
import { FakeClock } from '../../fixtures/fake-clock.ts';
import { unsignedJwt } from '../../fixtures/fake-issuer.ts';
import { awsError, FakeSts, type StsAnswer, s3Error } from '../../fixtures/fake-sts.ts';

const signal = new AbortController().signal;
let clock: FakeClock;
let sts: FakeSts;

beforeEach(async () => {
  clock = new FakeClock();
  sts = await FakeSts.start(() => clock.now());
});
afterEach(async () => await sts[Symbol.asyncDispose]());

function tokenOf(claims: Readonly<Record<string, unknown>> = {}): Secret {
  const exp = Math.floor(clock.now() / 1000) + 3600;
  return new Secret(unsignedJwt({ sub: 'alice', aud: 'object', exp, iat: exp - 7200, ...claims }));
}

function request(over: Partial<AssumeRoleRequest> = {}): AssumeRoleRequest {
  return { endpoint: sts.url, token: tokenOf(), sessionName: 'alice', ...over };
}

async function failure(answer: StsAnswer, over: Partial<AssumeRoleRequest> = {}) {
  sts.answers.push(answer);
  const asked = request(over);
  const error: unknown = await assumeRoleWithWebIdentity(asked, { clock }, signal).catch(
    (reason: unknown) => reason,
  );
  if (!(error instanceof WireError)) throw new Error(`no WireError: ${inspect(error)}`);
  const printed =
    inspect(error, { depth: 9, showHidden: true }) + JSON.stringify(error) + error.toLine();
  expect(printed).not.toContain(asked.token.reveal());
  return error;
}

describe('AssumeRoleWithWebIdentity', () => {
  it('gives the credentials of the reply and hides their secrets', async () => {
    const credentials = await assumeRoleWithWebIdentity(request(), { clock }, signal);
    expect(credentials.accessKeyId).toBe('AK1');
    expect(credentials.secretAccessKey.reveal()).toBe('sts-secret-1');
    // A number to a careless parser.
    expect(credentials.sessionToken.reveal()).toBe('00123456789012345678901');
    expect(credentials.expiresAtMs).toBe(clock.now() + 3_600_000);
    expect(inspect(credentials)).not.toContain('sts-secret');
  });

  it('sends everything in the body, spaces as %20', async () => {
    const policy = '{"Version":"2012-10-17","Statement":["a b+c"]}';
    const roleArn = 'arn:aws:iam:::role/S3';
    const over = { policy, roleArn, durationSeconds: 900, sessionName: 'a b/ü' };
    await assumeRoleWithWebIdentity(request(over), { clock }, signal);
    expect(sts.urls).toEqual(['/']);
    expect(sts.bodies[0]).not.toContain('+');
    expect(sts.bodies[0]).toContain('a%20b%2Bc');
    expect(Object.fromEntries(new URLSearchParams(sts.bodies[0]))).toMatchObject({
      Action: 'AssumeRoleWithWebIdentity',
      Version: '2011-06-15',
      RoleArn: roleArn,
      DurationSeconds: '900',
      Policy: policy,
      RoleSessionName: 'a-b--',
    });
  });

  it('reads the errors of AWS and MinIO', async () => {
    const error = await failure(awsError(400, 'InvalidParameterValue', 'It&#39;s &lt;bad&gt;'));
    expect(error.kind).toBe('identity-refused');
    expect(error.message).toContain("400 InvalidParameterValue (It's <bad>)");
  });

  it('reads the errors of Ceph RGW', async () => {
    const error = await failure(s3Error(403, 'AccessDenied'), { roleArn: 'arn:aws:iam:::role/X' });
    expect(error.kind).toBe('identity-refused');
    expect(error.toLine()).toContain('403 AccessDenied');
    expect(error.toLine()).toContain('arn:aws:iam:::role/X trusts');
  });

  it.each([
    ['AWS', '{"Error":{"Code":"InvalidIdentityToken","Message":"bad"},"RequestId":"1"}'],
    ['a gateway', ' {"ErrorResponse":{"Error":{"Code":"InvalidIdentityToken","Message":"bad"}}}'],
  ])('reads the errors of %s in JSON', async (_, text) => {
    const error = await failure({ status: 400, text });
    expect(error.message).toContain('400 InvalidIdentityToken (bad)');
  });

  it.each([
    ['nothing', ''],
    ['half of JSON', '{"Error":{"Code":"Inv'],
    ['JSON of another shape', '{"Error":"no","Code":7}'],
    ['half of XML', '<ErrorResponse><Error><Code>Acc'],
    ['a list', '[1]'],
    ['zeros', '\0\0\0'],
  ])('says so when the answer is %s', async (_, text) => {
    const error = await failure({ status: 403, text });
    expect(error.kind).toBe('identity-refused');
    expect(error.toLine()).toContain('--endpoint');
  });

  it('gives up a reply without end', async () => {
    const error = await failure({ status: 400, text: 'x'.repeat(2 ** 20 + 1) });
    expect(error.kind).toBe('unreachable');
    expect(error.message).toContain('more than 1048576 bytes');
  });

  it.each(['AccessKeyId', 'SecretAccessKey', 'SessionToken', 'Expiration'])(
    'takes no credentials without %s',
    async (name) => {
      const all = ['AccessKeyId', 'SecretAccessKey', 'SessionToken', 'Expiration'];
      const fields = all.filter((one) => one !== name).map((one) => `<${one}>2026</${one}>`);
      const text = `<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>${fields.join('')}</Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`;
      expect((await failure({ status: 200, text })).kind).toBe('unavailable');
    },
  );

  it('believes the end in the reply, whatever was asked for', async () => {
    sts.lifeMs = 42_000;
    const asked = request({ durationSeconds: 3600 });
    const { credentials, lifeMs } = await requestLease(asked, { clock }, signal);
    expect(credentials.expiresAtMs).toBe(clock.now() + 42_000);
    expect(lifeMs).toBe(42_000);
  });

  it('sends neither the audience nor the issuer', async () => {
    const over = { audience: 'wire-s3', issuer: 'https://iam.example' };
    await assumeRoleWithWebIdentity(request(over), { clock }, signal);
    expect(sts.bodies[0]).not.toMatch(/wire-s3|iam\.example/);
  });

  it('says for whom the token is when it is refused', async () => {
    const error = await failure(s3Error(403, 'AccessDenied'));
    expect(error.toLine()).toContain('--audience (the token is for object)');
  });

  it('names --duration among the reasons only when one was asked for', async () => {
    const asked = await failure(s3Error(400, 'InvalidArgument'), { durationSeconds: 60 });
    expect(asked.toLine()).toContain('--duration (900s or more');
    const plain = await failure(s3Error(400, 'InvalidArgument'));
    expect(plain.toLine()).not.toContain('--duration');
  });

  it('says that the token is for another audience than was asked for', async () => {
    const error = await failure(s3Error(403, 'AccessDenied'), { audience: 'wire-s3' });
    expect(error.toLine()).toContain('the access token is for object, not for wire-s3');
  });

  it('asks the provider why only when the token tells nothing', async () => {
    const asked: string[] = [];
    const issuer = 'https://iam.example';
    const overHttp: HttpOptions = {
      fetch: async (url, init) => {
        const { url: href } = new Request(url);
        if (!href.startsWith(issuer)) return await fetch(url, init);
        asked.push(href);
        return new Response(JSON.stringify({ issuer: `${issuer}/`, jwks_uri: `${issuer}/jwk` }));
      },
    };
    const refused = async (token: Secret): Promise<unknown> => {
      sts.answers.push(s3Error(403, 'AccessDenied'));
      const body = request({ token, issuer });
      return await requestLease(body, { ...overHttp, clock }, signal).catch((e: unknown) => e);
    };
    const told = await refused(tokenOf({ iss: issuer, exp: 1 }));
    expect(asked).toEqual([]);
    expect(String(told)).toContain('expired');
    expect(String(await refused(tokenOf({ iss: issuer })))).toContain('compares to the letter');
    expect(asked).toHaveLength(2);
  });

  it('says that the token has no audience', async () => {
    const refused = awsError(400, 'InvalidParameterValue', 'aud claim invalid');
    const error = await failure(refused, { token: tokenOf({ aud: undefined }) });
    expect(error.toLine()).toContain('--audience');
  });

  it('says that the token had expired', async () => {
    const refused = awsError(400, 'InvalidParameterValue', 'Token is expired');
    const error = await failure(refused, { token: tokenOf({ exp: 1 }) });
    expect(error.toLine()).toContain('expired');
  });

  it('keeps an echoed token out of the error', async () => {
    const token = new Secret('opaque-token-value');
    const error = await failure(awsError(400, 'InvalidIdentityToken', token.reveal()), { token });
    expect(error.message).toContain('[secret]');
  });

  it('keeps every secret of this process out of it, also one that is cut off at the end', async () => {
    const other = new Secret('some-other-secret-of-this-process-that-a-gateway-quotes');
    const start = other.reveal().slice(0, 20);
    for (const before of [150, 185, 195, 4060, 4090]) {
      const words = `${'x'.repeat(before)} ${other.reveal()} ${'y'.repeat(400)}`;
      for (const answer of [
        awsError(400, 'AccessDenied', words),
        { status: 404, text: words },
        { status: 404, text: `<html><title>${'x'.repeat(before % 390)} ${other.reveal()}</title>` },
      ]) {
        expect((await failure(answer)).toLine()).not.toContain(start);
      }
    }
  });

  it.each([
    ['a server that is not ready', awsError(503, 'STSNotInitialized', '')],
    ['a server that cannot ask the provider', awsError(400, 'IDPCommunicationError', '')],
    ['a page of a proxy', { status: 502, text: '<html><title>Bad Gateway</title></html>' }],
    ['a page in place of a reply', { status: 200, text: '<html><title>WiFi</title></html>' }],
  ])('may be tried again after %s', async (_, answer) => {
    expect((await failure(answer)).kind).toBe('unavailable');
  });

  it('says when the endpoint is no STS', async () => {
    const error = await failure({ status: 404, text: '<html><title>Not Found</title></html>' });
    expect(error.kind).toBe('identity-refused');
    expect(error.toLine()).toContain('--endpoint');
    expect(error.toLine()).toContain('Not Found');
  });

  it('is unreachable when the connection breaks', async () => {
    expect((await failure({ status: 200, text: '', drop: true })).kind).toBe('unreachable');
  });

  it('survives XML that tries to blow up', async () => {
    const entities = Array.from({ length: 9 }, (_, i) => `<!ENTITY l${i + 1} "&l${i};&l${i};">`);
    const text = `<!DOCTYPE x [<!ENTITY l0 "ha">${entities.join('')}]><Error><Code>&l9;</Code></Error>`;
    const error = await failure({ status: 400, text });
    expect(error.message.length).toBeLessThan(400);
  });

  it('refuses to send a token unencrypted to another machine', async () => {
    const asked = request({ endpoint: 'http://s3.example/' });
    await expect(assumeRoleWithWebIdentity(asked, { clock }, signal)).rejects.toMatchObject({
      kind: 'config',
    });
  });

  it.each([
    [1, 1500],
    [2, 2250],
  ])(
    'tries a token of %i s ahead once more when it is good, after %i ms',
    async (aheadS, waitMs) => {
      sts.answers.push(awsError(400, 'InvalidParameterValue', 'Token used before issued'));
      const young = tokenOf({ iat: Math.floor(clock.now() / 1000) + aheadS });
      const answer = assumeRoleWithWebIdentity(request({ token: young }), { clock }, signal);
      await clock.sleeper();
      expect(clock.nextDueMs).toBe(waitMs);
      await clock.advance(waitMs);
      expect((await answer).accessKeyId).toBe('AK2');
    },
  );

  it('tries a token of this very second once more at an STS that gives no reason', async () => {
    sts.answers.push(s3Error(403, 'AccessDenied'));
    const young = tokenOf({ iat: Math.floor(clock.now() / 1000) });
    const answer = assumeRoleWithWebIdentity(request({ token: young }), { clock }, signal);
    await clock.sleeper();
    await clock.advance(1500);
    expect((await answer).accessKeyId).toBe('AK2');
  });

  it('tries a young token no third time', async () => {
    const no = awsError(400, 'InvalidParameterValue', 'Token used before issued');
    sts.answers.push(no, no);
    const young = tokenOf({ iat: Math.floor(clock.now() / 1000) + 1 });
    const answer = assumeRoleWithWebIdentity(request({ token: young }), { clock }, signal);
    answer.catch(() => undefined);
    await clock.sleeper();
    await clock.advance(1500);
    await expect(answer).rejects.toMatchObject({ kind: 'identity-refused' });
    expect(sts.bodies).toHaveLength(2);
  });

  it('does not try an old token once more', async () => {
    await failure(awsError(400, 'InvalidParameterValue', 'no'));
    expect(sts.bodies).toHaveLength(1);
  });

  it("counts a lease's life by the server's clock when ours is wrong", async () => {
    const wrong = new FakeClock(clock.now() + 7_200_000);
    sts.lifeMs = 60_000;
    const { lifeMs } = await requestLease(request(), { clock: wrong }, signal);
    expect(lifeMs).toBe(59_000);
  });
});
