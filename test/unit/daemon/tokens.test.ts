import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { inspect } from 'node:util';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { openVault } from '../../../src/auth/open-vault.ts';
import type { StoredLogin } from '../../../src/auth/token-vault.ts';
import type { Settings } from '../../../src/config/options.ts';
import { locatePaths } from '../../../src/config/paths.ts';
import { getToken } from '../../../src/daemon/printed-token.ts';
import type { Surroundings } from '../../../src/daemon/surroundings.ts';
import { openTokens } from '../../../src/daemon/tokens.ts';
import { type WhoAmI, whoAmI } from '../../../src/daemon/who-am-i.ts';
import { systemClock } from '../../../src/lib/clock.ts';
import { silentLog } from '../../../src/lib/log.ts';
import { Secret } from '../../../src/lib/secret.ts';
import { agentOf, FakeAgent } from '../../fixtures/fake-agent.ts';
import { FakeIssuer } from '../../fixtures/fake-issuer.ts';
import { FakeMytokenServer } from '../../fixtures/fake-mytoken.ts';
import { plainNetwork } from '../../fixtures/plain-network.ts';
import { euid, Folder, jwt, never, refusal } from '../auth/sources/source-bench.ts';

let folder: Folder;
let issuer: FakeIssuer;
let agent: FakeAgent;
let mytokens: FakeMytokenServer;
let environment: Record<string, string>;
const agentToken = jwt({ iss: 'https://agent.example', sub: 'by-agent' });

beforeEach(async () => {
  folder = await Folder.make();
  issuer = await FakeIssuer.start();
  mytokens = await FakeMytokenServer.start();
  const expires_at = Math.floor(Date.now() / 1000) + 600;
  agent = await FakeAgent.start(
    agentOf(['acc'], () => ({ status: 'success', access_token: agentToken, expires_at })),
  );
  environment = { WIRE_KEY_FILE: folder.at('key') };
  await writeFile(folder.at('key'), randomBytes(32), { mode: 0o600 });
});
afterEach(async () => {
  await agent[Symbol.asyncDispose]();
  await mytokens[Symbol.asyncDispose]();
  await issuer[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

function surroundings(): Surroundings {
  const places = { WIRE_STATE_DIR: folder.at('state'), WIRE_RUNTIME_DIR: folder.at('run') };
  const paths = locatePaths({
    environment: places,
    home: folder.path,
    uid: euid,
    temporaryDir: folder.path,
  });
  return {
    paths,
    environment,
    uid: euid,
    gid: 0,
    pid: 1,
    version: '0',
    clock: systemClock,
    log: silentLog,
    network: plainNetwork,
    http: {},
    atExit: () => ({ [Symbol.dispose]: () => undefined }),
  };
}

/** A login of alice's at `issuer` in the vault, as `wire login` leaves it. */
async function logIn(over: { readonly expired?: boolean } = {}): Promise<StoredLogin> {
  const nowMs = Date.now();
  const expiresAtMs = over.expired === true ? nowMs : nowMs + 3_600_000;
  const login = {
    issuer: issuer.url,
    client: { id: 'client-0', secret: new Secret(issuer.secret('client')) },
    grant: {
      subject: 'sub-alice',
      username: 'alice',
      groups: ['dev', 'ops'],
      scopes: ['openid', 'offline_access', 'profile'],
      audience: 'object',
      refreshToken: new Secret(issuer.secret('refresh')),
      refreshExpiresAtMs: nowMs + 86_400_000,
      access: {
        token: new Secret(jwt({ iss: issuer.url, n: 'login' })),
        audience: 'object',
        scopes: ['openid', 'offline_access', 'profile'],
        issuedAtMs: nowMs - 10,
        expiresAtMs,
      },
    },
  };
  const keyFile = folder.at('key');
  const options = { stateDir: folder.at('state'), keyFile, insecureStorage: false };
  const { vault } = await openVault({ ...options, log: silentLog, clock: systemClock }, never);
  await vault.save(login, never);
  return login;
}

/** Everything but the own login that a machine can have set up by itself. */
const inEnvironment: Readonly<Record<string, () => Promise<Record<string, string>>>> = {
  wlcg: async () => await Promise.resolve({ BEARER_TOKEN: jwt({ iss: issuer.url, n: 'wlcg' }) }),
  'web-identity': async () => {
    await writeFile(folder.at('web'), jwt({ iss: issuer.url, n: 'web' }), { mode: 0o600 });
    return {
      AWS_WEB_IDENTITY_TOKEN_FILE: folder.at('web'),
      AWS_ROLE_ARN: 'arn:aws:iam::1:role/pod',
      AWS_ROLE_SESSION_NAME: 'pod-1',
    };
  },
  hub: async () =>
    await Promise.resolve({
      IAM_SERVER: issuer.url,
      IAM_CLIENT_ID: 'hub',
      IAM_CLIENT_SECRET: 'secret-of-hub',
      REFRESH_TOKEN: 'refresh-of-hub',
    }),
  'oidc-agent': async () => await Promise.resolve({ OIDC_SOCK: agent.socket }),
};
const order = ['login', ...Object.keys(inEnvironment)];

async function setUp(names: readonly string[]): Promise<void> {
  if (names.includes('login')) await logIn();
  for (const name of names) Object.assign(environment, await inEnvironment[name]?.());
}

async function chosen(settings: Settings = {}): Promise<string> {
  await using tokens = await openTokens(settings, surroundings(), never);
  return tokens.source;
}

describe('the source of tokens', () => {
  // Each set of sources that there can be, told by the bits of a number.
  const sets = Array.from({ length: 2 ** order.length - 1 }, (_, bits) => ({
    there: order.filter((__, index) => ((bits + 1) >> index) % 2 === 1),
  }));

  it.each(sets)('is the first in the order of those there are: $there', async ({ there }) => {
    await setUp(there);
    expect(await chosen()).toBe(order.find((name) => there.includes(name)));
  });

  it('is the named one, whatever else is there', async () => {
    await setUp(order);
    await writeFile(folder.at('token'), jwt({ n: 'file' }), { mode: 0o600 });
    await writeFile(folder.at('mytoken'), mytokens.issue(), { mode: 0o600 });
    expect(await chosen({ tokenFile: folder.at('token') })).toBe('file');
    expect(await chosen({ oidcAgent: 'acc' })).toBe('oidc-agent');
    expect(await chosen({ mytokenFile: folder.at('mytoken') })).toBe('mytoken');
    for (const name of ['login', 'wlcg', 'web-identity', 'hub', 'oidc-agent'] as const) {
      expect(await chosen({ tokenSource: name })).toBe(name);
    }
  });

  it('is asked for where several are named', async () => {
    const settings = { tokenFile: '/f', oidcAgent: 'acc' };
    const error = await refusal(openTokens(settings, surroundings(), never));
    expect(error.kind).toBe('usage');
    expect(error.toLine()).toContain('file, oidc-agent');
  });

  it('named for another provider than --issuer is refused: tokens do not go astray', async () => {
    await writeFile(folder.at('token'), jwt(), { mode: 0o600 });
    const settings = { tokenFile: folder.at('token'), issuer: issuer.url };
    const error = await refusal(openTokens(settings, surroundings(), never));
    expect(error.kind).toBe('config');
    expect(error.message).toContain(`it is of https://iam.example/, and ${issuer.url} is wanted`);
  });

  it('that is broken is an error, though a later one would do', async () => {
    await setUp(['hub', 'oidc-agent']);
    environment['BEARER_TOKEN'] = 'what is this';
    expect((await refusal(openTokens({}, surroundings(), never))).message).toContain(
      'BEARER_TOKEN',
    );
  });

  it('says whose tokens they are: by its token, by its settings, else by its name', async () => {
    const issuerOf = async (settings: Settings): Promise<string> => {
      await using tokens = await openTokens(settings, surroundings(), never);
      return tokens.issuer;
    };
    await writeFile(folder.at('opaque'), 'opaque-token', { mode: 0o600 });
    await writeFile(folder.at('mytoken'), mytokens.issue(), { mode: 0o600 });
    environment['OIDC_SOCK'] = agent.socket;
    expect(await issuerOf({ oidcAgent: 'acc' })).toBe('https://agent.example');
    expect(await issuerOf({ mytokenFile: folder.at('mytoken') })).toBe('https://iam.example');
    expect(await issuerOf({ tokenFile: folder.at('opaque') })).toBe('file');
    const settings = { tokenFile: folder.at('opaque'), issuer: 'https://said.example' };
    expect(await issuerOf(settings)).toBe('https://said.example');
  });

  it('brings the role of a web identity, which a flag overrides', async () => {
    await setUp(['web-identity']);
    const settingsOf = async (settings: Settings): Promise<Settings> => {
      await using tokens = await openTokens(settings, surroundings(), never);
      return tokens.settings;
    };
    expect(await settingsOf({ sessionName: 'wire' })).toMatchObject({
      role: 'arn:aws:iam::1:role/pod',
      sessionName: 'pod-1',
    });
    expect(await settingsOf({ role: 'mine', sessionName: 'me' })).toMatchObject({
      role: 'mine',
      sessionName: 'me',
    });
    await setUp(['wlcg']);
    expect((await settingsOf({ sessionName: 'wire' })).role).toBeUndefined();
  });

  it('that runs dry is healed by a login at the same provider, and by nothing else', async () => {
    const soon = Math.floor(Date.now() / 1000) - 1;
    environment['BEARER_TOKEN'] = jwt({ iss: issuer.url, exp: soon });
    await using opened = await openTokens({}, surroundings(), never);
    const { tokens, source } = opened;
    expect(source).toBe('wlcg');
    await setUp(['hub', 'oidc-agent']);
    expect((await refusal(tokens.accessToken(0, never))).kind).toBe('login-expired');
    const login = await logIn();
    const { token } = await tokens.accessToken(0, never);
    expect(token.reveal()).toBe(login.grant?.access.token.reveal());
  });

  it('that runs dry is not replaced by a login at another provider', async () => {
    const exp = Math.floor(Date.now() / 1000) - 1;
    environment['BEARER_TOKEN'] = jwt({ iss: 'https://other.example', exp });
    await using opened = await openTokens({}, surroundings(), never);
    await logIn();
    expect((await refusal(opened.tokens.accessToken(0, never))).kind).toBe('login-expired');
  });

  it('that was named is not replaced by a login', async () => {
    await logIn();
    const exp = Math.floor(Date.now() / 1000) - 1;
    await writeFile(folder.at('token'), jwt({ iss: issuer.url, exp }), { mode: 0o600 });
    const settings = { tokenFile: folder.at('token') };
    await using opened = await openTokens(settings, surroundings(), never);
    expect((await refusal(opened.tokens.accessToken(0, never))).kind).toBe('login-expired');
  });
});

describe('who I am', () => {
  const ask = async (settings: Settings = {}): Promise<WhoAmI> => {
    const found = await whoAmI(settings, surroundings(), never);
    const printed = inspect(found, { depth: 9, showHidden: true }) + JSON.stringify(found);
    for (const secret of issuer.secrets) expect(printed).not.toContain(secret);
    expect(printed).not.toMatch(/eyJ[\w-]{10,}\./);
    return found;
  };

  it('tells the login without asking anybody', async () => {
    const { grant } = await logIn();
    const { identity, failure } = await ask();
    expect(failure).toBeUndefined();
    expect(identity).toMatchObject({
      source: 'login',
      who: 'alice',
      subject: 'sub-alice',
      groups: ['dev', 'ops'],
      issuer: issuer.url,
      audiences: ['object'],
      scopes: ['openid', 'offline_access', 'profile'],
      renewable: true,
      accessUntilMs: grant?.access.expiresAtMs,
      refreshUntilMs: grant?.refreshExpiresAtMs,
    });
    expect(issuer.seen).toEqual([]);
  });

  it('renews a login whose access token has ended: only so it is known to be good', async () => {
    await logIn({ expired: true });
    const access_token = jwt({ iss: issuer.url, preferred_username: 'alice', aud: 'object' });
    issuer.always('refresh', () => issuer.tokens({ access_token }));
    const { identity } = await ask();
    expect(identity).toMatchObject({ source: 'login', who: 'alice' });
    expect(identity?.accessUntilMs).toBeGreaterThan(Date.now());
    expect(issuer.of('refresh').length).toBe(1);
  });

  it('does not call a login good that its provider has ended', async () => {
    await logIn({ expired: true });
    issuer.always('refresh', { status: 400, json: { error: 'invalid_grant' } });
    const { identity, failure, sources } = await ask();
    expect(identity).toBeUndefined();
    expect(failure?.kind).toBe('login-expired');
    expect(sources[1]).toMatchObject({ name: 'login', state: 'refused' });
  });

  it('still tells who, and why the login is not renewed, while the provider is away', async () => {
    await logIn({ expired: true });
    issuer.always('refresh', { status: 503, json: {} });
    const { identity, failure } = await ask();
    expect(failure).toBeUndefined();
    expect(identity).toMatchObject({ who: 'alice', renewable: true });
    expect(identity).not.toHaveProperty('accessUntilMs');
    expect(identity?.notes.join()).toMatch(/cannot be renewed just now: .*503/);
  });

  it('tells a file by its token, and what an STS will have against it', async () => {
    const token = jwt({ preferred_username: 'bob', groups: ['g'], scope: 'openid a', aud: [] });
    await writeFile(folder.at('token'), token, { mode: 0o600 });
    const { identity } = await ask({ tokenFile: folder.at('token') });
    expect(identity).toMatchObject({
      source: 'file',
      who: 'bob',
      groups: ['g'],
      scopes: ['openid', 'a'],
      renewable: false,
    });
    expect(identity?.notes.join()).toContain('no audience');
  });

  it('tells an opaque token plainly', async () => {
    await writeFile(folder.at('token'), 'opaque-token', { mode: 0o600 });
    const { identity } = await ask({ tokenFile: folder.at('token') });
    expect(identity).not.toHaveProperty('who');
    expect(identity?.notes.join()).toContain('not a JWT');
  });

  it('tells the hub by what its refresh gave', async () => {
    await setUp(['hub']);
    const { identity } = await ask();
    expect(identity).toMatchObject({
      source: 'hub',
      issuer: issuer.url,
      scopes: ['openid', 'offline_access'],
      renewable: true,
    });
    expect(identity).not.toHaveProperty('who');
  });

  it('lists every source in order with its reason', async () => {
    await setUp(['wlcg', 'hub']);
    const { sources } = await ask();
    expect(sources.map(({ name, state }) => `${name} ${state}`)).toEqual([
      'file absent',
      'login absent',
      'wlcg used',
      'web-identity absent',
      'hub passed-over',
      'oidc-agent absent',
      'mytoken absent',
    ]);
    expect(sources[4]?.why).toContain('wlcg comes first');
  });

  it('a chosen source that gives no token is a failure, told beside the chain', async () => {
    environment['BEARER_TOKEN'] = jwt({ exp: 1_000_000 });
    const { identity, failure, sources } = await ask();
    expect(identity).toBeUndefined();
    expect(failure?.kind).toBe('login-expired');
    expect(sources[2]).toMatchObject({ name: 'wlcg', state: 'refused' });
  });
});

describe('a printed token', () => {
  it('is for the audience and the scopes that were asked for', async () => {
    await logIn();
    issuer.always('refresh', ({ form }) =>
      issuer.tokens({
        access_token: jwt({ iss: issuer.url, aud: form.get('audience') }),
        scope: form.get('scope'),
      }),
    );
    const request = { settings: { audience: 'other' }, scopes: ['openid'], minLifeMs: 0 };
    const printed = await getToken(request, surroundings(), never);
    expect(printed).toMatchObject({ source: 'login', issuer: issuer.url });
    const [refresh] = issuer.of('refresh');
    expect(refresh?.form.get('audience')).toBe('other');
    expect(refresh?.form.get('scope')).toBe('openid');
  });

  it('is refused when the source gives one for others', async () => {
    const given = jwt({ aud: ['a', 'b'] });
    environment['BEARER_TOKEN'] = given;
    const request = { settings: { audience: 'c' }, minLifeMs: 0 };
    const error = await refusal(getToken(request, surroundings(), never), given);
    expect(error.kind).toBe('identity-refused');
    expect(error.message).toContain('it gives one for a, b');
    const fitting = { settings: { audience: 'b' }, minLifeMs: 0 };
    expect((await getToken(fitting, surroundings(), never)).token.reveal()).toBe(given);
  });

  it('that somebody else made cannot be narrowed', async () => {
    environment['BEARER_TOKEN'] = jwt();
    const request = { settings: {}, scopes: ['openid'], minLifeMs: 0 };
    expect((await refusal(getToken(request, surroundings(), never))).kind).toBe('unsupported');
  });

  it('is never a refresh token, a client secret or a mytoken', async () => {
    await setUp(order);
    const mytoken = mytokens.issue();
    await writeFile(folder.at('mytoken'), mytoken, { mode: 0o600 });
    const untold = ['refresh-of-hub', 'secret-of-hub', mytoken, ...issuer.secrets];
    for (const tokenSource of [
      'login',
      'wlcg',
      'web-identity',
      'hub',
      'oidc-agent',
      'mytoken',
    ] as const) {
      const settings = { tokenSource, mytokenFile: folder.at('mytoken') };
      const { token, ...rest } = await getToken({ settings, minLifeMs: 0 }, surroundings(), never);
      expect(untold).not.toContain(token.reveal());
      expect(rest.source).toBe(tokenSource);
      expect(inspect(rest)).not.toContain(token.reveal());
    }
  });
});
