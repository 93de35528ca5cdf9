import { inspect } from 'node:util';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import type { AuthContext } from '../../../src/auth/auth-context.ts';
import { LoginTokenSource } from '../../../src/auth/login-token-source.ts';
import type { StoredLogin } from '../../../src/auth/token-vault.ts';
import { createLog, silentLog } from '../../../src/lib/log.ts';
import { Secret } from '../../../src/lib/secret.ts';
import { WireError } from '../../../src/lib/wire-error.ts';
import { FakeClock } from '../../fixtures/fake-clock.ts';
import { FakeIssuer, type Seen, unsignedJwt } from '../../fixtures/fake-issuer.ts';
import { MemoryVault } from '../../fixtures/memory-vault.ts';

const PORTAL = '<!DOCTYPE html><html><title>Please wait</title><body>Sign in</body></html>';
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

/** There is room for the note that a refresh begins, and none for its answer. */
function fillUpWhileAnswering(): void {
  issuer.next('refresh', () => {
    vault.saveError = new Error('ENOSPC: no space left on device');
    return issuer.tokens();
  });
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

describe('a refresh', () => {
  /** An id_token that nobody signed, as the library reads it. */
  const idToken = (expiresInS: number): string => {
    const header = Buffer.from(JSON.stringify({ alg: 'RS256' })).toString('base64url');
    const iat = Math.floor(Date.now() / 1000);
    const claims = {
      iss: `${issuer.url}/`,
      sub: 'alice',
      aud: 'client-0',
      iat,
      exp: iat + expiresInS,
    };
    return `${unsignedJwt(claims).replace(/^[^.]*/, header)}c2lnbmVk`;
  };

  it('works by a clock that is an hour ahead of the provider’s', async () => {
    clock.jumpWall(3_600_000);
    await vault.save(loginOf({}));
    issuer.always('refresh', () => issuer.tokens({ id_token: idToken(600) }));
    expect(await reveal(source())).toMatch(/^access-\d/);
  });

  it('whose id_token is wrong is refused, and its refresh token kept all the same', async () => {
    issuer.next('refresh', () => issuer.tokens({ id_token: idToken(-7200) }));
    expect((await failure()).kind).toBe('identity-refused');
    const kept = await storedRefresh();
    expect(kept).toMatch(/^refresh-\d/);
    await reveal(source());
    expect(issuer.of('refresh')[1]?.form.get('refresh_token')).toBe(kept);
  });

  it('takes less than the login was granted where the provider gives no more', async () => {
    issuer.always('refresh', ({ form }) =>
      form.has('scope')
        ? { status: 400, json: { error: 'invalid_scope' } }
        : issuer.tokens({ scope: 'openid' }),
    );
    await reveal(source());
    await reveal(source());
    expect(issuer.of('refresh')).toHaveLength(2);
  });

  it('that drops a scope is not repeated by everybody who comes', async () => {
    issuer.always('refresh', () => issuer.tokens({ scope: 'openid' }));
    const first = await reveal(source());
    expect(await reveal(source())).toBe(first);
    expect(issuer.of('refresh')).toHaveLength(1);
  });

  it('that sends no refresh token leaves the one there is', async () => {
    issuer.always('refresh', () => issuer.tokens({ refresh_token: undefined }));
    await reveal(source());
    expect(await storedRefresh()).toBe('refresh-zero');
    expect((await vault.load(issuer.url))?.grant?.rotates).toBe(false);
  });

  it('whose connection breaks off is tried once more, at once', async () => {
    issuer.next('refresh', { drop: true });
    expect(await reveal(source())).toMatch(/^access-\d/);
    expect(issuer.of('refresh')).toHaveLength(2);
    expect((await vault.load(issuer.url))?.grant?.pending).toBeUndefined();
  });

  it.each([
    ['answers 503', { status: 503, text: 'busy' }],
    ['answers 429', { status: 429, text: 'busy' }],
  ])('that the provider puts off (it %s) leaves the tokens there are in use', async (_, answer) => {
    await vault.save(loginOf({ expiresAtMs: clock.now() + 1_000_000 }));
    issuer.always('refresh', answer);
    expect(await reveal(source(), 1_800_000)).toBe('access-zero');
    expect((await vault.load(issuer.url))?.grant?.pending).toBeUndefined();
  });

  it('that nobody answers leaves the tokens there are in use', async () => {
    await vault.save(loginOf({ expiresAtMs: clock.now() + 1_000_000 }));
    await issuer[Symbol.asyncDispose]();
    expect(await reveal(source(), 1_800_000)).toBe('access-zero');
  });

  it('that nobody answers any more does so too, since nothing was sent', async () => {
    const refusedConnection = Object.assign(new Error('no'), { code: 'ECONNREFUSED' });
    const network = { isDown: false };
    const reach: typeof fetch = async (...request) => {
      if (network.isDown) throw new TypeError('fetch failed', { cause: refusedConnection });
      return await fetch(...request);
    };
    const reached = { ...context, http: { fetch: reach } };
    const tokens = new LoginTokenSource({ issuer: issuer.url, context: reached });
    const first = await reveal(tokens);
    await clock.advance(1_900_000);
    network.isDown = true;
    expect(await reveal(tokens, 1_800_000)).toBe(first);
    expect((await vault.load(issuer.url))?.grant?.pending).toBeUndefined();
  });

  it('whose answer was lost leaves no token in use that the provider may have killed', async () => {
    await vault.save(loginOf({ expiresAtMs: clock.now() + 1_000_000 }));
    const [asking, other] = [source(), source()];
    expect(await reveal(other)).toBe('access-zero');
    issuer.next('refresh', { drop: true }, { drop: true });
    await expect(asking.accessToken(1_800_000, signal)).rejects.toMatchObject({
      kind: 'unreachable',
    });
    expect((await vault.load(issuer.url))?.grant?.pending?.sentAtMs).toBe(clock.now());
    expect(await reveal(other)).toMatch(/^access-\d/);
  });

  it('is waited for by who stops waiting for its token', async () => {
    const tokens = source();
    const controller = new AbortController();
    issuer.next('refresh', () => {
      controller.abort(new Error('Ctrl-C'));
      return issuer.tokens({ refresh_token: 'refresh-one' });
    });
    await expect(tokens.accessToken(0, controller.signal)).rejects.toThrow('Ctrl-C');
    expect(await storedRefresh()).toBe('refresh-one');
    await tokens[Symbol.asyncDispose]();
  });
});

describe('a login that somebody made while a refresh was under way', () => {
  const anew = (): StoredLogin => loginOf({ refresh: 'refresh-of-a-new-login' });

  it('is not overwritten when the refresh fails', async () => {
    issuer.next('refresh', () => {
      void vault.save(anew());
      return { status: 500 };
    });
    await failure();
    expect(await storedRefresh()).toBe('refresh-of-a-new-login');
    expect((await vault.load(issuer.url))?.grant?.pending).toBeUndefined();
  });

  it('is used when the connection of the refresh breaks off', async () => {
    issuer.next('refresh', () => {
      void vault.save(anew());
      return { drop: true };
    });
    await reveal(source());
    expect(issuer.of('refresh')[1]?.form.get('refresh_token')).toBe('refresh-of-a-new-login');
  });

  it('is not overwritten when the refresh succeeds without its lock', async () => {
    const lost = new AbortController();
    vault.exclusively = async (_, work) => await work(lost.signal);
    issuer.next('refresh', () => {
      lost.abort(new Error('another machine took the lock'));
      void vault.save(anew());
      return issuer.tokens();
    });
    expect((await failure()).kind).toBe('unavailable');
    expect(await storedRefresh()).toBe('refresh-of-a-new-login');
  });

  it('is not there, and the answer is stored even without the lock', async () => {
    const lost = new AbortController();
    vault.exclusively = async (_, work) => await work(lost.signal);
    issuer.next('refresh', () => {
      lost.abort(new Error('another machine took the lock'));
      return issuer.tokens({ refresh_token: 'refresh-one' });
    });
    await reveal(source());
    expect(await storedRefresh()).toBe('refresh-one');
  });
});

describe('a source that is closed', () => {
  it('waits for an answer that is on its way, and not for long', async () => {
    const tokens = source();
    const controller = new AbortController();
    let closed: Promise<void> | undefined;
    issuer.next('refresh', () => {
      closed = tokens[Symbol.asyncDispose]();
      return issuer.tokens({ refresh_token: 'refresh-one' });
    });
    await tokens.accessToken(0, controller.signal);
    await closed;
    expect(await storedRefresh()).toBe('refresh-one');
    expect(clock.sleeping).toBe(0);
  });
});

describe('the end of a login', () => {
  it('is logged days before, once a day', async () => {
    const lines: string[] = [];
    const log = createLog(
      (line) => void lines.push(line),
      'warn',
      () => clock.now(),
    );
    const exp = Math.floor(clock.now() / 1000) + 2 * 86_400;
    const token = unsignedJwt({ jti: 'x', exp });
    issuer.always('refresh', () => issuer.tokens({ refresh_token: token }));
    const login = loginOf({});
    if (login.grant === undefined) throw new Error('no grant');
    const month = { refreshIssuedAtMs: clock.now() - 28 * 86_400_000 };
    await vault.save({
      ...login,
      grant: { ...login.grant, ...month, refreshToken: new Secret(token) },
    });
    const tokens = new LoginTokenSource({ issuer: issuer.url, context: { ...context, log } });
    for (let hour = 0; hour < 30; hour += 1) {
      await reveal(tokens);
      await clock.advance(3_600_000);
    }
    expect(lines).toHaveLength(2);
    expect(lines[0]).toContain('login ends soon');
    expect(lines[0]).toContain(`wire login ${issuer.url}`);
  });
});

describe('a rotated refresh token', () => {
  it('is stored before its access token is handed out', async () => {
    await reveal(source());
    expect(await storedRefresh()).toMatch(/^refresh-\d/);
  });

  it('that cannot be stored is kept, and stored before anything else', async () => {
    const tokens = source();
    fillUpWhileAnswering();
    const error = await failure(tokens);
    expect(error.kind).toBe('unavailable');
    expect(error.toLine()).toContain('no space left');
    expect(await storedRefresh()).toBe('refresh-zero');
    vault.saveError = undefined;
    await reveal(tokens);
    expect(issuer.of('refresh')).toHaveLength(1);
    expect(await storedRefresh()).toMatch(/^refresh-\d/);
  });

  it('that one process holds and cannot store is not sent again by another', async () => {
    const holder = source();
    fillUpWhileAnswering();
    await failure(holder);
    vault.saveError = undefined;
    const error = await failure(source());
    expect(error.kind).toBe('unavailable');
    expect(error.toLine()).toContain(`process ${process.pid}`);
    expect(issuer.of('refresh')).toHaveLength(1);
    await reveal(holder);
    expect(await reveal(source())).toMatch(/^access-\d/);
    expect(issuer.of('refresh')).toHaveLength(1);
  });

  it('that could not be stored does not replace a login made since', async () => {
    const tokens = source();
    fillUpWhileAnswering();
    await failure(tokens);
    vault.saveError = undefined;
    await vault.save(loginOf({ refresh: 'refresh-of-a-new-login' }));
    await reveal(tokens);
    expect(issuer.of('refresh')[1]?.form.get('refresh_token')).toBe('refresh-of-a-new-login');
  });

  it('that could not be stored is not brought back after a logout', async () => {
    const tokens = source();
    fillUpWhileAnswering();
    await failure(tokens);
    vault.saveError = undefined;
    await vault.delete(issuer.url);
    expect((await failure(tokens)).toLine()).toContain('nobody is logged in');
    expect(await vault.load(issuer.url)).toBeUndefined();
  });

  it('is not spent while the vault takes nothing', async () => {
    vault.saveError = new Error('ENOSPC: no space left on device');
    const error = await failure();
    expect(error.kind).toBe('unavailable');
    expect(error.toLine()).toContain('no space left');
    expect(issuer.of('refresh')).toHaveLength(0);
  });

  it('that does not rotate needs no vault once that is known', async () => {
    issuer.always('refresh', () => issuer.tokens({ refresh_token: 'refresh-zero' }));
    const tokens = source();
    await reveal(tokens);
    vault.saveError = new Error('read-only file system');
    await clock.advance(3_500_000);
    expect(await reveal(tokens)).toMatch(/^access-\d/);
    expect(issuer.of('refresh')).toHaveLength(2);
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
    ['unavailable', 'the page of a captive portal', { text: PORTAL }],
    ['unavailable', 'nothing in it', { text: '' }],
    ['unavailable', 'a way to a captive portal', { status: 302, text: PORTAL }],
    ['identity-refused', 'a page that says 401', { status: 401, text: PORTAL }],
    ['identity-refused', 'a page that says 403', { status: 403, text: PORTAL }],
    ['unreachable', 'a dropped connection', { drop: true }],
    ['identity-refused', 'a wider scope', { status: 400, json: { error: 'invalid_scope' } }],
  ])('is %s after %s', async (kind, _, answer) => {
    issuer.always('refresh', answer);
    expect((await failure()).kind).toBe(kind);
    issuer.always('refresh', () => issuer.tokens());
    expect(await reveal(source())).toMatch(/^access-\d/);
  });

  it('is unavailable where a captive portal answers for the provider', async () => {
    issuer.next('discovery', { text: PORTAL }, { status: 404, text: PORTAL });
    expect((await failure()).kind).toBe('unavailable');
    expect((await failure()).kind).toBe('unavailable');
    expect(issuer.of('refresh')).toEqual([]);
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
