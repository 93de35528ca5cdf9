import { describe, expect, it } from 'vitest';
import { decodeJwt } from '../../../src/auth/jwt.ts';
import { Secret } from '../../../src/lib/secret.ts';
import { unsignedJwt } from '../../fixtures/fake-issuer.ts';

describe('a token that is read', () => {
  it.each([1e300, -1e300, 8.64e12, '1800000000', null, [1], {}])(
    'has no end where it names none that could be shown (%j)',
    (exp) => {
      const claims = decodeJwt(new Secret(unsignedJwt({ sub: 'alice', exp, nbf: exp, iat: exp })));
      expect(claims).toMatchObject({ subject: 'alice' });
      expect(claims?.expiresAtMs).toBeUndefined();
      expect(claims?.notBeforeMs).toBeUndefined();
      expect(claims?.issuedAtMs).toBeUndefined();
    },
  );

  it('has the end it names, to the fraction of a second', () => {
    const token = new Secret(unsignedJwt({ exp: 1_800_000_000.5 }));
    expect(decodeJwt(token)?.expiresAtMs).toBe(1_800_000_000_500);
  });

  it.each(['', 'opaque', 'a.b.c', 'a..c', 'a.bnVsbA.c', 'a.WzFd.c', `a.${'Ww'.repeat(300_000)}.c`])(
    'tells nothing where it is none',
    (text) => expect(decodeJwt(new Secret(text))).toBeUndefined(),
  );

  it('tells nothing where it is nested without end', () => {
    const payload = Buffer.from('['.repeat(500_000)).toString('base64url');
    expect(decodeJwt(new Secret(`a.${payload}.c`))).toBeUndefined();
  });
});
