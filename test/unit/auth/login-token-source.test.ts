import { inspect } from 'node:util';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import type { AuthContext } from '../../../src/auth/auth-context.ts';
import { LoginTokenSource } from '../../../src/auth/login-token-source.ts';
import type { StoredLogin } from '../../../src/auth/token-vault.ts';
import { silentLog } from '../../../src/lib/log.ts';
import { Secret } from '../../../src/lib/secret.ts';
import { WireError } from '../../../src/lib/wire-error.ts';
import { FakeClock } from '../../fixtures/fake-clock.ts';
import { FakeIssuer, type Seen, unsignedJwt } from '../../fixtures/fake-issuer.ts';
import { MemoryVault } from '../../fixtures/memory-vault.ts';

const signal = new AbortController().signal;
let issuer: FakeIssuer;
let clock: FakeClock;
let vault: MemoryVault;
let context: AuthContext;

beforeEach(async () => {
  issuer = await FakeIssuer.start();
  clock = new FakeClock(Date.now());
  vault = new MemoryVault();
  context = { vault, clock, log: silentLog };
  await vault.save(loginOf({}));
});
afterEach(async () => await issuer[Symbol.asyncDispose]());

function loginOf(over: {
  readonly expiresAtMs?: number;
  readonly refresh?: string | null;
}): StoredLogin {
  const { expiresAtMs = clock.now(), refresh = 'refresh-zero' } = over;
  if (refresh !== null) issuer.secrets.add(refresh);
  issuer.secrets.add('client-secret-zero').add('access-zero');
  return {
    issuer: issuer.url,
    client: { id: 'client-0', secret: new Secret('client-secret-zero') },
    grant: {
      subject: 'alice',
      groups: [],
      scopes: ['openid', 'offline_access'],
      audience: 'object',
      ...(refresh === null ? {} : { refreshToken: new Secret(refresh) }),
      access: {
        token: new Secret('access-zero'),
        audience: 'object',
        scopes: ['openid', 'offline_access'],
        issuedAtMs: expiresAtMs - 3_600_000,
        expiresAtMs,
      },
    },
  };
}

const source = (audience?: string): LoginTokenSource =>
  new LoginTokenSource({
    issuer: `${issuer.url}/`,
    context,
    ...(audience === undefined ? {} : { audience }),
  });

async function reveal(tokens: LoginTokenSource, minLifeMs = 0): Promise<string> {
  return (await tokens.accessToken(minLifeMs, signal)).token.reveal();
}

async function failure(tokens = source()): Promise<WireError> {
  const error: unknown = await tokens.accessToken(0, signal).catch((reason: unknown) => reason);
  if (!(error instanceof WireError)) throw new Error(`no WireError: ${inspect(error)}`);
  const printed =
    inspect(error, { depth: 9, showHidden: true }) + JSON.stringify(error) + error.toLine();
  for (const secret of issuer.secrets) expect(printed).not.toContain(secret);
  return error;
}

async function storedRefresh(): Promise<string | undefined> {
  return (await vault.load(issuer.url))?.grant?.refreshToken?.reveal();
}

describe('the tokens of a login', () => {
  it('are taken from the vault while they live', async () => {
    await vault.save(loginOf({ expiresAtMs: clock.now() + 3_000_000 }));
    expect(await reveal(source())).toBe('access-zero');
    expect(issuer.of('refresh')).toHaveLength(0);
  });

  it('are refreshed with scope and audience, once for all who wait', async () => {
    const tokens = source();
    const [one, two] = await Promise.all([reveal(tokens), reveal(tokens)]);
    expect(one).toBe(two);
    expect(issuer.of('refresh')).toHaveLength(1);
    const form = issuer.of('refresh')[0]?.form;
    expect(form?.get('refresh_token')).toBe('refresh-zero');
    expect(form?.get('audience')).toBe('object');
    expect(form?.get('scope')).toBe('openid offline_access');
  });

  it('are refreshed two minutes before they end', async () => {
    const tokens = source();
    const first = await reveal(tokens);
    await clock.advance(3_470_000);
    expect(await reveal(tokens)).toBe(first);
    await clock.advance(11_000);
    expect(await reveal(tokens)).not.toBe(first);
  });

  it('are refreshed earlier for somebody who needs them longer', async () => {
    const tokens = source();
    const first = await reveal(tokens);
    await clock.advance(2_000_000);
    expect(await reveal(tokens, 1_500_000)).toBe(first);
    expect(await reveal(tokens, 1_700_000)).not.toBe(first);
  });

  it('that live shorter than anybody needs are not fetched for each call', async () => {
    issuer.always('refresh', () => issuer.tokens({ expires_in: 10 }));
    const tokens = source();
    await reveal(tokens, 60_000);
    await reveal(tokens, 60_000);
    expect(issuer.of('refresh')).toHaveLength(1);
  });

  it('of unknown life are used for some minutes', async () => {
    issuer.always('refresh', () => issuer.tokens({ expires_in: undefined }));
    const tokens = source();
    const token = await tokens.accessToken(0, signal);
    expect(token.expiresAtMs).toBeUndefined();
    await clock.advance(120_000);
    expect(await reveal(tokens)).toBe(token.token.reveal());
    await clock.advance(300_000);
    expect(await reveal(tokens)).not.toBe(token.token.reveal());
  });

  it('are made for another audience than the login when that is asked', async () => {
    await vault.save(loginOf({ expiresAtMs: clock.now() + 3_000_000 }));
    await reveal(source('other'));
    expect(issuer.of('refresh')[0]?.form.get('audience')).toBe('other');
  });

  it('are refreshed after a suspend that the timers slept through', async () => {
    const tokens = source();
    const first = await reveal(tokens);
    clock.jumpWall(7_200_000);
    expect(await reveal(tokens)).not.toBe(first);
  });

  it('finish their refresh although the caller has gone', async () => {
    const controller = new AbortController();
    issuer.next('refresh', () => {
      controller.abort(new Error('gone'));
      return issuer.tokens({ refresh_token: 'refresh-one' });
    });
    await expect(source().accessToken(0, controller.signal)).rejects.toThrow('gone');
    await vault.exclusively(issuer.url, async () => await Promise.resolve(), signal);
    expect(await storedRefresh()).toBe('refresh-one');
  });
});

describe('a rotated refresh token', () => {
  it('is stored before its access token is handed out', async () => {
    await reveal(source());
    expect(await storedRefresh()).toMatch(/^refresh-\d/);
  });

  it('that cannot be stored is kept, and stored before anything else', async () => {
    const tokens = source();
    vault.saveError = new Error('ENOSPC: no space left on device');
    const error = await failure(tokens);
    expect(error.kind).toBe('unavailable');
    expect(error.toLine()).toContain('no space left');
    expect(await storedRefresh()).toBe('refresh-zero');
    vault.saveError = undefined;
    await reveal(tokens);
    expect(issuer.of('refresh')).toHaveLength(1);
    expect(await storedRefresh()).toMatch(/^refresh-\d/);
  });

  it('that did not rotate does not need the vault', async () => {
    issuer.always('refresh', () => issuer.tokens({ refresh_token: 'refresh-zero' }));
    vault.saveError = new Error('read-only file system');
    expect(await reveal(source())).toMatch(/^access-\d/);
  });

  it('of another process is used, not the one remembered', async () => {
    const [one, two] = [source(), source()];
    await reveal(one);
    await reveal(two);
    expect(issuer.of('refresh')).toHaveLength(1);
  });

  it('tells its own end where it can be read', async () => {
    const exp = Math.floor(clock.now() / 1000) + 86_400;
    const token = unsignedJwt({ jti: 'x', exp });
    issuer.next('refresh', issuer.tokens({ refresh_token: token }));
    await reveal(source());
    const end = (await vault.load(issuer.url))?.grant?.refreshExpiresAtMs ?? 0;
    expect(Math.abs(end - exp * 1000)).toBeLessThan(5000);
  });
});

describe('a login', () => {
  const echo = (seen: Seen): string =>
    `Invalid refresh token: ${seen.form.get('refresh_token') ?? ''}`;

  it.each([
    ['400 invalid_grant', 400, 'invalid_grant'],
    ['401 invalid_token', 401, 'invalid_token'],
    ['401 unauthorized', 401, 'unauthorized'],
    ['401 invalid_client', 401, 'invalid_client'],
  ])('is dead after %s, whose text shows no token', async (_, status, error) => {
    const headers = { 'www-authenticate': 'Bearer realm="x", error="invalid_token"' };
    issuer.always('refresh', (seen) => {
      return { status, json: { error, error_description: echo(seen) }, headers };
    });
    const reason = await failure();
    expect(reason.kind).toBe('login-expired');
    expect(reason.toLine()).toContain(`wire login ${issuer.url}`);
    expect(reason.toLine()).toContain(error);
    // The refusal of one moment is no reason to forget it.
    expect(await storedRefresh()).toBe('refresh-zero');
  });

  it('whose person must sign the policy says that', async () => {
    const text = 'User alice needs to sign AUP for this organization in order to proceed.';
    issuer.always('refresh', {
      status: 400,
      json: { error: 'invalid_grant', error_description: text },
    });
    const reason = await failure();
    expect(reason.kind).toBe('login-expired');
    expect(reason.facts.next).toContain('sign the acceptable use policy');
  });

  it.each([
    ['unavailable', 'a 500', { status: 500, json: { error: 'server_error' } }],
    ['unavailable', 'a page of a proxy', { status: 502, text: '<h1>Bad Gateway</h1>' }],
    ['unreachable', 'a dropped connection', { drop: true }],
    ['identity-refused', 'a wider scope', { status: 400, json: { error: 'invalid_scope' } }],
  ])('is %s after %s', async (kind, _, answer) => {
    issuer.always('refresh', answer);
    expect((await failure()).kind).toBe(kind);
    issuer.always('refresh', () => issuer.tokens());
    expect(await reveal(source())).toMatch(/^access-\d/);
  });

  it('that nobody made is login-expired', async () => {
    await vault.delete(issuer.url);
    expect((await failure()).kind).toBe('login-expired');
  });

  it('without a refresh token ends with its access token', async () => {
    await vault.save(loginOf({ refresh: null }));
    expect((await failure()).kind).toBe('login-expired');
  });
});
