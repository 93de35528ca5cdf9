import { chmod, mkdir, symlink } from 'node:fs/promises';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { type AgentFacts, lookForAgent } from '../../../../src/auth/sources/oidc-agent.ts';
import type { Finding, Wanted } from '../../../../src/auth/sources/source.ts';
import { type AgentQuestion, agentOf, FakeAgent } from '../../../fixtures/fake-agent.ts';
import { FakeClock } from '../../../fixtures/fake-clock.ts';
import { euid, Folder, found, jwt, never, refusal, reveal } from './source-bench.ts';

let folder: Folder;
let clock: FakeClock;
let agent: FakeAgent;
const token = jwt();

/** The usual answer: a token for ten minutes. */
const grant = (): AgentQuestion => ({
  status: 'success',
  access_token: token,
  issuer: 'https://iam.example/',
  expires_at: Math.floor(clock.now() / 1000) + 600,
});

beforeEach(async () => {
  folder = await Folder.make();
  clock = new FakeClock(Date.now());
  agent = await FakeAgent.start(agentOf(['alice'], grant));
});
afterEach(async () => {
  await agent[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

const facts = (over: Partial<AgentFacts> = {}): AgentFacts => ({
  environment: { OIDC_SOCK: agent.socket },
  euid,
  temporaryFolder: folder.path,
  clock,
  account: undefined,
  ...over,
});

const look = async (over: Partial<AgentFacts> = {}, wanted: Wanted = {}): Promise<Finding> =>
  await lookForAgent(facts(over), wanted, never);

/** What the last access token was asked for with. */
const lastAsked = (): AgentQuestion | undefined =>
  agent.asked.findLast((question) => question['request'] === 'access_token');

describe('oidc-agent as a source', () => {
  it('gives tokens of its only account, for at least a minute', async () => {
    const source = found(await look());
    expect(source).toMatchObject({ place: 'account alice of oidc-agent', fixed: false });
    const { expiresAtMs } = await source.tokens.accessToken(0, never);
    expect(expiresAtMs).toBe((Math.floor(clock.now() / 1000) + 600) * 1000);
    expect(lastAsked()).toEqual({
      request: 'access_token',
      account: 'alice',
      min_valid_period: 60,
      application_hint: 'wire',
    });
  });

  it('takes an end that no calendar has for none', async () => {
    await using endless = await FakeAgent.start(
      agentOf(['alice'], () => ({ ...grant(), expires_at: 1e15 })),
    );
    const source = found(await look({ environment: { OIDC_SOCK: endless.socket } }));
    expect((await source.tokens.accessToken(0, never)).expiresAtMs).toBeUndefined();
  });

  it('asks by issuer where one is wanted, with audience and scopes', async () => {
    const wanted = { issuer: 'https://iam.example', audience: 'object', scopes: ['openid', 'a'] };
    const source = found(await look({}, wanted));
    expect(await reveal(source, 300_000)).toBe(token);
    expect(lastAsked()).toEqual({
      request: 'access_token',
      issuer: 'https://iam.example',
      min_valid_period: 300,
      application_hint: 'wire',
      audience: 'object',
      scope: 'openid a',
    });
  });

  it('keeps a token while it is lively, and asks once for all who wait', async () => {
    const source = found(await look());
    await Promise.all([reveal(source), reveal(source), reveal(source, 30_000)]);
    expect(agent.asked.length).toBe(2);
    await clock.advance(500_000);
    await reveal(source);
    expect(agent.asked.length).toBe(3);
  });

  it('insists on half a life at most, or short tokens would be renewed each time', async () => {
    const source = found(await look());
    await reveal(source);
    await clock.advance(595_000);
    await reveal(source, 3_600_000);
    expect(lastAsked()?.['min_valid_period']).toBe(300);
  });

  it('is not there without a socket, nor with no account loaded', async () => {
    expect(await look({ environment: {} })).toMatchObject({ there: false });
    agent.answer = agentOf([], grant);
    const finding = await look();
    expect(finding).toMatchObject({ there: false });
    expect(finding).toHaveProperty('why', expect.stringContaining('no account loaded'));
  });

  it('asks which account when there are several and nobody says', async () => {
    agent.answer = agentOf(['alice', 'bob'], grant);
    const error = await refusal(look());
    expect(error.kind).toBe('usage');
    expect(error.toLine()).toContain('there are 2: alice, bob');
    expect(await reveal(found(await look({ account: 'bob' })))).toBe(token);
    expect(lastAsked()?.['account']).toBe('bob');
  });

  it('says that a locked agent is locked, when looking and when asking', async () => {
    const locked = JSON.stringify({ status: 'failure', error: 'Agent locked' });
    const source = found(await look());
    agent.answer = () => locked;
    for (const work of [look(), reveal(source)]) {
      const error = await refusal(work);
      expect(error.kind).toBe('login-expired');
      expect(error.toLine()).toContain('locked; unlock it with: oidc-add');
    }
  });

  it('says that an account is not loaded, and which are', async () => {
    agent.answer = agentOf(['alice', 'bob'], () => ({ status: 'failure', error: 'whatever' }));
    const error = await refusal(reveal(found(await look({ account: 'carol' }))));
    expect(error.kind).toBe('login-expired');
    expect(error.toLine()).toContain('not loaded (loaded: alice, bob); run: oidc-add carol');
  });

  it('says that no account is for this issuer', async () => {
    agent.answer = agentOf(['alice'], () => ({ status: 'failure', error: 'account not loaded' }));
    const error = await refusal(reveal(found(await look({}, { issuer: 'https://other.example' }))));
    expect(error.kind).toBe('login-expired');
    expect(error.toLine()).toContain('an account for https://other.example');
    expect(error.toLine()).toContain('loaded: alice');
  });

  it('tells what the agent says of its provider, without tokens in it', async () => {
    agent.answer = agentOf(['alice'], () => ({
      status: 'failure',
      error: `invalid_grant\u001b[31m: ${token}`,
      info: 'reauthenticate',
    }));
    const error = await refusal(reveal(found(await look())), token, '\u001b');
    expect(error.kind).toBe('identity-refused');
    expect(error.toLine()).toContain('oidc-gen --reauthenticate alice');
  });

  it('gives an agent that does not answer ten seconds', async () => {
    agent.answer = () => undefined;
    const waiting = refusal(look());
    await clock.sleeper();
    await clock.advance(10_000);
    const error = await waiting;
    expect(error.kind).toBe('unreachable');
    expect(error.toLine()).toContain('did not answer within 10 s');
  });

  it('ends at once when it is aborted', async () => {
    agent.answer = () => undefined;
    const controller = new AbortController();
    const waiting = lookForAgent(facts(), {}, controller.signal);
    await clock.sleeper();
    controller.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('enough');
    expect(clock.sleeping).toBe(0);
  });

  it('refuses what is not the answer of an agent', async () => {
    for (const text of ['', 'a44CharactersOfBase64', '[]', '{"status":"success"']) {
      agent.answer = () => text;
      expect((await refusal(look())).kind).toBe('unreachable');
    }
  });

  it('is an error where OIDC_SOCK names a place without an agent', async () => {
    const error = await refusal(look({ environment: { OIDC_SOCK: folder.at('gone.sock') } }));
    expect(error.kind).toBe('unreachable');
    expect(error.toLine()).toContain('no agent listens at');
  });

  describe('at its usual place', () => {
    it('is found without OIDC_SOCK, in a folder that is ours alone', async () => {
      const place = folder.at(`oidc-agent-service-${euid}`);
      await mkdir(place, { mode: 0o700 });
      await using usual = await FakeAgent.start(agentOf(['x'], grant), `${place}/oidc-agent.sock`);
      expect(await reveal(found(await look({ environment: {} })))).toBe(token);
      expect(usual.asked.length).toBe(2);
      expect(agent.asked).toEqual([]);
    });

    it('is not asked where others could have put it', async () => {
      const place = folder.at(`oidc-agent-service-${euid}`);
      await mkdir(place, { mode: 0o700 });
      await using usual = await FakeAgent.start(agentOf(['x'], grant), `${place}/oidc-agent.sock`);
      await chmod(place, 0o777);
      expect(await look({ environment: {} })).toMatchObject({ there: false });
      await using other = await Folder.make();
      await symlink(place, other.at(`oidc-agent-service-${euid}`));
      await chmod(place, 0o700);
      const through = { environment: { TMPDIR: other.path } };
      expect(await look(through)).toMatchObject({ there: false });
      expect(usual.asked).toEqual([]);
    });
  });
});
