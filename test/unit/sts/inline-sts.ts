/** An STS without a network: everything happens between two moves of the clock. */
import type { FakeClock } from '../../fixtures/fake-clock.ts';

/** Leases `AK1`, `AK2`, ... of `lifeMs` by `clock`. */
export function inlineSts(clock: FakeClock, lifeMs: number): typeof fetch {
  let leases = 0;
  return () => {
    leases += 1;
    const now = clock.now();
    const expiration = new Date(now + lifeMs).toISOString();
    const text = `<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>AK${leases}</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken><Expiration>${expiration}</Expiration></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`;
    const headers = { date: new Date(now).toUTCString() };
    return Promise.resolve(new Response(text, { status: 200, headers }));
  };
}
