/**
 * A provider that does everything wrong, at every step: whatever it answers, a login ends soon,
 * with a result or with one clean line, and nothing leaks, nothing is lost, nobody else is asked.
 */
import { inspect } from 'node:util';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import type { AuthContext } from '../../../src/auth/auth-context.ts';
import { login, logout } from '../../../src/auth/login.ts';
import type { LoginEvents } from '../../../src/auth/login-events.ts';
import { LoginTokenSource } from '../../../src/auth/login-token-source.ts';
import { createLog } from '../../../src/lib/log.ts';
import { WireError } from '../../../src/lib/wire-error.ts';
import {
  type Answer,
  FakeIssuer,
  type Seen,
  type Step,
  unsignedJwt,
} from '../../fixtures/fake-issuer.ts';
import { InstantClock } from '../../fixtures/instant-clock.ts';
import { MemoryVault } from '../../fixtures/memory-vault.ts';

const signal = new AbortController().signal;
/** Of one exchange, so that silence ends soon here. */
const TIMEOUT_MS = 300;
const REPLY_BYTES = 256 * 1024;
/** More than a code's life of polls at the usual pace, with one restart. */
const REQUESTS_MAX = 300;
const LINE_CHARS = 900;
const TOKEN_LIFE_MS = 3_600_000;

/** All that a request carried, as INDIGO IAM likes to repeat it. */
function echo({ body, form, headers }: Seen): string {
  const basic = (headers.authorization ?? '').replace(/^(Basic|Bearer) /, '');
  const decoded = Buffer.from(basic, 'base64').toString('utf8');
  const values = [...form.values()].join(' ');
  return `no: ${values} ${decodeURIComponent(decoded)} ${basic} ${body}`;
}

type Hostile = Answer | ((seen: Seen) => Answer);

const hostile: Readonly<Record<string, Hostile>> = {
  'echoes the request in error_description, 400': (seen) => ({
    status: 400,
    json: { error: 'invalid_request', error_description: echo(seen) },
  }),
  'echoes the request in error_description, 401': (seen) => ({
    status: 401,
    json: { error: 'invalid_token', error_description: echo(seen) },
    headers: {
      'www-authenticate': `Bearer error="invalid_token", token="${echo(seen).replaceAll(/[^ -~]|"/g, '')}"`,
    },
  }),
  'echoes the request in a page': (seen) => ({
    status: 500,
    text: `<html><head><title>${echo(seen)}</title></head><body>${echo(seen)}</body></html>`,
  }),
  'echoes the request in a page it calls a success': (seen) => ({
    text: `<html><body>${echo(seen)}</body></html>`,
  }),
  'steers the terminal': {
    status: 400,
    json: {
      error: 'invalid_scope',
      error_description: '\u001b[2J\u001b]0;x\u0007\r\n\u202egnp.exe',
    },
  },
  'answers nothing, 200': { text: '' },
  'answers nothing, 403': { status: 403, text: '' },
  'answers nothing, 404': { status: 404, text: '' },
  'sends a page of a proxy, 502': { status: 502, text: '<html><h1>Bad Gateway</h1></html>' },
  'sends null': { json: null },
  'sends a list': { json: [1, 2, 3] },
  'sends numbers for texts': {
    json: {
      access_token: 5,
      refresh_token: 7,
      client_id: 9,
      device_code: 1,
      user_code: 2,
      issuer: 3,
    },
  },
  'sends objects for texts': {
    json: {
      access_token: {},
      token_type: [],
      client_id: {},
      device_code: {},
      user_code: [],
      expires_in: {},
    },
  },
  'sends empty texts': {
    json: {
      access_token: '',
      token_type: '',
      client_id: '',
      device_code: '',
      user_code: '',
      verification_uri: '',
    },
  },
  'sends a prototype': {
    text: '{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}}',
  },
  'nests its JSON deeply': { text: `${'['.repeat(50_000)}${']'.repeat(50_000)}` },
  'drops the connection': { drop: true },
  'breaks off in the middle': { json: { error: 'x'.repeat(4096) }, cut: true },
  'sends a head and then nothing': { stall: true },
  'sends text without end': { endless: true },
  'redirects to itself': (seen) => ({ status: 302, headers: { location: seen.path } }),
  'redirects to somebody else': { status: 302, headers: { location: 'http://127.0.0.1:9/steal' } },
  'redirects to the metadata address': {
    status: 307,
    headers: { location: 'http://169.254.169.254/latest/meta-data' },
  },
  'asks to slow down for ever': { status: 400, json: { error: 'slow_down' } },
  'is busy for ever': { status: 429, headers: { 'retry-after': '86400' }, text: '' },
  'has a huge header': { status: 400, headers: { 'x-more': 'y'.repeat(15_000) }, json: {} },
};

const steps: readonly Step[] = [
  'discovery',
  'register',
  'device',
  'poll',
  'refresh',
  'revoke',
  'userinfo',
];
const cases = steps.flatMap((step) => Object.keys(hostile).map((name) => ({ step, name })));

let issuer: FakeIssuer;
let vault: MemoryVault;
let shown: string[];
let clock: InstantClock;
let context: AuthContext;

beforeEach(async () => {
  issuer = await FakeIssuer.start();
  // A token that says who somebody is, but no name: userinfo is asked.
  issuer.always('poll', () => {
    const access = unsignedJwt({ sub: 'somebody', jti: issuer.secret('jti') });
    issuer.secrets.add(access);
    return issuer.tokens({ access_token: access });
  });
  vault = new MemoryVault();
  shown = [];
  clock = new InstantClock(Date.now());
  const log = createLog(
    (line) => shown.push(line),
    'trace',
    () => clock.now(),
  );
  context = { vault, clock, log, http: { timeoutMs: TIMEOUT_MS, maxBytes: REPLY_BYTES } };
});

afterEach(async () => await issuer[Symbol.asyncDispose]());

/** Runs `work`; what it threw was meant, is one clean line, and goes to what was shown. */
async function attempt(work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (error) {
    expect(error).toBeInstanceOf(WireError);
    const line = (error as WireError).toLine();

    expect(line).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e]/);
    expect(line.length).toBeLessThan(LINE_CHARS);
    shown.push(line, inspect(error, { depth: 9 }), JSON.stringify(error));
  }
}

function events(): LoginEvents {
  return {
    code: (code) => shown.push(JSON.stringify(code)),
    trouble: (error) => shown.push(error.toLine()),
    note: (text) => shown.push(text),
  };
}

async function wholeLife(): Promise<void> {
  const request = {
    issuer: issuer.url,
    scopes: ['openid', 'offline_access'],
    clientName: 'wire on a test',
    audience: 'object',
  };
  await attempt(async () => await login(request, events(), context, signal));
  await clock.sleep(TOKEN_LIFE_MS, signal);
  const tokens = new LoginTokenSource({ issuer: issuer.url, context });
  await attempt(async () => await tokens.accessToken(60_000, signal));
  await attempt(async () => await logout(issuer.url, { forgetClient: true }, context, signal));
}

describe('a hostile provider', () => {
  it.each(cases)(
    'that $name at $step gets no secret out of wire and does not hold it up',
    async ({ step, name }) => {
      const answer = hostile[name];
      if (answer === undefined) throw new Error('no such answer');
      issuer.always(step, answer);
      await wholeLife();
      const everything = shown.join('\n');
      for (const secret of issuer.secrets) expect(everything).not.toContain(secret);
      expect(issuer.of(step).length).toBeGreaterThan(0);
      expect(issuer.seen.length).toBeLessThan(REQUESTS_MAX);
      expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
    },
  );

  it.each(Object.keys(hostile))('that %s at a refresh does not cost the login', async (name) => {
    const request = {
      issuer: issuer.url,
      scopes: ['openid', 'offline_access'],
      clientName: 'wire',
    };
    await login(request, events(), context, signal);
    const before = await vault.load(issuer.url);
    await clock.sleep(TOKEN_LIFE_MS, signal);
    const answer = hostile[name];
    if (answer === undefined || before?.grant?.refreshToken === undefined)
      throw new Error('no login');
    issuer.always('refresh', answer);
    const tokens = new LoginTokenSource({ issuer: issuer.url, context });
    await attempt(async () => await tokens.accessToken(60_000, signal));
    expect(issuer.of('refresh').length).toBeGreaterThan(0);
    const after = await vault.load(issuer.url);
    expect(after?.grant?.refreshToken?.reveal()).toBe(before.grant.refreshToken.reveal());
    expect(after?.client.id).toBe(before.client.id);
  });
});
