import { describe, expect, it } from 'vitest';

import type { AuthContext } from '../../../src/auth/auth-context.ts';
import { decodeJwt } from '../../../src/auth/jwt.ts';
import { LoginTokenSource } from '../../../src/auth/login-token-source.ts';
import { LoginTrouble } from '../../../src/auth/login-trouble.ts';
import type { StoredLogin } from '../../../src/auth/token-vault.ts';
import { silentLog } from '../../../src/lib/log.ts';
import { Secret } from '../../../src/lib/secret.ts';
import { FakeClock } from '../../fixtures/fake-clock.ts';
import { iamLogin, type LoginShape } from '../../fixtures/iam-login.ts';
import { MemoryVault } from '../../fixtures/memory-vault.ts';
import { type Bench, bench } from '../demo/iam/iam-client.ts';

const signal = new AbortController().signal;

interface Login {
  readonly login: StoredLogin;
  readonly vault: MemoryVault;
  readonly context: AuthContext;
  readonly source: (audience?: string) => LoginTokenSource;
}

async function logIn(at: Bench, shape: LoginShape = {}): Promise<Login> {
  const login = await iamLogin(at, shape);
  const vault = new MemoryVault();
  await vault.save(login);
  const context = { vault, clock: new FakeClock(Date.now()), log: silentLog };
  const source = (audience = 'another'): LoginTokenSource =>
    new LoginTokenSource({ issuer: login.issuer, audience, context });
  return { login, vault, context, source };
}

async function troubleOf(tokens: LoginTokenSource): Promise<LoginTrouble> {
  const error: unknown = await tokens.accessToken(0, signal).catch((reason: unknown) => reason);
  if (error instanceof LoginTrouble) return error;
  throw error instanceof Error ? error : new Error('there was no trouble');
}

const dialects = ['standard', 'indigo'] as const;

describe.each(dialects)('a refresh that the %s provider refuses', (dialect) => {
  it('for a disabled person says so where the provider does, and heals by itself', async () => {
    await using at = await bench({ dialect });
    const { source, vault, login } = await logIn(at);
    at.iam.changeUser('alice', { disabled: true });
    const tokens = source();
    const trouble = await troubleOf(tokens);
    expect(trouble.kind).toBe('login-expired');
    expect(trouble.reason).toBe(dialect === 'indigo' ? 'person-disabled' : 'ended');
    if (dialect === 'indigo') {
      expect(trouble.toLine()).toContain('not active');
      expect(trouble.toLine()).toContain('ask the administrators');
      expect(trouble.toLine()).not.toContain('wire login');
    }
    expect(await vault.load(login.issuer)).toEqual(login);
    at.iam.changeUser('alice', { disabled: false });
    expect((await tokens.accessToken(0, signal)).token.reveal()).toContain('.');
  });

  it('for an unsigned policy says so where the provider does, and heals by itself', async () => {
    await using at = await bench({ dialect });
    const { source } = await logIn(at);
    at.iam.changeUser('alice', { aupSigned: false });
    const tokens = source();
    const trouble = await troubleOf(tokens);
    expect(trouble.reason).toBe(dialect === 'indigo' ? 'policy-unsigned' : 'ended');
    if (dialect === 'indigo') {
      expect(trouble.toLine()).toContain('sign the acceptable use policy');
      expect(trouble.toLine()).not.toContain('wire login');
    }
    at.iam.changeUser('alice', { aupSigned: true });
    expect((await tokens.accessToken(0, signal)).token.reveal()).toContain('.');
  });

  it.each([false, true])('for a deleted client says so (public: %s)', async (publicClient) => {
    await using at = await bench({ dialect });
    const { source, login, vault } = await logIn(at, { publicClient });
    at.iam.deleteClient(login.client.id);
    const trouble = await troubleOf(source());
    expect(trouble.reason).toBe('client-gone');
    expect(trouble.toLine()).toContain('does not know this client');
    expect(trouble.toLine()).toContain(`wire login ${login.issuer}`);
    expect(await vault.load(login.issuer)).toEqual(login);
  });

  it.each([
    ['expired', (at: Bench) => at.iam.expireRefreshTokens()],
    ['been revoked', (at: Bench) => at.iam.revokeAll()],
  ])('for a token that has %s asks for a new login', async (_, end) => {
    await using at = await bench({ dialect });
    const { source, vault, login } = await logIn(at);
    end(at);
    const trouble = await troubleOf(source());
    expect(trouble.reason).toBe('ended');
    expect(trouble.toLine()).toContain(`wire login ${login.issuer}`);
    expect(trouble.toLine()).not.toContain(login.grant?.refreshToken?.reveal());
    expect(await vault.load(login.issuer)).toEqual(login);
  });

  it('is not written down each time: who watches the vault for a new login is not woken', async () => {
    await using at = await bench({ dialect });
    const { source, vault } = await logIn(at);
    at.iam.revokeAll();
    const tokens = source();
    await troubleOf(tokens);
    const before = await vault.generation();
    await troubleOf(tokens);
    await troubleOf(tokens);
    expect(await vault.generation()).toBe(before);
  });

  it('because it is not the newest is tried once more with the one stored since', async () => {
    await using at = await bench({ dialect, rotateRefreshTokens: true });
    const { source, vault, login } = await logIn(at);
    const { refreshToken } = login.grant ?? {};
    if (login.grant === undefined || refreshToken === undefined) throw new Error('no grant');
    const spent = {
      ...login,
      grant: { ...login.grant, refreshToken: new Secret('spent-long-ago') },
    };
    await vault.save(spent);
    // Another machine stores its newer token while ours is on its way: after the note, and after
    // the look at what is there.
    const save = vault.save.bind(vault);
    vault.save = async (written) => {
      await save(written);
      vault.save = save;
      await save(login);
    };
    expect((await source().accessToken(0, signal)).token.reveal()).toContain('.');
  });
});

describe.each(dialects)('access tokens of the %s provider', (dialect) => {
  it('are for the audience asked for, each time, and else for the login’s', async () => {
    await using at = await bench({ dialect });
    const { source, context, login } = await logIn(at);
    for (const audience of ['one', 'two']) {
      const { token } = await source(audience).accessToken(0, signal);
      expect(decodeJwt(token)?.audiences).toEqual([audience]);
    }
    const own = new LoginTokenSource({ issuer: login.issuer, context });
    const { token } = await own.accessToken(0, signal);
    expect(decodeJwt(token)?.audiences).toEqual(['wire-s3']);
  });

  it('have fewer scopes when fewer are asked for', async () => {
    await using at = await bench({ dialect });
    const { context, login } = await logIn(at);
    const scopes = ['openid'];
    const few = new LoginTokenSource({ issuer: login.issuer, audience: 'x', scopes, context });
    await few.accessToken(0, signal);
    const access = (await context.vault.load(login.issuer, signal))?.grant?.access;
    expect(access?.scopes).toEqual(['openid']);
  });

  it('come in the WLCG profile where the provider makes those', async () => {
    await using at = await bench({ dialect, profile: 'wlcg', includeAuthnInfo: false });
    const { source, vault, login } = await logIn(at);
    const { token, expiresAtMs = 0 } = await source('https://store.example').accessToken(0, signal);
    const claims = decodeJwt(token);
    expect(claims?.audiences).toEqual(['https://store.example']);
    expect(claims?.groups).toEqual(['/dev', '/dev/wire']);
    expect(expiresAtMs - Date.now()).toBeGreaterThan(3_590_000);
    const grant = (await vault.load(login.issuer))?.grant;
    expect(grant?.scopes).toEqual(login.grant?.scopes);
  });

  it('that another source’s refresh has killed are never handed out', async () => {
    await using at = await bench({ dialect });
    const { source } = await logIn(at);
    const [one, two] = [source('one'), source('two')];
    const alive = async (tokens: LoginTokenSource): Promise<number> => {
      const { token } = await tokens.accessToken(0, signal);
      const url = at.client.url('userinfo_endpoint');
      return (await at.client.bearer(url, token.reveal())).status;
    };
    for (let round = 0; round < 5; round += 1) {
      expect(await alive(one)).toBe(200);
      expect(await alive(one)).toBe(200);
      expect(await alive(two)).toBe(200);
    }
  });
});
