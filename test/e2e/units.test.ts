/** What `share/` holds for service managers, the manual, and the Dockerfile. */
import { spawn } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { XMLParser } from 'fast-xml-parser';
import { describe, expect, it } from 'vitest';
import { run } from '../../scripts/demo/programs.ts';
import { mountsBelow } from '../../scripts/demo/wire-user.ts';
import { manPages } from '../../scripts/man-pages.ts';
import { exitCodeOf } from '../../src/lib/wire-error.ts';
import { haveDebian } from '../fixtures/debian-packages.ts';
import { runProgram } from '../fixtures/mount-tools.ts';
import { NotifySocket } from '../fixtures/notify-socket.ts';
import { canMount, exists, isRoot, Scene, wireCommand } from '../fixtures/real-mount.ts';

const unitFile = 'share/systemd/user/wire@.service';

async function temporary(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'wire-units-'));
  try {
    await use(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Assignments of a unit, by section and name; a name may come several times (systemd.syntax(7)). */
async function readUnit(): Promise<ReadonlyMap<string, readonly string[]>> {
  const found = new Map<string, string[]>();
  let section = '';
  for (const line of (await readFile(unitFile, 'utf8')).split('\n')) {
    if (/^\s*(?:[#;].*)?$/.test(line)) continue;
    const title = /^\[(\w+)\]$/.exec(line);
    if (title?.[1] !== undefined) section = title[1];
    const [, name, value = ''] = /^(\w+)=(.*)$/.exec(line) ?? [];
    if (name === undefined && title === null) throw new Error(`not a line of a unit: ${line}`);
    if (name !== undefined) {
      found.set(`${section}.${name}`, [...(found.get(`${section}.${name}`) ?? []), value]);
    }
  }
  return found;
}

/** The unit's own command for the profile lab, by this Node. */
async function unitCommand(): Promise<readonly [string, readonly string[]]> {
  const [command = ''] = (await readUnit()).get('Service.ExecStart') ?? [];
  const [program, ...args] = command.replaceAll('%i', 'lab').split(' ');
  expect(program).toBe('wire');
  return [process.execPath, [wireCommand, ...args]];
}

describe('the systemd unit', () => {
  const analyze = '/usr/bin/systemd-analyze';

  it.skipIf(!haveDebian(['systemd'], [analyze]))('is one that systemd understands', async () => {
    await temporary(async (folder) => {
      const wire = join(folder, 'wire');
      await writeFile(wire, '#!/bin/sh\n');
      await chmod(wire, 0o755);
      const text = (await readFile(unitFile, 'utf8')).replace(
        'ExecStart=wire',
        `ExecStart=${wire}`,
      );
      const unit = join(folder, 'wire@lab.service');
      const verify = async (tried: string): Promise<{ code: number | null; stderr: string }> => {
        await writeFile(unit, tried);
        const script = `XDG_RUNTIME_DIR='${folder}' exec ${analyze} verify --user --man=no '${unit}'`;
        return await runProgram('sh', ['-c', script]);
      };
      expect(await verify(text)).toMatchObject({ code: 0, stderr: '' });
      const wrong = await verify(text.replace('KillMode=mixed', 'KillMode=gently'));
      expect(wrong.stderr).toContain('kill mode');
    });
  });

  it.skipIf(!haveDebian(['systemd'], [analyze]))(
    'can be changed as docs/SYSTEMS.md shows',
    async () => {
      await temporary(async (folder) => {
        const page = await readFile('docs/SYSTEMS.md', 'utf8');
        const [, shown = ''] = /^```ini\n([\s\S]*?)^```$/m.exec(page) ?? [];
        const unit = join(folder, 'wire@lab.service');
        await writeFile(unit, (await readFile(unitFile, 'utf8')).replace('=wire ', '=/bin/true '));
        await mkdir(`${unit}.d`);
        const script = `XDG_RUNTIME_DIR='${folder}' exec ${analyze} verify --user --man=no '${unit}'`;
        for (const [program, said] of [
          ['/bin/true', ''],
          ['/opt/wire/bin/nowhere', 'Command /opt/wire/bin/nowhere is not executable'],
        ] as const) {
          expect(shown).toContain('=/opt/wire/bin/wire mount data --profile lab');
          const changed = shown.replace('/opt/wire/bin/wire', program);
          await writeFile(join(`${unit}.d`, 'override.conf'), changed);
          const { code, stderr } = await runProgram('sh', ['-c', script]);
          expect({ code, stderr }).toEqual({
            code: said === '' ? 0 : 1,
            stderr: expect.stringContaining(said) as string,
          });
        }
      });
    },
  );

  it('takes no privileges from fusermount3, and mounts where programs see it', async () => {
    const unit = await readUnit();
    expect(unit.get('Service.NoNewPrivileges')).toEqual(['no']);
    // Each implies NoNewPrivileges=, or a mount namespace, for a user's manager (systemd.exec(5)).
    const harmful =
      /^Service\.(?:Private|Protect|Restrict(?!art)|SystemCall|LockPersonality|MemoryDeny|ReadOnly|ReadWrite|Inaccessible|Temporary|Bind|Dynamic|RootDirectory|CapabilityBounding|MountFlags|NoExec|Exec.*Paths)/;
    expect([...unit.keys()].filter((key) => harmful.test(key))).toEqual([]);
    expect(unit.get('Service.UMask')).toEqual(['0077']);
    expect(unit.get('Service.LimitCORE')).toEqual(['0']);
  });

  it('does not start again what cannot succeed', async () => {
    const [codes = ''] = (await readUnit()).get('Service.RestartPreventExitStatus') ?? [];
    const kinds = ['usage', 'login-denied', 'config', 'no-fuse'] as const;
    expect(codes.split(' ').map(Number)).toEqual(kinds.map((kind) => exitCodeOf[kind]));
  });

  it.skipIf(!canMount)(
    'is ready when the mount answers, and stops with everything in the bucket',
    async () => {
      await using scene = await Scene.open();
      await scene.login();
      const { playground, user, signal } = scene;
      const { endpoint, audience, role, bucket, s3 } = playground;
      const point = scene.place('mnt');
      const config = [
        'profiles:',
        `  lab: { endpoint: "${endpoint}", audience: ${audience}, role: ${role}, write-back: on,`,
        `    mounts: { data: { source: s3://${bucket}, mountpoint: ${point} } } }`,
      ];
      await writeFile(user.environment['WIRE_CONFIG'] ?? '', `${config.join('\n')}\n`);
      await using manager = await NotifySocket.open(scene.place('notify'));
      const [program, args] = await unitCommand();
      const child = spawn(program, args, {
        cwd: '/',
        env: { ...process.env, ...user.environment, NOTIFY_SOCKET: manager.path },
        stdio: ['ignore', 'ignore', 'inherit'],
        signal,
        killSignal: 'SIGKILL',
      });
      child.on('error', () => undefined);
      const exited = new Promise((resolve) =>
        child.once('exit', (code, by) => resolve([code, by])),
      );
      await manager.until('READY=1', signal);
      expect(await mountsBelow(user.folder)).toEqual([point]);
      // Whatever it is ready for is there: nothing is waited for.
      await writeFile(join(point, 'file'), 'text');
      child.kill('SIGTERM');
      expect(await exited).toEqual([0, null]);
      await manager.until('STOPPING=1', signal);
      expect(manager.heard.filter((each) => each === 'READY=1')).toHaveLength(1);
      expect(manager.heard.indexOf('READY=1')).toBeLessThan(manager.heard.indexOf('STOPPING=1'));
      expect((await s3.foreign.getObject(bucket, 'file'))?.toString()).toBe('text');
      expect(await mountsBelow(user.folder)).toEqual([]);
    },
  );

  it('is not ready when the mount fails, and ends with the reason', async () => {
    await using scene = await Scene.open();
    const { user, signal, playground } = scene;
    const point = scene.place('mnt');
    const mounts = `{ data: { source: s3://data, mountpoint: ${point} } }`;
    const config = `profiles:\n  lab: { endpoint: "${playground.endpoint}", mounts: ${mounts} }\n`;
    await writeFile(user.environment['WIRE_CONFIG'] ?? '', config);
    await using manager = await NotifySocket.open(scene.place('notify'));
    const [program, args] = await unitCommand();
    const { exitCode, stderr } = await run(program, args, signal, {
      env: { ...user.environment, NOTIFY_SOCKET: manager.path },
      allow: Object.values(exitCodeOf),
    });
    expect(exitCode).toBe(exitCodeOf['login-expired']);
    expect(stderr).toMatch(/^wire: cannot .*nobody is logged in/);
    expect(manager.heard).not.toContain('READY=1');
  });
});

describe('texts for other systems', () => {
  it('are a property list that launchd can read', async () => {
    const reader =
      'import json, plistlib, sys; print(json.dumps(plistlib.load(open(sys.argv[1], "rb"))))';
    const { stdout } = await run(
      'python3',
      ['-c', reader, 'share/launchd/wire.lab.plist'],
      AbortSignal.timeout(30_000),
    );
    expect(JSON.parse(stdout)).toMatchObject({
      Label: 'wire.lab',
      ProgramArguments: [expect.stringMatching(/\/wire$/), 'mount', '--profile', 'lab', '--mkdir'],
      RunAtLoad: true,
      KeepAlive: { SuccessfulExit: false },
      Umask: 0o077,
    });
  });

  it('are a task that the Windows scheduler can read', async () => {
    const file = 'share/windows/wire-lab.xml';
    const text = await readFile(file, 'utf8');
    const reader = 'import sys, xml.dom.minidom; xml.dom.minidom.parse(sys.argv[1])';
    await run('python3', ['-c', reader, file], AbortSignal.timeout(30_000));
    const { Task } = new XMLParser({ ignoreAttributes: false }).parse(text) as {
      Task: Record<string, unknown>;
    };
    expect(Object.keys(Task)).toEqual(
      // The schema has an order (learn.microsoft.com, Task Scheduler Schema, taskType).
      ['RegistrationInfo', 'Triggers', 'Principals', 'Settings', 'Actions', '@_version', '@_xmlns'],
    );
    expect(Task).toMatchObject({
      '@_xmlns': 'http://schemas.microsoft.com/windows/2004/02/mit/task',
      Principals: { Principal: { '@_id': 'Author', RunLevel: 'LeastPrivilege' } },
      Settings: { ExecutionTimeLimit: 'PT0S' },
      Actions: {
        '@_Context': 'Author',
        Exec: { Arguments: '/d /c wire mount --profile lab' },
      },
    });
  });
});

describe('the manual', () => {
  it.skipIf(!haveDebian(['mandoc'], ['/usr/bin/mandoc']))(
    'has nothing that mandoc finds fault with',
    async () => {
      await temporary(async (folder) => {
        const pages = await manPages({ version: '1.2.3', date: '2026-01-02' });
        expect(pages.length).toBeGreaterThan(20);
        for (const { file, text } of pages) await writeFile(join(folder, file), text);
        const files = pages.map(({ file }) => join(folder, file));
        expect(await runProgram('/usr/bin/mandoc', ['-T', 'lint', ...files])).toMatchObject({
          code: 0,
          stdout: '',
        });
      });
    },
  );
});

interface Instruction {
  readonly word: string;
  readonly rest: string;
}

/** Instructions of a Dockerfile, continued lines in one. */
async function readDockerfile(): Promise<readonly Instruction[]> {
  const text = (await readFile('Dockerfile', 'utf8'))
    .split('\n')
    .filter((line) => !/^\s*#/.test(line))
    .join('\n')
    .replaceAll(/\\\n\s*/g, ' ');
  return text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => {
      const [, word = '', rest = ''] = /^([A-Z]+) +(.+)$/.exec(line) ?? [];
      expect({ line, word }).toEqual({ line, word: expect.stringMatching(/^[A-Z]+$/) as string });
      return { word, rest: rest.trim() };
    });
}

describe('the Dockerfile', () => {
  it('names each image by a full version, and copies only what is there', async () => {
    const instructions = await readDockerfile();
    const images = instructions.filter(({ word }) => word === 'FROM');
    const names = images.map(({ rest }) => / AS (\w+)$/.exec(rest)?.[1]);
    expect(images.length).toBe(2);
    for (const { rest } of images)
      expect(rest).toMatch(/^node:\d+\.\d+\.\d+-bookworm-slim AS \w+$/);
    const ignored = (await readFile('.dockerignore', 'utf8')).trim().split('\n');
    for (const { rest } of instructions.filter(({ word }) => word === 'COPY')) {
      const [, from] = /^--from=(\w+) /.exec(rest) ?? [];
      if (from !== undefined) expect(names).toContain(from);
      else {
        for (const source of rest.split(' ').slice(0, -1)) {
          expect({ source, isThere: await exists(resolve(source)) }).toEqual({
            source,
            isThere: true,
          });
          expect(ignored).not.toContain(source);
        }
      }
    }
  });

  it('ends as a user that is not root, with fuse3 and wire as what is run', async () => {
    const instructions = await readDockerfile();
    const last = instructions.slice(instructions.findLastIndex(({ word }) => word === 'FROM'));
    const users = last.filter(({ word }) => word === 'USER').map(({ rest }) => rest);
    expect(users.at(-1)).toMatch(/^(?!root$|0$)\S+$/);
    expect(last.some(({ word, rest }) => word === 'RUN' && /\bfuse3\b/.test(rest))).toBe(true);
    expect(last.at(-1)).toEqual({ word: 'CMD', rest: '["--help"]' });
    expect(last.at(-2)).toEqual({ word: 'ENTRYPOINT', rest: '["wire"]' });
  });

  it.skipIf(!canMount || !isRoot)(
    'runs what saves and unmounts when docker stop tells the first process to end',
    async () => {
      await using scene = await Scene.open();
      await scene.login();
      const { playground, user, signal, store } = scene;
      const { bucket, s3 } = playground;
      const point = scene.place('data');
      const mount = ['mount', `s3://${bucket}`, point, '--mkdir', ...store];
      const inside = ['--pid', '--fork', '--kill-child', process.execPath, wireCommand, ...mount];
      const child = spawn('unshare', inside, {
        cwd: '/',
        env: { ...process.env, ...user.environment },
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const exited = new Promise((resolve) => child.once('exit', (code) => resolve(code)));
      try {
        expect(await firstLine(child.stdout)).toBe(`Mounted s3://${bucket} at ${point}`);
        await writeFile(join(point, 'file'), 'text');
        const children = `/proc/${String(child.pid)}/task/${String(child.pid)}/children`;
        const first = Number(await readFile(children, 'utf8'));
        expect(await readFile(`/proc/${first}/status`, 'utf8')).toMatch(/^NSpid:\t\d+\t1$/m);
        process.kill(first, 'SIGTERM');
        expect(await Promise.race([exited, never(signal)])).toBe(0);
      } finally {
        child.kill('SIGKILL');
      }
      expect((await s3.foreign.getObject(bucket, 'file'))?.toString()).toBe('text');
      expect(await mountsBelow(user.folder)).toEqual([]);
    },
  );
});

async function firstLine(stream: NodeJS.ReadableStream): Promise<string> {
  return await new Promise((resolve) => {
    createInterface({ input: stream }).once('line', resolve);
  });
}

/** Rejects when the time of a test is over. */
async function never(signal: AbortSignal): Promise<never> {
  return await new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(new Error('it did not end')), { once: true });
  });
}
