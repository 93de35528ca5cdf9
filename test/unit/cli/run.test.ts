import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTick } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { commandTable } from '../../../src/cli/command-table.ts';
import { exitCodeOf, WireError, type WireErrorKind } from '../../../src/lib/wire-error.ts';
import { FakeCli } from './fake-cli.ts';

const endpoint = ['--endpoint', 'https://s3.example'];

describe('wire', () => {
  it.each([
    ['--help', 0],
    ['--version', 0],
    ['help mount', 0],
    ['login --help', 0],
    ['mount --help', 0],
    ['unmount --help', 0],
    ['status --help', 0],
    ['logout --help', 0],
    ['', 2],
    ['frob', 2],
    ['--frob', 2],
    ['mount', 2],
    ['mount s3://b', 2],
    ['mount s3://b /m s3://c', 2],
    ['mount s3://b s3://c', 2],
    ['mount https://x /m', 2],
    ['mount named /m', 2],
    ['mount s3://b /m s3://c /m', 2],
    ['mount s3://b /m --endpoint nowhere', 2],
    ['mount s3://b /m --duration soon', 2],
    ['mount s3://b /m --frob', 2],
    ['mount s3://b /m --profile none', 6],
    ['login', 2],
    ['login iam.example', 2],
    ['login https://iam.example more', 2],
    ['login https://iam.example --client-secret-file /x', 2],
    ['unmount', 2],
    ['mount s3://b /m', 0],
    ['umount /m', 0],
    ['status', 0],
    ['logout', 0],
  ])('%j ends with %i', async (line, code) => {
    const run = await new FakeCli().run(...line.split(' ').filter((word) => word !== ''));
    expect(run.code).toBe(code);
    // One clear line where it failed, none where it did not.
    const failures = run.stderr.split('\n').filter((text) => text.startsWith('wire: '));
    expect(failures.length).toBe(code === 0 || line === '' ? 0 : 1);
    expect(run.stdout + run.stderr).not.toContain('    at ');
  });

  it('every command shows examples with its help', async () => {
    for (const { name } of commandTable) {
      const { stdout, code } = await new FakeCli().run(name, '--help');
      expect([name, code]).toEqual([name, 0]);
      expect(stdout).toMatch(new RegExp(`Examples:\n  .*wire ${name}`));
    }
  });

  it('tells programs its version, and what it runs on, as JSON', async () => {
    const { code, stdout } = await new FakeCli().run('version', '--json');
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toEqual({
      wire: expect.stringMatching(/^\d/) as string,
      node: process.versions.node,
      system: expect.stringContaining(process.arch) as string,
      openssl: process.versions.openssl,
    });
  });

  it('shows its version', async () => {
    expect(await new FakeCli().run('--version')).toEqual({
      code: 0,
      stdout: '1.2.3\n',
      stderr: '',
    });
  });

  it('ends with the exit code of every kind of error, and its one line', async () => {
    for (const kind of Object.keys(exitCodeOf) as WireErrorKind[]) {
      const cli = new FakeCli();
      cli.daemon.status = async () => {
        await Promise.resolve();
        throw new WireError(kind, { tried: 'look', answered: 'no', next: 'go' });
      };
      expect(await cli.run('status')).toEqual({
        code: exitCodeOf[kind],
        stdout: '',
        stderr: 'wire: cannot look: no; go\n',
      });
    }
  });

  it('a defect is one line that says where the log is, never a stack trace', async () => {
    const cli = new FakeCli();
    cli.daemon.status = () => {
      throw new TypeError('x is not a function\n    at y');
    };
    const { code, stderr } = await cli.run('status');
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /^wire: cannot do that: x is not a function at y; this is a defect of wire: see \/state\/wire\.log\n$/,
    );
  });

  it('what a server writes cannot steer the terminal', async () => {
    const cli = new FakeCli();
    cli.daemon.status = () => {
      throw new WireError('unavailable', { tried: 'x', answered: '\x1b[2J\x07evil\r\nwire: fine' });
    };
    expect((await cli.run('status')).stderr).toBe('wire: cannot x: evil wire: fine\n');
  });

  it('a signal stops a command that is not a mount', async () => {
    const cli = new FakeCli();
    cli.daemon.status = async (signal) => {
      cli.signals.send('SIGINT');
      await Promise.resolve();
      signal.throwIfAborted();
      return { mounts: [], logins: [] };
    };
    const { code, stderr } = await cli.run('status');
    expect([code, stderr]).toEqual([130, 'wire: cannot finish `wire status`: stopped by SIGINT\n']);
    expect(cli.signals.listening).toBe(0);
  });
});

describe('wire logout', () => {
  it('says until when mounts keep credentials that nobody takes back, and nothing more', async () => {
    const cli = new FakeCli();
    const soon = new Date();
    soon.setHours(23, 59, 0, 0);
    const served = [{ mountPoint: '/m', untilMs: soon.getTime() }];
    cli.daemon.logout = async () =>
      await Promise.resolve({ issuer: 'https://iam.example', notes: [], served });
    const { code, stdout, stderr } = await cli.run('logout');
    expect([code, stdout]).toEqual([0, 'Logged out at https://iam.example\n']);
    expect(stderr).toMatch(/^note: \/m keeps temporary credentials that stay good until [^\n]+\n$/);
  });
});

describe('wire mount', () => {
  it('hands everything on', async () => {
    const cli = new FakeCli();
    cli.environment = { WIRE_ROLE: 'r' };
    const flags = [
      '--issuer',
      'https://iam.example',
      '--duration',
      '1h',
      '--allow-other',
      '--mkdir',
    ];
    const { stdout } = await cli.run(
      'mount',
      's3://b/p',
      'm',
      's3://',
      '/all',
      '--read-only',
      ...endpoint,
      ...flags,
    );
    expect(stdout).toBe(
      'Mounted s3://b at /cwd/m (read-only)\nMounted s3://b at /all (read-only)\n',
    );
    expect(cli.mounts).toMatchObject([
      {
        mounts: [
          {
            source: { kind: 'bucket', bucket: 'b', prefix: 'p/' },
            mountPoint: '/cwd/m',
            readOnly: true,
          },
          { source: { kind: 'buckets' }, mountPoint: '/all', readOnly: true },
        ],
        settings: expect.objectContaining({
          endpoint: 'https://s3.example',
          issuer: 'https://iam.example',
          durationSeconds: 3600,
          role: 'r',
        }) as object,
        allowOther: true,
        makeDirectory: true,
      },
    ]);
  });

  it('uses the mounts of a profile, with or without their place', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'wire-cli-'));
    const cli = new FakeCli();
    cli.configFile = join(folder, 'config.yaml');
    await writeFile(
      cli.configFile,
      `profiles:
  work:
    endpoint: https://s3.example
    mounts:
      data: { source: s3://data, mountpoint: ~/data, read-only: true }
      more: { source: s3://more }
`,
    );
    const placesOf = async (...words: string[]) => {
      const { code } = await cli.run('mount', ...words);
      const last = cli.mounts.pop();
      return code === 0 ? last?.mounts.map((mount) => [mount.mountPoint, mount.readOnly]) : code;
    };
    try {
      expect(await placesOf('data')).toEqual([['/home/u/data', true]]);
      expect(await placesOf('data', './here')).toEqual([['/cwd/here', true]]);
      expect(await placesOf('data', 'more', 'there')).toEqual([
        ['/home/u/data', true],
        ['/cwd/there', false],
      ]);
      expect(await placesOf('data', 's3://x', '/x')).toEqual([
        ['/home/u/data', true],
        ['/x', false],
      ]);
      expect(await placesOf('--profile', 'work')).toEqual([['/home/u/data', true]]);
      expect(await placesOf('more')).toBe(2);
      expect(await placesOf('else', '/m')).toBe(2);
      expect(await placesOf('data', 'data')).toBe(2);
      expect(await placesOf()).toBe(2);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('--daemon asks the daemon, with all that was said, and tells what it mounted', async () => {
    const cli = new FakeCli();
    const run = await cli.run('mount', 's3://b', 'm', '--daemon', ...endpoint);
    expect(run).toEqual({ code: 0, stdout: 'Mounted s3://b at /cwd/m\n', stderr: '' });
    expect([cli.mounts, cli.asked]).toMatchObject([
      [],
      [{ replace: false, request: { mounts: [{ mountPoint: '/cwd/m' }] } }],
    ]);
    cli.answer = async () =>
      await Promise.reject(new WireError('not-found', { tried: 'mount', answered: 'no' }));
    expect(await cli.run('mount', 's3://b', '/m', '--daemon', ...endpoint)).toEqual({
      code: 9,
      stdout: '',
      stderr: 'wire: cannot mount: no\n',
    });
  });

  it('--daemon tells what a person should know of the mounts', async () => {
    const cli = new FakeCli();
    cli.answer = async () =>
      await Promise.resolve({ version: '1', mounts: [], warnings: ['the daemon is an older one'] });
    const { stderr } = await cli.run('mount', 's3://b', '/m', '--daemon', ...endpoint);
    expect(stderr).toBe('Warning: the daemon is an older one\n');
  });

  it('keeps the flags, not the configuration, to make the settings anew from', async () => {
    const cli = new FakeCli();
    const flags = ['--token-file', 'my/token', '--list-ttl', '1000ms'];
    await cli.run('mount', 's3://b', '/m', '--daemon', ...flags, ...endpoint);
    expect(cli.asked[0]?.request.origin).toEqual({
      flags: { tokenFile: '/cwd/my/token', listTtlMs: '1s', endpoint: endpoint[1] },
    });
  });

  it.each([[], ['--daemon']])(
    '--wait tries again what may come in time (%s)',
    async (...daemon) => {
      const cli = new FakeCli();
      cli.sleeps = 'end';
      const said = ['connection refused', 'connection refused', 'nobody is logged in'];
      const refuse = (): void => {
        const answered = said.shift();
        if (answered !== undefined)
          throw new WireError('unreachable', { tried: 'mount', answered });
      };
      cli.daemon.mount = async (_, events) => {
        refuse();
        events.ready([]);
        await Promise.resolve();
      };
      const { answer } = cli;
      cli.answer = async (asked) => {
        refuse();
        return await answer(asked);
      };
      const words = ['mount', 's3://b', '/m', '--wait', '20s', ...daemon, ...endpoint];
      const { code, stderr } = await cli.run(...words);
      expect([code, said]).toEqual([0, []]);
      expect(stderr.split('\n').filter((line) => line.startsWith('Waiting'))).toEqual([
        'Waiting: cannot mount: connection refused',
        'Waiting: cannot mount: nobody is logged in',
      ]);
    },
  );

  it('--wait gives up at once where waiting is of no use, and in time where it may be', async () => {
    const cli = new FakeCli();
    cli.answer = async () =>
      await Promise.reject(new WireError('access-denied', { tried: 'mount', answered: 'no' }));
    const words = ['mount', 's3://b', '/m', '--wait', '20s', '--daemon', ...endpoint];
    expect(await cli.run(...words)).toMatchObject({ code: 8, stderr: 'wire: cannot mount: no\n' });
    cli.answer = async () =>
      await Promise.reject(new WireError('unreachable', { tried: 'mount', answered: 'nothing' }));
    const never = ['mount', 's3://b', '/m', '--wait', '0s', '--daemon', ...endpoint];
    expect(await cli.run(...never)).toMatchObject({
      code: 5,
      stderr: 'wire: cannot mount: nothing, for 0 s\n',
    });
  });

  it('a signal while the daemon is still being loaded stops the start', async () => {
    const cli = new FakeCli();
    cli.daemon.mount = async (_, __, ___, signal) => {
      await Promise.resolve();
      signal.throwIfAborted();
      throw new Error('it went on');
    };
    const running = cli.run('mount', 's3://b', '/m', ...endpoint);
    while (cli.signals.listening === 0) await nextTick();
    cli.signals.send('SIGTERM');
    expect((await running).code).toBe(130);
  });

  it('once ready a signal is the mounts’ own, not an abort of the command', async () => {
    const cli = new FakeCli();
    cli.daemon.mount = async (_, events, signals, signal) => {
      events.ready([]);
      let heard = 0;
      const listening = signals.listen(() => (heard += 1));
      cli.signals.send('SIGINT');
      await Promise.resolve();
      listening[Symbol.dispose]();
      expect([heard, signal.aborted]).toEqual([1, false]);
    };
    expect((await cli.run('mount', 's3://b', '/m', ...endpoint)).code).toBe(0);
  });
});

describe('wire unmount', () => {
  it('tries each place and ends with the first failure', async () => {
    const cli = new FakeCli();
    cli.daemon.unmount = async (mountPoint, lazy) => {
      cli.unmounts.push([mountPoint, lazy]);
      await Promise.resolve();
      if (mountPoint === '/b') return;
      throw new WireError('mount-point', { tried: `unmount ${mountPoint}`, answered: 'busy' });
    };
    const { code, stdout, stderr } = await cli.run('unmount', '/a', '/b', 'c', '--lazy');
    expect(cli.unmounts).toEqual([
      ['/a', true],
      ['/b', true],
      ['/cwd/c', true],
    ]);
    expect([code, stdout]).toEqual([10, 'Unmounted /b\n']);
    expect(stderr).toBe('wire: cannot unmount /cwd/c: busy\nwire: cannot unmount /a: busy\n');
  });
});
