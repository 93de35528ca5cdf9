/**
 * The command with tokens that are not its own: from Debian's oidc-agent, from a hub's environment,
 * from files and variables that others fill. With a mount where /dev/fuse is there.
 */
import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Finished, run } from '../../scripts/demo/programs.ts';
import type { IamDialect } from '../../src/demo/dialect.ts';
import type { PlaygroundOptions } from '../../src/demo/playground.ts';
import { FakeMytokenServer } from '../fixtures/fake-mytoken.ts';
import { hasAgent, RealAgent } from '../fixtures/real-agent.ts';
import { canMount, Scene } from '../fixtures/real-mount.ts';
import {
  basic,
  confidentialClient,
  DEVICE_GRANT,
  IamTestClient,
} from '../unit/demo/iam/iam-client.ts';

/** Every exit code of the command is an answer here. */
const anyExit = Array.from({ length: 255 }, (_, code) => code + 1);
const dialects: readonly IamDialect[] = ['standard', 'indigo'];
const scopes = ['openid', 'profile', 'offline_access'];

type Variables = Readonly<Record<string, string>>;

/** A login at the IAM that wire did not make. */
interface ForeignLogin {
  readonly clientId: string;
  readonly clientSecret: string;
  readonly accessToken: string;
  readonly refreshToken: string;
}

/** alice, whose environment others have filled. */
class Stage implements AsyncDisposable {
  readonly scene: Scene;
  readonly variables: Record<string, string> = {};

  private constructor(scene: Scene) {
    this.scene = scene;
  }

  static async open(options: PlaygroundOptions): Promise<Stage> {
    return new Stage(await Scene.open(options));
  }

  async wire(...args: readonly string[]): Promise<Finished> {
    const { user, signal } = this.scene;
    const [program = '', ...rest] = user.commandLine(args);
    const env = { ...user.environment, ...this.variables };
    return await run(program, rest, signal, { env, allow: anyExit, cwd: user.folder });
  }

  /** What `wire whoami --explain` said, as `name state` each. */
  async explained(...args: readonly string[]): Promise<readonly string[]> {
    const { stdout } = await this.wire('whoami', '--explain', '--json', ...args);
    const { sources } = JSON.parse(stdout) as { sources: readonly Variables[] };
    return sources.map(({ name, state }) => `${name ?? ''} ${state ?? ''}`);
  }

  /** Mounts the demo bucket in the background; returns where. */
  async mount(name: string, ...more: readonly string[]): Promise<string> {
    const { scene } = this;
    const place = scene.place(name);
    const source = `s3://${scene.playground.bucket}`;
    const flags = [...scene.store, '--mkdir', '--daemon', '--expiry-wait', '60s', ...more];
    const { exitCode, stderr } = await this.wire('mount', source, place, ...flags);
    expect({ exitCode, stderr }).toMatchObject({ exitCode: 0 });
    return place;
  }

  /** A token of the IAM for alice, as somebody else may have got it for her. */
  async mint(expiresInSeconds = 3600): Promise<string> {
    const { iam, users, audience } = this.scene.playground;
    const [alice] = users;
    if (alice === undefined) throw new Error('alice is not there');
    const claims = { sub: alice.sub, preferred_username: alice.name, groups: [...alice.groups] };
    return await iam.mint(claims, { audience, expiresInSeconds });
  }

  async foreignLogin(): Promise<ForeignLogin> {
    const { playground, signal } = this.scene;
    const client = await IamTestClient.discover(playground.iam);
    const scope = scopes.join(' ');
    const { clientId, secret = '' } = await client.register({ ...confidentialClient, scope });
    const headers = basic(clientId, secret);
    const asked = { client_id: clientId, scope };
    const { json } = await client.post('device_authorization_endpoint', asked, headers);
    await playground.iam.approve(String(json['verification_uri_complete']), 'alice', signal);
    const form = { grant_type: DEVICE_GRANT, device_code: String(json['device_code']) };
    const tokens = await client.post('token_endpoint', form, headers);
    return {
      clientId,
      clientSecret: secret,
      accessToken: String(tokens.json['access_token']),
      refreshToken: String(tokens.json['refresh_token']),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.scene[Symbol.asyncDispose]();
  }
}

function claimsOf(token: string): Readonly<Record<string, unknown>> {
  const payload = Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8');
  return JSON.parse(payload) as Readonly<Record<string, unknown>>;
}

const agentThere = hasAgent();
const agentName = 'Debian’s oidc-agent (needs apt-get install oidc-agent-cli bsdutils)';

describe.skipIf(!agentThere)(agentName, () => {
  it.each(dialects)('is a source of tokens at the %s playground', async (iamDialect) => {
    await using stage = await Stage.open({ iamDialect });
    const { issuer, audience } = stage.scene.playground;
    await using agent = await RealAgent.start();
    await agent.add({ name: 'work', issuer, ...(await stage.foreignLogin()), scopes });
    stage.variables['OIDC_SOCK'] = agent.socket;

    expect(await stage.explained()).toContain('oidc-agent used');
    const { stdout } = await stage.wire('token', '--audience', audience, '--scope', 'openid');
    expect(claimsOf(stdout)).toMatchObject({ aud: audience, scope: 'openid' });
    // By the issuer, with a slash more or less.
    const other = issuer.endsWith('/') ? issuer.slice(0, -1) : `${issuer}/`;
    expect((await stage.wire('whoami', '--issuer', other)).stdout).toMatch(/^alice\n/);

    await agent.lock();
    const locked = await stage.wire('whoami');
    expect(locked).toMatchObject({ exitCode: 4, stdout: '' });
    expect(locked.stderr).toContain('locked; unlock it with: oidc-add --unlock');
    await agent.unlock();

    const unknown = await stage.wire('token', '--oidc-agent', 'home');
    expect(unknown).toMatchObject({ exitCode: 4, stdout: '' });
    expect(unknown.stderr).toContain('not loaded (loaded: work); run: oidc-add home');
    const elsewhere = await stage.wire('token', '--issuer', 'https://other.example');
    expect(elsewhere).toMatchObject({ exitCode: 4, stdout: '' });
    expect(elsewhere.stderr).toContain('an account for https://other.example');

    await agent.unload('work');
    expect(await stage.explained()).toContain('oidc-agent absent');
    expect((await stage.wire('whoami')).stderr).toContain('nobody is logged in');
  });

  it.skipIf(!canMount)('serves a mount, also while the agent is locked', async () => {
    await using stage = await Stage.open({ iamDialect: 'indigo', storeDialect: 'minio' });
    const { playground } = stage.scene;
    await using agent = await RealAgent.start();
    const login = await stage.foreignLogin();
    await agent.add({ name: 'work', issuer: playground.issuer, ...login, scopes });
    stage.variables['OIDC_SOCK'] = agent.socket;
    const place = await stage.mount('bucket', '--oidc-agent', 'work');
    await writeFile(join(place, 'one'), '1');

    // The access token that the agent gave is good for longer than the lease.
    await agent.lock();
    playground.sts.expireAll();
    const leases = playground.keys.issued.length;
    await writeFile(join(place, 'two'), '2');
    expect(playground.keys.issued.length).toBeGreaterThan(leases);
    expect((await stage.wire('unmount', place)).exitCode).toBe(0);
  });
});

describe.each(dialects)("a hub's environment at the %s playground", (iamDialect) => {
  async function atHub(): Promise<Stage> {
    const stage = await Stage.open({ iamDialect, rotateRefreshTokens: true });
    const { clientId, clientSecret, refreshToken } = await stage.foreignLogin();
    Object.assign(stage.variables, {
      IAM_SERVER: stage.scene.playground.issuer,
      IAM_CLIENT_ID: clientId,
      IAM_CLIENT_SECRET: clientSecret,
      // Died before the notebook started.
      ACCESS_TOKEN: await stage.mint(-60),
      REFRESH_TOKEN: refreshToken,
    });
    return stage;
  }

  it('is shared by eight processes whose refresh token rotates, and outlives them', async () => {
    await using stage = await atHub();
    const ask = async (n: number): Promise<Finished> =>
      await stage.wire('token', '--audience', `audience-${n}`);
    for (const round of [0, 8]) {
      const numbers = Array.from({ length: 8 }, (_, n) => n + round);
      const answers = await Promise.all(numbers.map(ask));
      expect(answers.map(({ exitCode, stderr }) => ({ exitCode, stderr }))).toEqual(
        numbers.map(() => ({ exitCode: 0, stderr: '' })),
      );
      const audiences = answers.map(({ stdout }) => claimsOf(stdout)['aud']);
      expect(audiences).toEqual(numbers.map((n) => `audience-${n}`));
    }
    const { stdout } = await stage.wire('whoami');
    expect(stdout).toMatch(/^alice\n/);
    expect(stdout).toMatch(/source +hub: REFRESH_TOKEN/);
  });

  it.skipIf(!canMount)(
    'serves a mount in the background, whose environment has no secret',
    async () => {
      await using stage = await atHub();
      const { scene, variables } = stage;
      const place = await stage.mount('bucket');
      await writeFile(join(place, 'file'), 'from a notebook');
      scene.playground.sts.expireAll();
      expect(await readFile(join(place, 'file'), 'utf8')).toBe('from a notebook');
      const daemons = await scene.daemons();
      expect(daemons.length).toBe(1);
      for (const pid of daemons) {
        const environ = await readFile(`/proc/${pid}/environ`, 'latin1');
        expect(environ).toContain('IAM_CLIENT_ID=');
        for (const name of ['ACCESS_TOKEN', 'REFRESH_TOKEN', 'IAM_CLIENT_SECRET']) {
          expect(environ).not.toContain(variables[name]);
        }
      }
      expect((await stage.wire('unmount', place)).exitCode).toBe(0);
    },
  );
});

describe('a mytoken server', () => {
  it('gives tokens to eight processes, each use of the mytoken replacing it', async () => {
    await using stage = await Stage.open({});
    await using server = await FakeMytokenServer.start();
    const file = join(stage.scene.user.folder, 'mytoken');
    await writeFile(file, server.issue(), { mode: 0o600 });
    const ask = async (): Promise<Finished> =>
      await stage.wire('token', '--mytoken-file', 'mytoken', '--audience', 'object');
    const answers = await Promise.all(Array.from({ length: 8 }, ask));
    expect(answers.map(({ exitCode }) => exitCode)).toEqual(answers.map(() => 0));
    expect(server.asked.length).toBe(8);
    expect(server.reuses).toBe(0);
    expect(server.isLive((await readFile(file, 'utf8')).trim())).toBe(true);
  });
});

describe.skipIf(!canMount)('a mount with tokens that others renew', () => {
  it('waits for a fresh token in the file, and goes on with it', async () => {
    await using stage = await Stage.open({});
    const { playground, user } = stage.scene;
    const file = join(user.folder, 'token');
    await writeFile(file, await stage.mint(-60), { mode: 0o600 });
    const flags = [...stage.scene.store, '--mkdir', '--token-file', 'token'];
    const refused = await stage.wire('mount', `s3://${playground.bucket}`, 'early', ...flags);
    expect(refused.exitCode).toBe(4);
    expect(refused.stderr).toContain('it expired');
    // Before anything was mounted, without a wait, and without a request to the STS.
    const log = await readFile(join(user.folder, 'state', 'wire.log'), 'utf8');
    expect(log).not.toContain('"attached"');
    expect(playground.keys.issued.length).toBe(0);

    await writeFile(file, await stage.mint());
    const place = await stage.mount('bucket', '--token-file', 'token');
    await writeFile(join(place, 'one'), '1');
    await writeFile(file, await stage.mint(-60));
    playground.sts.expireAll();
    const leases = playground.keys.issued.length;
    const reading = readFile(join(place, 'one'), 'utf8');
    await writeFile(`${file}.new`, await stage.mint());
    await rename(`${file}.new`, file);
    expect(await reading).toBe('1');
    expect(playground.keys.issued.length).toBeGreaterThan(leases);
    expect((await stage.wire('unmount', place)).exitCode).toBe(0);
  });

  it('takes BEARER_TOKEN, and shows it in no environment, argument or log of its process', async () => {
    await using stage = await Stage.open({});
    const { scene } = stage;
    const token = await stage.mint();
    stage.variables['BEARER_TOKEN'] = token;
    const place = await stage.mount('bucket');
    await writeFile(join(place, 'one'), '1');
    for (const pid of await scene.daemons()) {
      expect(await readFile(`/proc/${pid}/environ`, 'latin1')).not.toContain(token);
      expect(await readFile(`/proc/${pid}/cmdline`, 'latin1')).not.toContain(token);
    }
    const log = await readFile(join(scene.user.folder, 'state', 'wire.log'), 'utf8');
    expect(log).toContain('BEARER_TOKEN');
    expect(log).not.toContain(token);
    expect((await stage.wire('unmount', place)).exitCode).toBe(0);
  });

  it('takes token and role of a web identity, as in a pod', async () => {
    await using stage = await Stage.open({});
    const { playground, user } = stage.scene;
    await writeFile(join(user.folder, 'web'), await stage.mint(), { mode: 0o600 });
    Object.assign(stage.variables, {
      AWS_WEB_IDENTITY_TOKEN_FILE: join(user.folder, 'web'),
      AWS_ROLE_ARN: playground.roles.personal,
      AWS_ROLE_SESSION_NAME: 'pod-7',
    });
    const place = stage.scene.place('alice');
    const flags = ['--endpoint', playground.endpoint, '--mkdir', '--daemon'];
    const { exitCode } = await stage.wire('mount', 's3://alice', place, ...flags);
    expect(exitCode).toBe(0);
    await writeFile(join(place, 'mine'), 'yes');
    expect((await stage.wire('unmount', place)).exitCode).toBe(0);
  });
});
