import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import type { AuthContext } from '../../../src/auth/auth-context.ts';
import { issuersOfClients, loginState, logins, logout } from '../../../src/auth/login.ts';
import { silentLog } from '../../../src/lib/log.ts';
import { Secret } from '../../../src/lib/secret.ts';
import { FakeClock } from '../../fixtures/fake-clock.ts';
import { FakeIssuer } from '../../fixtures/fake-issuer.ts';
import { MemoryVault } from '../../fixtures/memory-vault.ts';

const signal = new AbortController().signal;
let issuer: FakeIssuer;
let vault: MemoryVault;
let context: AuthContext;

beforeEach(async () => {
  issuer = await FakeIssuer.start();
  vault = new MemoryVault();
  context = { vault, clock: new FakeClock(), log: silentLog };
  const uri = `${issuer.url}/register/client-0`;
  await vault.save({
    issuer: issuer.url,
    client: {
      id: 'client-0',
      registration: { asked: ['openid'], uri, token: new Secret('registration-token') },
    },
    grant: {
      subject: 'u1',
      username: 'alice',
      groups: ['cms'],
      scopes: ['openid'],
      refreshToken: new Secret('refresh-token'),
      access: {
        token: new Secret('access-token'),
        scopes: ['openid'],
        issuedAtMs: 0,
        expiresAtMs: 7,
      },
    },
  });
});
afterEach(async () => await issuer[Symbol.asyncDispose]());

const leave = async (forgetClient = false) =>
  await logout(`${issuer.url}/`, { forgetClient }, context, signal);

describe('logout', () => {
  it.each([200, 302])(
    'revokes the refresh token (answer %i) and keeps the client',
    async (status) => {
      issuer.always('revoke', { status, headers: { location: '/' } });
      expect(await leave()).toEqual({
        issuer: issuer.url,
        wasLoggedIn: true,
        revoked: true,
        client: 'kept',
        accessExpiresAtMs: 7,
      });
      expect(issuer.of('revoke')[0]?.form.get('token')).toBe('refresh-token');
      expect((await vault.load(issuer.url))?.grant).toBeUndefined();
      expect((await vault.load(issuer.url))?.client.id).toBe('client-0');
      expect(await logins(context, signal)).toEqual([]);
    },
  );

  it.each([
    ['is away', { drop: true }],
    ['refuses', { status: 403, json: { error: 'no', error_description: 'refresh-token' } }],
  ])('forgets the login although the provider %s, and says so', async (_, answer) => {
    issuer.always('revoke', answer);
    const summary = await leave();
    expect(summary).toMatchObject({ wasLoggedIn: true, revoked: false });
    expect(summary.revocationTrouble?.toLine()).not.toContain('refresh-token');
    expect(await loginState(issuer.url, context, signal)).toBeUndefined();
  });

  it.each([204, 401, 404])('deletes the client when asked (answer %i)', async (status) => {
    issuer.always('register', { status });
    expect((await leave(true)).client).toBe('deleted');
    expect(issuer.of('register')[0]).toMatchObject({
      method: 'DELETE',
      path: '/register/client-0',
    });
    expect(issuer.of('register')[0]?.headers.authorization).toBe('Bearer registration-token');
    expect(await vault.load(issuer.url)).toBeUndefined();
  });

  it('revokes the login before it deletes the client', async () => {
    issuer.always('register', { status: 204 });
    await leave(true);
    const told = issuer.seen.map(({ method, path }) => `${method} ${path}`);
    expect(told.slice(-2)).toEqual(['POST /revoke', 'DELETE /register/client-0']);
  });

  it('takes a redirect for no revocation from a client that has a secret', async () => {
    const stored = await vault.load(issuer.url);
    if (stored === undefined) throw new Error('nothing stored');
    const client = { ...stored.client, secret: new Secret('client-secret') };
    await vault.save({ ...stored, client });
    issuer.always('revoke', { status: 302, headers: { location: '/' } });
    expect((await leave()).revoked).toBe(false);
  });

  it('deletes a client that an earlier logout had kept', async () => {
    issuer.always('register', { status: 204 });
    await leave();
    expect(await issuersOfClients(context, signal)).toEqual([issuer.url]);
    expect(await leave(true)).toMatchObject({ wasLoggedIn: false, client: 'deleted' });
    expect(issuer.of('revoke')).toHaveLength(1);
    expect(await issuersOfClients(context, signal)).toEqual([]);
  });

  it('forgets a client that the provider would not delete, and says so', async () => {
    issuer.always('register', { status: 500, text: 'registration-token' });
    const summary = await leave(true);
    expect(summary.client).toBe('forgotten');
    expect(summary.clientTrouble?.toLine()).not.toContain('registration-token');
    expect(await vault.load(issuer.url)).toBeUndefined();
  });

  it('of nobody is no error', async () => {
    await leave(true);
    expect(await leave()).toMatchObject({ wasLoggedIn: false, revoked: false, client: 'none' });
  });
});

describe('what is stored', () => {
  it('is shown without secrets', async () => {
    const shown = JSON.stringify([
      await loginState(issuer.url, context, signal),
      await logins(context, signal),
    ]);
    expect(shown).toContain('alice');
    expect(shown).not.toMatch(/refresh-token|access-token|registration-token|secret/);
  });
});
