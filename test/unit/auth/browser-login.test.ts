import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { inspect } from 'node:util';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { browserLogin, redirectUris } from '../../../src/auth/browser-login.ts';
import { discoverIssuer } from '../../../src/auth/issuer.ts';
import type { LoginEvents, LoginPage } from '../../../src/auth/login-events.ts';
import { Secret } from '../../../src/lib/secret.ts';
import { WireError } from '../../../src/lib/wire-error.ts';
import { FakeClock } from '../../fixtures/fake-clock.ts';
import { FakeIssuer, unsignedJwt } from '../../fixtures/fake-issuer.ts';

let issuer: FakeIssuer;
let clock: FakeClock;
let uris: readonly string[];
let pages: LoginPage[];

async function freeUri(): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return `http://127.0.0.1:${address.port}/callback`;
}

const document = (over: object = {}): Readonly<Record<string, unknown>> =>
  issuer.document({ authorization_endpoint: `${issuer.url}/authorize?tenant=a`, ...over });

beforeEach(async () => {
  issuer = await FakeIssuer.start();
  issuer.always('discovery', () => ({ json: document() }));
  issuer.always('poll', () => issuer.tokens());
  clock = new FakeClock(Date.now());
  uris = [await freeUri()];
  pages = [];
});
afterEach(async () => await issuer[Symbol.asyncDispose]());

const query = (): URLSearchParams => new URL(pages[0]?.url ?? 'x:').searchParams;

interface Run {
  readonly outcome: Promise<unknown>;
  /** What the browser is shown when it comes back with `parameters` and the state. */
  readonly comeBack: (parameters: Readonly<Record<string, string>>) => Promise<string>;
}

const scopes = ['offline_access', 'storage.read:/'];

/** A login up to the moment when the person sees the page. */
async function start(
  asked: readonly string[] = scopes,
  signal: AbortSignal = new AbortController().signal,
): Promise<Run> {
  const client = { id: 'me', secret: new Secret('client-secret') };
  const provider = {
    issuer: await discoverIssuer(issuer.url, {}, signal),
    client,
    http: {},
    clock,
  };
  const { promise: shown, resolve } = deferred();
  const events: LoginEvents = {
    code: () => undefined,
    page: (page) => {
      pages.push(page);
      resolve();
    },
  };
  const outcome = browserLogin(
    provider,
    { scopes: asked, audience: 'object' },
    uris,
    events,
    signal,
  );
  outcome.catch(() => undefined);
  await Promise.race([shown, outcome.catch(() => undefined)]);
  const comeBack = async (parameters: Readonly<Record<string, string>>): Promise<string> => {
    const url = new URL(pages[0]?.redirectUri ?? 'x:');
    url.search = new URLSearchParams({
      state: query().get('state') ?? '',
      ...parameters,
    }).toString();
    return await (await fetch(url)).text();
  };
  return { outcome, comeBack };
}

function deferred(): { promise: Promise<void>; resolve: () => void } {
  let resolve = (): void => undefined;
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

async function failure(run: Run): Promise<WireError> {
  const error: unknown = await run.outcome.catch((reason: unknown) => reason);
  if (!(error instanceof WireError)) throw new Error(`no WireError: ${inspect(error)}`);
  const printed = inspect(error, { depth: 9, showHidden: true }) + error.toLine();
  for (const secret of ['the-code', 'client-secret', ...issuer.secrets]) {
    expect(printed).not.toContain(secret);
  }
  return error;
}

describe('a login with a browser', () => {
  it('asks with PKCE S256, state, audience and consent, and trades the code with the verifier', async () => {
    const run = await start();
    const asked = Object.fromEntries(query());
    expect(asked).toMatchObject({
      tenant: 'a',
      response_type: 'code',
      client_id: 'me',
      redirect_uri: uris[0],
      scope: scopes.join(' '),
      audience: 'object',
      prompt: 'consent',
      code_challenge_method: 'S256',
    });
    expect(asked).not.toHaveProperty('nonce');
    expect((asked['state'] ?? '').length).toBeGreaterThanOrEqual(32);
    const page = await run.comeBack({ code: 'the-code' });
    expect(await run.outcome).toMatchObject({ value: { scope: 'openid offline_access' } });
    const [trade] = issuer.of('poll');
    if (trade === undefined) throw new Error('no code was traded');
    expect(trade.headers.authorization).toMatch(/^Basic /);
    expect(Object.fromEntries(trade.form)).toMatchObject({
      grant_type: 'authorization_code',
      code: 'the-code',
      redirect_uri: uris[0],
      audience: 'object',
    });
    const verifier = trade.form.get('code_verifier') ?? '';
    const challenge = createHash('sha256').update(verifier).digest('base64url');
    expect(challenge).toBe(asked['code_challenge']);
    expect(page).toContain('Approved');
    expect(clock.sleeping).toBe(0);
    for (const secret of ['the-code', verifier, asked['state'], ...issuer.secrets]) {
      expect(page).not.toContain(secret);
    }
  });

  it('has another state, nonce and verifier each time', async () => {
    for (let i = 0; i < 2; i += 1) {
      const controller = new AbortController();
      const run = await start(['openid'], controller.signal);
      controller.abort(new Error('Ctrl-C'));
      await expect(run.outcome).rejects.toThrow('Ctrl-C');
    }
    const [one, other] = pages.map(({ url }) => new URL(url).searchParams);
    for (const name of ['state', 'nonce', 'code_challenge']) {
      expect(one?.get(name)).toBeTruthy();
      expect(one?.get(name)).not.toBe(other?.get(name));
    }
  });

  it.each([
    ['as it was sent', (nonce: string) => nonce, true],
    ['of another login', () => 'another', false],
  ])('takes an id_token with a nonce %s: %s', async (_, nonceOf, taken) => {
    const run = await start(['openid']);
    const seconds = Math.floor(Date.now() / 1000);
    const id_token = signedLookalike({
      iss: `${issuer.url}/`,
      aud: 'me',
      sub: 'u1',
      iat: seconds,
      exp: seconds + 60,
      nonce: nonceOf(query().get('nonce') ?? ''),
    });
    issuer.next('poll', issuer.tokens({ id_token }));
    const page = await run.comeBack({ code: 'the-code' });
    expect(page).toContain(taken ? 'Approved' : 'Not logged in');
    if (taken) await run.outcome;
    else expect((await failure(run)).message).toContain('nonce');
  });

  it('wants an id_token where it asked for one', async () => {
    const run = await start(['openid']);
    await run.comeBack({ code: 'the-code' });
    expect((await failure(run)).kind).toBe('identity-refused');
  });

  it('ends with login-denied when the person said no', async () => {
    const run = await start();
    const page = await run.comeBack({ error: 'access_denied', error_description: 'no' });
    expect((await failure(run)).kind).toBe('login-denied');
    expect(page).toContain('Not logged in');
    expect(issuer.of('poll')).toHaveLength(0);
  });

  it('shows the error of the provider here and in the browser, as text', async () => {
    const run = await start();
    const text = '<script>alert(1)</script> \u001b[2J';
    const page = await run.comeBack({ error: 'invalid_scope', error_description: text });
    const error = await failure(run);
    expect(error.toLine()).toContain('invalid_scope (<script>alert(1)</script> [2J)');
    expect(error.toLine()).toContain('--scope');
    expect(page).toContain('&lt;script&gt;');
    expect(page).not.toContain('<script>');
  });

  it('shows a refusal of the code, without the code', async () => {
    issuer.next('poll', (seen) => {
      const said = `Invalid authorization code: ${seen.form.get('code') ?? ''}`;
      return { status: 400, json: { error: 'invalid_grant', error_description: said } };
    });
    const run = await start();
    const page = await run.comeBack({ code: 'the-code' });
    expect((await failure(run)).message).toContain('Invalid authorization code: [secret]');
    expect(page).not.toContain('the-code');
  });

  it.each([
    ['of another provider', 'https://evil.example/', false],
    ['of this one but for the slash', 'without', false],
    ['of this one', 'same', true],
  ])('takes an answer that bears the name %s: %s', async (_, name, taken) => {
    const iss = { same: `${issuer.url}/`, without: issuer.url }[name] ?? name;
    const run = await start();
    await run.comeBack({ code: 'the-code', iss });
    if (taken) await run.outcome;
    else expect((await failure(run)).message).toContain('another provider');
    expect(issuer.of('poll')).toHaveLength(taken ? 1 : 0);
  });

  it('wants the name of a provider that promises to send it', async () => {
    const promise = { authorization_response_iss_parameter_supported: true };
    issuer.always('discovery', { json: document(promise) });
    const run = await start();
    await run.comeBack({ code: 'the-code' });
    expect((await failure(run)).message).toContain('another provider');
    expect(issuer.of('poll')).toHaveLength(0);
  });

  it('does not mind what else the browser brings along', async () => {
    const run = await start();
    await run.comeBack({ code: 'the-code', session_state: 'x', response: 'y', id_token: 'z' });
    await run.outcome;
  });

  it('goes on after somebody came with a wrong state', async () => {
    const run = await start();
    expect(await run.comeBack({ code: 'evil', state: 'wrong' })).toContain('not for you');
    await run.comeBack({ code: 'the-code' });
    await run.outcome;
    expect(issuer.of('poll').map(({ form }) => form.get('code'))).toEqual(['the-code']);
  });

  it('gives up after ten minutes, and says what may be wrong', async () => {
    const run = await start();
    expect(pages[0]?.expiresAtMs).toBe(clock.now() + 600_000);
    await clock.advance(600_000);
    const error = await failure(run);
    expect(error.kind).toBe('login-expired');
    expect(error.toLine()).toContain(uris[0]);
    await expect(fetch(pages[0]?.redirectUri ?? '')).rejects.toThrow('fetch failed');
  });

  it('ends at once when interrupted while it waits, and nobody listens any more', async () => {
    const controller = new AbortController();
    const run = await start(scopes, controller.signal);
    controller.abort(new Error('Ctrl-C'));
    await expect(run.outcome).rejects.toThrow('Ctrl-C');
    expect(clock.sleeping).toBe(0);
    await expect(fetch(pages[0]?.redirectUri ?? '')).rejects.toThrow('fetch failed');
  });

  it('ends at once when interrupted while the code is traded', async () => {
    const controller = new AbortController();
    issuer.next('poll', () => {
      controller.abort(new Error('Ctrl-C'));
      return { drop: true };
    });
    const run = await start(scopes, controller.signal);
    await run.comeBack({ code: 'the-code' }).catch(() => undefined);
    await expect(run.outcome).rejects.toThrow('Ctrl-C');
  });

  it('is not for a provider without such a page', async () => {
    issuer.always('discovery', { json: document({ authorization_endpoint: undefined }) });
    expect((await failure(await start())).kind).toBe('unsupported');
  });

  it('says so when the provider registered nowhere to come back to', async () => {
    uris = [];
    const error = await failure(await start());
    expect(error.kind).toBe('unsupported');
    expect(error.toLine()).toContain(redirectUris[0]);
  });

  it('says so when all ports are in use', async () => {
    const first = new AbortController();
    const waiting = await start(scopes, first.signal);
    expect((await failure(await start())).toLine()).toContain('all in use');
    first.abort(new Error('Ctrl-C'));
    await expect(waiting.outcome).rejects.toThrow('Ctrl-C');
  });

  it('comes back to fixed ports of 127.0.0.1, below those of outgoing connections', () => {
    expect(redirectUris.length).toBeGreaterThanOrEqual(3);
    for (const uri of redirectUris) {
      const { hostname, port, pathname, protocol } = new URL(uri);
      expect([protocol, hostname, pathname]).toEqual(['http:', '127.0.0.1', '/callback']);
      expect(Number(port)).toBeGreaterThan(1024);
      expect(Number(port)).toBeLessThan(32_768);
    }
  });
});

/** Of the form of an RS256 token: nobody here verifies what came straight from the provider. */
function signedLookalike(claims: Readonly<Record<string, unknown>>): string {
  const header = Buffer.from(JSON.stringify({ alg: 'RS256' })).toString('base64url');
  const [, body = ''] = unsignedJwt(claims).split('.');
  return `${header}.${body}.c2lnbmF0dXJl`;
}
