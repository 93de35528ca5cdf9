import { describe, expect, it } from 'vitest';

import { Secret } from '../../../src/lib/secret.ts';
import type { HttpOptions } from '../../../src/net/http.ts';
import { stsEndpointOf } from '../../../src/sts/endpoint.ts';
import { providerConcerns, tokenConcerns } from '../../../src/sts/preflight.ts';
import { roleArnOf } from '../../../src/sts/role.ts';
import { unsignedJwt } from '../../fixtures/fake-issuer.ts';

const nowMs = 1_000_000_000_000;
const good = { sub: 'u1', aud: ['object'], iat: nowMs / 1000 - 5, exp: nowMs / 1000 + 60 };

function kinds(claims: Readonly<Record<string, unknown>>, audience?: string): readonly string[] {
  const token = new Secret(unsignedJwt({ ...good, ...claims }));
  const expectation = audience === undefined ? { nowMs } : { nowMs, audience };
  return tokenConcerns(token, expectation).map(({ kind }) => kind);
}

describe('before a token is sent', () => {
  it('a good one raises no concern', () => expect(kinds({}, 'object')).toEqual([]));
  it('a missing audience is told', () =>
    expect(kinds({ aud: undefined })).toEqual(['no-audience']));
  it('an empty audience is told', () => expect(kinds({ aud: '' })).toEqual(['no-audience']));
  it('a wrong audience is told', () => expect(kinds({}, 'wire-s3')).toEqual(['wrong-audience']));
  it('an azp in place of the audience will do', () =>
    expect(kinds({ azp: 'wire-s3' }, 'wire-s3')).toEqual([]));
  it('an end in the past is told', () => expect(kinds({ exp: nowMs / 1000 })).toEqual(['expired']));
  it('a start in the future is told', () =>
    expect(kinds({ nbf: nowMs / 1000 + 9 })).toEqual(['not-yet-valid']));
  it('a missing person is told', () => expect(kinds({ sub: undefined })).toEqual(['no-subject']));
  it.each(['opaque', 'a.b.c', 'a.bnVsbA.c', ''])('%s is no JWT', (text) => {
    expect(tokenConcerns(new Secret(text), { nowMs })).toMatchObject([{ kind: 'opaque' }]);
  });
});

describe('after a refusal, the provider itself', () => {
  const issuer = 'https://iam.example';

  /** A provider whose discovery says `published` and whose keys are `keys`. */
  function provider(published: string, keys: unknown): HttpOptions {
    const jwks = `${issuer}/jwk`;
    const pages: Readonly<Record<string, unknown>> = {
      [`${issuer}/.well-known/openid-configuration`]: { issuer: published, jwks_uri: jwks },
      [jwks]: keys,
    };
    return {
      fetch: (url) => {
        const page = pages[new Request(url).url];
        const text = typeof page === 'string' ? page : JSON.stringify(page);
        return Promise.resolve(new Response(text, { status: page === undefined ? 404 : 200 }));
      },
    };
  }

  async function told(iss: string, http: HttpOptions): Promise<readonly string[]> {
    const token = new Secret(unsignedJwt({ ...good, iss }));
    const concerns = await providerConcerns(token, issuer, http, new AbortController().signal);
    return concerns.map(({ kind }) => kind);
  }

  const certified = { keys: [{ kty: 'RSA', x5c: ['MII'] }] };

  it('is fine when its tokens say what it says, and its keys have certificates', async () => {
    expect(await told(`${issuer}/`, provider(`${issuer}/`, certified))).toEqual([]);
  });
  it('that calls itself with a slash where its tokens have none is told', async () => {
    expect(await told(issuer, provider(`${issuer}/`, certified))).toEqual(['issuer-slash']);
  });
  it('whose keys have no certificates is told', async () => {
    const bare = provider(issuer, { keys: [{ kty: 'RSA' }, { kty: 'EC' }] });
    expect(await told(issuer, bare)).toEqual(['no-certificates']);
  });
  it('is not spoken of when the token is of another one', async () => {
    expect(await told('https://other.example', provider(issuer, { keys: [{}] }))).toEqual([]);
  });
  it.each([
    ['no keys', { keys: [] }],
    ['a page', '<html>'],
    ['nothing', undefined],
    ['a number', 7],
  ])('that publishes %s tells nothing', async (_, keys) => {
    expect(await told(issuer, provider(issuer, keys))).toEqual([]);
  });
});

describe('a role', () => {
  it('may be a name', () => expect(roleArnOf('S3Access')).toBe('arn:aws:iam:::role/S3Access'));
  it('may be of a tenant, or of an account', () => {
    expect(roleArnOf('cms:S3Access')).toBe('arn:aws:iam::cms:role/S3Access');
    expect(roleArnOf('cms$S3Access')).toBe('arn:aws:iam::cms:role/S3Access');
    expect(roleArnOf('123456789012:data/reader')).toBe(
      'arn:aws:iam::123456789012:role/data/reader',
    );
  });
  it('may be a whole ARN', () => {
    expect(roleArnOf('arn:minio:iam:::role/x')).toBe('arn:minio:iam:::role/x');
  });
});

describe('the STS that goes with an endpoint', () => {
  it.each([
    ['https://s3.eu-south-1.amazonaws.com', 'https://sts.eu-south-1.amazonaws.com'],
    ['https://s3.dualstack.eu-west-3.amazonaws.com/', 'https://sts.eu-west-3.amazonaws.com'],
    ['https://s3-fips.us-gov-west-1.amazonaws.com', 'https://sts.us-gov-west-1.amazonaws.com'],
    ['https://s3-us-west-2.amazonaws.com', 'https://sts.us-west-2.amazonaws.com'],
    ['https://b.s3.eu-south-1.amazonaws.com', 'https://sts.eu-south-1.amazonaws.com'],
    ['https://s3.cn-north-1.amazonaws.com.cn', 'https://sts.cn-north-1.amazonaws.com.cn'],
    ['https://s3.amazonaws.com', 'https://sts.sa-east-1.amazonaws.com'],
  ])('%s is AWS\u2019s of the region', (endpoint, sts) => {
    expect(stsEndpointOf(endpoint, 'sa-east-1')).toBe(sts);
  });
  it.each([
    'https://s3.example.org',
    'https://rgw.cloud.infn.it',
    'http://127.0.0.1:9000',
    'https://s3.eu-south-1.amazonaws.com.evil.example',
    'https://notamazonaws.com',
    'https://xs3.amazonaws.com.org/s3.amazonaws.com',
  ])('%s is itself', (endpoint) => {
    expect(stsEndpointOf(endpoint, 'sa-east-1')).toBe(endpoint);
  });
});
