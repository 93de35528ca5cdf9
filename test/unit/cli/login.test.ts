import { describe, expect, it } from 'vitest';

import { browserCommand, browserEnvironment } from '../../../src/cli/browser.ts';
import { countDown, LoginView } from '../../../src/cli/login-view.ts';
import { qrLines } from '../../../src/cli/qr.ts';
import { Terminal } from '../../../src/cli/terminal.ts';
import type { LoginEvents, LoginOutcome } from '../../../src/daemon/identity.ts';
import { WireError, type WireErrorKind } from '../../../src/lib/wire-error.ts';
import { FakeClock } from '../../fixtures/fake-clock.ts';
import { FakeCli } from './fake-cli.ts';

const issuer = 'https://iam.example';

const outcome: LoginOutcome = {
  issuer,
  who: 'alice',
  groups: ['a', 'b'],
  audience: 'object',
  untilMs: 86_400_000,
  storedIn: '/state/logins.sealed',
};

/** A command whose login does `play` with its events. */
function cliWith(play: (events: LoginEvents) => Promise<void> | void): FakeCli {
  const cli = new FakeCli();
  cli.daemon = {
    login: async (input, events) => {
      cli.logins.push(input);
      await play(events);
      return outcome;
    },
  };
  return cli;
}

const code = {
  userCode: 'AB-C_2',
  verificationUri: `${issuer}/device`,
  verificationUriComplete: `${issuer}/device?user_code=AB-C_2`,
  expiresAtMs: 61_000,
};
const page = {
  url: `${issuer}/authorize?client_id=x`,
  redirectUri: 'http://127.0.0.1:18410/callback',
  expiresAtMs: 601_000,
};

describe('wire login', () => {
  it('shows code and page, who may approve, and at the end one line', async () => {
    const { code, stdout, stderr } = await new FakeCli().run('login', issuer);
    expect([code, stdout]).toEqual([0, '']);
    expect(stderr.split('\n')).toEqual([
      'Open   https://iam.example/device',
      'Code   ABCD-EFGH',
      'or     https://iam.example/device?user_code=ABCD-EFGH',
      'Approve only if you started this login yourself and the page shows ABCD-EFGH.',
      'note: no groups',
      'Kept in /state/logins.sealed',
      'Logged in at https://iam.example as alice (groups a, b), audience object',
      '',
    ]);
  });

  it('shows a QR code and a countdown where a person watches, or when asked to', async () => {
    const cli = new FakeCli();
    expect((await cli.run('login', issuer, '--qr')).stderr).toContain('▄▄▄▄▄');
    cli.isTTY = true;
    cli.environment = { SSH_TTY: '/dev/pts/1' };
    const watched = (await cli.run('login', issuer)).stderr;
    expect(watched).toContain('▄▄▄▄▄');
    expect(watched).toContain('\x1b[1mABCD-EFGH\x1b[0m');
    cli.environment = { ...cli.environment, NO_COLOR: '1' };
    const plain = (await cli.run('login', issuer)).stderr;
    expect(plain).toContain('▄▄▄▄▄');
    expect(plain).not.toMatch(/\x1b\[[\d;]*m/);
  });

  it('counts down, and says what to do after a denial that nobody tells wire of', async () => {
    let stderr = '';
    const write = (text: string): void => {
      stderr += text;
    };
    const terminal = new Terminal({ write }, { write, isTTY: true, columns: 100, rows: 40 }, {});
    const view = new LoginView({ terminal, alwaysQr: false, openPage: () => false });
    const clock = new FakeClock(0);
    const stop = new AbortController();
    const counting = countDown(view, clock, stop.signal);
    await clock.advance(1000);
    expect(stderr).toBe('');
    view.code(code);
    await clock.advance(2000);
    stop.abort();
    await counting;
    const hint = 'if you pressed Deny, press Ctrl-C';
    const waiting = (left: string): string =>
      `Waiting for AB-C_2 to be approved, ${left} left; ${hint}`;
    expect(stderr).toContain(`\r${waiting('0:59')}\x1b[K\r${waiting('0:58')}\x1b[K`);
  });

  it('says until when', async () => {
    const { stderr } = await cliWith(() => undefined).run('login', issuer);
    expect(stderr).toMatch(
      /^Kept in \S+\nLogged in at \S+ as alice \(groups a, b\) until 2 Jan .*, audience object\n$/,
    );
  });

  it('shows what happens meanwhile', async () => {
    const facts = { tried: 'log in', answered: 'iam.example: connection refused' };
    const cli = cliWith((events) => {
      events.code(code);
      events.trouble?.(new WireError('unreachable', facts));
      events.restarted?.();
      events.code({ ...code, userCode: 'ZZZZ' });
      events.note?.('no refresh token');
    });
    const { stderr } = await cli.run('login', issuer);
    expect(stderr).toContain('still trying: cannot log in: iam.example: connection refused');
    expect(stderr).toContain('The code has expired; here is a new one.');
    expect(stderr).toContain('Code   ZZZZ');
    expect(stderr).toContain('note: no refresh token');
  });

  it('shows the page of a login with a browser, and how to get there from elsewhere', async () => {
    const cli = cliWith((events) => events.page?.(page));
    const { stderr } = await cli.run('login', issuer, '--flow', 'browser');
    expect(cli.logins[0]?.flow).toBe('browser');
    expect(stderr).toContain(`Open   ${page.url}\n`);
    expect(stderr).toContain('only if you started this login yourself');
    expect(stderr).toContain('ssh -L 18410:127.0.0.1:18410');
    expect(stderr).not.toContain('▄▄▄▄▄');
  });

  it('hands everything on, and no secret is in argv', async () => {
    const cli = new FakeCli();
    await cli.run(
      'login',
      issuer,
      '--client-id',
      'c',
      '--client-secret-file',
      '/s',
      '--scope',
      'openid',
      'x',
      '--audience',
      'o',
      '--public',
      '--insecure-storage',
    );
    expect(cli.logins).toEqual([
      {
        issuer,
        scopes: ['openid', 'x'],
        publicClient: true,
        insecureStorage: true,
        flow: 'device',
        clientId: 'c',
        clientSecretFile: '/s',
        audience: 'o',
      },
    ]);
  });

  it('takes the issuer of the environment when none is typed', async () => {
    const cli = new FakeCli();
    cli.environment = { WIRE_ISSUER: issuer };
    await cli.run('login');
    expect(cli.logins[0]?.issuer).toBe(issuer);
  });

  it('knows two flows', async () => {
    expect((await new FakeCli().run('login', issuer, '--flow', 'magic')).code).toBe(2);
  });

  it.each<[WireErrorKind, number]>([
    ['login-denied', 3],
    ['login-expired', 4],
    ['unreachable', 5],
    ['config', 6],
    ['identity-refused', 7],
    ['interrupted', 130],
  ])('ends with its exit code when the login is %s', async (kind, exitCode) => {
    const cli = cliWith(() => {
      throw new WireError(kind, { tried: 'log in', answered: 'no' });
    });
    expect((await cli.run('login', issuer)).code).toBe(exitCode);
  });
});

describe('wire login --json', () => {
  const lines = (stdout: string): unknown[] =>
    stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown);

  it('tells each event in one line of stdout, and nothing else', async () => {
    const cli = cliWith((events) => {
      events.code(code);
      events.pending?.(59_400);
      events.trouble?.(new WireError('unavailable', { tried: 'log in', answered: '502' }));
      events.restarted?.();
      events.note?.('no groups');
      events.page?.(page);
    });
    const { code: exit, stdout, stderr } = await cli.run('login', issuer, '--json');
    expect([exit, stderr]).toEqual([0, '']);
    expect(lines(stdout)).toEqual([
      {
        event: 'code',
        userCode: 'AB-C_2',
        verificationUri: code.verificationUri,
        verificationUriComplete: code.verificationUriComplete,
        expiresAt: '1970-01-01T00:01:01.000Z',
      },
      { event: 'pending', secondsLeft: 60 },
      { event: 'trouble', kind: 'unavailable', message: 'cannot log in: 502' },
      { event: 'restarted' },
      { event: 'note', message: 'no groups' },
      {
        event: 'page',
        url: page.url,
        redirectUri: page.redirectUri,
        expiresAt: '1970-01-01T00:10:01.000Z',
      },
      {
        event: 'done',
        issuer,
        who: 'alice',
        groups: ['a', 'b'],
        audience: 'object',
        storedIn: '/state/logins.sealed',
        until: '1970-01-02T00:00:00.000Z',
      },
    ]);
  });

  it.each([
    ['a refusal', [issuer], 'login-denied', 3],
    ['a wrong command', [], 'usage', 2],
  ])('ends with `failed` and the exit code after %s', async (_, words, kind, exitCode) => {
    const facts = { tried: 'log in', answered: 'no', next: 'write: wire login ISSUER' };
    const cli = cliWith(() => {
      throw new WireError('login-denied', facts);
    });
    const { code: exit, stdout } = await cli.run('login', ...words, '--json');
    expect(exit).toBe(exitCode);
    expect(lines(stdout)).toMatchObject([{ event: 'failed', kind, exitCode }]);
    expect(stdout).toContain('wire login ISSUER');
  });

  it('names all its events in the help', async () => {
    const { stdout } = await new FakeCli().run('login', '--help');
    const events = ['code', 'page', 'pending', 'trouble', 'restarted', 'note', 'done', 'failed'];
    for (const event of events) expect(stdout).toContain(`{"event":"${event}"`);
  });
});

describe('a browser', () => {
  it.each<[Record<string, string>, NodeJS.Platform, string | undefined]>([
    [{ DISPLAY: ':0' }, 'linux', 'xdg-open'],
    [{ WAYLAND_DISPLAY: 'wayland-0' }, 'linux', 'xdg-open'],
    [{}, 'linux', undefined],
    [{ DISPLAY: '' }, 'linux', undefined],
    [{ DISPLAY: ':0', SSH_CONNECTION: '1 2 3 4' }, 'linux', undefined],
    [{ DISPLAY: ':0', SSH_TTY: '/dev/pts/0' }, 'linux', undefined],
    [{ DISPLAY: ':0', JUPYTERHUB_USER: 'alice' }, 'linux', undefined],
    [{ DISPLAY: ':0', CI: 'true' }, 'linux', undefined],
    [{ WSL_DISTRO_NAME: 'Debian', DISPLAY: ':0' }, 'linux', 'wslview'],
    [{}, 'darwin', 'open'],
    [{ SSH_TTY: '/dev/ttys0' }, 'darwin', undefined],
    [{}, 'win32', 'rundll32'],
  ])('with %j on %s is opened by %s', (environment, platform, program) => {
    expect(browserCommand(environment, platform)?.[0]).toBe(program);
  });

  it('gets no secrets of our environment', () => {
    const kept = { PATH: '/bin', DISPLAY: ':0', HOME: '/h', DBUS_SESSION_BUS_ADDRESS: 'unix:x' };
    const secret = {
      ACCESS_TOKEN: 'x',
      REFRESH_TOKEN: 'x',
      BEARER_TOKEN: 'x',
      IAM_CLIENT_SECRET: 'x',
      AWS_SECRET_ACCESS_KEY: 'x',
      AWS_SESSION_TOKEN: 'x',
      WIRE_KEY_FILE: 'x',
      DB_PASSWORD: 'x',
      API_KEY: 'x',
    };
    expect(browserEnvironment({ ...kept, ...secret })).toEqual(kept);
  });
});

describe('the QR code', () => {
  it('is drawn only where it has room', () => {
    const address = 'https://iam.example.org/device?user_code=ABC123';
    const lines = qrLines(address, Infinity, Infinity, false);
    const [width, height] = [lines[0]?.length ?? 0, lines.length];
    expect(qrLines(address, width, height, false)).toEqual(lines);
    expect(qrLines(address, width - 1, height, false)).toEqual([]);
    expect(qrLines(address, width, height - 1, false)).toEqual([]);
  });

  it.each([
    [80, 24, true],
    [80, 20, false],
    [30, 60, false],
  ])('on a terminal of %i by %i: %s', async (columns, rows, drawn) => {
    const cli = cliWith((events) => events.code(code));
    cli.isTTY = true;
    cli.environment = { CI: '1' };
    cli.size = { columns, rows };
    expect((await cli.run('login', issuer)).stderr.includes('▄▄▄')).toBe(drawn);
  });
});
