/** Writing through a real mount while something is against it: rights, quotas, disks, logins, lines. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { run } from '../../scripts/demo/programs.ts';
import { MiB } from '../../src/lib/bytes.ts';
import { canMount, isRoot, Scene } from '../fixtures/real-mount.ts';

/** `WIRE_AWAY_SECONDS=60` for the long run. */
const AWAY_MS = Number(process.env['WIRE_AWAY_SECONDS'] ?? 8) * 1000;
const POLL = { timeout: 30_000, interval: 250 };
/** An upload of this lasts for seconds at `LINE_BYTES_PER_SECOND`. */
const LONG_BYTES = 200 * MiB;
const LINE_BYTES_PER_SECOND = 40 * MiB;

/** Logs in and mounts; returns where. */
async function mounted(scene: Scene, ...more: readonly string[]): Promise<string> {
  await scene.login();
  const mountPoint = scene.place('bucket');
  await scene.mount(`s3://${scene.playground.bucket}`, mountPoint, ...more);
  return mountPoint;
}

/** Errors of the system by their name: Node knows no code for some. */
async function errnoOf(work: Promise<unknown>): Promise<number> {
  return await work.then(
    () => 0,
    (error: unknown) => Math.abs((error as NodeJS.ErrnoException).errno ?? 0),
  );
}

const EACCES = 13;
const ENOSPC = 28;
const EDQUOT = 122;

/** Of Linux's dd: what it says, and how it ended. */
class Copy {
  readonly child: ChildProcess;
  readonly ended: Promise<{ readonly code: number | null; readonly stderr: string }>;

  constructor(from: string, to: string) {
    const args = [`if=${from}`, `of=${to}`, 'bs=1M', 'status=none'];
    this.child = spawn('dd', args, { stdio: ['ignore', 'ignore', 'pipe'] });
    let stderr = '';
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    this.ended = new Promise((resolve) =>
      this.child.once('close', (code) => resolve({ code, stderr })),
    );
  }
}

function hashOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Bytes that no part has twice; returns their hash. */
async function makeSource(path: string, bytes: number): Promise<string> {
  const content = Buffer.alloc(bytes, 'source');
  for (let at = 0; at < bytes; at += 4096) content.writeUInt32LE(at, at);
  await writeFile(path, content);
  return hashOf(content);
}

async function hashInBucket({ playground }: Scene, key: string): Promise<string | undefined> {
  const bytes = await playground.s3.foreign.getObject(playground.bucket, key);
  return bytes === undefined ? undefined : hashOf(bytes);
}

describe.skipIf(!canMount)('a mount that may only read', () => {
  it('gives EACCES to who writes, and asks the store once, however long the file', async () => {
    await using scene = await Scene.open();
    await scene.login();
    const { playground, user, signal } = scene;
    const mountPoint = scene.place('bucket');
    const { endpoint, audience, roles, bucket } = playground;
    playground.s3.foreign.putObject(bucket, 'there', 'from somebody else');
    const store = ['--endpoint', endpoint, '--audience', audience, '--role', roles['read-only']];
    await user.wire(
      ['mount', `s3://${bucket}`, mountPoint, ...store, '--mkdir', '--daemon'],
      signal,
    );
    const { counters } = playground.s3;
    counters.reset();
    const files = 20;
    for (let nth = 0; nth < files; nth += 1) {
      expect(await errnoOf(writeFile(join(mountPoint, `new-${nth}`), 'x'))).toBe(EACCES);
    }
    expect(await errnoOf(writeFile(join(mountPoint, 'there'), 'x'))).toBe(EACCES);
    expect(counters.requests('PutObject')).toBe(files + 1);
    const long = Buffer.alloc(24 * MiB, 'x');
    expect(await errnoOf(writeFile(join(mountPoint, 'long'), long))).toBe(EACCES);
    // While it is being written: the close tells what was said then.
    expect(counters.requests('CreateMultipartUpload')).toBe(1);
    expect(counters.requests('UploadPart')).toBe(0);
    expect(await readFile(join(mountPoint, 'there'), 'utf8')).toBe('from somebody else');
    expect(playground.s3.foreign.objects(bucket).map(({ key }) => key)).toEqual(['there']);
    await user.wire(['unmount', mountPoint], signal, { allow: [12] });
  });
});

describe.skipIf(!canMount)('a store without room', () => {
  it.each([
    ['a quota of Ceph RGW', 403, 'QuotaExceeded', EDQUOT],
    ['a quota of MinIO', 400, 'XMinioAdminBucketQuotaExceeded', EDQUOT],
    ['full disks', 507, 'XMinioStorageFull', ENOSPC],
  ] as const)('says so at close, once: %s', async (_, status, code, errno) => {
    await using scene = await Scene.open();
    const mountPoint = await mounted(scene);
    const { s3, bucket } = scene.playground;
    const refusal = { status, code };
    s3.faults.failNext(10, { operation: 'PutObject', ...refusal });
    s3.faults.failNext(10, { operation: 'UploadPart', ...refusal });
    s3.counters.reset();
    expect(await errnoOf(writeFile(join(mountPoint, 'short'), 'x'))).toBe(errno);
    expect(s3.counters.requests('PutObject')).toBe(1);
    expect(await errnoOf(writeFile(join(mountPoint, 'long'), Buffer.alloc(24 * MiB)))).toBe(errno);
    s3.faults.clear();
    // Nothing of it takes room in the store.
    await expect.poll(() => s3.foreign.uploads(bucket), POLL).toEqual([]);
    await writeFile(join(mountPoint, 'later'), 'there is room again');
    expect(await hashInBucket(scene, 'later')).toBe(hashOf(Buffer.from('there is room again')));
    const { stdout } = await scene.user.wire(['status'], scene.signal);
    expect(stdout).toContain('short');
    await scene.user.wire(['unmount', mountPoint], scene.signal, { allow: [12] });
  });
});

/** Writes a file from its end to its start, which nobody can upload meanwhile; says the errno. */
const BACKWARDS = `
const { closeSync, openSync, writeSync } = require('node:fs');
const [, path, mib] = process.argv;
const file = openSync(path, 'w');
const piece = Buffer.alloc(1048576, 'x');
let errno = 0;
try {
  for (let at = Number(mib) - 1; at >= 0; at -= 1) writeSync(file, piece, 0, piece.length, at * piece.length);
} catch (error) {
  errno = error.errno;
}
try {
  closeSync(file);
} catch (error) {
  errno ||= error.errno;
}
process.stdout.write(String(Math.abs(errno)));`;

describe.skipIf(!canMount || !isRoot)('a full local disk', () => {
  it('gives ENOSPC to who needs it, loses nothing that was saved, and goes on where there is room', async () => {
    await using scene = await Scene.open();
    await scene.login();
    const { playground, user, signal } = scene;
    const staging = join(user.folder, 'state', 'staging');
    await mkdir(staging, { recursive: true, mode: 0o700 });
    await run('mount', ['-t', 'tmpfs', '-o', 'size=6m,mode=0700', 'tmpfs', staging], signal);
    const mountPoint = scene.place('bucket');
    await scene.mount(`s3://${playground.bucket}`, mountPoint);
    const write = async (name: string, mib: number): Promise<number> => {
      const args = ['-e', BACKWARDS, join(mountPoint, name), String(mib)];
      return Number((await run(process.execPath, args, signal)).stdout);
    };
    await writeFile(join(mountPoint, 'before'), 'saved before');
    expect(await write('large', 24)).toBe(ENOSPC);
    expect(await readFile(join(mountPoint, 'before'), 'utf8')).toBe('saved before');
    expect(await hashInBucket(scene, 'before')).toBe(hashOf(Buffer.from('saved before')));
    // What could not be written takes no room from others.
    expect(await write('small', 1)).toBe(0);
    expect(await hashInBucket(scene, 'small')).toBe(hashOf(Buffer.alloc(MiB, 'x')));
    await user.wire(['unmount', mountPoint], signal, { allow: [12] });
  });
});

describe.skipIf(!canMount)('an upload that is under way', () => {
  it('goes on by the next login when its own has ended', async () => {
    const short = { accessTokenSeconds: 4, leaseSeconds: 3 };
    await using scene = await Scene.open(short);
    const mountPoint = await mounted(scene, '--expiry-wait', '90s');
    const { iam, s3 } = scene.playground;
    const source = scene.place('source');
    const hash = await makeSource(source, LONG_BYTES);
    s3.faults.bytesPerSecond = LINE_BYTES_PER_SECOND;
    const copy = new Copy(source, join(mountPoint, 'long'));
    const isUnderWay = (): number => s3.counters.requests('UploadPart');
    await expect.poll(isUnderWay, POLL).toBeGreaterThan(1);
    iam.revokeAll();
    const needsLogin = async (): Promise<string> =>
      (await scene.user.wire(['status'], scene.signal)).stdout;
    await expect.poll(needsLogin, POLL).toMatch(/degraded: identity/);
    expect(copy.child.exitCode).toBeNull();
    s3.faults.clear();
    await scene.login();
    expect(await copy.ended).toEqual({ code: 0, stderr: '' });
    expect(await hashInBucket(scene, 'long')).toBe(hash);
    await scene.user.wire(['unmount', mountPoint], scene.signal);
  });

  it('outlasts a store that is away', async () => {
    await using scene = await Scene.open();
    const mountPoint = await mounted(scene);
    const { s3, bucket } = scene.playground;
    const source = scene.place('source');
    const hash = await makeSource(source, 64 * MiB);
    s3.faults.bytesPerSecond = LINE_BYTES_PER_SECOND;
    const copy = new Copy(source, join(mountPoint, 'long'));
    await expect.poll(() => s3.counters.requests('UploadPart'), POLL).toBeGreaterThan(1);
    s3.faults.clear();
    s3.faults.resetNext(100_000);
    await sleep(AWAY_MS);
    expect(copy.child.exitCode).toBeNull();
    s3.faults.clear();
    expect(await copy.ended).toEqual({ code: 0, stderr: '' });
    expect(await hashInBucket(scene, 'long')).toBe(hash);
    expect(s3.foreign.uploads(bucket)).toEqual([]);
    await scene.user.wire(['unmount', mountPoint], scene.signal);
  });
});
