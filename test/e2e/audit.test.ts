import { mkdir, readFile, rename, rm, stat, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Status } from '../../src/daemon/status.ts';
import { canMount, Scene } from '../fixtures/real-mount.ts';

interface Line {
  readonly action: string;
  readonly key: string;
  readonly outcome: string;
  readonly sub: string;
  readonly etag?: string;
}

async function linesOf(path: string): Promise<readonly Line[]> {
  const text = await readFile(path, 'utf8');
  return text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Line);
}

describe.skipIf(!canMount)('the audit log', () => {
  it('tells of every change of the bucket, whose it was and what became of it', async () => {
    await using scene = await Scene.open();
    await scene.login();
    const { user, signal, playground } = scene;
    const { bucket, s3, issuer } = playground;
    const mount = scene.place('bucket');
    await scene.mount(`s3://${bucket}`, mount);
    await mkdir(join(mount, 'd'));
    await writeFile(join(mount, 'd/short'), 'hello');
    await writeFile(join(mount, 'd/long'), Buffer.alloc(20 * 1024 * 1024, 'x'));
    await rename(join(mount, 'd/short'), join(mount, 'moved'));
    await unlink(join(mount, 'd/long'));
    s3.faults.failNext(20, { operation: 'PutObject', status: 403, code: 'AccessDenied' });
    await expect(writeFile(join(mount, 'refused'), 'x')).rejects.toThrow();
    s3.faults.clear();

    const path = join(user.folder, 'state', 'audit.log');
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    const lines = await linesOf(path);
    const did = lines.map(({ action, key, outcome }) => `${action} ${key} ${outcome}`);
    for (const one of [
      ...['put d/ done', 'put d/short done', 'complete-upload d/long done', 'copy moved done'],
      ...['delete d/short done', 'delete d/long done', 'put refused access-denied'],
    ]) {
      expect(did).toContain(one);
    }
    const who = { issuer, source: 'login', mount, bucket, sub: lines[0]?.sub };
    expect(who.sub).toMatch(/\S/);
    for (const line of lines) expect(line).toMatchObject(who);
    const etag = s3.foreign.objects(bucket).find(({ key }) => key === 'moved')?.etag;
    const copied = lines.find(({ action }) => action === 'copy');
    expect(copied).toMatchObject({ from: 'd/short', bytes: 5, etag: `"${etag}"` });
    // Nobody's secrets, and no content.
    expect(await readFile(path, 'utf8')).not.toMatch(/eyJ|hello/);
    await user.wire(['unmount', mount], signal, { allow: [12] });
  });

  it('has every change that a program was told of when the process is killed', async () => {
    await using scene = await Scene.open();
    await scene.login();
    const mount = scene.place('bucket');
    const path = scene.place('my-audit.log');
    await scene.mount(`s3://${scene.playground.bucket}`, mount, '--audit-log', path);
    for (let at = 0; at < 10; at += 1) await writeFile(join(mount, `f${at}`), `${at}`);
    const [pid = 0] = await scene.daemons();
    process.kill(pid, 'SIGKILL');
    const kept = (await linesOf(path)).filter(({ action }) => action === 'put');
    const keys = new Set(kept.map(({ key }) => key));
    for (let at = 0; at < 10; at += 1) expect(keys).toContain(`f${at}`);
    await scene.user.wire(['unmount', mount], scene.signal);
    await rm(path);
  });

  it('that cannot be written stops no change and is told; one that was named and cannot be is refused', async () => {
    await using scene = await Scene.open();
    await scene.login();
    const { user, signal, playground } = scene;
    const mount = scene.place('bucket');
    // No room for a line (full(4)).
    await scene.mount(`s3://${playground.bucket}`, mount, '--audit-log', '/dev/full');
    await writeFile(join(mount, 'thesis'), 'years of work');
    const { stdout } = await user.wire(['status'], signal);
    expect(stdout).toMatch(/\d changes are not in the audit log \/dev\/full/);
    const log = await readFile(join(user.folder, 'state', 'wire.log'), 'utf8');
    expect(log.match(/"event":"audit log not written"/g)).toHaveLength(1);
    await user.wire(['unmount', mount], signal);
    expect(await playground.s3.foreign.getObject(playground.bucket, 'thesis')).toBeDefined();

    await scene.mount(`s3://${playground.bucket}`, mount, '--audit-log', 'off');
    await writeFile(join(mount, 'x'), 'x');
    const json = await user.wire(['status', '--json'], signal);
    expect((JSON.parse(json.stdout) as Status).processes?.[0]).not.toHaveProperty('auditLog');
    await expect(stat(join(user.folder, 'state', 'audit.log'))).rejects.toThrow('ENOENT');
    await user.wire(['unmount', mount], signal);
    const args = ['mount', `s3://${playground.bucket}`, mount, ...scene.store, '--mkdir'];
    const refused = await user.wire([...args, '--audit-log', '/proc/none'], signal, { allow: [6] });
    expect(refused.stderr).toMatch(
      /cannot note changes of buckets in \/proc\/none: \w+; name a file/,
    );
  });
});
