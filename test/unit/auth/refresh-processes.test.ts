import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import type { AuthContext } from '../../../src/auth/auth-context.ts';
import { LoginTokenSource } from '../../../src/auth/login-token-source.ts';
import { LoginTrouble } from '../../../src/auth/login-trouble.ts';
import { openVault } from '../../../src/auth/open-vault.ts';
import type { StoredLogin, TokenVault } from '../../../src/auth/token-vault.ts';
import { systemClock } from '../../../src/lib/clock.ts';
import { silentLog } from '../../../src/lib/log.ts';
import { Secret } from '../../../src/lib/secret.ts';
import { compileTo } from '../../fixtures/compiled.ts';
import { FakeIssuer, type Seen } from '../../fixtures/fake-issuer.ts';
import { iamLogin } from '../../fixtures/iam-login.ts';
import { bench } from '../demo/iam/iam-client.ts';

const signal = new AbortController().signal;
const SCRIPT = 'test/fixtures/dying-process.ts';

let code: string;
let folder: string;
let vault: TokenVault;
let context: AuthContext;

beforeAll(async () => {
  code = await mkdtemp(path.join(tmpdir(), 'wire-dying-'));
  await compileTo(code, ['src/auth', 'src/lib', 'src/net', SCRIPT]);
});
afterAll(async () => await rm(code, { recursive: true, force: true }));

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'wire-interrupted-'));
  const keyFile = path.join(folder, 'key');
  await writeFile(keyFile, randomBytes(32), { mode: 0o600 });
  const places = { stateDir: path.join(folder, 'state'), keyFile, insecureStorage: false };
  ({ vault } = await openVault({ ...places, log: silentLog, clock: systemClock }, signal));
  context = { vault, clock: systemClock, log: silentLog };
});
afterEach(async () => await rm(folder, { recursive: true, force: true }));

/** Runs a process that begins a refresh and is killed at `point`; resolves when it is gone. */
async function dieAt(point: string, issuer: string, sent?: () => Promise<void>): Promise<void> {
  const script = path.join(code, SCRIPT.replace(/ts$/, 'js'));
  const words = [script, path.join(folder, 'state'), path.join(folder, 'key'), issuer, point];
  const child = spawn(process.execPath, words, { stdio: ['ignore', 'ignore', 'inherit'] });
  const gone = once(child, 'exit');
  if (sent !== undefined) {
    await sent();
    child.kill('SIGKILL');
  }
  const [, how] = (await gone) as [number | null, NodeJS.Signals | null];
  expect(how).toBe('SIGKILL');
}

const source = (issuer: string): LoginTokenSource =>
  new LoginTokenSource({ issuer, audience: 'next', context });

async function troubleOf(tokens: LoginTokenSource): Promise<LoginTrouble> {
  const error: unknown = await tokens.accessToken(0, signal).catch((reason: unknown) => reason);
  if (error instanceof LoginTrouble) return error;
  throw error instanceof Error ? error : new Error('there was no trouble');
}

/** The refresh token has not been sent, or its successor is stored. */
const harmless = ['before-note', 'amid-note', 'after-note', 'after-save'];
/** Sent, and the answer is lost. */
const lost = ['answered', 'before-save', 'amid-save'];

const providers = [
  { name: 'standard, which rotates', dialect: 'standard', rotateRefreshTokens: true },
  { name: 'standard without rotation', dialect: 'standard', rotateRefreshTokens: false },
  { name: 'indigo with rotation', dialect: 'indigo', rotateRefreshTokens: true },
  { name: 'indigo, which reuses', dialect: 'indigo', rotateRefreshTokens: false },
] as const;

describe.each(providers)('a process killed amid a refresh at $name', (provider) => {
  const { dialect, rotateRefreshTokens } = provider;
  const deadly = rotateRefreshTokens ? lost : [];
  const healing = rotateRefreshTokens ? harmless : [...harmless, ...lost];

  it.each(healing)('at %s leaves a login that works', async (point) => {
    await using at = await bench({ dialect, rotateRefreshTokens });
    const login = await iamLogin(at);
    await vault.save(login, signal);
    await dieAt(point, login.issuer);
    const { token } = await source(login.issuer).accessToken(0, signal);
    expect(
      (await at.client.bearer(at.client.url('userinfo_endpoint'), token.reveal())).status,
    ).toBe(200);
    expect((await vault.load(login.issuer, signal))?.grant?.pending).toBeUndefined();
  });

  it.runIf(deadly.length > 0).each(deadly)(
    'at %s is told, after one try, and nothing is deleted',
    async (point) => {
      await using at = await bench({ dialect, rotateRefreshTokens });
      const login = await iamLogin(at);
      await vault.save(login, signal);
      await dieAt(point, login.issuer);
      await expectInterrupted(login, () => at.iam.counters().token);
      const again = await iamLogin(at);
      await vault.save(again, signal);
      expect((await source(login.issuer).accessToken(0, signal)).token.reveal()).toContain('.');
    },
  );

  it('before the provider has begun leaves a login that works', async () => {
    await using at = await bench({ dialect, rotateRefreshTokens, clock: systemClock });
    const login = await iamLogin(at);
    await vault.save(login, signal);
    const before = at.iam.counters().token;
    at.iam.addFault({ endpoint: 'token', delayMs: 10_000, status: 503 });
    await dieAt('never', login.issuer, async () => {
      while (at.iam.counters().token === before) await systemClock.sleep(5, signal);
    });
    await source(login.issuer).accessToken(0, signal);
    expect((await vault.load(login.issuer, signal))?.grant?.pending).toBeUndefined();
  });

  it('or cut off by the network after the provider took it: the same', async () => {
    await using at = await bench({ dialect, rotateRefreshTokens });
    const login = await iamLogin(at);
    await vault.save(login, signal);
    at.iam.addFault({ endpoint: 'token', drop: 'after' });
    if (!rotateRefreshTokens) {
      await source(login.issuer).accessToken(0, signal);
      return;
    }
    const before = at.iam.counters().token;
    expect((await troubleOf(source(login.issuer))).reason).toBe('interrupted');
    expect(at.iam.counters().token).toBe(before + 2);
    expect((await troubleOf(source(login.issuer))).reason).toBe('interrupted');
    expect(at.iam.counters().token).toBe(before + 2);
  });
});

/** The first use says what happened; later ones say so without asking the provider. */
async function expectInterrupted(login: StoredLogin, requests: () => number): Promise<void> {
  const before = requests();
  const trouble = await troubleOf(source(login.issuer));
  expect(trouble.reason).toBe('interrupted');
  expect(trouble.kind).toBe('login-expired');
  expect(trouble.toLine()).toMatch(/renewal of 2\d{3}-.*Z was interrupted/);
  expect(trouble.toLine()).toContain(`wire login ${login.issuer}`);
  expect(requests()).toBe(before + 1);
  expect((await troubleOf(source(login.issuer))).reason).toBe('interrupted');
  expect(requests()).toBe(before + 1);
  const kept = await vault.load(login.issuer, signal);
  expect(kept?.client.id).toBe(login.client.id);
  expect(kept?.grant?.refreshToken?.reveal()).toBe(login.grant?.refreshToken?.reveal());
}

describe.each(['standard', 'indigo'] as const)('a refresh by another process (%s)', (dialect) => {
  it('takes its access token from this one’s hands, where the provider kills it', async () => {
    await using at = await bench({ dialect });
    const login = await iamLogin(at);
    await vault.save(login, signal);
    const tokens = source(login.issuer);
    const first = await tokens.accessToken(0, signal);
    expect(await tokens.accessToken(0, signal)).toEqual(first);
    await refreshElsewhere(login.issuer);
    const { token } = await tokens.accessToken(0, signal);
    const url = at.client.url('userinfo_endpoint');
    expect((await at.client.bearer(url, token.reveal())).status).toBe(200);
    const killed = await at.client.bearer(url, first.token.reveal());
    expect(killed.status).toBe(dialect === 'indigo' ? 401 : 200);
  });
});

/** By a process of its own, for another audience. */
async function refreshElsewhere(issuer: string): Promise<void> {
  const script = path.join(code, SCRIPT.replace(/ts$/, 'js'));
  const words = [script, path.join(folder, 'state'), path.join(folder, 'key'), issuer, 'never'];
  const child = spawn(process.execPath, words, { stdio: ['ignore', 'ignore', 'inherit'] });
  expect(await once(child, 'exit')).toEqual([0, null]);
}

describe('a provider that forgives a lost answer', () => {
  it.each(lost)('gives new tokens to who comes after one killed at %s', async (point) => {
    await using issuer = await FakeIssuer.start();
    // As Okta's grace period or Auth0's leeway: the last spent token is good until its successor
    // has been used.
    const good = ['refresh-0'];
    issuer.always('refresh', (seen: Seen) => {
      const shown = good.indexOf(seen.form.get('refresh_token') ?? '');
      if (shown < 0) return { status: 400, json: { error: 'invalid_grant' } };
      good.splice(0, shown);
      const successor = issuer.secret('refresh');
      good.push(successor);
      return issuer.tokens({ refresh_token: successor });
    });
    const access = { token: new Secret('access-0'), scopes: ['openid'], issuedAtMs: 0 };
    const refreshToken = new Secret('refresh-0');
    const grant = { subject: 'u1', groups: [], scopes: ['openid'], refreshToken, access };
    await vault.save({ issuer: issuer.url, client: { id: 'c1' }, grant }, signal);
    await dieAt(point, issuer.url);
    await source(issuer.url).accessToken(0, signal);
    expect(issuer.of('refresh')).toHaveLength(2);
    expect((await vault.load(issuer.url, signal))?.grant?.pending).toBeUndefined();
  });
});
