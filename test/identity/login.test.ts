import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { WireUser } from '../../scripts/demo/wire-user.ts';
import type { IamDialect } from '../../src/demo/dialect.ts';
import { authorizeInBrowser, denyInBrowser } from '../../src/demo/iam/browser.ts';
import { type Iam, startIam } from '../../src/demo/iam/iam.ts';
import { wireCommand } from '../fixtures/real-mount.ts';

const signal = new AbortController().signal;
const alice = { name: 'alice', sub: 'sub-alice', groups: ['cms'] };

/** First two parts of a JWS in its compact form (RFC 7515, section 7.1). */
const tokenPattern = /eyJ[\w-]{10,}\.[\w-]{10,}/;

interface Event {
  readonly event: string;
  readonly [name: string]: unknown;
}

interface Ended {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly events: readonly Event[];
}

/** A `wire login --json` under way. */
class Login {
  readonly ended: Promise<Ended>;
  readonly #child: ChildProcess;
  readonly #events: Event[] = [];
  readonly #watchers = new Set<() => void>();

  constructor(
    user: WireUser,
    args: readonly string[],
    more: Readonly<Record<string, string>> = {},
  ) {
    const [program = '', ...rest] = user.commandLine(['login', '--json', ...args]);
    const env = { ...process.env, CI: '1', ...user.environment, ...more };
    const child = spawn(program, rest, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    this.#child = child;
    let [stdout, stderr, partial] = ['', '', ''];
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      stdout += chunk;
      const lines = (partial + chunk).split('\n');
      partial = lines.pop() ?? '';
      for (const line of lines) this.#events.push(JSON.parse(line) as Event);
      for (const watcher of this.#watchers) watcher();
    });
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      stderr += chunk;
    });
    this.ended = new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (exitCode) => {
        resolve({ exitCode, stdout, stderr, events: this.#events });
        for (const watcher of this.#watchers) watcher();
      });
    });
  }

  /** The `count`th event of a name, as soon as it is there. */
  async event(name: string, count = 1): Promise<Event> {
    for (;;) {
      const found = this.#events.filter(({ event }) => event === name)[count - 1];
      if (found !== undefined) return found;
      if (this.#child.exitCode !== null) throw new Error((await this.ended).stderr);
      await new Promise<void>((resolve) => {
        const watcher = (): void => {
          this.#watchers.delete(watcher);
          resolve();
        };
        this.#watchers.add(watcher);
      });
    }
  }

  interrupt(): void {
    this.#child.kill('SIGINT');
  }

  /** For the end of a test that failed before its end. */
  kill(): void {
    this.#child.kill('SIGKILL');
  }
}

const text = (value: unknown): string => String(value);

describe.each<IamDialect>(['standard', 'indigo'])(
  'wire login at a provider of kind %s',
  (dialect) => {
    let iam: Iam;
    let user: WireUser;
    let begun: Login[];

    beforeEach(async () => {
      iam = await startIam({ dialect, users: [alice], pollIntervalSeconds: 1 }, signal);
      user = await WireUser.create(wireCommand);
      begun = [];
    });
    afterEach(async () => {
      for (const login of begun) login.kill();
      await user[Symbol.asyncDispose]();
      await iam[Symbol.asyncDispose]();
    });

    function begin(...args: readonly string[]): Login {
      const login = new Login(user, [iam.issuer, '--audience', 'wire-s3', ...args]);
      begun.push(login);
      return login;
    }

    const said = async (...args: readonly string[]): Promise<string> => {
      const { stdout, stderr } = await user.wire(args, signal);
      return stdout + stderr;
    };

    it('tells of each step, and ends with who is logged in', async () => {
      const login = begin();
      const code = await login.event('code');
      await iam.approve(text(code['verificationUriComplete']), 'alice', signal);
      const { exitCode, stdout, stderr, events } = await login.ended;
      expect([exitCode, stderr]).toEqual([0, '']);
      expect(events.at(-1)).toMatchObject({
        event: 'done',
        who: 'alice',
        groups: ['cms'],
        audience: 'wire-s3',
      });
      expect(stdout).not.toMatch(tokenPattern);
      expect(stdout).not.toMatch(/device_?code/i);
      expect(await said('status')).toContain('alice');
    });

    it('logs in with a browser that comes back, and listens no longer', async () => {
      const login = begin('--flow', 'browser', '--log-level', 'trace');
      const { url, redirectUri } = await login.event('page');
      const { status, html } = await authorizeInBrowser(text(url), 'alice', undefined, signal);
      const { exitCode, stdout, events } = await login.ended;
      expect([exitCode, status]).toEqual([0, 200]);
      expect(events.at(-1)).toMatchObject({ event: 'done', who: 'alice' });
      expect(html).toContain('Approved');
      const log = await readFile(join(user.folder, 'state', 'wire.log'), 'utf8');
      expect(log).toContain('client registered');
      expect(stdout + html + log).not.toMatch(tokenPattern);
      expect(await answers(text(redirectUri))).toBe(false);
      expect(await said('status')).toContain('alice');
    });

    it.each([
      ['code', []],
      ['page', ['--flow', 'browser']],
    ])(
      'ends at Ctrl-C while it shows a %s, and asks the provider no more',
      async (event, flags) => {
        const login = begin(...flags);
        const shown = await login.event(event);
        const before = performance.now();
        login.interrupt();
        const { exitCode, events } = await login.ended;
        expect(performance.now() - before).toBeLessThan(3000);
        expect(exitCode).toBe(130);
        expect(events.at(-1)).toMatchObject({
          event: 'failed',
          kind: 'interrupted',
          exitCode: 130,
        });
        if (event === 'page') expect(await answers(text(shown['redirectUri']))).toBe(false);
        expect(iam.counters().token).toBe(0);
      },
    );

    it('shows one more code when the first expires, then ends with 4', async () => {
      iam.setLifetimes({ deviceCode: 2 });
      const login = begin();
      await login.event('restarted');
      const { exitCode, events } = await login.ended;
      expect(exitCode).toBe(4);
      expect(events.filter(({ event }) => event === 'code')).toHaveLength(2);
      expect(events.at(-1)).toMatchObject({ event: 'failed', kind: 'login-expired', exitCode: 4 });
    });

    it('ends with 3 when it is denied, as soon as the provider says so', async () => {
      // INDIGO IAM never does: there the code has to run out.
      if (dialect === 'indigo') iam.setLifetimes({ deviceCode: 2 });
      const login = begin();
      const code = await login.event('code');
      const userCode = text(code['userCode']);
      await denyInBrowser(text(code['verificationUri']), userCode, 'alice', undefined, signal);
      const { exitCode, stderr } = await login.ended;
      expect(exitCode).toBe(dialect === 'indigo' ? 4 : 3);
      if (dialect === 'indigo') expect(stderr).toContain('Deny');
    });

    it('lives through a connection that breaks off', async () => {
      iam.addFault({ endpoint: 'token', drop: 'before', times: 1 });
      const login = begin();
      const code = await login.event('code');
      await iam.approve(text(code['verificationUriComplete']), 'alice', signal);
      const { exitCode, events } = await login.ended;
      expect(exitCode).toBe(0);
      const troubles = events.filter(({ event }) => event === 'trouble');
      expect(troubles.map(({ kind }) => kind)).toEqual(['unreachable']);
    });

    it('opens the page in the browser there is, and gives it no secrets', async () => {
      const tools = join(user.folder, 'tools');
      const seen = join(user.folder, 'seen');
      await mkdir(tools);
      const script = `#!/bin/sh\n{ echo "$1"; env; } > '${seen}.part' && mv '${seen}.part' '${seen}'\n`;
      await writeFile(join(tools, 'xdg-open'), script, { mode: 0o700 });
      const login = new Login(user, [iam.issuer, '--flow', 'browser'], {
        ...{ CI: '', SSH_CONNECTION: '', SSH_TTY: '', JUPYTERHUB_USER: '', WSL_DISTRO_NAME: '' },
        ...{ DISPLAY: ':77', PATH: `${tools}:${process.env['PATH'] ?? ''}` },
        ...{ REFRESH_TOKEN: 'hub-refresh-token', IAM_CLIENT_SECRET: 'hub-client-secret' },
      });
      begun.push(login);
      const { url } = await login.event('page');
      await authorizeInBrowser(text(url), 'alice', undefined, signal);
      expect((await login.ended).exitCode).toBe(0);
      const written = await vi.waitFor(async () => await readFile(seen, 'utf8'), 10_000);
      const [opened, ...environment] = written.split('\n');
      expect(opened).toBe(url);
      expect(environment).toContain('DISPLAY=:77');
      expect(environment.join('\n')).not.toMatch(/hub-refresh-token|hub-client-secret|WIRE_KEY/);
    });

    it('asks for nothing before it knows that it can keep it', async () => {
      const file = join(user.folder, 'file');
      await writeFile(file, '');
      const login = new Login(user, [iam.issuer], { WIRE_STATE_DIR: file });
      begun.push(login);
      const { exitCode, events } = await login.ended;
      expect(exitCode).toBe(6);
      expect(events).toMatchObject([{ event: 'failed', kind: 'config' }]);
      expect(iam.counters()).toMatchObject({ registration: 0, device: 0 });
    });

    it('keeps its client through a logout, and deletes it with --forget', async () => {
      const login = begin();
      const code = await login.event('code');
      await iam.approve(text(code['verificationUriComplete']), 'alice', signal);
      expect((await login.ended).exitCode).toBe(0);
      expect(iam.counters()).toMatchObject({ registration: 1, revocation: 0 });
      await said('logout');
      expect(iam.counters()).toMatchObject({ registration: 1, revocation: 1 });
      expect(await said('logout', '--forget')).toContain('the client was deleted');
      expect(iam.counters()).toMatchObject({ registration: 2, revocation: 1 });
      const nobody = await user.wire(['logout', '--forget'], signal, { allow: [4] });
      expect(nobody.exitCode).toBe(4);
    });
  },
);

describe('wire login', () => {
  it('ends with 5 when nothing answers, with 7 when nobody may register', async () => {
    await using user = await WireUser.create(wireCommand);
    const options = { dialect: 'indigo', users: [alice], registration: 'disabled' } as const;
    const iam = await startIam(options, signal);
    const closed = new Login(user, [iam.issuer]);
    const refused = await closed.ended;
    expect(refused.exitCode).toBe(7);
    expect(refused.stderr).toContain('--client-id');
    await iam[Symbol.asyncDispose]();
    expect((await new Login(user, [iam.issuer]).ended).exitCode).toBe(5);
  });
});

/** Whether anybody listens at the address. */
async function answers(url: string): Promise<boolean> {
  const { hostname, port } = new URL(url);
  return await new Promise((resolve) => {
    const socket = connect(Number(port), hostname);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
