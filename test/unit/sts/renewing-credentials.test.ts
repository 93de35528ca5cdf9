import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import type { TokenSource } from '../../../src/auth/token-source.ts';
import { silentLog } from '../../../src/lib/log.ts';
import { Secret } from '../../../src/lib/secret.ts';
import { WireError } from '../../../src/lib/wire-error.ts';
import type { Credentials } from '../../../src/sts/credential-source.ts';
import { RenewingCredentials } from '../../../src/sts/renewing-credentials.ts';
import { FakeClock } from '../../fixtures/fake-clock.ts';
import { unsignedJwt } from '../../fixtures/fake-issuer.ts';
import { awsError } from '../../fixtures/fake-sts.ts';

const signal = new AbortController().signal;
const down = awsError(503, 'STSNotInitialized', 'not ready');

/** An STS without a network: everything happens between two moves of the clock. */
class InlineSts {
  readonly leases: number[] = [];
  lifeMs = 3_600_000;
  failing = false;
  attempts = 0;
  readonly #clock: FakeClock;

  constructor(clock: FakeClock) {
    this.#clock = clock;
  }

  readonly fetch: typeof fetch = () => {
    this.attempts += 1;
    const now = this.#clock.now();
    const headers = { date: new Date(now).toUTCString() };
    if (this.failing)
      return Promise.resolve(new Response(down.text, { status: down.status, headers }));
    this.leases.push(now);
    const expiration = new Date(now + this.lifeMs).toISOString();
    const n = this.leases.length;
    const text = `<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>AK${n}</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken><Expiration>${expiration}</Expiration></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`;
    return Promise.resolve(new Response(text, { status: 200, headers }));
  };
}

let clock: FakeClock;
let sts: InlineSts;
let wanted: number[];
let tokenError: WireError | undefined;
let source: RenewingCredentials;
/** Of the tokens. */
let aud: string | undefined;

const tokens: TokenSource = {
  accessToken: (minLifeMs) => {
    wanted.push(minLifeMs);
    if (tokenError !== undefined) return Promise.reject(tokenError);
    const token = new Secret(unsignedJwt({ sub: 'alice', aud }));
    return Promise.resolve({ token, expiresAtMs: undefined });
  },
};

beforeEach(() => {
  clock = new FakeClock();
  sts = new InlineSts(clock);
  wanted = [];
  tokenError = undefined;
  aud = 'object';
  source = new RenewingCredentials({
    tokens,
    endpoint: 'http://127.0.0.1:1/',
    sessionName: 'alice',
    clock,
    random: () => 0.5,
    log: silentLog,
    http: { fetch: sts.fetch },
  });
});
afterEach(async () => await source[Symbol.asyncDispose]());

async function key(): Promise<string> {
  return (await source.credentials(signal)).accessKeyId;
}

describe('credentials that renew themselves', () => {
  it('are asked for once by callers at the same time', async () => {
    expect(await Promise.all([key(), key(), key()])).toEqual(['AK1', 'AK1', 'AK1']);
    expect(sts.attempts).toBe(1);
  });

  it('are renewed in the background at three quarters of their life', async () => {
    await key();
    await clock.advance(2_699_000);
    expect(sts.leases).toHaveLength(1);
    await clock.advance(2000);
    expect(sts.leases).toHaveLength(2);
    expect(await key()).toBe('AK2');
    const expiresAtMs = (sts.leases[1] ?? 0) + 3_600_000;
    expect(source.state).toEqual({ expiresAtMs, renewals: 2, concerns: [] });
  });

  it('are never within their last tenth when they live 5 s', async () => {
    sts.lifeMs = 5000;
    for (let ms = 0; ms < 600_000; ms += 250) {
      const { expiresAtMs } = await source.credentials(signal);
      expect(expiresAtMs - clock.now()).toBeGreaterThan(500);
      await clock.advance(250);
    }
    // 600 s at 3.75 s each, give or take the steps of the test.
    expect(sts.attempts).toBeGreaterThan(150);
    expect(sts.attempts).toBeLessThan(175);
  });

  it('are renewed first for a request that would outlive them, and used where that fails', async () => {
    const lasting = async (ms: number): Promise<string> =>
      (await source.lasting(ms, signal)).accessKeyId;
    sts.lifeMs = 600_000;
    // A new one would not live longer.
    expect([await lasting(3_600_000), await lasting(3_600_000)]).toEqual(['AK1', 'AK1']);
    await clock.advance(310_000);
    expect(await lasting(280_000)).toBe('AK1');
    expect(await lasting(300_000)).toBe('AK2');
    await clock.advance(310_000);
    sts.failing = true;
    expect(await lasting(300_000)).toBe('AK2');
    const { attempts } = sts;
    expect(await lasting(300_000)).toBe('AK2');
    expect(sts.attempts).toBe(attempts);
  });

  it('are used on while the STS is down, and say why', async () => {
    await key();
    sts.failing = true;
    await clock.advance(3_500_000);
    expect(await key()).toBe('AK1');
    expect(source.state.degraded).toContain('503 STSNotInitialized');
    sts.failing = false;
    await clock.advance(60_000);
    expect(source.state.degraded).toBeUndefined();
    expect(await key()).toBe('AK2');
  });

  it('are asked for less and less often while the STS is down', async () => {
    await key();
    await clock.advance(2_690_000);
    sts.failing = true;
    await clock.advance(600_000);
    // 0.5, 1, 2, 4, 8, 16 s and then every half minute.
    expect(sts.attempts).toBeGreaterThan(15);
    expect(sts.attempts).toBeLessThan(35);
  });

  it('are refused with the reason once they have ended', async () => {
    sts.lifeMs = 60_000;
    await key();
    sts.failing = true;
    await clock.advance(59_000);
    expect(await key()).toBe('AK1');
    await clock.advance(2000);
    await expect(key()).rejects.toMatchObject({ kind: 'unavailable' });
  });

  it('do not hammer a dead STS, however many ask', async () => {
    sts.failing = true;
    for (let i = 0; i < 50; i += 1) {
      await expect(key()).rejects.toMatchObject({ kind: 'unavailable' });
    }
    expect(sts.attempts).toBe(1);
    await clock.advance(1000);
    sts.failing = false;
    expect(await key()).toBe('AK1');
  });

  it('heal by themselves after a new login', async () => {
    sts.lifeMs = 60_000;
    await key();
    tokenError = new WireError('login-expired', { tried: 'x', answered: 'dead' });
    await clock.advance(300_000);
    await expect(key()).rejects.toMatchObject({ kind: 'login-expired' });
    tokenError = undefined;
    await clock.advance(60_000);
    expect(sts.leases.length).toBeGreaterThan(1);
    expect(source.state.degraded).toBeUndefined();
  });

  it('are renewed once when the store refuses them', async () => {
    const first = await source.credentials(signal);
    const renewed = await Promise.all([source.renew(first, signal), source.renew(first, signal)]);
    expect(renewed.map(({ accessKeyId }) => accessKeyId)).toEqual(['AK2', 'AK2']);
    expect((await source.renew(first, signal)).accessKeyId).toBe('AK2');
    expect(sts.attempts).toBe(2);
  });

  /** Uses the lease at a store that refuses every one; the kind of error, or 'renewed'. */
  async function useInVain(): Promise<string> {
    const refused = await source.credentials(signal);
    return await source.renew(refused, signal).then(
      () => 'renewed',
      (error: unknown) => (error as WireError).kind,
    );
  }

  it('that a store refuses as fast as they are made do not become a storm at the STS', async () => {
    const ends: string[] = [];
    for (let times = 0; times < 40; times += 1) ends.push(await useInVain());
    expect(ends).toEqual(['renewed', ...Array<string>(39).fill('credentials-expired')]);
    expect(sts.attempts).toBe(2);
  });

  it('that go on being refused are renewed ever less often, each minute in the end', async () => {
    for (let ms = 0; ms < 600_000; ms += 250) {
      await useInVain();
      await clock.advance(250);
    }
    // 0.5, 1, 2, 4, 8 and 16 s, then each half minute.
    expect(sts.attempts).toBeGreaterThan(15);
    expect(sts.attempts).toBeLessThan(35);
  });

  it('that served for a while are renewed at once when they are refused', async () => {
    expect([await useInVain(), await useInVain()]).toEqual(['renewed', 'credentials-expired']);
    await clock.advance(120_000);
    expect([await useInVain(), await useInVain()]).toEqual(['renewed', 'credentials-expired']);
    await clock.advance(1000);
    expect(await useInVain()).toBe('renewed');
  });

  it('that are refused while the STS is down do not hammer it either', async () => {
    await key();
    sts.failing = true;
    for (let times = 0; times < 40; times += 1) expect(await useInVain()).toBe('unavailable');
    expect(sts.attempts).toBe(2);
  });

  it('are renewed on the first use after a suspend', async () => {
    await key();
    clock.jumpWall(7_200_000);
    expect(await key()).toBe('AK2');
  });

  it('are not believed longer because the clock was set back', async () => {
    await key();
    clock.jumpWall(-86_400_000);
    await clock.advance(2_701_000);
    expect(sts.leases).toHaveLength(2);
  });

  it('insist on a token that lives about as long as the lease', async () => {
    await key();
    await clock.advance(2_701_000);
    expect(wanted).toEqual([60_000, 3_600_000]);
  });

  it('say what a stricter server would have refused, as long as it is so', async () => {
    aud = undefined;
    await key();
    expect(source.state.concerns).toEqual([expect.stringContaining('--audience')]);
    aud = 'object';
    await clock.advance(2_701_000);
    expect(source.state.concerns).toEqual([]);
  });

  it('that end before they begin are an error', async () => {
    sts.lifeMs = -1000;
    await expect(key()).rejects.toMatchObject({ kind: 'identity-refused' });
  });

  it('leave the others waiting when one caller gives up', async () => {
    const controller = new AbortController();
    const left = source.credentials(controller.signal);
    const stays = key();
    controller.abort(new Error('gone'));
    await expect(left).rejects.toThrow('gone');
    expect(await stays).toBe('AK1');
  });

  it('stop when closed', async () => {
    await key();
    const held: Credentials = await source.credentials(signal);
    await source[Symbol.asyncDispose]();
    expect(clock.sleeping).toBe(0);
    await clock.advance(7_200_000);
    expect(sts.attempts).toBe(1);
    expect(held.accessKeyId).toBe('AK1');
  });
});
