import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, open, readdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { run } from '../../scripts/demo/programs.ts';
import { mountsBelow } from '../../scripts/demo/wire-user.ts';
import { type Playground, startPlayground } from '../../src/demo/playground.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { exitCodeOf, type WireErrorKind } from '../../src/lib/wire-error.ts';
import { canMount, exists, Scene, wireCommand } from '../fixtures/real-mount.ts';

/** Every exit code of the command is an answer here. */
const anyExit = Array.from({ length: 255 }, (_, code) => code + 1);

type Variables = Readonly<Record<string, string | undefined>>;

/** A logged-in person with a playground. */
async function atWork(): Promise<Scene> {
  const scene = await Scene.open();
  await scene.login();
  return scene;
}

/** Runs `wire ...args`, which must refuse with this exit code, and returns its one line. */
async function refusal(scene: Scene, args: readonly string[], kind: WireErrorKind) {
  const { user, signal } = scene;
  const { exitCode, stderr } = await user.wire(args, signal, { allow: anyExit });
  const lines = stderr.trim().split('\n');
  expect({ exitCode, lines: lines.length, stderr }).toEqual({
    exitCode: exitCodeOf[kind],
    lines: 1,
    stderr,
  });
  return lines[0] ?? '';
}

/** From now on the store takes no object. */
function refuseWrites({ s3 }: Playground): void {
  s3.faults.failNext(100, { operation: 'PutObject', status: 403, code: 'AccessDenied' });
}

/** Files with bytes that could not be saved. */
async function keptFiles(stateFolder: string): Promise<string[]> {
  const staging = join(stateFolder, 'staging');
  const entries = await readdir(staging, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  return files.map(({ parentPath, name }) => join(parentPath, name));
}

/**
 * A program that has written `text` to `path` and keeps it open. Not this process: it also is the
 * store, and would wait for itself when it starts another program, which closes its files.
 */
async function holdOpen(path: string, text: string): Promise<ChildProcess> {
  const script = 'exec 3> "$1"; printf %s "$2" >&3; echo open; exec sleep 100';
  const stdio = ['ignore', 'pipe', 'inherit'] as const;
  const child = spawn('sh', ['-c', script, 'sh', path, text], { stdio: [...stdio] });
  await once(child.stdout, 'data');
  return child;
}

/** Starts `wire ...args` and leaves it running. */
function start(scene: Scene, args: readonly string[]): ChildProcess {
  const [program = '', ...rest] = scene.user.commandLine(args);
  const env = { ...process.env, ...scene.user.environment };
  return spawn(program, rest, { stdio: ['ignore', 'pipe', 'pipe'], env });
}

interface Ending {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Everything the child says, and how it ends. Nothing else may listen to its streams. */
async function ending(child: ChildProcess): Promise<Ending> {
  const said = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name]?.setEncoding('utf8').on('data', (text: string) => (said[name] += text));
  }
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, ...said };
}

/** Resolves once something is mounted at `path`. */
async function mounted(scene: Scene, path: string): Promise<void> {
  while (!(await mountsBelow(scene.user.folder)).includes(path)) {
    await systemClock.sleep(20, scene.signal);
  }
}

/** Resolves once `child` has said that it is ready. */
async function ready(child: ChildProcess): Promise<void> {
  const [text] = (await once(child.stdout ?? child, 'data')) as [Buffer];
  expect(text.toString()).toMatch(/^Mounted s3:/);
}

describe.skipIf(!canMount)('wire mount --daemon', () => {
  it('returns when a stat of the root answers, and prints what the process in the background says', async () => {
    await using scene = await atWork();
    const { user, signal, playground, store } = scene;
    const mountPoint = scene.place('bucket');
    const bare = (await stat(user.folder)).dev;
    // A store that takes its time: whoever returned early would be seen with the bare folder.
    playground.s3.faults.latencyMs = 300;
    const source = `s3://${playground.bucket}`;
    const args = ['mount', source, mountPoint, ...store, '--mkdir', '--daemon'];
    const { stdout, stderr } = await user.wire(args, signal);
    expect(stdout).toBe(`Mounted ${source} at ${mountPoint}\n`);
    expect(stderr).toBe('');
    playground.s3.faults.latencyMs = 60_000;
    expect((await stat(mountPoint)).dev).not.toBe(bare);
    playground.s3.faults.latencyMs = 0;
    await user.wire(['unmount', mountPoint], signal);
  });

  it('serves the mounts of several commands by one process, and status shows them all', async () => {
    await using scene = await atWork();
    const { user, signal, playground } = scene;
    const [one, two, three] = [scene.place('one'), scene.place('two'), scene.place('three')];
    await scene.mount(`s3://${playground.bucket}`, one);
    await scene.mount('s3://alice', two, `s3://${playground.bucket}/x`, three, '--read-only');
    const pids = await scene.daemons();
    expect(pids).toHaveLength(3);
    expect(new Set(pids).size).toBe(1);
    const { stdout } = await user.wire(['status'], signal);
    // The machine may have other mounts: status names them too, as somebody else's.
    const lines = stdout.split('\n').filter((line) => /as alice|\(pid /.test(line));
    expect(lines).toHaveLength(4);
    expect(lines[0]).toMatch(new RegExp(`^${one}: ready: s3://${playground.bucket} at `));
    expect(lines[1]).toMatch(new RegExp(`^${three}: ready: .*/x/ at .*, read-only, .*pid `));
    expect(lines[2]).toMatch(new RegExp(`^${two}: ready: s3://alice at `));
    expect(lines[3]).toMatch(/: logged in as alice/);
    await writeFile(join(one, 'from-one'), '1');
    await user.wire(['unmount', one], signal);
    await run('ls', [two, three], signal);
    await user.wire(['umount', two, three], signal);
    expect(await mountsBelow(user.folder)).toEqual([]);
  });

  it('mounts what a profile names: one of its mounts, one elsewhere, all of them', async () => {
    await using scene = await atWork();
    const { user, signal, playground } = scene;
    const { issuer, endpoint, role, audience, bucket } = playground;
    const [data, own] = [scene.place('data'), scene.place('own')];
    const lines = [
      'profiles:',
      '  lab:',
      ...[`issuer: ${issuer}`, `endpoint: ${endpoint}`].map((line) => `    ${line}`),
      ...[`role: ${role}`, `audience: ${audience}`].map((line) => `    ${line}`),
      '    mounts:',
      `      data: { source: s3://${bucket}, mountpoint: ${data} }`,
      `      own: { source: s3://alice, mountpoint: ${own}, read-only: true }`,
    ];
    await writeFile(user.environment['WIRE_CONFIG'] ?? '', `${lines.join('\n')}\n`);
    const background = ['--profile', 'lab', '--mkdir', '--daemon'];

    await user.wire(['mount', 'data', ...background], signal);
    expect(await mountsBelow(user.folder)).toEqual([data]);
    await user.wire(['unmount', data], signal);

    const elsewhere = scene.place('elsewhere');
    await user.wire(['mount', 'data', elsewhere, ...background], signal);
    expect(await mountsBelow(user.folder)).toEqual([elsewhere]);
    await user.wire(['unmount', elsewhere], signal);

    const { stdout } = await user.wire(['mount', ...background], signal);
    const said = [`Mounted s3://${bucket} at ${data}`, `Mounted s3://alice at ${own} (read-only)`];
    expect(new Set(stdout.trimEnd().split('\n'))).toEqual(new Set(said));
    await user.wire(['unmount', data, own], signal);

    expect(await refusal(scene, ['mount', 'nothing', ...background], 'usage')).toMatch(
      /nothing.*data, own/,
    );
    expect(await refusal(scene, ['mount', '--profile', 'other'], 'config')).toMatch(/other.*lab/);
  });

  it('asks which login is meant when two are kept', async () => {
    await using scene = await atWork();
    const { signal, playground, store } = scene;
    await using other = await startPlayground({}, signal);
    const args = [other.issuer, '--audience', other.audience];
    await scene.user.login(args, 'bob', () => undefined, signal);
    const mount = ['mount', `s3://${playground.bucket}`, scene.place('b'), ...store, '--mkdir'];
    const line = await refusal(scene, mount, 'usage');
    expect(line).toMatch(/^wire: .*--issuer URL$/);
    for (const { issuer } of [playground, other]) expect(line).toContain(issuer);
    await scene.user.wire([...mount, '--daemon', '--issuer', playground.issuer], signal);
    await scene.user.wire(['unmount', scene.place('b')], signal);
    expect(await refusal(scene, ['logout'], 'usage')).toMatch(/there are 2/);
    await scene.user.wire(['logout', other.issuer], signal);
  });
});

describe.skipIf(!canMount)('wire unmount', () => {
  it('refuses while a program uses the mount, and says which', async () => {
    await using scene = await atWork();
    const mountPoint = scene.place('bucket');
    await scene.mount(`s3://${scene.playground.bucket}`, mountPoint);
    const reader = spawn('sleep', ['100'], { cwd: mountPoint, stdio: 'ignore' });
    await once(reader, 'spawn');
    try {
      const line = await refusal(scene, ['unmount', mountPoint], 'mount-point');
      expect(line).toContain(`sleep (${String(reader.pid)})`);
      expect(line).toContain('--lazy');
      // Nothing has changed: the mount goes on.
      await writeFile(join(mountPoint, 'x'), 'y');
    } finally {
      reader.kill('SIGKILL');
      await once(reader, 'exit');
    }
    await scene.user.wire(['unmount', mountPoint], scene.signal);
    expect(await exists(mountPoint)).toBe(false);
  });

  it('--lazy takes it out of sight at once and serves open files to their end', async () => {
    await using scene = await atWork();
    const { user, signal, playground } = scene;
    const mountPoint = scene.place('bucket');
    await scene.mount(`s3://${playground.bucket}`, mountPoint);
    await writeFile(join(mountPoint, 'read'), 'still here');
    const [pid = 0] = await scene.daemons();
    const file = await open(join(mountPoint, 'read'), 'r+');
    try {
      await user.wire(['unmount', '--lazy', mountPoint], signal);
      expect(await mountsBelow(user.folder)).toEqual([]);
      expect(await file.readFile('utf8')).toBe('still here');
      await file.write('STILL', 0);
    } finally {
      await file.close();
    }
    while (await exists(`/proc/${pid}`)) await systemClock.sleep(20, signal);
    const stored = await playground.s3.foreign.getObject(playground.bucket, 'read');
    expect(stored?.toString()).toBe('STILL here');
    expect(await exists(mountPoint)).toBe(false);
  });

  it('keeps the mount while an open file cannot be saved; whoever ends it then finds the bytes', async () => {
    await using scene = await atWork();
    const { user, signal, playground } = scene;
    const mountPoint = scene.place('bucket');
    await scene.mount(`s3://${playground.bucket}`, mountPoint);
    const [pid = 0] = await scene.daemons();
    refuseWrites(playground);
    const editor = await holdOpen(join(mountPoint, 'thesis'), 'years of work');
    try {
      const line = await refusal(scene, ['unmount', mountPoint], 'not-saved');
      expect(line).toMatch(/1 of its files .*thesis: .*AccessDenied.*; the mount goes on/);
      const { stdout } = await user.wire(['status'], signal);
      expect(stdout).toMatch(/not saved yet: 1 file, 13 B/);
      expect(stdout).toMatch(/^ {2}\S+ not saved: thesis: .*AccessDenied/m);
      process.kill(pid, 'SIGTERM');
      while (await exists(`/proc/${pid}`)) await systemClock.sleep(20, signal);
    } finally {
      editor.kill('SIGKILL');
      await once(editor, 'exit');
    }
    expect(await mountsBelow(user.folder)).toEqual([]);
    const state = user.environment['WIRE_STATE_DIR'] ?? '';
    const [path = ''] = await keptFiles(state);
    expect(await readFile(path, 'utf8')).toBe('years of work');
    expect(await readFile(join(state, 'wire.log'), 'utf8')).toContain(path);
  });

  it('says where the bytes are of a file that could not be saved when it was closed', async () => {
    await using scene = await atWork();
    const { user, signal, playground } = scene;
    const mountPoint = scene.place('bucket');
    await scene.mount(`s3://${playground.bucket}`, mountPoint);
    refuseWrites(playground);
    await expect(writeFile(join(mountPoint, 'thesis'), 'years')).rejects.toMatchObject({
      code: 'EACCES',
    });
    // The kernel lets go of a closed file a moment later.
    const state = user.environment['WIRE_STATE_DIR'] ?? '';
    let [path = ''] = await keptFiles(state);
    for (; !path.includes('/kept/'); [path = ''] = await keptFiles(state)) {
      await systemClock.sleep(20, signal);
    }
    const { stdout } = await user.wire(['status'], signal);
    expect(stdout).toContain(`kept in ${path}`);
    const line = await refusal(scene, ['unmount', mountPoint], 'not-saved');
    expect(line).toMatch(/^wire: .*thesis: .*AccessDenied.*; /);
    expect(line).toContain(path);
    expect(await readFile(path, 'utf8')).toBe('years');
    expect(await mountsBelow(user.folder)).toEqual([]);
  });
});

describe.skipIf(!canMount)('wire mount in the foreground', () => {
  it('unmounts at SIGINT and exits with 0', async () => {
    await using scene = await atWork();
    const mountPoint = scene.place('bucket');
    const source = `s3://${scene.playground.bucket}`;
    const child = start(scene, ['mount', source, mountPoint, ...scene.store, '--mkdir']);
    const ended = ending(child);
    await ready(child);
    await writeFile(join(mountPoint, 'x'), 'y');
    child.kill('SIGINT');
    expect(await ended).toMatchObject({ code: 0, stderr: '' });
    expect(await mountsBelow(scene.user.folder)).toEqual([]);
    expect(await exists(mountPoint)).toBe(false);
  });

  it('says where the bytes are that it could not save, and exits with 12', async () => {
    await using scene = await atWork();
    const { playground } = scene;
    const mountPoint = scene.place('bucket');
    const source = `s3://${playground.bucket}`;
    const child = start(scene, ['mount', source, mountPoint, ...scene.store, '--mkdir']);
    const ended = ending(child);
    await ready(child);
    refuseWrites(playground);
    await expect(writeFile(join(mountPoint, 'thesis'), 'years')).rejects.toThrow();
    child.kill('SIGTERM');
    const { code, stderr } = await ended;
    expect({ code, stderr }).toEqual({ code: exitCodeOf['not-saved'], stderr });
    const line = stderr.trim().split('\n').at(-1) ?? '';
    const path = /(\/\S+\/thesis\.unsaved-[\w.-]+)/.exec(line)?.[1] ?? '';
    expect(line).toMatch(/^wire: /);
    expect(await readFile(path, 'utf8')).toBe('years');
  });

  // From before the first line of JavaScript to around ready, which takes some 400 ms.
  it.each([10, 60, 120, 200, 300, 400, 500, 650])(
    'leaves nothing when a signal comes after %i ms',
    async (delayMs) => {
      await using scene = await atWork();
      const { user, signal, playground } = scene;
      playground.s3.faults.latencyMs = 50;
      const mountPoint = scene.place('bucket');
      for (const [background, name] of [
        [[], 'SIGINT'],
        [['--daemon'], 'SIGTERM'],
      ] as const) {
        const args = [`s3://${playground.bucket}`, mountPoint, ...scene.store, '--mkdir'];
        const child = start(scene, ['mount', ...args, ...background]);
        const ended = ending(child);
        await systemClock.sleep(delayMs, signal);
        child.kill(name);
        const { code, stdout } = await ended;
        if (background.length > 0 && code === 0) {
          // It was ready before: then it is there, and answers.
          expect(stdout).toContain(mountPoint);
          await readdir(mountPoint);
          await user.wire(['unmount', mountPoint], signal);
        }
        expect(await mountsBelow(user.folder)).toEqual([]);
        expect(await exists(mountPoint)).toBe(false);
        expect(await scene.daemons()).toEqual([]);
      }
    },
  );

  it('at a signal while the store does not answer, goes at once', async () => {
    await using scene = await atWork();
    const { playground, user } = scene;
    playground.s3.faults.latencyMs = 60_000;
    const mountPoint = scene.place('bucket');
    const args = [`s3://${playground.bucket}`, mountPoint, ...scene.store, '--mkdir'];
    const child = start(scene, ['mount', ...args]);
    const ended = ending(child);
    await mounted(scene, mountPoint);
    child.kill('SIGINT');
    const { code, stderr } = await ended;
    expect({ code, stderr }).toEqual({ code: exitCodeOf.interrupted, stderr });
    expect(stderr.trim()).toMatch(/^wire: [^\n]*$/);
    expect(await mountsBelow(user.folder)).toEqual([]);
    expect(await exists(mountPoint)).toBe(false);
  });
});

describe.skipIf(!canMount)('a login that ends or cannot be read while a mount lives', () => {
  it('takes nothing from wire status: the mount is shown, and why the login is not', async () => {
    await using scene = await atWork();
    const { user, signal, playground } = scene;
    const mountPoint = scene.place('bucket');
    await scene.mount(`s3://${playground.bucket}`, mountPoint);
    await rename(scene.place('key'), scene.place('key.away'));
    const { stdout } = await user.wire(['status'], signal);
    expect(stdout).toContain(`${mountPoint}: ready`);
    expect(stdout).toMatch(/^Logins cannot be shown: cannot .*;.*$/m);
    expect(stdout).not.toContain('No logins');
    const json = await user.wire(['status', '--json'], signal);
    expect(JSON.parse(json.stdout)).toMatchObject({
      // Others of this user may be mounting too.
      mounts: expect.arrayContaining([
        expect.objectContaining({ mountPoint, state: 'ready' }),
      ]) as unknown,
      logins: [],
      loginsTrouble: expect.stringMatching(/^cannot /) as unknown,
    });
    await user.wire(['unmount', mountPoint], signal);
  });

  it('is told by wire logout with the end of the credentials that the mount keeps', async () => {
    await using scene = await atWork();
    const { user, signal, playground } = scene;
    const mountPoint = scene.place('bucket');
    await scene.mount(`s3://${playground.bucket}`, mountPoint);
    const { stderr } = await user.wire(['logout'], signal);
    const time = /\d\d:\d\d/.source;
    expect(stderr).toMatch(
      new RegExp(`^note: ${mountPoint} keeps temporary credentials .* until (.* )?${time}$`, 'm'),
    );
    // It is true: they still work.
    await writeFile(join(mountPoint, 'after'), 'x');
    await user.wire(['unmount', mountPoint], signal);
    expect(await refusal(scene, ['logout'], 'login-expired')).toContain('wire status');
  });
});

describe.skipIf(!canMount)('login, mount, unmount and logout work', () => {
  /** The whole job in this environment; `folder` holds what it leaves. */
  async function wholeJob(scene: Scene, variables: Variables): Promise<void> {
    const { user, signal, playground, store } = scene;
    const env = { ...user.environment, ...variables };
    const wire = async (...args: readonly string[]) =>
      await run(process.execPath, [wireCommand, ...args], signal, { env });
    const { issuer, audience } = playground;
    let approving: Promise<void> | undefined;
    await run(
      process.execPath,
      [wireCommand, 'login', issuer, '--audience', audience, '--no-browser'],
      signal,
      {
        env,
        onStderr: (line) => {
          const url = /https?:\/\/\S+user_code=\S+/.exec(line);
          if (url !== null) approving ??= playground.iam.approve(url[0], 'alice', signal);
        },
      },
    );
    await approving;
    const mountPoint = scene.place('bucket');
    await wire('mount', `s3://${playground.bucket}`, mountPoint, ...store, '--mkdir', '--daemon');
    await writeFile(join(mountPoint, 'x'), 'y');
    expect((await wire('status')).stdout).toContain(`${mountPoint}: ready`);
    await wire('unmount', mountPoint);
    await wire('logout');
    expect(await mountsBelow(user.folder)).toEqual([]);
  }

  /** No folder of wire is named; files of the person go below `temporary`. */
  const unset = {
    HOME: undefined,
    XDG_RUNTIME_DIR: undefined,
    XDG_STATE_HOME: undefined,
    XDG_CONFIG_HOME: undefined,
    XDG_CACHE_HOME: undefined,
    WIRE_STATE_DIR: undefined,
    WIRE_RUNTIME_DIR: undefined,
    WIRE_CONFIG: undefined,
  };

  it('without XDG_RUNTIME_DIR and with HOME alone', async () => {
    await using scene = await Scene.open();
    const temporary = scene.place('tmp');
    await mkdir(temporary);
    const HOME = scene.place('home');
    await wholeJob(scene, { ...unset, HOME, TMPDIR: temporary });
    expect(await readdir(temporary)).toEqual([`wire-${String(process.getuid?.())}-run`]);
    expect(await readdir(join(HOME, '.local/state/wire'))).toContain('wire.log');
  });

  it('with the folders of XDG', async () => {
    await using scene = await Scene.open();
    const [run_, state] = [scene.place('xdg-run'), scene.place('xdg-state')];
    const cache = scene.place('xdg-cache');
    for (const folder of [run_, state, cache]) await mkdir(folder, { mode: 0o700 });
    const HOME = scene.place('home');
    const folders = { XDG_RUNTIME_DIR: run_, XDG_STATE_HOME: state, XDG_CACHE_HOME: cache };
    await wholeJob(scene, { ...unset, HOME, ...folders });
    expect(await readdir(HOME)).toEqual([]);
    expect(await readdir(cache)).toEqual(['wire']);
    expect(await readdir(run_)).toEqual(['wire']);
  });
});
