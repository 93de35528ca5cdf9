import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, expect, it } from 'vitest';
import { run } from '../../scripts/demo/programs.ts';
import type { LiveMountStatus, Status } from '../../src/daemon/status.ts';
import { canMount, Scene } from '../fixtures/real-mount.ts';

async function statusOf(scene: Scene): Promise<Status> {
  const { stdout } = await scene.user.wire(['status', '--json'], scene.signal);
  return JSON.parse(stdout) as Status;
}

function workOf(status: Status, mountPoint: string): NonNullable<LiveMountStatus['work']> {
  const mount = status.mounts.find((one) => one.mountPoint === mountPoint) as LiveMountStatus;
  if (mount.work === undefined) throw new Error('no work is told');
  return mount.work;
}

async function accessesOf(log: string): Promise<readonly unknown[]> {
  const lines = (await readFile(log, 'utf8')).trimEnd().split('\n');
  return lines.map((line) => JSON.parse(line) as unknown);
}

describe.skipIf(!canMount)('wire status', () => {
  it('tells what was done on a mount, how long it took, what was refused, and each operation on request', async () => {
    await using scene = await Scene.open();
    await scene.login();
    const mountPoint = scene.place('bucket');
    const log = scene.place('access.log');
    await scene.mount(`s3://${scene.playground.bucket}`, mountPoint, '--access-log', log);
    const before = workOf(await statusOf(scene), mountPoint);
    await writeFile(join(mountPoint, 'one'), Buffer.alloc(300_000, 'x'));
    await expect(readFile(join(mountPoint, 'absent'))).rejects.toThrow('ENOENT');
    scene.playground.s3.faults.failNext(20, {
      operation: 'PutObject',
      status: 403,
      code: 'AccessDenied',
    });
    await expect(writeFile(join(mountPoint, 'refused'), 'x')).rejects.toThrow();
    scene.playground.s3.faults.clear();

    const status = await statusOf(scene);
    expect(status.processes).toMatchObject([{ accessLog: log }]);
    const { operations, requests, traffic } = workOf(status, mountPoint);
    const one = (works: typeof operations, name: string): (typeof operations)[number] | undefined =>
      works.find((each) => each.name === name);
    expect(traffic.writtenBytes - before.traffic.writtenBytes).toBe(300_001);
    expect(traffic.sent.bytes - before.traffic.sent.bytes).toBe(300_000);
    expect(traffic.sent.bytesPerSecond).toBeGreaterThan(0);
    expect(one(operations, 'LOOKUP')?.errors?.['ENOENT']).toBeGreaterThan(0);
    expect(one(requests, 'put')).toMatchObject({
      errors: { 'access-denied': expect.any(Number) as number },
    });
    for (const { count, sumMs, p50Ms, p99Ms, maxMs } of [...operations, ...requests]) {
      expect(count).toBeGreaterThan(0);
      expect(p50Ms).toBeLessThanOrEqual(p99Ms);
      expect(p99Ms).toBeLessThanOrEqual(maxMs);
      expect(maxMs).toBeLessThanOrEqual(sumMs);
    }

    const { stdout } = await scene.user.wire(['status'], scene.signal);
    expect(stdout).toMatch(/^ {2}writes {2}293\.0 KiB, 293\.0 KiB to the store/m);
    expect(stdout).toMatch(/^ {2}errors {2}.*put access-denied \d+/m);
    expect(stdout).toMatch(/^ {2}files {3}\w+ [\d.]+ \S+ \/ .* \(p50 \/ p99\)$/m);
    const table = await scene.user.wire(['status', '--latency'], scene.signal);
    expect(table.stdout).toMatch(/^ +count +p50 +p99 +max$/m);
    expect(table.stdout).toMatch(/^ {2}store put +\d/m);

    await mkdir(join(mountPoint, 'd'));
    await rename(join(mountPoint, 'one'), join(mountPoint, 'd/moved'));
    await scene.user.wire(['unmount', mountPoint], scene.signal, { allow: [12] });
    const told = await accessesOf(log);
    for (const one of [
      { op: 'mkdir', path: 'd', errno: null },
      { op: 'write', path: 'one', offset: 0, bytes: expect.any(Number) as number },
      { op: 'rename', path: 'one', to: 'd/moved', uid: process.getuid?.() },
      { op: 'lookup', path: 'absent', errno: 'ENOENT' },
      { op: 'flush', path: 'refused', errno: 'EACCES' },
    ]) {
      expect(told).toContainEqual(expect.objectContaining(one));
    }
  });

  it('--watch tells what changes, until it is interrupted, and ends with whoever read it', async () => {
    await using scene = await Scene.open();
    await scene.login();
    const mountPoint = scene.place('bucket');
    await scene.mount(`s3://${scene.playground.bucket}`, mountPoint);
    const [program = '', ...args] = scene.user.commandLine([
      ...['status', '--watch', '--json', '--interval', '0.2'],
    ]);
    const watching = spawn(program, args, {
      env: { ...process.env, ...scene.user.environment },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const ended = once(watching, 'close');
    let looks = 0;
    for await (const line of createInterface({ input: watching.stdout })) {
      const { traffic } = workOf(JSON.parse(line) as Status, mountPoint);
      looks += 1;
      if (looks === 1) await writeFile(join(mountPoint, 'x'), 'four');
      if (traffic.writtenBytes === 4) watching.kill('SIGINT');
    }
    expect(await ended).toEqual([0, null]);

    const command = scene.user.commandLine(['status', '--watch', '--interval', '0.1']).join(' ');
    const head = await run('sh', ['-c', `${command} | head -1`], scene.signal, {
      env: scene.user.environment,
    });
    expect(head.stdout).toMatch(/^\d\d:\d\d:\d\d\n$/);
    await scene.user.wire(['unmount', mountPoint], scene.signal);

    // To answer an access to its own log a mount would have to wait for itself.
    const again = [
      'mount',
      `s3://${scene.playground.bucket}`,
      mountPoint,
      ...scene.store,
      '--mkdir',
    ];
    for (const flag of ['--access-log', '--audit-log']) {
      const inside = [...again, flag, join(mountPoint, 'log')];
      const { stderr } = await scene.user.wire(inside, scene.signal, { allow: [6] });
      expect(stderr).toMatch(/would lie in it/);
    }
  });
});
