import { describe, expect, it } from 'vitest';

import { Secret } from '../../../src/lib/secret.ts';
import { tokenConcerns } from '../../../src/sts/preflight.ts';
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

describe('a role', () => {
  it('may be a name', () => expect(roleArnOf('S3Access')).toBe('arn:aws:iam:::role/S3Access'));
  it('may be a whole ARN', () => {
    expect(roleArnOf('arn:minio:iam:::role/x')).toBe('arn:minio:iam:::role/x');
  });
});
