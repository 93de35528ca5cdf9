/** What is decided about servers, from facts that are made up. */
import { describe, expect, it } from 'vitest';
import { toClaims } from '../../../../src/auth/jwt.ts';
import {
  type BucketFacts,
  bucketFindings,
  median,
  type WriteFacts,
} from '../../../../src/daemon/doctor/bucket-findings.ts';
import { type ClockReading, clockFindings } from '../../../../src/daemon/doctor/clock-findings.ts';
import type { Finding } from '../../../../src/daemon/doctor/finding.ts';
import {
  claimsText,
  identityFindings,
  type TrustFacts,
  trustFindings,
} from '../../../../src/daemon/doctor/identity-findings.ts';
import {
  clientFindings,
  type ProviderFacts,
  providerFindings,
} from '../../../../src/daemon/doctor/provider-findings.ts';
import { WireError } from '../../../../src/lib/wire-error.ts';
import { TokenRefused } from '../../../../src/sts/assume-role.ts';

function told(findings: readonly Finding[]): readonly string[] {
  return findings.map(({ check, level, seen, fix = '' }) => `${check} ${level}: ${seen} -> ${fix}`);
}

describe('clocks', () => {
  const provider = (aheadMs: number): ClockReading => {
    return { whose: 'provider', host: 'iam.test', aheadMs, roundTripMs: 100 };
  };
  const store = (aheadMs: number): ClockReading => {
    return { whose: 'store', host: 's3.test', aheadMs, roundTripMs: 100 };
  };

  it('agree when they are seconds apart, which `Date` cannot tell', () => {
    const [only] = clockFindings([provider(-900), store(4000)]);
    expect(only).toMatchObject({ level: 'ok' });
    expect(only?.seen).toMatch(/provider \(iam\.test\) and the store \(s3\.test\)/);
  });

  it('far away are given the time that their answer took', () => {
    expect(clockFindings([{ ...store(7000), roundTripMs: 3000 }])[0]).toMatchObject({
      level: 'ok',
    });
  });

  it('say that this machine is wrong when both servers agree with each other', () => {
    const behind = told(clockFindings([provider(60_000), store(61_000)]));
    expect(behind).toHaveLength(1);
    expect(behind[0]).toMatch(
      /warning: this machine is 60 s behind provider and store -> .*timedatectl/,
    );
    expect(told(clockFindings([provider(-3.6e6), store(-3.6e6)]))[0]).toMatch(
      /60 min ahead of provider and store, and other S3 programs are refused here/,
    );
  });

  it('say which server is wrong, and what that means for tokens', () => {
    const lines = told(clockFindings([provider(300_000), store(0)]));
    expect(lines[0]).toMatch(/the provider \(iam\.test\) is 5 min ahead of this machine/);
    expect(lines[1]).toMatch(/5 min ahead of the store, which refuses each new token.*claim iat/);
    expect(told(clockFindings([provider(0), store(300_000)]))[1]).toMatch(/claim exp/);
  });

  it('need a server that tells its time', () => {
    expect(clockFindings([])).toMatchObject([{ level: 'note' }]);
    expect(told(clockFindings([store(-90_000)]))[0]).toMatch(/90 s ahead of the store/);
  });
});

describe('the provider', () => {
  const fine: ProviderFacts = {
    url: 'https://iam.test',
    offers: { device: true, browser: true, registration: true, revocation: true, offline: true },
    keys: { count: 2, withCertificates: 1 },
    hasClient: false,
  };
  const offers = {
    device: true,
    browser: true,
    registration: true,
    revocation: true,
    offline: true,
  };
  const refused = new WireError('unreachable', {
    tried: 'read it',
    answered: 'no such host',
    next: 'look',
  });

  it('is fine when it offers what a login needs', () => {
    expect(told(providerFindings(fine))).toEqual([
      'provider ok: https://iam.test answers, and takes logins by codes and a browser, and registers programs -> ',
    ]);
    const silent = { ...fine, offers: { ...offers, offline: undefined } };
    expect(providerFindings(silent)).toMatchObject([{ level: 'ok' }]);
  });

  it.each([
    ['does not answer', { trouble: refused }, 'failure', /no such host/, /look/],
    [
      'knows no flow',
      { offers: { ...offers, device: false, browser: false } },
      'failure',
      /neither/,
      /device flow/,
    ],
    [
      'knows no codes',
      { offers: { ...offers, device: false } },
      'note',
      /no login by a code/,
      /--flow browser/,
    ],
    [
      'registers nobody',
      { offers: { ...offers, registration: false } },
      'warning',
      /register/,
      /--client-id/,
    ],
    [
      'has no refresh tokens',
      { offers: { ...offers, offline: false } },
      'note',
      /offline_access/,
      /refresh/,
    ],
    ['revokes nothing', { offers: { ...offers, revocation: false } }, 'note', /revokes/, /pages/],
    ['has no keys', { keys: { count: 0, withCertificates: 0 } }, 'failure', /no keys/, /store/],
    [
      'has keys without certificates',
      { keys: { count: 1, withCertificates: 0 } },
      'note',
      /x5c/,
      /publish/,
    ],
    ['does not show its keys', { keysTrouble: 'no answer' }, 'failure', /no answer/, /store/],
  ] as const)('is told with the fix when it %s', (_, change, level, seen, fix) => {
    const findings = providerFindings({ ...fine, ...change });
    expect(findings).toMatchObject([{ level }]);
    expect(findings[0]?.seen).toMatch(seen);
    expect(findings[0]?.fix).toMatch(fix);
  });

  it('need not register who has a client', () => {
    const known = { ...fine, hasClient: true, offers: { ...offers, registration: false } };
    expect(providerFindings(known)).toMatchObject([{ level: 'ok' }]);
  });

  it('is asked whether it still knows our client', () => {
    const client = { id: 'abc', registered: true, known: true, missingScopes: [] };
    const at = 'https://iam.test';
    expect(clientFindings(client, at)).toMatchObject([{ level: 'ok' }]);
    expect(told(clientFindings({ ...client, known: undefined }, at))[0]).toMatch(/does not tell/);
    const gone = clientFindings({ ...client, known: false }, at);
    expect(gone).toMatchObject([{ level: 'failure', kind: 'identity-refused' }]);
    expect(gone[0]?.fix).toMatch(/wire login https:\/\/iam\.test/);
    const given = clientFindings({ ...client, registered: false, known: false }, at);
    expect(given[0]?.fix).toMatch(/--client-id/);
    const few = clientFindings({ ...client, missingScopes: ['wlcg', 'storage.read:/'] }, at);
    expect(few[0]).toMatchObject({ level: 'note' });
    expect(few[0]?.seen).toContain('wlcg storage.read:/');
  });
});

describe('identity and STS', () => {
  const claims = toClaims({
    ...{ iss: 'https://iam.test/', aud: ['a', 'b'], sub: 's-1', azp: 'client' },
    ...{ preferred_username: 'alice', groups: ['g'], scope: 'openid' },
  });
  const facts: TrustFacts = {
    ...{ stsEndpoint: 'https://s3.test', role: 'arn:aws:iam:::role/x', claims, concerns: [] },
    lifeMs: 3_600_000,
  };
  const refuse = (code: string, explained = false): TokenRefused =>
    new TokenRefused(code, explained, {
      tried: 'get credentials',
      answered: `403 ${code}`,
      next: 'look there',
    });

  it('says who one is, by what, and for how long', () => {
    const identity = {
      place: 'the file /t',
      issuer: 'https://iam.test',
      claims,
      notes: ['it is old'],
    };
    expect(told(identityFindings({ ...identity, expiresAtMs: 61_000 }, 1000))).toEqual([
      'identity ok: alice (groups g), by the file /t; an access token is there, good for 60 s -> ',
      'identity note: it is old -> ',
    ]);
    const opaque = { ...identity, claims: undefined, expiresAtMs: undefined, notes: [] };
    expect(told(identityFindings(opaque, 0))[0]).toMatch(/somebody/);
  });

  it('is fine when credentials are given', () => {
    expect(trustFindings(facts)).toMatchObject([{ level: 'ok' }]);
    expect(told(trustFindings(facts))[0]).toMatch(/for arn:aws:iam:::role\/x, good for 60 min/);
    expect(told(trustFindings({ ...facts, lifeMs: 60_000 }))[1]).toMatch(
      /note: .*60 s only.*--duration/,
    );
  });

  it.each([
    ['InvalidIdentityToken', /claim aud or iss/, /--audience/],
    [
      'AccessDenied',
      /the role, or a claim that it asks for: iss, aud, sub or groups/,
      /trust policy/,
    ],
    ['ExpiredTokenException', /claim exp, iat or nbf/, /clocks/],
    [
      'InvalidParameterValue',
      /cannot get credentials: 403 InvalidParameterValue\. The/,
      /look there/,
    ],
  ])('says of %s which claim it is about, and what the token says', (code, about, fix) => {
    const [only] = trustFindings({ ...facts, refusal: refuse(code) });
    expect(only).toMatchObject({ level: 'failure', kind: 'identity-refused' });
    expect(only?.seen).toMatch(about);
    expect(only?.seen).toContain('The token says iss=https://iam.test/ aud=a,b azp=client sub=s-1');
    expect(only?.fix).toMatch(fix);
  });

  it('leaves it at what is known when the token or its provider gave the reason away', () => {
    const [only] = trustFindings({ ...facts, refusal: refuse('AccessDenied', true) });
    expect(only?.seen).not.toContain('that is about');
    expect(only?.fix).toBe('look there');
  });

  it('tells a server that does not answer as that', () => {
    const away = new WireError('unreachable', { tried: 'ask', answered: 'refused', next: 'wait' });
    expect(trustFindings({ ...facts, refusal: away })).toMatchObject([
      { level: 'failure', kind: 'unreachable', fix: 'wait' },
    ]);
  });

  it('notes what another server would mind, and one that enforces nothing', () => {
    const lax = {
      ...facts,
      concerns: ['no `aud`; pass --audience'],
      enforcement: 'not enforced',
      enforcementReason: 'a listing was not refused',
    } as const;
    const lines = told(trustFindings(lax));
    expect(lines[1]).toMatch(
      /note: another server would refuse the token: no `aud` -> pass --audience/,
    );
    expect(lines[2]).toMatch(/note: .*does not hold.*a listing was not refused/);
    expect(trustFindings({ ...facts, enforcement: 'enforced' })).toHaveLength(1);
  });

  it('shows claims that are missing as missing', () => {
    expect(claimsText(toClaims({}))).toBe('iss=(none) aud=(none) sub=(none)');
  });
});

describe('a bucket', () => {
  const done = { done: true } as const;
  const denied = { done: false, kind: 'access-denied', said: 'AccessDenied (403)' } as const;
  const exists = { done: false, kind: 'exists', said: 'PreconditionFailed (412)' } as const;
  const changed = { done: false, kind: 'precondition-failed', said: '412' } as const;
  const write: WriteFacts = {
    ...{ put: done, putAgain: exists, putStale: changed, completeAgain: exists },
    ...{ remove: done, left: 'nothing' },
  };
  const facts: BucketFacts = {
    ...{ place: 's3://b/p/', list: done, write, get: done },
    timing: { headMs: 3, getMs: 4, bytes: 4096 },
  };

  it('is fine when all is allowed, conditions are kept and answers are quick', () => {
    expect(told(bucketFindings(facts))).toEqual([
      'bucket ok: s3://b/p/: you may list, write, read, delete -> ',
      'conditions ok: writes under conditions are kept -> ',
      'latency ok: 4096 bytes come in 4.0 ms, an answer without a body in 3.0 ms -> ',
    ]);
  });

  it.each([
    ['list', { list: denied }, /s3:ListBucket.*--role/],
    ['write', { write: { put: denied, left: 'nothing' } }, /s3:PutObject.*--read-only/],
    ['read', { get: denied }, /s3:GetObject.*--role/],
    ['delete', { write: { ...write, remove: denied } }, /s3:DeleteObject.*--read-only/],
  ] as const)('that one may not %s in is told with the right that lacks', (verb, change, fix) => {
    const failures = bucketFindings({ ...facts, ...change }).filter(
      ({ level }) => level === 'failure',
    );
    expect(failures).toMatchObject([{ kind: 'access-denied' }]);
    expect(failures[0]?.seen).toBe(`cannot ${verb} in s3://b/p/: AccessDenied (403)`);
    expect(failures[0]?.fix).toMatch(fix);
  });

  it('that is not there, or does not answer, is told as that', () => {
    const missing = { done: false, kind: 'not-found', said: 'NoSuchBucket (404)' } as const;
    expect(bucketFindings({ place: 's3://b', list: missing })).toMatchObject([
      { level: 'failure', kind: 'not-found' },
    ]);
    const away = { done: false, kind: 'unavailable', said: 'SlowDown (503)' } as const;
    expect(bucketFindings({ place: 's3://b', list: away })[0]?.fix).toMatch(/wire logs/);
  });

  it('in which nothing was written says so', () => {
    const { place, list, get = done } = facts;
    expect(told(bucketFindings({ place, list, get }))[0]).toMatch(
      /may list, read; writing was not tried/,
    );
    expect(told(bucketFindings({ place, list }))[0]).toMatch(/there was nothing to read/);
  });

  it('in which the probe stays names it', () => {
    const left = { key: 'p/.probe', why: 'it may not be deleted' };
    const [, finding] = bucketFindings({ ...facts, write: { ...write, left } });
    expect(finding).toMatchObject({ level: 'warning', fix: 'delete p/.probe' });
  });

  it('whose server ignores conditions is told with what that means', () => {
    const lax = { ...write, putAgain: done, putStale: done };
    const [, finding] = bucketFindings({ ...facts, write: lax });
    expect(finding).toMatchObject({ check: 'conditions', level: 'warning' });
    expect(finding?.seen).toMatch(/ignores If-None-Match and If-Match/);
    const half = bucketFindings({ ...facts, write: { ...write, putStale: done } });
    expect(half[1]?.seen).toMatch(/ignores If-Match:/);
  });

  it('whose server ignores them for uploads in parts is told as a note', () => {
    const [, finding] = bucketFindings({ ...facts, write: { ...write, completeAgain: done } });
    expect(finding).toMatchObject({ check: 'conditions', level: 'note' });
    expect(finding?.seen).toMatch(/ignored for uploads in parts/);
  });

  it('whose server answers a condition with something else is no proof of anything', () => {
    const [, finding] = bucketFindings({ ...facts, write: { ...write, putAgain: denied } });
    expect(finding).toMatchObject({ level: 'note' });
    expect(finding?.seen).toMatch(/no telling whether the server keeps If-None-Match/);
  });

  it.each([
    [
      { headMs: 2, getMs: 44 },
      'Ceph RGW',
      'warning',
      /without TCP_NODELAY/,
      /ceph\.conf: rgw_frontends.*tcp_nodelay=1/,
    ],
    [{ headMs: 2, getMs: 42 }, 'nginx', 'warning', /40 ms/, /TCP_NODELAY set there/],
    [{ headMs: 40, getMs: 84 }, undefined, 'ok', /84 ms/, /^$/],
    [{ headMs: 40, getMs: 41 }, undefined, 'ok', /41 ms/, /^$/],
    [{ headMs: 2, getMs: 90 }, undefined, 'ok', /90 ms/, /^$/],
    [{ headMs: 180, getMs: 200 }, undefined, 'note', /far away or busy/, /--cache full/],
  ] as const)('whose answers take so long (%o) is told why', (times, server, level, seen, fix) => {
    const timing = { ...times, bytes: 4096 };
    const findings = bucketFindings({ ...facts, timing, ...(server !== undefined && { server }) });
    const latency = findings.find(({ check }) => check === 'latency');
    expect(latency).toMatchObject({ level });
    expect(latency?.seen).toMatch(seen);
    expect(latency?.fix ?? '').toMatch(fix);
  });

  it('is measured by the middle of several answers', () => {
    expect(median([3, 900, 1, 2, 4])).toBe(3);
    expect(median([])).toBe(0);
  });
});
