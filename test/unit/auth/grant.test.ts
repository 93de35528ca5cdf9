import { describe, expect, it } from 'vitest';

import { accessOf, refreshExpiryOf } from '../../../src/auth/grant.ts';
import type { Answer } from '../../../src/auth/provider-call.ts';
import { endOf } from '../../../src/auth/token-life.ts';
import type { StoredGrant } from '../../../src/auth/token-vault.ts';
import { Secret } from '../../../src/lib/secret.ts';
import { unsignedJwt } from '../../fixtures/fake-issuer.ts';

const NOW = 1_800_000_000_000;
const YEAR_MS = 365 * 86_400_000;
const DAY_MS = 86_400_000;

type Tokens = Parameters<typeof accessOf>[0]['value'];

function reply(over: Readonly<Record<string, unknown>>, clock: Partial<Answer<Tokens>> = {}) {
  const value = { access_token: 'opaque', token_type: 'bearer', ...over } as Tokens;
  return { value, clockAheadMs: 0, clockKnown: true, sentAtMs: NOW, ...clock } as const;
}

const jwt = (exp: number, iat?: number): string =>
  unsignedJwt({ exp: NOW / 1000 + exp, ...(iat !== undefined && { iat: NOW / 1000 + iat }) });

/** Seconds that the token of a reply lives, as we see it. */
function lifeOf(over: Readonly<Record<string, unknown>>, clock: Partial<Answer<Tokens>> = {}) {
  const { expiresAtMs } = accessOf(reply(over, clock), { scopes: ['openid'] });
  return expiresAtMs === undefined ? undefined : (expiresAtMs - NOW) / 1000;
}

describe('the life of an access token', () => {
  it.each([
    ['as the reply says', { expires_in: 3600 }, 3600],
    ['unknown where nobody says it', {}, undefined],
    ['unknown where the reply says zero', { expires_in: 0 }, undefined],
    ['unknown where the reply says less than nothing', { expires_in: -5 }, undefined],
    ['a year at most', { expires_in: 1e15 }, YEAR_MS / 1000],
    ['as the token says, where the reply does not', { access_token: jwt(600) }, 600],
    [
      'as the token says, where the reply says zero',
      { access_token: jwt(600), expires_in: 0 },
      600,
    ],
    ['the token’s where it ends sooner', { access_token: jwt(600), expires_in: 3600 }, 600],
    ['the reply’s where it ends sooner', { access_token: jwt(600), expires_in: 60 }, 60],
    ['the reply’s where the token’s makes no sense', { access_token: jwt(-9), expires_in: 60 }, 60],
    ['a year at most, by a token too', { access_token: jwt(1e9) }, YEAR_MS / 1000],
  ])('is %s', (_, over, seconds) => {
    expect(lifeOf(over)).toBe(seconds);
  });

  it('is the same by a clock that is ten minutes wrong, where the server’s is known', () => {
    const behind = { access_token: jwt(600 + 3600, 600) };
    expect(lifeOf(behind, { clockAheadMs: 600_000 })).toBe(3600);
    const ahead = { access_token: jwt(3600 - 600, -600) };
    expect(lifeOf(ahead, { clockAheadMs: -600_000 })).toBe(3600);
  });

  it('is the span of the token’s own times where the server’s clock is not known', () => {
    const unknown = { clockKnown: false };
    expect(lifeOf({ access_token: jwt(3600 - 600, -600) }, unknown)).toBe(3600);
    expect(lifeOf({ access_token: jwt(3600 + 600, 600) }, unknown)).toBe(3600);
  });
});

describe('the scopes of an access token', () => {
  const asked = { scopes: ['openid', 'offline_access'] };

  it('are those asked for where the reply names none', () => {
    const access = accessOf(reply({}), asked);
    expect(access.scopes).toEqual(asked.scopes);
    expect(access.askedScopes).toBeUndefined();
  });

  it('are those of the reply, which remember what was asked for in vain', () => {
    const access = accessOf(reply({ scope: 'openid' }), asked);
    expect(access.scopes).toEqual(['openid']);
    expect(access.askedScopes).toEqual(asked.scopes);
  });
});

describe('the end of a refresh token', () => {
  it.each([
    ['read from the token', { refresh_token: jwt(DAY_MS / 1000) }, NOW + DAY_MS],
    ['told beside it', { refresh_token: 'opaque', refresh_expires_in: 1800 }, NOW + 1_800_000],
    [
      'unknown where Keycloak says 0',
      { refresh_token: 'opaque', refresh_expires_in: 0 },
      undefined,
    ],
    ['unknown for others', { refresh_token: 'opaque' }, undefined],
    ['unknown where no date can be so late', { refresh_token: jwt(1e15) }, undefined],
    ['unknown where no token came', { refresh_expires_in: 5 }, undefined],
  ])('is %s', (_, over, atMs) => {
    expect(refreshExpiryOf(reply(over))).toBe(atMs);
  });

  const grant = (lifeMs: number): StoredGrant => ({
    subject: 'u',
    groups: [],
    scopes: [],
    refreshToken: new Secret('refresh'),
    refreshIssuedAtMs: NOW,
    refreshExpiresAtMs: NOW + lifeMs,
    access: { token: new Secret('access'), scopes: [], issuedAtMs: NOW },
  });

  it('is announced in the last three days of a long life', () => {
    const atMs = NOW + 30 * DAY_MS;
    expect(endOf(grant(30 * DAY_MS))).toEqual({ atMs, noticeFromMs: atMs - 3 * DAY_MS });
  });

  it('is announced in the last fifth of a short one', () => {
    expect(endOf(grant(3_600_000))?.noticeFromMs).toBe(NOW + 0.8 * 3_600_000);
  });

  it('is announced by the age of the refresh token, not of the newest access token', () => {
    const month = grant(30 * DAY_MS);
    const access = { ...month.access, issuedAtMs: NOW + 29 * DAY_MS };
    expect(endOf({ ...month, access })?.noticeFromMs).toBe(NOW + 27 * DAY_MS);
  });

  it('is nobody’s knowledge where it is not told, or there is no such token', () => {
    const { refreshExpiresAtMs: end, ...untold } = grant(DAY_MS);
    expect(end).toBeDefined();
    expect(endOf(untold)).toBeUndefined();
    const { refreshToken: token, ...without } = grant(DAY_MS);
    expect(token).toBeDefined();
    expect(endOf(without)).toBeUndefined();
  });
});
