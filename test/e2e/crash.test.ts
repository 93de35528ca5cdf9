import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { run } from '../../scripts/demo/programs.ts';
import { mountsBelow } from '../../scripts/demo/wire-user.ts';
import { untilEnded } from '../fixtures/ended-process.ts';
import { canMount, exists, isRoot, Scene } from '../fixtures/real-mount.ts';

/** Ends the process that serves the mount of `scene` in no orderly way. */
async function kill(scene: Scene): Promise<void> {
  const [pid = 0] = await scene.daemons();
  process.kill(pid, 'SIGKILL');
  await untilEnded(pid, scene.signal);
}

describe.skipIf(!canMount || !isRoot)('after kill -9 of the process that serves a mount', () => {
  it('the mount stays dead, and nothing lands in the folder below', async () => {
    await using scene = await Scene.open();
    await scene.login();
    const mountPoint = scene.place('bucket');
    await mkdir(mountPoint);
    await scene.mount(`s3://${scene.playground.bucket}`, mountPoint);
    await kill(scene);
    await expect(writeFile(join(mountPoint, 'x'), 'lost?')).rejects.toMatchObject({
      code: 'ENOTCONN',
    });
    await scene.user.wire(['unmount', mountPoint], scene.signal);
    expect(await mountsBelow(scene.user.folder)).toEqual([]);
    expect(await exists(join(mountPoint, 'x'))).toBe(false);
  });

  it('status tells of the dead mount', async () => {
    await using scene = await Scene.open();
    await scene.login();
    const mountPoint = scene.place('bucket');
    await scene.mount(`s3://${scene.playground.bucket}`, mountPoint);
    await kill(scene);
    const { stdout } = await scene.user.wire(['status'], scene.signal);
    expect(stdout).toMatch(/dead/);
  });

  it('the folder that wire made goes with the dead mount', async () => {
    await using scene = await Scene.open();
    await scene.login();
    const mountPoint = scene.place('bucket');
    await scene.mount(`s3://${scene.playground.bucket}`, mountPoint);
    await kill(scene);
    await scene.user.wire(['unmount', mountPoint], scene.signal);
    expect(await exists(mountPoint)).toBe(false);
  });

  it('a mount that is refused leaves the dead one in its place', async () => {
    await using scene = await Scene.open();
    await scene.login();
    const mountPoint = scene.place('bucket');
    await mkdir(mountPoint);
    await scene.mount(`s3://${scene.playground.bucket}`, mountPoint);
    await kill(scene);
    const refused = ['mount', 's3://bob', mountPoint, ...scene.store];
    const { exitCode } = await scene.user.wire(refused, scene.signal, { allow: [8] });
    expect(exitCode).toBe(8);
    await expect(writeFile(join(mountPoint, 'x'), 'lost?')).rejects.toMatchObject({
      code: 'ENOTCONN',
    });
    await scene.mount(`s3://${scene.playground.bucket}`, mountPoint);
    await writeFile(join(mountPoint, 'x'), 'kept');
    await scene.user.wire(['unmount', mountPoint], scene.signal);
    expect(await mountsBelow(scene.user.folder)).toEqual([]);
  });

  it('the next mount takes its place in one step: the bare folder is never seen', async () => {
    await using scene = await Scene.open();
    const { user, signal, playground } = scene;
    await scene.login();
    const mountPoint = scene.place('bucket');
    await mkdir(mountPoint);
    await scene.mount(`s3://${playground.bucket}`, mountPoint);
    await writeFile(join(mountPoint, 'kept'), 'safe');
    const [pid = 0] = await scene.daemons();
    const bare = (await stat(user.folder)).dev;
    process.kill(pid, 'SIGKILL');
    await untilEnded(pid, signal);

    const watching = new AbortController();
    const seen = watchDevices(mountPoint, watching.signal);
    await scene.mount(`s3://${playground.bucket}`, mountPoint);
    watching.abort();
    const devices = await seen;
    expect(devices.length).toBeGreaterThan(0);
    expect(devices).not.toContain(bare);
    expect(await readFile(join(mountPoint, 'kept'), 'utf8')).toBe('safe');
    await user.wire(['unmount', mountPoint], signal);
    expect(await mountsBelow(user.folder)).toEqual([]);
  });
});

/** Devices that `path` was seen on until `signal` aborts; ENOTCONN counts as none. */
async function watchDevices(path: string, signal: AbortSignal): Promise<number[]> {
  const seen = new Set<number>();
  while (!signal.aborted) {
    await stat(path).then(
      ({ dev }) => seen.add(dev),
      () => undefined,
    );
  }
  return [...seen];
}

describe.skipIf(!canMount)('the process that serves a mount', () => {
  it.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)(
    'at %s saves, unmounts, removes the folder it made, and ends',
    async (name) => {
      await using scene = await Scene.open();
      await scene.login();
      const mountPoint = scene.place('bucket');
      await scene.mount(`s3://${scene.playground.bucket}`, mountPoint);
      await writeFile(join(mountPoint, 'x'), 'y');
      const [pid = 0] = await scene.daemons();
      process.kill(pid, name);
      await untilEnded(pid, scene.signal);
      expect(await mountsBelow(scene.user.folder)).toEqual([]);
      expect(await exists(mountPoint)).toBe(false);
      const keys = scene.playground.s3.foreign.objects(scene.playground.bucket);
      expect(keys.map(({ key }) => key)).toContain('x');
    },
  );

  it.each([
    ['an exception that nobody catches', "throw new Error('defect')"],
    ['a promise that nobody awaits', "Promise.reject(new Error('defect'))"],
    ['a call of process.exit', 'process.exit(3)'],
  ])('unmounts on its way out after %s', async (_, defect) => {
    await using scene = await Scene.open();
    await scene.login();
    const mountPoint = scene.place('bucket');
    await mkdir(mountPoint);
    // Brought into the real command from outside; the process in the background gets it too.
    const planted = `data:text/javascript,process.on('SIGUSR2',()=>{${defect}})`;
    const source = `s3://${scene.playground.bucket}`;
    const [node = '', ...command] = scene.user.commandLine([
      ...['mount', source, mountPoint, ...scene.store, '--daemon'],
    ]);
    const env = scene.user.environment;
    await run(node, ['--import', planted, ...command], scene.signal, { env });
    await writeFile(join(mountPoint, 'x'), 'y');
    const [pid = 0] = await scene.daemons();
    process.kill(pid, 'SIGUSR2');
    await untilEnded(pid, scene.signal);
    expect(await mountsBelow(scene.user.folder)).toEqual([]);
    // Nothing is in the way of the next one.
    await scene.mount(source, mountPoint);
    expect(await readFile(join(mountPoint, 'x'), 'utf8')).toBe('y');
    await scene.user.wire(['unmount', mountPoint], scene.signal);
  });
});
