/**
 * What scripts and people do with sts-wire all day, by the numbers under which docs/MIGRATING.md
 * tells of it; 1, 2, 4, 7, 11 and 13 are in sts-wire.test.ts. Lives of tokens are seconds here, where
 * they are minutes at a provider; with WIRE_E2E_WHOLE=1 scenario 8 takes its three minutes.
 */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { run } from '../../scripts/demo/programs.ts';
import { mountsBelow } from '../../scripts/demo/wire-user.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { haveDebian } from '../fixtures/debian-packages.ts';
import { untilEnded } from '../fixtures/ended-process.ts';
import { filesBelow, findLeaks } from '../fixtures/leak-search.ts';
import { canMount, isRoot, Scene } from '../fixtures/real-mount.ts';
import {
  hubTokens,
  lineOf,
  program,
  sevenArguments,
  startStsWire,
  stsWire,
  usual,
} from './sts-wire-scene.ts';

const BACKGROUND = ['--rcloneMountFlags', '--daemon'] as const;

/** Six mounts in a row, as the start script of a hub's image makes them. */
const SPAWN_SCRIPT = `
for bucket in "$@"; do
  mkdir -p "$BASE/$bucket"
  node "$PROGRAM" "$IAM_SERVER" alice "$ENDPOINT/" "$ROLE" "$AUDIENCE" "/$bucket" "$BASE/$bucket" \\
    --localCache full --tryRemount --noDummyFileCheck --localCacheDir "$BASE/.cache" &
done
wait
`;

const hasFio = canMount && haveDebian(['fio'], ['/usr/bin/fio']);

/** Mounts one of sts-wire's way in a process that stays, and waits until it says so. */
async function startMount(
  scene: Scene,
  place: string,
  more: readonly string[] = [],
): Promise<{ readonly child: ChildProcess; readonly heard: readonly string[] }> {
  const heard: string[] = [];
  const child = startStsWire(scene, [...sevenArguments(scene, place), ...more], heard);
  await lineOf(heard, /Volume mounted/, scene.signal);
  return { child, heard };
}

async function endsBy(child: ChildProcess, name: NodeJS.Signals): Promise<unknown> {
  const exited = once(child, 'exit');
  child.kill(name);
  return await exited;
}

async function kill(scene: Scene): Promise<void> {
  for (const pid of new Set(await scene.daemons())) {
    process.kill(pid, 'SIGKILL');
    await untilEnded(pid, scene.signal);
  }
}

describe.skipIf(!canMount)('sts-wire, on a day of work', () => {
  it('scenario 3: mounts six buckets from one script; killed and run again, it is as before', async () => {
    await using scene = await Scene.open();
    const { playground, user, signal } = scene;
    const { s3, issuer, endpoint, role, audience, bucket } = playground;
    const buckets = Array.from({ length: 6 }, (_, at) => `${bucket}/${at}`);
    const tokens = await hubTokens(scene);
    const base = scene.place('base');
    const names = { BASE: base, PROGRAM: program, IAM_SERVER: issuer, ENDPOINT: endpoint };
    const env = { ...user.environment, ...tokens, ...names, ROLE: role, AUDIENCE: audience };
    const spawnAll = async (mark: string): Promise<void> => {
      const script = run('sh', ['-c', SPAWN_SCRIPT, 'spawn', ...buckets], signal, {
        env,
        cwd: user.folder,
        allow: Array.from({ length: 255 }, (_, code) => code + 1),
      });
      script.catch(() => undefined); // awaited below
      while ((await readyMounts(scene)) < buckets.length) await systemClock.sleep(100, signal);
      for (const each of buckets) await writeFile(join(base, each, mark), each);
      await kill(scene);
      await script;
    };
    await spawnAll('first');
    // Each is dead and still there: the script finds them so.
    expect(await mountsBelow(user.folder)).toHaveLength(buckets.length);
    await spawnAll('second');
    for (const [at, each] of buckets.entries()) {
      for (const mark of ['first', 'second']) {
        const stored = await s3.foreign.getObject(bucket, `${at}/${mark}`);
        expect(stored?.toString()).toBe(each);
      }
      await user.wire(['unmount', join(base, each)], signal);
    }
    expect(await mountsBelow(user.folder)).toEqual([]);
    expect((await readdir(user.folder)).filter((name) => name.includes('token'))).toEqual([]);
  });

  it('scenario 5: reads and writes through three lives of tokens, and no call fails', async () => {
    await using scene = await Scene.open({
      accessTokenSeconds: 8,
      leaseSeconds: 6,
      rotateRefreshTokens: true,
    });
    await scene.login();
    const { playground, signal } = scene;
    const place = scene.place('long');
    const { child } = await startMount(scene, place);
    const until = systemClock.monotonic() + 25_000;
    let rounds = 0;
    for (; systemClock.monotonic() < until; rounds += 1) {
      const [name, text] = [join(place, `file-${rounds % 8}`), `round ${rounds}`];
      await writeFile(name, text);
      expect(await readFile(name, 'utf8')).toBe(text);
      await appendFile(join(place, 'log'), `${text}\n`);
      await readdir(place);
      await systemClock.sleep(50, signal);
    }
    const log = Array.from({ length: rounds }, (_, round) => `round ${round}\n`).join('');
    expect(await readFile(join(place, 'log'), 'utf8')).toBe(log);
    expect(playground.keys.issued.length).toBeGreaterThan(3);
    expect(playground.iam.counters().token).toBeGreaterThan(2);
    expect(await endsBy(child, 'SIGINT')).toEqual([0, null]);
  });

  it('scenario 6: serves while the provider is away, says what it lacks, and goes on when it is back', async () => {
    await using scene = await Scene.open({ accessTokenSeconds: 4, leaseSeconds: 16 });
    await scene.login();
    const { playground, user, signal } = scene;
    const place = scene.place('mount');
    const { child } = await startMount(scene, place);
    await writeFile(join(place, 'before'), 'here');
    playground.iam.addFault({ endpoint: 'any', drop: 'before', times: 100_000 });
    // The lease is renewed at three quarters of its life: by then a new token is needed.
    const over = new AbortController();
    const working = readAndWrite(place, over.signal);
    const degraded = /degraded: identity \(.+\)/;
    while (!degraded.test((await user.wire(['status'], signal)).stdout)) {
      await systemClock.sleep(100, signal);
    }
    playground.iam.clearFaults();
    await writeFile(join(place, 'after'), 'all is well');
    over.abort();
    // What was asked when the credentials had ended has waited for the next ones.
    expect(await working).toBeGreaterThan(0);
    expect(await readFile(join(place, 'before'), 'utf8')).toBe('here');
    expect(child.exitCode).toBeNull();
    expect((await user.wire(['status'], signal)).stdout).toContain(`${place}: ready`);
    expect(await endsBy(child, 'SIGINT')).toEqual([0, null]);
  });

  it('scenario 6: outlives a login that has ended, and takes up the next one', async () => {
    await using scene = await Scene.open({ accessTokenSeconds: 3, leaseSeconds: 6 });
    await scene.login();
    const { playground, user, signal } = scene;
    const place = scene.place('ended');
    const { child } = await startMount(scene, place);
    await writeFile(join(place, 'before'), 'here');
    playground.iam.addFault({
      endpoint: 'token',
      status: 400,
      body: { error: 'invalid_grant' },
      times: 100_000,
    });
    const expired = async (): Promise<boolean> =>
      /log in again|wire login|expired/i.test((await user.wire(['status'], signal)).stdout);
    while (!(await expired())) await systemClock.sleep(200, signal);
    expect(child.exitCode).toBeNull();
    playground.iam.clearFaults();
    await scene.login();
    while (!(await works(join(place, 'after')))) await systemClock.sleep(200, signal);
    expect(await readFile(join(place, 'before'), 'utf8')).toBe('here');
    expect(await endsBy(child, 'SIGINT')).toEqual([0, null]);
  });

  it('scenario 8: stays mounted on a bucket that may only be read, and writes nothing to it', async () => {
    await using scene = await Scene.open();
    await scene.login();
    const { playground, user, signal } = scene;
    playground.s3.foreign.putObject(playground.bucket, 'thesis', Buffer.from('read me'));
    const place = scene.place('scratch');
    const words = [...sevenArguments(scene, place)];
    words[3] = playground.roles['read-only'];
    const { exitCode } = await stsWire(scene, [...words, ...BACKGROUND]);
    expect(exitCode).toBe(0);
    playground.s3.counters.reset();
    // sts-wire wrote a file each minute to see whether it still could, and unmounted when not.
    const wholeMs = process.env['WIRE_E2E_WHOLE'] === '1' ? 200_000 : 5000;
    await systemClock.sleep(wholeMs, signal);
    expect(playground.s3.counters.requests('PutObject')).toBe(0);
    expect(playground.s3.counters.requests('DeleteObject')).toBe(0);
    expect(await readFile(join(place, 'thesis'), 'utf8')).toBe('read me');
    await expect(writeFile(join(place, 'no'), 'x')).rejects.toMatchObject({ code: 'EACCES' });
    expect((await user.wire(['status'], signal)).stdout).toContain(`${place}: ready`);
    await user.wire(['unmount', place], signal, { allow: [12] });
    expect(await mountsBelow(user.folder)).toEqual([]);
  }, 260_000);

  it.skipIf(!isRoot)(
    'scenario 9: what was written before kill -9 is in the bucket after the next start',
    async () => {
      await using scene = await Scene.open();
      await scene.login();
      const { playground, user, signal } = scene;
      const place = scene.place('killed');
      const mounting = [...sevenArguments(scene, place), '--localCache', 'writes', ...BACKGROUND];
      expect((await stsWire(scene, mounting)).exitCode).toBe(0);
      playground.s3.faults.stallNext(1_000_000, 100_000, { operation: 'PutObject' });
      await writeFile(join(place, 'thesis'), 'years of work');
      await kill(scene);
      playground.s3.faults.clear();
      expect(await playground.s3.foreign.getObject(playground.bucket, 'thesis')).toBeUndefined();
      expect((await stsWire(scene, mounting)).exitCode).toBe(0);
      expect(await readFile(join(place, 'thesis'), 'utf8')).toBe('years of work');
      await user.wire(['unmount', place], signal);
      const stored = await playground.s3.foreign.getObject(playground.bucket, 'thesis');
      expect(stored?.toString()).toBe('years of work');
    },
  );

  it('scenario 10: at SIGTERM saves, unmounts, ends with 0 and leaves nothing', async () => {
    await using scene = await Scene.open();
    await scene.login();
    const { playground, user, signal } = scene;
    const place = scene.place('ended');
    const { child } = await startMount(scene, place, ['--localCache', 'writes']);
    playground.s3.faults.latencyMs = 200;
    for (let at = 0; at < 20; at += 1) await writeFile(join(place, `f${at}`), `content ${at}`);
    expect(await endsBy(child, 'SIGTERM')).toEqual([0, null]);
    playground.s3.faults.latencyMs = 0;
    for (let at = 0; at < 20; at += 1) {
      const stored = await playground.s3.foreign.getObject(playground.bucket, `f${at}`);
      expect(stored?.toString()).toBe(`content ${at}`);
    }
    expect(await mountsBelow(user.folder)).toEqual([]);
    expect(await scene.daemons()).toEqual([]);
    expect(await processesOf(user.folder)).toEqual([]);
    expect(await user.leftovers()).not.toContainEqual(expect.stringContaining('.sock'));
    await expect(stat(place)).rejects.toMatchObject({ code: 'ENOENT' });
    signal.throwIfAborted();
  });

  it.skipIf(!hasFio)(
    'scenario 12: fio writes and reads in order and at random on four mounts, and all is as written',
    async () => {
      await using scene = await Scene.open();
      await scene.login();
      const { playground, user, signal } = scene;
      const places = [0, 1, 2, 3].map((at) => scene.place(`client${at}`));
      const pairs = places.flatMap((place, at) => [`s3://${playground.bucket}/${at}`, place]);
      const flags = [...scene.store, '--mkdir', '--daemon'];
      await user.wire(['mount', ...pairs, ...flags], signal);
      for (const [blockSize, size] of [
        ['4m', '16m'],
        ['4k', '1m'],
      ] as const) {
        await Promise.all(
          places.map(async (place) => await runFio(place, blockSize, size, signal)),
        );
      }
      for (const place of places) await user.wire(['unmount', place], signal);
      for (const at of places.keys()) {
        const keys = playground.s3.foreign.objects(playground.bucket).map(({ key }) => key);
        expect(keys.filter((key) => key.startsWith(`${at}/`)).length).toBeGreaterThanOrEqual(4);
      }
    },
  );

  it('scenario 13: no file that is written holds a token or a key, and nobody else may read one', async () => {
    await using scene = await Scene.open();
    const { playground, user, signal } = scene;
    const tokens = await hubTokens(scene);
    const place = scene.place('quiet');
    const args = [...sevenArguments(scene, place), ...usual, '--debug', ...BACKGROUND];
    const mounted = await stsWire(scene, args, tokens);
    expect(mounted.exitCode).toBe(0);
    await writeFile(join(place, 'file'), 'text');
    const report = await stsWire(scene, ['report'], tokens);
    await user.wire(['unmount', place], signal);
    const traces = await filesBelow(user.folder, () => false);
    expect(traces.length).toBeGreaterThan(2);
    const secrets = [
      ...playground.iam.issuedSecrets(),
      ...playground.keys.issued.flatMap(({ secretAccessKey, sessionToken }) => [
        { kind: 'S3 secret key', value: secretAccessKey },
        { kind: 'S3 session token', value: sessionToken },
      ]),
    ];
    expect(secrets.length).toBeGreaterThan(4);
    const shown = [mounted, report].map(({ stdout, stderr }) => ({
      place: 'the output',
      text: stdout + stderr,
    }));
    expect(findLeaks(secrets, [...traces, ...shown])).toEqual([]);
    for (const { place: path } of traces) {
      if (path.startsWith(join(user.folder, 'home'))) continue; // the folder of the test itself
      const { mode } = await stat(path).catch(() => ({ mode: 0 }));
      expect({ path, open: mode & 0o077 }).toEqual({ path, open: 0 });
    }
  });

  it('scenario 14: leaves what lies in the folder of the cache', async () => {
    await using scene = await Scene.open();
    await scene.login();
    const { user, signal } = scene;
    const [place, cache] = [scene.place('cached'), scene.place('my-files')];
    await mkdir(join(cache, 'vfs'), { recursive: true });
    await writeFile(join(cache, 'thesis'), 'mine');
    await writeFile(join(cache, 'vfs', 'thesis'), 'mine too');
    const flags = ['--localCache', 'full', '--localCacheDir', cache, ...BACKGROUND];
    for (let times = 0; times < 2; times += 1) {
      expect((await stsWire(scene, [...sevenArguments(scene, place), ...flags])).exitCode).toBe(0);
      await writeFile(join(place, 'file'), 'text');
      await user.wire(['unmount', place], signal);
    }
    expect((await stsWire(scene, ['clean'])).exitCode).toBe(0);
    expect(await readFile(join(cache, 'thesis'), 'utf8')).toBe('mine');
    expect(await readFile(join(cache, 'vfs', 'thesis'), 'utf8')).toBe('mine too');
  });

  // The drivers of macOS and Windows cannot be had here: their mounts are not shown. The command
  // line, Ctrl-C and the end are the same code, and this is the part of it that Linux shows.
  it('scenario 15: Ctrl-C unmounts while a file is being written, and the words are the same', async () => {
    await using scene = await Scene.open();
    await scene.login();
    const { playground, user } = scene;
    const place = scene.place('ctrl-c');
    const { child, heard } = await startMount(scene, place);
    expect(heard).toContain(`==> Volume mounted at ${place}`);
    await writeFile(join(place, 'large'), Buffer.alloc(2 ** 23, 'x'));
    expect(await endsBy(child, 'SIGINT')).toEqual([0, null]);
    const stored = await playground.s3.foreign.getObject(playground.bucket, 'large');
    expect(stored?.byteLength).toBe(2 ** 23);
    expect(await mountsBelow(user.folder)).toEqual([]);
    expect(heard.filter((line) => /\bat .*:\d+:\d+/.test(line))).toEqual([]);
  });
});

/** Mounts of this person that are ready. */
async function readyMounts({ user, signal }: Scene): Promise<number> {
  const { stdout } = await user.wire(['status', '--json'], signal);
  const { mounts } = JSON.parse(stdout) as { readonly mounts: readonly { state: string }[] };
  return mounts.filter(({ state }) => state === 'ready').length;
}

/** @returns how many rounds there were; fails when a call does. */
async function readAndWrite(place: string, over: AbortSignal): Promise<number> {
  let rounds = 0;
  for (; !over.aborted; rounds += 1) {
    await writeFile(join(place, 'during'), `round ${rounds}`);
    expect(await readFile(join(place, 'during'), 'utf8')).toBe(`round ${rounds}`);
    await systemClock.sleep(100, new AbortController().signal);
  }
  return rounds;
}

async function works(path: string): Promise<boolean> {
  return await writeFile(path, 'again').then(
    () => true,
    () => false,
  );
}

/** Pids whose arguments name `folder`, without this process. */
async function processesOf(folder: string): Promise<readonly string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const named = await Promise.all(
    pids.map(async (pid) => {
      const words = await readFile(`/proc/${pid}/cmdline`, 'latin1').catch(() => '');
      return words.includes(folder) ? [pid] : [];
    }),
  );
  return named.flat();
}

/** The three jobs of sts-wire's scale tests, small: each verifies what it reads. */
async function runFio(
  place: string,
  blockSize: string,
  size: string,
  signal: AbortSignal,
): Promise<void> {
  const common = ['--ioengine=psync', `--bs=${blockSize}`, `--size=${size}`, '--verify=crc32c'];
  const jobs = [
    ['--name=seqwrite', '--rw=write', '--do_verify=1', '--end_fsync=1'],
    ['--name=test-rand', '--rw=randrw', '--rwmixread=75', '--randrepeat=1', '--end_fsync=1'],
  ];
  for (const job of jobs) {
    const where = [`--directory=${place}`, `--filename=${job[0]?.slice(7) ?? ''}-${blockSize}`];
    const { stdout } = await run(
      'fio',
      [...job, ...common, ...where, '--output-format=json', '--verify_fatal=1'],
      signal,
      { cwd: '/' },
    );
    const json = stdout.slice(stdout.indexOf('{'));
    const { jobs: done } = JSON.parse(json) as { readonly jobs: readonly { error: number }[] };
    expect(done.map(({ error }) => error)).toEqual([0]);
  }
}
