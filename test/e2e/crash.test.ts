import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { run } from '../../scripts/demo/programs.ts';
import { mountsBelow } from '../../scripts/demo/wire-user.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { canMount, exists, isRoot, Scene } from '../fixtures/real-mount.ts';

/** Resolves when `pid` is gone. */
async function gone(pid: number, signal: AbortSignal): Promise<void> {
  while (await exists(`/proc/${pid}`)) await systemClock.sleep(20, signal);
}

describe.skipIf(!canMount || !isRoot)('after kill -9 of the process that serves a mount', () => {
  it('the mount stays dead, and nothing lands in the folder below', async () => {
    await using scene = await Scene.open();
    await scene.login();
    const mountPoint = scene.place('bucket');
    await mkdir(mountPoint);
    await scene.mount(`s3://${scene.playground.bucket}`, mountPoint);
    const [pid = 0] = await scene.daemons();
    process.kill(pid, 'SIGKILL');
    await gone(pid, scene.signal);
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
    const [pid = 0] = await scene.daemons();
    process.kill(pid, 'SIGKILL');
    await gone(pid, scene.signal);
    const { stdout } = await scene.user.wire(['status'], scene.signal);
    expect(stdout).toMatch(/dead/);
  });

  it('the next mount takes its place in one step: the bare folder is never seen', async () => {
    await using scene = await Scene.open();
    const { user, signal, playground } = scene;
    await scene.login();
    const mountPoint = scene.place('bucket');
    await mkdir(mountPoint);
    await writeFile(join(mountPoint, 'bare'), '').catch(() => undefined);
    await run('rm', [join(mountPoint, 'bare')], signal);
    await scene.mount(`s3://${playground.bucket}`, mountPoint);
    await writeFile(join(mountPoint, 'kept'), 'safe');
    const [pid = 0] = await scene.daemons();
    const bare = (await stat(user.folder)).dev;
    process.kill(pid, 'SIGKILL');
    await gone(pid, signal);

    const watching = new AbortController();
    const seen = watchDevices(mountPoint, watching.signal);
    await scene.mount(`s3://${playground.bucket}`, mountPoint);
    watching.abort();
    expect(await seen).not.toContain(bare);
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

describe.skipIf(!canMount)('SIGTERM to the process that serves a mount', () => {
  it('unmounts, removes the folder it made, and ends', async () => {
    await using scene = await Scene.open();
    await scene.login();
    const mountPoint = scene.place('bucket');
    await scene.mount(`s3://${scene.playground.bucket}`, mountPoint);
    await writeFile(join(mountPoint, 'x'), 'y');
    const [pid = 0] = await scene.daemons();
    process.kill(pid, 'SIGTERM');
    await gone(pid, scene.signal);
    expect(await mountsBelow(scene.user.folder)).toEqual([]);
    expect(await exists(mountPoint)).toBe(false);
    const keys = scene.playground.s3.foreign.objects(scene.playground.bucket);
    expect(keys.map(({ key }) => key)).toContain('x');
  });
});
