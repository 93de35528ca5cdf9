import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import type { TokenSource } from '../../../src/auth/token-source.ts';
import { silentLog } from '../../../src/lib/log.ts';
import { Secret } from '../../../src/lib/secret.ts';
import { WireError } from '../../../src/lib/wire-error.ts';
import { mayLogInAgain } from '../../../src/sts/renewal.ts';
import { RenewingCredentials } from '../../../src/sts/renewing-credentials.ts';
import { FakeClock } from '../../fixtures/fake-clock.ts';
import { inlineSts } from './inline-sts.ts';

const forever = new AbortController().signal;
const WAIT_MS = 30_000;
const LEASE_MS = 60_000;
const HOUR_MS = 3_600_000;

const ended = new WireError('login-expired', { tried: 'renew', answered: '401 invalid_token' });
const down = new WireError('unreachable', { tried: 'renew', answered: 'connection refused' });

/** What a caller got: a key, or the kind of an error. */
type Outcome = Promise<string>;

let clock: FakeClock;
let asked: number;
let tokenError: WireError | undefined;
/** Another one for each login that is stored. */
let mark: string;
let source: RenewingCredentials;

const tokens: TokenSource = {
  accessToken: () => {
    asked += 1;
    if (tokenError !== undefined) return Promise.reject(tokenError);
    return Promise.resolve({ token: new Secret('opaque-token'), expiresAtMs: undefined });
  },
};

function open(over: { readonly expiryWaitMs?: number; readonly sees?: boolean } = {}): void {
  const { expiryWaitMs = WAIT_MS, sees = true } = over;
  source = new RenewingCredentials({
    tokens: sees ? { ...tokens, loginMark: () => Promise.resolve(mark) } : tokens,
    endpoint: 'http://127.0.0.1:1/',
    sessionName: 'alice',
    clock,
    random: () => 0.5,
    log: silentLog,
    http: { fetch: inlineSts(clock, LEASE_MS) },
    expiryWaitMs,
  });
}

function ask(signal = forever): Outcome {
  return source.credentials(signal).then(
    ({ accessKeyId }) => accessKeyId,
    (error: unknown) => (error instanceof WireError ? error.kind : String(error)),
  );
}

/** The first lease is over, and the login with it. */
async function dead(): Promise<void> {
  expect(await ask()).toBe('AK1');
  tokenError = ended;
  await clock.advance(LEASE_MS + 1000);
  asked = 0;
}

function logIn(): void {
  tokenError = undefined;
  mark += '+';
}

beforeEach(() => {
  clock = new FakeClock();
  asked = 0;
  tokenError = undefined;
  mark = '0';
});
afterEach(async () => await source[Symbol.asyncDispose]());

describe('when the login has ended', () => {
  it('callers wait, and each is told after its own wait', async () => {
    open();
    await dead();
    const first = ask();
    await clock.advance(10_000);
    const second = ask();
    let settled = '';
    void first.then(() => (settled += '1'));
    void second.then(() => (settled += '2'));
    await clock.advance(19_999);
    expect(settled).toBe('');
    await clock.advance(1);
    expect(settled).toBe('1');
    await clock.advance(10_000);
    expect(await Promise.all([first, second])).toEqual(['login-expired', 'login-expired']);
  });

  it('a new login lets everybody go within a second', async () => {
    open();
    await dead();
    const waiting = [ask(), ask(), ask()];
    await clock.advance(5000);
    logIn();
    await clock.advance(1000);
    expect(await Promise.all(waiting)).toEqual(['AK2', 'AK2', 'AK2']);
    expect(source.state.degraded).toBeUndefined();
  });

  it('a new login heals within a second after an hour, with nobody waiting', async () => {
    open();
    await dead();
    await clock.advance(HOUR_MS);
    expect(source.state.degraded).toContain('401 invalid_token');
    logIn();
    await clock.advance(1000);
    expect(source.state.degraded).toBeUndefined();
    expect(await ask()).toBe('AK2');
  });

  it('the first caller after a new login need not wait at all', async () => {
    open({ expiryWaitMs: 0 });
    await dead();
    await clock.advance(500);
    expect(await ask()).toBe('login-expired');
    logIn();
    expect(await ask()).toBe('AK2');
  });

  it('the provider is asked about once a minute however many wait', async () => {
    open();
    await dead();
    for (let second = 0; second < 600; second += 1) {
      for (let caller = 0; caller < 5; caller += 1) void ask();
      await clock.advance(1000);
    }
    expect(asked).toBeGreaterThan(5);
    expect(asked).toBeLessThan(20);
  });

  it('a source without a vault is asked each second, by all who wait together', async () => {
    open({ sees: false });
    await dead();
    const waiting = Array.from({ length: 20 }, async () => await ask());
    await clock.advance(10_000);
    expect(asked).toBeGreaterThan(7);
    expect(asked).toBeLessThan(13);
    tokenError = undefined;
    await clock.advance(1000);
    expect(new Set(await Promise.all(waiting))).toEqual(new Set(['AK2']));
  });

  it('a source without a vault is left alone while nobody waits', async () => {
    open({ sees: false });
    await dead();
    await clock.advance(HOUR_MS);
    // Every half minute, after pauses that doubled.
    expect(asked).toBeLessThan(140);
  });

  it('an interrupted caller leaves at once, and the others stay', async () => {
    open();
    await dead();
    const interrupt = new AbortController();
    const leaves = ask(interrupt.signal);
    const stays = ask();
    await clock.advance(1000);
    interrupt.abort(new Error('Ctrl-C'));
    expect(await leaves).toContain('Ctrl-C');
    logIn();
    await clock.advance(1000);
    expect(await stays).toBe('AK2');
  });

  it('what is left of a lease is used without waiting', async () => {
    open();
    await ask();
    tokenError = ended;
    await clock.advance(LEASE_MS - 1000);
    expect(source.state.degraded).toContain('401');
    expect(await ask()).toBe('AK1');
  });

  it('a lease that the store refuses is waited for in the same way', async () => {
    open();
    const first = await source.credentials(forever);
    tokenError = ended;
    const renewed = source.renew(first, forever).then(({ accessKeyId }) => accessKeyId);
    await clock.advance(5000);
    logIn();
    await clock.advance(1000);
    expect(await renewed).toBe('AK2');
  });

  it('a lease that the store refuses is renewed after the login, though most of it is left', async () => {
    open({ expiryWaitMs: 0 });
    const first = await source.credentials(forever);
    tokenError = ended;
    await expect(source.renew(first, forever)).rejects.toMatchObject({ kind: 'login-expired' });
    logIn();
    await clock.advance(1000);
    expect(await ask()).toBe('AK2');
  });

  it('those who wait are told when it is the network that fails now', async () => {
    open();
    await dead();
    const waiting = ask();
    await clock.advance(1000);
    logIn();
    tokenError = down;
    await clock.advance(1000);
    expect(await waiting).toBe('unreachable');
    expect(source.state.degraded).toContain('connection refused');
  });

  it('nobody waits for the very first credentials', async () => {
    open();
    tokenError = ended;
    expect(await ask()).toBe('login-expired');
  });

  it('closing ends the looking', async () => {
    open();
    await dead();
    await source[Symbol.asyncDispose]();
    expect(clock.sleeping).toBe(0);
  });

  it('no history of logins, deaths and callers makes a storm, or leaves anybody waiting', async () => {
    const step = fc.constantFrom('ask', 'login', 'death', 'refuse', 'second', 'minute');
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40, size: 'max' }), async (steps) => {
        clock = new FakeClock();
        [asked, tokenError, mark] = [0, undefined, '0'];
        open();
        const callers: Outcome[] = [ask()];
        await clock.advance(0);
        let [changes, minutes] = [1, 0];
        for (const one of steps) {
          if (one === 'ask') callers.push(ask());
          if (one === 'login') logIn();
          if (one === 'death') [tokenError, mark] = [ended, `${mark}-`];
          if (one === 'login' || one === 'death') changes += 1;
          if (one === 'refuse' && tokenError === undefined) {
            const held = await source.credentials(forever).catch(() => undefined);
            if (held !== undefined) void source.renew(held, forever).catch(() => undefined);
            changes += 1;
          }
          const ms = one === 'minute' ? 60_000 : 1000;
          minutes += ms / 60_000;
          await clock.advance(ms);
        }
        await clock.advance(WAIT_MS);
        await Promise.all(callers);
        // A lease of a minute is renewed every 45 s; each change may cost a request or two.
        expect(asked).toBeLessThan(3 * changes + 3 * (minutes + 1) + 3);
        logIn();
        await clock.advance(2000);
        expect(await ask()).toMatch(/^AK/);
        await source[Symbol.asyncDispose]();
      }),
      { numRuns: 60 },
    );
  });
});

describe('checked at once, as after a suspend or on another network', () => {
  it('credentials that could not be renewed are tried again without the rest of the pause', async () => {
    open();
    await ask();
    tokenError = down;
    await clock.advance(10 * LEASE_MS);
    tokenError = undefined;
    source.checkNow();
    await clock.advance(1000);
    expect(await ask()).toBe('AK2');
    expect(source.state.degraded).toBeUndefined();
  });

  it('a lease that ended unseen is renewed before anybody asks', async () => {
    open();
    await ask();
    clock.jumpWall(HOUR_MS);
    source.checkNow();
    await clock.advance(0);
    expect(source.state.renewals).toBe(2);
  });

  it('a good lease is left alone, and a hundred checks are no storm', async () => {
    open();
    await ask();
    for (let times = 0; times < 100; times += 1) source.checkNow();
    await clock.advance(1000);
    expect(asked).toBe(1);
    tokenError = down;
    await clock.advance(LEASE_MS);
    asked = 0;
    for (let times = 0; times < 100; times += 1) {
      source.checkNow();
      await clock.advance(100);
    }
    expect(asked).toBeLessThan(12);
  });
});

describe('asking an ended login again', () => {
  it('waits for a second, or for a change where one would see it', () => {
    expect(mayLogInAgain({ sinceMs: 999, changed: undefined })).toBe(false);
    expect(mayLogInAgain({ sinceMs: 1000, changed: undefined })).toBe(true);
    expect(mayLogInAgain({ sinceMs: 1e9, changed: false })).toBe(false);
    expect(mayLogInAgain({ sinceMs: 250, changed: true })).toBe(true);
  });
});
