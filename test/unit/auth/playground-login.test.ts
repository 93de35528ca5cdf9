import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import type { AuthContext } from '../../../src/auth/auth-context.ts';
import { redirectUris } from '../../../src/auth/browser-login.ts';
import { decodeJwt } from '../../../src/auth/jwt.ts';
import { type LoginRequest, type LoginSummary, login, logout } from '../../../src/auth/login.ts';
import { LoginTokenSource } from '../../../src/auth/login-token-source.ts';
import { clientIsGone } from '../../../src/auth/registration.ts';
import type { IamDialect } from '../../../src/demo/dialect.ts';
import { authorizeInBrowser, visit } from '../../../src/demo/iam/browser.ts';
import { type Iam, startIam } from '../../../src/demo/iam/iam.ts';
import { systemClock } from '../../../src/lib/clock.ts';
import { silentLog } from '../../../src/lib/log.ts';
import { Secret } from '../../../src/lib/secret.ts';
import { WireError } from '../../../src/lib/wire-error.ts';
import { FakeClock } from '../../fixtures/fake-clock.ts';
import { MemoryVault } from '../../fixtures/memory-vault.ts';

const signal = new AbortController().signal;
const alice = { name: 'alice', sub: 'sub-alice', groups: ['cms', 'cms/admins'] };

describe.each<IamDialect>(['standard', 'indigo'])('a login at the %s playground', (dialect) => {
  let iam: Iam;
  let clock: FakeClock;
  let vault: MemoryVault;
  let context: AuthContext;

  beforeEach(async () => {
    iam = await startIam({ dialect, users: [alice], rotateRefreshTokens: true }, signal);
    clock = new FakeClock(Date.now());
    vault = new MemoryVault();
    context = { vault, clock, log: silentLog };
  });
  afterEach(async () => await iam[Symbol.asyncDispose]());

  /** What the person does with the code; the clock moves on afterwards. */
  type Person = (code: string) => Promise<void>;

  const approves: Person = async (code) => await iam.approve(code, 'alice', signal);

  async function logIn(person: Person, over: Partial<LoginRequest> = {}): Promise<LoginSummary> {
    const request = {
      issuer: iam.issuer,
      scopes: ['openid', 'profile', 'offline_access'],
      audience: 'wire-s3',
      clientName: 'wire on a test',
      ...over,
    };
    const acts: Promise<void>[] = [];
    const events = { code: (code: { userCode: string }) => void acts.push(person(code.userCode)) };
    const progress = { done: false };
    const outcome = login(request, events, context, signal).finally(() => {
      progress.done = true;
    });
    const settled = outcome.then(
      () => undefined,
      () => undefined,
    );
    for (;;) {
      await Promise.race([clock.sleeper(), settled]);
      await Promise.all(acts);
      if (progress.done) return await outcome;
      await clock.advance(clock.nextDueMs ?? 0);
    }
  }

  const source = (): LoginTokenSource => new LoginTokenSource({ issuer: iam.issuer, context });

  it.each([false, true])(
    'names the person and works for its audience (public: %s)',
    async (publicClient) => {
      const summary = await logIn(approves, { publicClient });
      expect(summary).toMatchObject({
        subject: 'sub-alice',
        username: 'alice',
        audience: 'wire-s3',
        renewable: true,
      });
      expect(summary.groups.join()).toContain('cms');
      const stored = await vault.load(iam.issuer);
      expect(stored?.client.secret === undefined).toBe(publicClient);
      const { token } = await source().accessToken(0, signal);
      expect(decodeJwt(token)).toMatchObject({ subject: 'sub-alice', audiences: ['wire-s3'] });
    },
  );

  it('gives new tokens with the audience, again and again', async () => {
    await logIn(approves);
    const seen = new Set<string>();
    for (let i = 0; i < 3; i += 1) {
      const { grant, ...login } = (await vault.load(iam.issuer)) ?? {
        issuer: '',
        client: { id: '' },
      };
      if (grant === undefined) throw new Error('no grant');
      seen.add(grant.refreshToken?.reveal() ?? '');
      const access = { ...grant.access, expiresAtMs: grant.access.issuedAtMs };
      await vault.save({ ...login, grant: { ...grant, access } });
      const { token } = await source().accessToken(0, signal);
      expect(decodeJwt(token)?.audiences).toEqual(['wire-s3']);
    }
    // Rotation is on: each refresh left another token in the vault.
    expect(seen.size).toBe(3);
  });

  it.each([false, true])('is over after logout (public: %s)', async (publicClient) => {
    await logIn(approves, { publicClient });
    const before = await vault.load(iam.issuer);
    const summary = await logout(iam.issuer, { forgetClient: false }, context, signal);
    expect(summary).toMatchObject({ wasLoggedIn: true, revoked: true, client: 'kept' });
    expect(summary.revocationTrouble).toBeUndefined();
    // Somebody who had copied the vault gets nothing any more.
    if (before?.grant === undefined) throw new Error('no grant');
    const access = { ...before.grant.access, expiresAtMs: 1, issuedAtMs: 0 };
    await vault.save({ ...before, grant: { ...before.grant, access } });
    await expect(source().accessToken(0, signal)).rejects.toMatchObject({ kind: 'login-expired' });
  });

  it('uses its client again, and registers another once that is deleted', async () => {
    const first = await logIn(approves);
    expect((await logIn(approves)).clientId).toBe(first.clientId);
    const kept = await vault.load(iam.issuer);
    const summary = await logout(iam.issuer, { forgetClient: true }, context, signal);
    expect(summary.client).toBe('deleted');
    if (kept === undefined) throw new Error('nothing stored');
    await vault.save({ issuer: kept.issuer, client: kept.client });
    expect((await logIn(approves)).clientId).not.toBe(first.clientId);
  });

  it.each([
    ['who is disabled', { disabled: true }, 'is not active'],
    ['who must sign the policy', { aupSigned: false }, 'sign the acceptable use policy'],
  ])('of a person %s says so, and heals', async (_, change, words) => {
    await logIn(approves);
    const stored = await vault.load(iam.issuer);
    if (stored?.grant === undefined) throw new Error('no grant');
    const access = { ...stored.grant.access, expiresAtMs: 1, issuedAtMs: 0 };
    await vault.save({ ...stored, grant: { ...stored.grant, access } });
    iam.changeUser('alice', change);
    // RFC 6749 has no words for it: in `standard` a refusal is all there is to see.
    if (dialect === 'standard') iam.revokeAll();
    const error: unknown = await source()
      .accessToken(0, signal)
      .catch((reason: unknown) => reason);
    if (!(error instanceof WireError)) throw error;
    expect(error.kind).toBe('login-expired');
    if (dialect === 'standard') return;
    expect(error.toLine()).toContain(words);
    iam.changeUser('alice', { disabled: false, aupSigned: true });
    expect((await source().accessToken(0, signal)).token.reveal()).toContain('.');
  });

  it('that is denied ends, at once or with its code', async () => {
    const denies: Person = async (code) => await iam.deny(code, 'alice', signal);
    const error: unknown = await logIn(denies).catch((reason: unknown) => reason);
    if (!(error instanceof WireError)) throw error;
    // INDIGO IAM tells nobody: the code just runs out.
    expect(error.kind).toBe(dialect === 'indigo' ? 'login-expired' : 'login-denied');
  });

  it('is the same with a slash more or less', async () => {
    const other = iam.issuer.endsWith('/') ? iam.issuer.slice(0, -1) : `${iam.issuer}/`;
    await logIn(approves, { issuer: other });
    expect((await source().accessToken(0, signal)).token.reveal()).toContain('.');
  });
});

describe.each<IamDialect>(['standard', 'indigo'])(
  'a login with a browser at the %s playground',
  (dialect) => {
    let iam: Iam;
    let vault: MemoryVault;
    let context: AuthContext;
    let notes: string[];
    let shown: string[];

    beforeEach(async () => {
      const clients = [
        { clientId: 'desk', clientSecret: 'desk-secret', redirectUris: [...redirectUris] },
        { clientId: 'elsewhere', redirectUris: ['http://127.0.0.1:9/other'] },
      ];
      iam = await startIam({ dialect, users: [alice], clients }, signal);
      vault = new MemoryVault();
      context = { vault, clock: systemClock, log: silentLog };
      notes = [];
      shown = [];
    });
    afterEach(async () => await iam[Symbol.asyncDispose]());

    async function logIn(
      over: Partial<LoginRequest> = {},
      decision: 'approve' | 'deny' = 'approve',
    ): Promise<LoginSummary> {
      const request = {
        issuer: iam.issuer,
        scopes: ['openid', 'profile', 'offline_access'],
        audience: 'wire-s3',
        clientName: 'wire on a test',
        flow: 'browser' as const,
        ...over,
      };
      const visits: Promise<unknown>[] = [];
      const events = {
        code: ({ userCode }: { userCode: string }) =>
          void visits.push(iam.approve(userCode, 'alice', signal)),
        page: ({ url }: { url: string }) => {
          shown.push(url);
          visits.push(authorizeInBrowser(url, 'alice', undefined, signal, decision));
        },
        note: (text: string) => void notes.push(text),
      };
      const summary = await login(request, events, context, signal).catch(
        async (error: unknown) => {
          await Promise.allSettled(visits);
          throw error;
        },
      );
      await Promise.all(visits);
      return summary;
    }

    it.each([false, true])(
      'names the person, and can be renewed (public: %s)',
      async (publicClient) => {
        const summary = await logIn({ publicClient });
        expect(summary).toMatchObject({
          subject: 'sub-alice',
          username: 'alice',
          audience: 'wire-s3',
          renewable: true,
        });
        const stored = await vault.load(iam.issuer);
        expect(stored?.client.secret === undefined).toBe(publicClient);
        expect(stored?.client.registration?.redirectUris).toEqual(redirectUris);
        if (stored?.grant === undefined) throw new Error('no grant');
        expect(decodeJwt(stored.grant.access.token)?.audiences).toEqual(['wire-s3']);
        const access = { ...stored.grant.access, expiresAtMs: stored.grant.access.issuedAtMs };
        await vault.save({ ...stored, grant: { ...stored.grant, access } });
        const source = new LoginTokenSource({ issuer: iam.issuer, context });
        expect(decodeJwt((await source.accessToken(0, signal)).token)).toMatchObject({
          subject: 'sub-alice',
          audiences: ['wire-s3'],
        });
      },
    );

    it('uses its client again, and registers another once that is deleted there', async () => {
      const first = await logIn();
      expect((await logIn()).clientId).toBe(first.clientId);
      const kept = await vault.load(iam.issuer);
      await logout(iam.issuer, { forgetClient: true }, context, signal);
      if (kept === undefined) throw new Error('nothing stored');
      await vault.save(kept);
      expect((await logIn()).clientId).not.toBe(first.clientId);
      expect(notes.join()).toContain('has forgotten the client');
    });

    it('registers anew a client that was made for codes alone, which is then deleted', async () => {
      // A device login as far as its code: the client is stored by then.
      const stop = new AbortController();
      const request = {
        issuer: iam.issuer,
        scopes: ['openid', 'profile', 'offline_access'],
        clientName: 'wire on a test',
      };
      const events = { code: () => stop.abort(new Error('enough')) };
      await expect(login(request, events, context, stop.signal)).rejects.toThrow('enough');
      const before = await vault.load(iam.issuer);
      expect(before?.client.registration?.redirectUris).toBeUndefined();
      const summary = await logIn();
      expect(summary.clientId).not.toBe(before?.client.id);
      if (before === undefined) throw new Error('nothing stored');
      expect(await clientIsGone(before.client, {}, signal)).toBe(true);
    });

    it('works with a client made by hand, and says what that needs', async () => {
      const client = { id: 'desk', secret: new Secret('desk-secret') };
      expect((await logIn({ client })).clientId).toBe('desk');
      expect(notes.join()).toContain(redirectUris[0]);
      expect(iam.counters().registration).toBe(0);
    });

    it('is not begun by a provider that does not know where to send the browser', async () => {
      const stop = new AbortController();
      const ends: string[] = [];
      const events = {
        code: () => undefined,
        page: ({ url }: { url: string }) => {
          visit({ url, userName: 'alice' }, signal)
            .then((end) => ends.push(end))
            .finally(() => stop.abort(new Error('seen enough')))
            .catch(() => undefined);
        },
      };
      const request = { issuer: iam.issuer, scopes: ['openid'], clientName: 'wire' };
      const refused = { ...request, flow: 'browser' as const, client: { id: 'elsewhere' } };
      await expect(login(refused, events, context, stop.signal)).rejects.toThrow('seen enough');
      expect(ends).toEqual(['error']);
    });

    it('that is denied ends at once', async () => {
      await expect(logIn({}, 'deny')).rejects.toMatchObject({ kind: 'login-denied' });
    });

    it('leaves two at once to a port each', async () => {
      const other = new MemoryVault();
      const second = login(
        {
          issuer: iam.issuer,
          scopes: ['openid', 'offline_access'],
          clientName: 'wire too',
          flow: 'browser',
        },
        {
          code: () => undefined,
          page: ({ url }) => {
            shown.push(url);
            logIn()
              .then(async () => await authorizeInBrowser(url, 'alice', undefined, signal))
              .catch(() => undefined);
          },
        },
        { ...context, vault: other },
        signal,
      );
      expect((await second).renewable).toBe(true);
      const ports = shown.map((url) => new URL(url).searchParams.get('redirect_uri'));
      expect(new Set(ports).size).toBe(2);
    });
  },
);

describe('registration at the playground', () => {
  it.each<IamDialect>(['standard', 'indigo'])(
    'that is closed asks for --client-id (%s)',
    async (dialect) => {
      const options = { dialect, users: [alice], registration: 'disabled' } as const;
      await using iam = await startIam(options, signal);
      const context = {
        vault: new MemoryVault(),
        clock: new FakeClock(Date.now()),
        log: silentLog,
      };
      const request = { issuer: iam.issuer, scopes: ['openid'], clientName: 'wire' };
      const error: unknown = await login(request, { code: () => undefined }, context, signal).catch(
        (reason: unknown) => reason,
      );
      if (!(error instanceof WireError)) throw error;
      expect(error.toLine()).toContain('--client-id');
    },
  );
});
