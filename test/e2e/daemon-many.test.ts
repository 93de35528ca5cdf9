/** One daemon with many mounts, its end at a signal, and where it has to live. */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { run } from '../../scripts/demo/programs.ts';
import { mountsBelow } from '../../scripts/demo/wire-user.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { exitCodeOf } from '../../src/lib/wire-error.ts';
import { untilEnded } from '../fixtures/ended-process.ts';
import { canMount, exists, isRoot, Scene, wireCommand } from '../fixtures/real-mount.ts';

/** No upload gets an answer meanwhile. */
const STALLED_MS = 100_000;

function stall({ playground }: Scene): void {
  playground.s3.faults.stallNext(1_000_000, STALLED_MS, { operation: 'PutObject' });
}

/** Of the file that was left in the journal, the mount is made again and has it in the bucket. */
async function savedByNextMount(scene: Scene, place: string, key: string): Promise<string> {
  const { playground, user, signal } = scene;
  playground.s3.faults.clear();
  await scene.mount(`s3://${playground.bucket}`, place, '--write-back');
  await user.wire(['unmount', place], signal);
  return String(await playground.s3.foreign.getObject(playground.bucket, key));
}

/** `wire mount` in the foreground, and what it says. */
async function foreground(
  scene: Scene,
  args: readonly string[],
  before: readonly string[] = [],
): Promise<{
  readonly pid: number;
  readonly ended: Promise<{ readonly code: number | null; readonly said: string }>;
  readonly stop: (name: NodeJS.Signals) => void;
}> {
  const line = [...before, process.execPath, wireCommand, 'mount', ...args];
  const [program = '', ...rest] = line;
  const child = spawn(program, rest, {
    env: { ...process.env, ...scene.user.environment },
    stdio: ['ignore', 'pipe', 'pipe'],
    signal: scene.signal,
    killSignal: 'SIGKILL',
  });
  child.on('error', () => undefined);
  let said = '';
  child.stderr.on('data', (chunk) => (said += String(chunk)));
  const ended = once(child, 'close').then(([code]) => ({ code: code as number | null, said }));
  await Promise.race([once(child.stdout, 'data'), ended]);
  return { pid: child.pid ?? 0, ended, stop: (name) => void child.kill(name) };
}

describe.skipIf(!canMount)('one daemon', () => {
  it('has 64 mounts that were asked for in one call, each with its own content, and unmounts all', async () => {
    await using scene = await Scene.open();
    await scene.login();
    const { playground, user, signal } = scene;
    const places = Array.from({ length: 64 }, (_, at) => scene.place(`m${at}`));
    const pairs = places.flatMap((place, at) => [`s3://${playground.bucket}/p${at}`, place]);
    await user.wire(['mount', ...pairs, ...scene.store, '--mkdir', '--daemon'], signal);
    const pids = await scene.daemons();
    expect([pids.length, new Set(pids).size]).toEqual([64, 1]);
    await Promise.all(places.map(async (place, at) => await writeFile(join(place, 'x'), `${at}`)));
    for (const at of [0, 31, 63]) {
      const stored = await playground.s3.foreign.getObject(playground.bucket, `p${at}/x`);
      expect(String(stored)).toBe(`${at}`);
      expect(await readdir(places[at] ?? '')).toEqual(['x']);
    }
    await user.wire(['unmount', '--all'], signal);
    expect(await mountsBelow(user.folder)).toEqual([]);
    await untilEnded(pids[0] ?? 0, signal);
  });

  it('at SIGTERM ends within --stop-timeout, with what is not saved in the journal and told', async () => {
    await using scene = await Scene.open();
    await scene.login();
    const { playground, user, signal } = scene;
    const place = scene.place('m');
    const flags = ['--write-back', '--stop-timeout', '2s'];
    await scene.mount(`s3://${playground.bucket}`, place, ...flags);
    const [pid = 0] = await scene.daemons();
    stall(scene);
    await writeFile(join(place, 'thesis'), 'years of work');
    process.kill(pid, 'SIGTERM');
    await untilEnded(pid, signal);
    expect(await mountsBelow(user.folder)).toEqual([]);
    const log = await readFile(join(user.environment['WIRE_STATE_DIR'] ?? '', 'wire.log'), 'utf8');
    expect(log).toMatch(/"LeftInJournal","message":"cannot save all that was written to/);
    expect(await savedByNextMount(scene, place, 'thesis')).toBe('years of work');
  });

  it('mounts a living mount again at wire remount, with what was written to it saved', async () => {
    await using scene = await Scene.open();
    await scene.login();
    const { playground, user, signal } = scene;
    const [one, two] = [scene.place('one'), scene.place('two')];
    await scene.mount(`s3://${playground.bucket}`, one, `s3://${playground.bucket}/two`, two);
    await writeFile(join(one, 'x'), 'kept');
    const before = await beginnings(scene, [one, two]);
    const { stdout } = await user.wire(['remount', one], signal);
    expect(stdout).toBe(`Mounted s3://${playground.bucket} at ${one}, again\n`);
    expect(await readFile(join(one, 'x'), 'utf8')).toBe('kept');
    const after = await beginnings(scene, [one, two]);
    expect([after[0] === before[0], after[1] === before[1]]).toEqual([false, true]);
    await user.wire(['unmount', '--all'], signal);
  });

  it('unmounts with --wait as soon as the last who uses the mount is done', async () => {
    await using scene = await Scene.open();
    await scene.login();
    const { playground, user, signal } = scene;
    const place = scene.place('m');
    await scene.mount(`s3://${playground.bucket}`, place);
    const { done, holder } = await holding(join(place, 'x'), signal);
    const waited: string[] = [];
    const onStderr = (line: string): void => void waited.push(line);
    let isOver = false;
    const ended = user.wire(['unmount', '--wait', place], signal, { onStderr }).finally(() => {
      isOver = true;
    });
    while (waited.length === 0) await systemClock.sleep(20, signal);
    expect(waited[0]).toMatch(/^Waiting: .*in use by/);
    expect(isOver).toBe(false);
    holder.stdin.end('all\n');
    await done;
    expect((await ended).stdout).toBe(`Unmounted ${place}\n`);
    const stored = await playground.s3.foreign.getObject(playground.bucket, 'x');
    expect(String(stored)).toBe('all\n');
  });

  it('that is stopped is not waited for: who asks it to mount is told in one line', async () => {
    await using scene = await Scene.open();
    await scene.login();
    const { playground, user, signal } = scene;
    await scene.mount(`s3://${playground.bucket}`, scene.place('m'));
    const [pid = 0] = await scene.daemons();
    process.kill(pid, 'SIGSTOP');
    const place = scene.place('other');
    const args = [
      'mount',
      `s3://${playground.bucket}`,
      place,
      ...scene.store,
      '--mkdir',
      '--daemon',
    ];
    const { exitCode, stderr } = await user.wire(args, signal, { allow: [3, 4, 5, 6, 7, 8] });
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect({ exitCode, stderr }).toEqual({
      exitCode: exitCodeOf.unreachable,
      stderr: expect.stringContaining(`process ${pid}): no sign of life`) as string,
    });
    const unmounted = await user.wire(['unmount', scene.place('m')], signal, { allow: [5] });
    expect(unmounted.stderr).toMatch(/no sign of life.*wire unmount --force/);
    expect(await mountsBelow(user.folder)).toEqual([scene.place('m')]);
    // What it was asked for is not done later.
    process.kill(pid, 'SIGCONT');
    await user.wire(['unmount', scene.place('m')], signal);
    await untilEnded(pid, signal);
    expect(await mountsBelow(user.folder)).toEqual([]);
  });
});

/**
 * A process that holds `path` open until it is told what to write. Not this one: its children would
 * inherit the file, and close it before they begin, which waits for the store in this very process.
 */
async function holding(
  path: string,
  signal: AbortSignal,
): Promise<{
  readonly holder: ChildProcessByStdio<Writable, Readable, null>;
  done: Promise<unknown>;
}> {
  const script =
    'exec 3>"$1"; echo open; IFS= read -r words; printf "%s\\n" "$words" >&3; exec 3>&-';
  const holder = spawn('sh', ['-c', script, 'holder', path], {
    stdio: ['pipe', 'pipe', 'inherit'],
    signal,
    killSignal: 'SIGKILL',
  });
  const done = once(holder, 'close');
  await once(holder.stdout, 'data');
  return { holder, done };
}

/** When each of these mounts began. */
async function beginnings({ user, signal }: Scene, places: readonly string[]): Promise<number[]> {
  const { stdout } = await user.wire(['status', '--json'], signal);
  const { mounts } = JSON.parse(stdout) as {
    mounts: readonly { readonly mountPoint: string; readonly readySinceMs: number }[];
  };
  return places.map((place) => {
    return mounts.find(({ mountPoint }) => mountPoint === place)?.readySinceMs ?? 0;
  });
}

describe.skipIf(!canMount)('a mount in the foreground', () => {
  it('at SIGTERM ends with 0 within --stop-timeout, with what is not saved in the journal and told', async () => {
    await using scene = await Scene.open();
    await scene.login();
    const place = scene.place('m');
    const source = `s3://${scene.playground.bucket}`;
    const flags = [...scene.store, '--mkdir', '--write-back', '--stop-timeout', '2s'];
    const { ended, stop } = await foreground(scene, [source, place, ...flags]);
    stall(scene);
    await writeFile(join(place, 'thesis'), 'years of work');
    stop('SIGTERM');
    const { code, said } = await ended;
    expect({ code, said }).toEqual({ code: 0, said });
    expect(said).toMatch(/Warning: cannot save all that was written to/);
    expect(await mountsBelow(scene.user.folder)).toEqual([]);
    expect(await savedByNextMount(scene, place, 'thesis')).toBe('years of work');
  });

  // Process 1 needs namespaces.
  it.skipIf(!isRoot)(
    'as process 1 of a container leaves no zombie, and ends at SIGTERM',
    async () => {
      await using scene = await Scene.open();
      await scene.login();
      const { signal } = scene;
      const place = scene.place('m');
      await mkdir(place);
      const container = ['unshare', '--pid', '--fork', '--mount-proc', '--kill-child'];
      const args = [`s3://${scene.playground.bucket}`, place, ...scene.store];
      const { pid, ended } = await foreground(scene, args, container);
      const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8');
      const first = children.trim().split(' ')[0] ?? '';
      expect(first).toMatch(/^\d+$/);
      const enter = (...command: readonly string[]): ReturnType<typeof run> =>
        run('nsenter', ['-t', first, '-p', '-m', ...command], signal);
      // Its parent ends at once; the container's first process inherits it.
      await enter('sh', '-c', '(sleep 0.2 & echo $! > /proc/self/fd/1) >/dev/null');
      const zombies = async (): Promise<readonly string[]> => {
        const { stdout } = await enter('ps', '-e', '-o', 'stat=,comm=');
        return stdout.split('\n').filter((line) => /^Z.*sleep/.test(line));
      };
      while ((await zombies()).length === 0) await systemClock.sleep(50, signal);
      while ((await zombies()).length > 0) await systemClock.sleep(100, signal);
      process.kill(Number(first), 'SIGTERM');
      expect((await ended).code).toBe(0);
    },
  );
});

describe('a daemon of another version', () => {
  it('is named to who has it mount, and how to change over', async () => {
    await using scene = await Scene.open();
    const { user, signal, playground } = scene;
    const runtimeDir = user.environment['WIRE_RUNTIME_DIR'] ?? '';
    await mkdir(runtimeDir, { mode: 0o700 });
    const answer = { version: '0.0.1', mounts: [], warnings: [], logFile: '/old.log' };
    const old = createServer((_, response) => response.end(JSON.stringify(answer)));
    old.listen(join(runtimeDir, 'daemon-1.sock'));
    await once(old, 'listening');
    const source = `s3://${playground.bucket}`;
    const log = ['--log-file', scene.place('new.log')];
    const args = [...log, 'mount', source, scene.place('m'), ...scene.store, '--mkdir', '--daemon'];
    const { stderr } = await user.wire(args, signal).finally(() => old.close());
    expect(stderr).toMatch(
      /the daemon that runs is wire 0\.0\.1, this is \d+\.\d+\.\d+.*wire remount --all changes over/,
    );
    expect(stderr).toContain(
      `the daemon that runs logs to /old.log, not to ${scene.place('new.log')}`,
    );
  });
});

describe('a person without a home', () => {
  it('has status, help and doctor all the same', async () => {
    await using scene = await Scene.open();
    const temporary = scene.place('tmp');
    await mkdir(temporary);
    const env = { PATH: process.env['PATH'] ?? '', TMPDIR: temporary, HOME: '' };
    // No entry in the user database either, where root can be somebody like that.
    const as = isRoot ? ['setpriv', '--reuid', '4711', '--clear-groups', '--inh-caps=-all'] : [];
    if (isRoot) await chmod(temporary, 0o1777);
    if (isRoot) await chmod(scene.user.folder, 0o755);
    const ask = async (...args: readonly string[]) => {
      const line = [...as, 'env', '-i', ...Object.entries(env).map(([n, v]) => `${n}=${v}`)];
      const [program = '', ...rest] = [...line, process.execPath, wireCommand, ...args];
      const allow = Array.from({ length: 30 }, (_, code) => code);
      return await run(program, rest, scene.signal, { allow });
    };
    const status = await ask('status');
    expect(status).toMatchObject({ exitCode: 0, stderr: '' });
    expect((await ask('login', '--help')).exitCode).toBe(0);
    const doctor = await ask('doctor');
    expect(doctor.stdout + doctor.stderr).not.toMatch(/TypeError|at \w+ \(|ENOENT/);
    expect(await exists(temporary)).toBe(true);
  });
});
