import { inspect } from 'node:util';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { type AuthContext, type LoginRequest, login } from '../../../src/auth/login.ts';
import type { DeviceCode, LoginEvents } from '../../../src/auth/login-events.ts';
import type { LoginSummary } from '../../../src/auth/login-summary.ts';
import { createLog } from '../../../src/lib/log.ts';
import { WireError } from '../../../src/lib/wire-error.ts';
import { FakeClock } from '../../fixtures/fake-clock.ts';
import { type Answer, FakeIssuer, pendingAnswer, unsignedJwt } from '../../fixtures/fake-issuer.ts';
import { MemoryVault } from '../../fixtures/memory-vault.ts';

let issuer: FakeIssuer;
let clock: FakeClock;
let vault: MemoryVault;
let context: AuthContext;
let events: Recorder;
let shown: string[];

class Recorder implements LoginEvents {
  readonly codes: DeviceCode[] = [];
  readonly troubles: WireError[] = [];
  readonly notes: string[] = [];
  restarts = 0;
  code(code: DeviceCode): void {
    this.codes.push(code);
  }
  trouble(error: WireError): void {
    this.troubles.push(error);
  }
  restarted(): void {
    this.restarts += 1;
  }
  note(text: string): void {
    this.notes.push(text);
  }
}

beforeEach(async () => {
  issuer = await FakeIssuer.start();
  clock = new FakeClock(Date.now());
  vault = new MemoryVault();
  events = new Recorder();
  shown = [];
  const log = createLog(
    (line) => shown.push(line),
    'trace',
    () => clock.now(),
  );
  context = { vault, clock, log };
});

afterEach(async () => {
  const everything = [...shown, ...events.notes, inspect(events, { depth: 9 })].join('\n');
  for (const secret of issuer.secrets) expect(everything).not.toContain(secret);
  await issuer[Symbol.asyncDispose]();
});

function request(over: Partial<LoginRequest> = {}): LoginRequest {
  const scopes = ['openid', 'offline_access'];
  return { issuer: issuer.url, scopes, clientName: 'wire on test', audience: 'object', ...over };
}

/** Runs a login, moving the clock whenever it waits; gives the outcome and the poll times. */
async function run(over: Partial<LoginRequest> = {}, signal = new AbortController().signal) {
  const start = clock.monotonic();
  const polls: number[] = [];
  const progress = { done: false };
  const outcome: Promise<LoginSummary> = login(request(over), events, context, signal).finally(
    () => {
      progress.done = true;
    },
  );
  outcome.catch(() => undefined);
  const settled = outcome.then(
    () => undefined,
    () => undefined,
  );
  for (;;) {
    await Promise.race([clock.sleeper(), settled]);
    if (progress.done) break;
    const waitMs = clock.nextDueMs;
    if (waitMs === undefined) continue;
    await clock.advance(waitMs);
    polls.push(clock.monotonic() - start);
  }
  return { outcome, polls };
}

async function failure(over: Partial<LoginRequest> = {}): Promise<WireError> {
  const { outcome } = await run(over);
  const error: unknown = await outcome.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof WireError)) throw new Error(`no WireError: ${inspect(error)}`);
  const printed = [
    inspect(error, { depth: 9, showHidden: true }),
    JSON.stringify(error),
    error.toLine(),
  ];
  for (const secret of issuer.secrets) expect(printed.join('\n')).not.toContain(secret);
  expect(error.toLine()).not.toContain('\n');
  return error;
}

const ok = (): Answer => issuer.tokens();

describe('device login', () => {
  it('shows the code as it came and stores what was granted', async () => {
    const { outcome } = await run();
    expect(await outcome).toMatchObject({
      issuer: issuer.url,
      scopes: ['openid', 'offline_access'],
      audience: 'object',
      renewable: true,
    });
    expect(events.codes).toMatchObject([
      { userCode: 'AB-C_2', verificationUri: `${issuer.url}/device` },
    ]);
    const stored = await vault.load(`${issuer.url}/`);
    expect(issuer.secrets).toContain(stored?.grant?.refreshToken?.reveal());
    expect(issuer.secrets).toContain(stored?.client.secret?.reveal());
  });

  it('sends the audience at the poll and the client secret by Basic', async () => {
    await (await run()).outcome;
    const [poll] = issuer.of('poll');
    expect(poll?.form.get('audience')).toBe('object');
    expect(poll?.headers.authorization).toMatch(/^Basic /);
  });

  it('polls every 5 s when the provider names no interval', async () => {
    issuer.next('poll', pendingAnswer, pendingAnswer, ok());
    expect((await run()).polls).toEqual([5000, 10_000, 15_000]);
  });

  it('waits 5 s longer for good after each slow_down', async () => {
    const slow: Answer = { status: 400, json: { error: 'slow_down' } };
    issuer.next('device', { json: issuer.device({ interval: 2 }) });
    issuer.next('poll', pendingAnswer, slow, pendingAnswer, slow, ok());
    // With the margins of `device-poll.ts`: 2 s × 1.2, then 7 s × 1.4, then 12 s × 1.4.
    expect((await run()).polls).toEqual([2400, 4800, 14_600, 24_400, 41_200]);
  });

  it('lives through dropped connections, 5xx and pages of a proxy', async () => {
    const page = { text: '<html><title>Sign in to WiFi</title></html>' };
    issuer.next('poll', { drop: true }, { status: 502, text: '<h1>oops</h1>' }, page, ok());
    const { outcome, polls } = await run();
    expect((await outcome).subject).toBe('unknown');
    expect(events.troubles.map(({ kind }) => kind)).toEqual([
      'unreachable',
      'unavailable',
      'unavailable',
    ]);
    expect(polls).toEqual([5000, 15_000, 35_000, 65_000]);
  });

  it('gives one new code after the first expired, then gives up', async () => {
    issuer.always('poll', pendingAnswer);
    const error = await failure();
    expect(error.kind).toBe('login-expired');
    expect(events.restarts).toBe(1);
    expect(events.codes).toHaveLength(2);
    expect(clock.monotonic()).toBe(1_200_000);
  });

  it.each(['expired_token', 'invalid_grant'])('takes %s as the end of the code', async (code) => {
    issuer.next('poll', (seen) => {
      const text = `Device code expired: ${seen.form.get('device_code') ?? ''}`;
      return { status: 400, json: { error: code, error_description: text } };
    });
    issuer.next('poll', ok());
    await (await run()).outcome;
    expect(events.restarts).toBe(1);
  });

  it('ends with login-denied when the person said no', async () => {
    issuer.next('poll', { status: 400, json: { error: 'access_denied' } });
    expect((await failure()).kind).toBe('login-denied');
  });

  it('keeps an echoed device code and client secret out of the error', async () => {
    issuer.next('poll', (seen) => {
      const basic = Buffer.from(seen.headers.authorization?.slice(6) ?? '', 'base64').toString();
      const text = `no: ${seen.form.get('device_code') ?? ''} ${basic}`;
      return { status: 400, json: { error: 'unauthorized_client', error_description: text } };
    });
    const error = await failure();
    expect(error.kind).toBe('identity-refused');
    expect(error.message).toContain('[secret]');
  });

  it('counts ten minutes when the provider names no lifetime', async () => {
    issuer.next('device', { json: issuer.device({ expires_in: undefined }) });
    await (await run()).outcome;
    expect(events.codes[0]?.expiresAtMs).toBe(clock.now() - clock.monotonic() + 600_000);
  });

  it('waits no longer than a day for a code without end, and can tell when that is', async () => {
    issuer.next('device', { json: issuer.device({ expires_in: 1e15 }) });
    await (await run()).outcome;
    const until = new Date(events.codes[0]?.expiresAtMs ?? NaN);
    expect(until.toISOString()).toBe(
      new Date(clock.now() - clock.monotonic() + 86_400_000).toISOString(),
    );
  });

  it('asks for a new code for a minute when there is no network after the first ran out', async () => {
    issuer.always('poll', pendingAnswer);
    issuer.next('device', { json: issuer.device() }, { drop: true }, { status: 503 });
    const error = await failure();
    expect(error.kind).toBe('login-expired');
    expect(events.codes).toHaveLength(2);
    expect(events.troubles.map(({ kind }) => kind)).toEqual(['unreachable', 'unavailable']);
  });

  it('gives up as unreachable when no new code can be had', async () => {
    issuer.always('poll', pendingAnswer);
    issuer.next('device', { json: issuer.device() });
    issuer.always('device', { drop: true });
    expect((await failure()).kind).toBe('unreachable');
    expect(clock.monotonic()).toBeLessThanOrEqual(660_000);
  });

  it('takes a first code that cannot be had for a failure at once', async () => {
    issuer.always('device', { drop: true });
    expect((await failure()).kind).toBe('unreachable');
    expect(clock.monotonic()).toBe(0);
  });

  it('polls no more once it has ended', async () => {
    issuer.always('poll', pendingAnswer);
    const controller = new AbortController();
    const outcome = login(request(), events, context, controller.signal);
    await clock.sleeper();
    await clock.advance(5000);
    await clock.sleeper();
    controller.abort(new Error('Ctrl-C'));
    await expect(outcome).rejects.toThrow('Ctrl-C');
    const polls = issuer.of('poll').length;
    await clock.advance(600_000);
    expect(issuer.of('poll')).toHaveLength(polls);
  });

  it('takes an interval that is a text, and the address by its older name', async () => {
    const reply = issuer.device({ interval: '2', verification_uri: undefined });
    issuer.next('device', { json: { ...reply, verification_url: `${issuer.url}/old` } });
    const { outcome, polls } = await run();
    await outcome;
    expect(polls[0]).toBe(2400);
    expect(events.codes[0]?.verificationUri).toBe(`${issuer.url}/old`);
  });

  it.each([
    ['javascript:alert(1)'],
    ['file:///etc/passwd'],
    ['nowhere'],
    [`https://iam.example/${'x'.repeat(3000)}`],
  ])('shows no address that is not a web page: %.40s', async (verification_uri) => {
    issuer.always('device', { json: issuer.device({ verification_uri }) });
    expect((await failure()).kind).toBe('identity-refused');
    expect(events.codes).toEqual([]);
  });

  it('ends at once when interrupted while it waits', async () => {
    issuer.always('poll', pendingAnswer);
    const controller = new AbortController();
    const outcome = login(request(), events, context, controller.signal);
    await clock.sleeper();
    controller.abort(new Error('Ctrl-C'));
    await expect(outcome).rejects.toThrow('Ctrl-C');
    expect(clock.sleeping).toBe(0);
  });

  it('ends at once when interrupted while a poll is unanswered', async () => {
    const controller = new AbortController();
    issuer.next('poll', () => {
      controller.abort(new Error('Ctrl-C'));
      return pendingAnswer;
    });
    const { outcome } = await run({}, controller.signal);
    await expect(outcome).rejects.toThrow('Ctrl-C');
  });

  it('asks for no code when the vault does not give back what it was given', async () => {
    vault.load = async () => await Promise.resolve(undefined);
    expect((await failure()).kind).toBe('config');
    expect(vault.saves).toBe(1);
    expect(issuer.of('device')).toHaveLength(0);
  });

  it('tries the vault also where the login there stays until the new one is made', async () => {
    await (await run()).outcome;
    vault.saveError = new WireError('config', { tried: 'keep it', answered: 'disk full' });
    expect((await failure({ client: { id: 'mine' } })).kind).toBe('config');
    expect(issuer.of('device')).toHaveLength(1);
  });

  it('says which scopes were not granted in the end', async () => {
    issuer.next('register', { status: 201, json: issuer.registration({ scope: undefined }) });
    issuer.next('poll', issuer.tokens({ scope: 'openid' }));
    await (await run({ scopes: ['openid', 'offline_access', 'storage.read:/'] })).outcome;
    expect(events.notes).toEqual(['the provider did not grant: storage.read:/']);
  });

  it('asks for no code when the vault cannot keep one', async () => {
    vault.saveError = new WireError('config', { tried: 'keep it', answered: 'disk full' });
    expect((await failure()).kind).toBe('config');
    expect(issuer.of('device')).toHaveLength(0);
  });

  it('says so when the login cannot be renewed', async () => {
    issuer.next('poll', issuer.tokens({ refresh_token: undefined }));
    expect(await (await run()).outcome).toMatchObject({ renewable: false });
    expect(events.notes.join()).toContain('no refresh token');
  });

  it('reads the lifetime from the token when the reply has none or nonsense', async () => {
    const token = unsignedJwt({ sub: 'alice', exp: Math.floor(clock.now() / 1000) + 77 });
    issuer.secrets.add(token);
    issuer.next('poll', issuer.tokens({ access_token: token, expires_in: 'soon' }));
    const { accessExpiresAtMs } = await (await run()).outcome;
    // The server's Date has whole seconds and real time passes meanwhile.
    expect(Math.abs((accessExpiresAtMs ?? 0) - clock.now() - 72_000)).toBeLessThan(10_000);
  });

  it('names the person by userinfo when the tokens do not', async () => {
    const token = unsignedJwt({ sub: 'u1' });
    issuer.secrets.add(token);
    issuer.next('poll', issuer.tokens({ access_token: token }));
    issuer.next('userinfo', { json: { sub: 'u1', preferred_username: 'alice', groups: ['cms'] } });
    const summary = await (await run()).outcome;
    expect(summary).toMatchObject({ subject: 'u1', username: 'alice', groups: ['cms'] });
  });

  it('asks userinfo for the groups that the tokens do not tell', async () => {
    const token = unsignedJwt({ sub: 'u1', preferred_username: 'alice' });
    issuer.secrets.add(token);
    issuer.next('poll', issuer.tokens({ access_token: token }));
    issuer.next('userinfo', { json: { sub: 'u1', groups: ['cms'] } });
    const summary = await (await run()).outcome;
    expect(summary).toMatchObject({ username: 'alice', groups: ['cms'] });
  });

  it('takes no orders to the terminal from names and groups', async () => {
    const claims = { sub: 'u1', preferred_username: 'a\u001b[2Jb', groups: ['c\nd'] };
    const token = unsignedJwt(claims);
    issuer.secrets.add(token);
    issuer.next('poll', issuer.tokens({ access_token: token }));
    expect(await (await run()).outcome).toMatchObject({ username: 'a [2Jb', groups: ['c d'] });
  });
});

/** What was asked of the registration endpoint. */
const methods = (): string[] => issuer.of('register').map(({ method }) => method);

describe('the client of a login', () => {
  it('is registered once and used again', async () => {
    await (await run()).outcome;
    await (await run()).outcome;
    expect(issuer.of('register')).toHaveLength(1);
    expect(JSON.parse(issuer.of('register')[0]?.body ?? '')).toMatchObject({
      client_name: 'wire on test',
      token_endpoint_auth_method: 'client_secret_basic',
      scope: 'openid offline_access',
    });
  });

  it('is public when a confidential one is refused', async () => {
    issuer.next('register', { status: 400, text: '' });
    issuer.next('register', {
      status: 201,
      json: issuer.registration({ client_secret: undefined, token_endpoint_auth_method: 'none' }),
    });
    await (await run()).outcome;
    expect(issuer.of('poll')[0]?.headers.authorization).toBeUndefined();
    expect(issuer.of('poll')[0]?.form.get('client_id')).toMatch(/^client-/);
  });

  it('is asked for by hand when registration is closed', async () => {
    issuer.always('register', { status: 403, json: { error: 'Only registered users may' } });
    const error = await failure();
    expect(error.kind).toBe('identity-refused');
    expect(error.toLine()).toContain('Only registered users may');
    expect(error.toLine()).toContain('--client-id');
    expect(issuer.of('register')).toHaveLength(1);
  });

  it('is asked for by hand when the provider registers nobody', async () => {
    issuer.always('discovery', { json: issuer.document({ registration_endpoint: undefined }) });
    expect((await failure()).toLine()).toContain('--client-id');
  });

  it('is registered again when the provider has forgotten it', async () => {
    await (await run()).outcome;
    issuer.next('device', { status: 404, text: '' });
    await (await run()).outcome;
    expect(methods()).toEqual(['POST', 'POST', 'DELETE']);
    expect(events.notes.join()).toContain('has forgotten the client');
  });

  it('is registered again when it is refused only once the person has approved', async () => {
    await (await run()).outcome;
    issuer.next('poll', { status: 401, json: { error: 'invalid_client' } });
    await (await run()).outcome;
    expect(methods()).toEqual(['POST', 'POST', 'DELETE']);
  });

  it('takes the place of one with fewer scopes, whose login is revoked before it is deleted', async () => {
    await (await run()).outcome;
    const old = await vault.load(issuer.url);
    issuer.next('register', { status: 201, json: issuer.registration({ scope: undefined }) });
    await (await run({ scopes: ['openid', 'offline_access', 'storage.read:/'] })).outcome;
    expect(methods()).toEqual(['POST', 'POST', 'DELETE']);
    const ended = issuer.seen.filter(
      ({ method, path }) => method === 'DELETE' || path === '/revoke',
    );
    expect(ended.map(({ path }) => path)).toEqual(['/revoke', `/register/${old?.client.id ?? ''}`]);
    expect(ended[0]?.form.get('token')).toBe(old?.grant?.refreshToken?.reveal());
    expect(ended[1]?.headers.authorization).toBe(
      `Bearer ${old?.client.registration?.token?.reveal() ?? ''}`,
    );
    expect((await vault.load(issuer.url))?.client.id).not.toBe(old?.client.id);
  });

  it('is one for two first logins at once: neither takes it from under the other', async () => {
    const logins = await Promise.all([run(), run()]);
    for (const { outcome } of logins) expect((await outcome).issuer).toBe(issuer.url);
    expect(methods()).toEqual(['POST', 'POST', 'DELETE']);
    const kept = (await vault.load(issuer.url))?.client.id ?? '';
    const deleted = issuer.seen.find(({ method }) => method === 'DELETE')?.path ?? kept;
    expect(deleted).not.toContain(kept);
    const asking = issuer.of('device').map(({ headers, form }) => {
      const basic = Buffer.from(headers.authorization?.slice(6) ?? '', 'base64').toString('utf8');
      return form.get('client_id') ?? decodeURIComponent(basic.split(':')[0] ?? '');
    });
    expect(asking).toEqual([kept, kept]);
    expect(issuer.of('revoke')).toEqual([]);
  });

  it('that was never used is deleted when the login before it stays', async () => {
    await (await run()).outcome;
    const old = await vault.load(issuer.url);
    issuer.next('register', { status: 201, json: issuer.registration({ scope: undefined }) });
    issuer.next('poll', { status: 400, json: { error: 'access_denied' } });
    const more = ['openid', 'offline_access', 'storage.read:/'];
    expect((await failure({ scopes: more })).kind).toBe('login-denied');
    expect(methods()).toEqual(['POST', 'POST', 'DELETE']);
    expect(issuer.of('register').at(-1)?.path).not.toContain(old?.client.id);
    expect(await vault.load(issuer.url)).toEqual(old);
  });

  it('that was never used is deleted at Ctrl-C too, unless it is kept for the next login', async () => {
    issuer.always('poll', pendingAnswer);
    const interrupted = async (scopes: readonly string[]): Promise<void> => {
      const controller = new AbortController();
      const outcome = login(request({ scopes }), events, context, controller.signal);
      await clock.sleeper();
      controller.abort(new Error('Ctrl-C'));
      await expect(outcome).rejects.toThrow('Ctrl-C');
    };
    await interrupted(['openid']);
    expect(methods()).toEqual(['POST']);
    issuer.next('poll', ok());
    await (await run({ scopes: ['openid'] })).outcome;
    await interrupted(['openid', 'storage.read:/']);
    expect(methods()).toEqual(['POST', 'POST', 'DELETE']);
  });

  it('is deleted again when the vault cannot keep it', async () => {
    vault.saveError = new WireError('config', { tried: 'keep it', answered: 'disk full' });
    await failure();
    expect(methods()).toEqual(['POST', 'DELETE']);
  });

  it('stays for the next login when nobody approved', async () => {
    issuer.next('poll', { status: 400, json: { error: 'access_denied' } });
    await failure();
    await (await run()).outcome;
    expect(methods()).toEqual(['POST']);
  });

  it('is still its own to delete when it is named on the command line', async () => {
    await (await run()).outcome;
    const before = await vault.load(issuer.url);
    await (await run({ client: { id: before?.client.id ?? '' } })).outcome;
    expect((await vault.load(issuer.url))?.client).toEqual(before?.client);
    expect(methods()).toEqual(['POST']);
  });

  it('given by hand is never replaced', async () => {
    issuer.always('device', { status: 404, text: '' });
    expect((await failure({ client: { id: 'mine' } })).kind).toBe('identity-refused');
    expect(issuer.of('register')).toHaveLength(0);
  });

  it('asks only for the scopes it got, and says which it did not', async () => {
    issuer.next('register', { status: 201, json: issuer.registration({ scope: 'openid' }) });
    await (await run({ scopes: ['openid', 'storage.read:/'] })).outcome;
    expect(events.notes.join()).toContain('storage.read:/');
    expect(issuer.of('device')[0]?.form.get('scope')).toBe('openid');
    await (await run({ scopes: ['openid', 'storage.read:/'] })).outcome;
    expect(issuer.of('register')).toHaveLength(1);
  });
});

describe('the issuer of a login', () => {
  it('may be given with or without its slash', async () => {
    expect((await (await run({ issuer: `${issuer.url}/` })).outcome).issuer).toBe(issuer.url);
  });

  it.each([
    ['a missing page', { status: 404, text: '<html><title>Not Found</title></html>' }],
    ['a page of HTML', { status: 200, text: '<!doctype html><title>Welcome</title>' }],
    ['JSON of another kind', { status: 200, json: ['no'] }],
  ])('answering with %s is a wrong URL', async (_, answer) => {
    issuer.always('discovery', answer);
    const error = await failure();
    expect(error.kind).toBe('config');
    expect(error.toLine()).toContain('check the issuer URL');
  });

  it('that speaks for another is refused', async () => {
    issuer.always('discovery', { json: issuer.document({ issuer: 'https://other.example/' }) });
    expect((await failure()).toLine()).toContain('https://other.example/');
  });

  it('that sends tokens to another host is refused unless that is allowed', async () => {
    const token_endpoint = 'https://169.254.169.254/token';
    issuer.always('discovery', { json: issuer.document({ token_endpoint }) });
    expect((await failure()).toLine()).toContain('169.254.169.254');
    context = { ...context, http: { endpointHosts: ['169.254.169.254'], timeoutMs: 1 } };
    expect((await failure()).kind).not.toBe('config');
  });

  it('that does not run is unreachable, in words', async () => {
    const gone = await FakeIssuer.start();
    await gone[Symbol.asyncDispose]();
    const error = await failure({ issuer: gone.url });
    expect(error.kind).toBe('unreachable');
    expect(error.toLine()).toContain('connection refused');
  });

  it('whose name does not exist is unreachable, in words', async () => {
    const error = await failure({ issuer: 'https://no-such-host.invalid' });
    expect(error.kind).toBe('unreachable');
    expect(error.toLine()).not.toContain('fetch failed');
  });

  it.each(['http://iam.example', 'iam.example', 'ftp://iam.example'])(
    '%s is not safe to log in at',
    async (url) => {
      expect((await failure({ issuer: url })).kind).toBe('config');
    },
  );

  it('answering with more than a document is cut off', async () => {
    issuer.always('discovery', { text: 'x'.repeat(2 ** 21) });
    expect((await failure()).kind).toBe('unreachable');
  });

  it('is followed within its origin only', async () => {
    const location = `${issuer.url}/.well-known/openid-configuration`;
    issuer.next('discovery', { status: 302, headers: { location } });
    await (await run()).outcome;
    issuer.next('discovery', { status: 302, headers: { location: 'http://localhost:9/x' } });
    expect((await failure()).kind).toBe('config');
  });

  it('without a device endpoint cannot be used', async () => {
    const without = { device_authorization_endpoint: undefined };
    issuer.always('discovery', { json: issuer.document(without) });
    const error = await failure();
    expect(error.kind).toBe('unsupported');
    expect(error.toLine()).not.toContain('--flow browser');
    expect(issuer.of('register')).toHaveLength(0);
  });

  it('with a page but no codes is for --flow browser', async () => {
    const authorization_endpoint = `${issuer.url}/authorize`;
    const without = { device_authorization_endpoint: undefined, authorization_endpoint };
    issuer.always('discovery', { json: issuer.document(without) });
    expect((await failure()).toLine()).toContain('--flow browser');
  });
});
