import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadNative } from '../../src/fuse/native.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { canMount, exists, isRoot, Scene } from '../fixtures/real-mount.ts';

describe.skipIf(!canMount)('the daemon', () => {
  it('is one, however many ask at once', async () => {
    await using scene = await Scene.open();
    await scene.login();
    const places = ['a', 'b', 'c', 'd'].map((name) => scene.place(name));
    await Promise.all(
      places.map(async (place) => await scene.mount(`s3://${scene.playground.bucket}`, place)),
    );
    const pids = await scene.daemons();
    expect([pids.length, new Set(pids).size]).toEqual([4, 1]);
    await scene.user.wire(['unmount', '--all'], scene.signal);
    while (await exists(`/proc/${String(pids[0])}`)) await systemClock.sleep(20, scene.signal);
    expect(
      (await readdir(join(scene.user.folder, 'run'))).filter((name) => name.endsWith('sock')),
    ).toEqual([]);
  });

  it('killed, its mounts are told as dead and wire remount brings them back', async () => {
    await using scene = await Scene.open();
    await scene.login();
    const { user, signal, playground } = scene;
    const place = scene.place('a');
    await scene.mount(`s3://${playground.bucket}`, place);
    await writeFile(join(place, 'x'), 'kept');
    const [pid = 0] = await scene.daemons();
    process.kill(pid, 'SIGKILL');
    while (await exists(`/proc/${pid}`)) await systemClock.sleep(20, signal);
    const { stdout } = await user.wire(['status'], signal);
    expect(stdout).toContain(`${place}: dead (s3://${playground.bucket}`);
    const again = await user.wire(['remount', '--all'], signal);
    expect(again.stdout).toBe(`Mounted s3://${playground.bucket} at ${place}, again\n`);
    expect(await readFile(join(place, 'x'), 'utf8')).toBe('kept');
    await user.wire(['unmount', place], signal);
  });

  it.runIf(isRoot)('mounts again what was cut off, and leaves the others alone', async () => {
    await using scene = await Scene.open();
    await scene.login();
    const { user, signal, playground } = scene;
    const [one, two] = [scene.place('one'), scene.place('two')];
    await scene.mount(`s3://${playground.bucket}`, one, `s3://${playground.bucket}/x`, two);
    const minor = (await stat(one)).dev & 0xff;
    const device = (await stat(two)).dev;
    expect(await loadNative().abortConnection(minor)).toBe(0);
    const told = async (): Promise<string> => (await user.wire(['status'], signal)).stdout;
    await expect.poll(told, { timeout: 20_000 }).toContain('mounted again once');
    await stat(join(one, '.'));
    expect((await stat(two)).dev).toBe(device);
    await user.wire(['unmount', '--all'], signal);
  });
});
