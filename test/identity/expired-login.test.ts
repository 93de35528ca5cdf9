/** What programs on a mount see when the login behind it has ended, and how it heals. */
import { type ChildProcess, spawn } from 'node:child_process';
import { type FileHandle, open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { PlaygroundOptions } from '../../src/demo/playground.ts';
import { MiB } from '../../src/lib/bytes.ts';
import { canMount, Scene } from '../fixtures/real-mount.ts';

const dialects: readonly (PlaygroundOptions & { readonly name: string })[] = [
  { name: 'standard, aws', iamDialect: 'standard', storeDialect: 'aws' },
  { name: 'indigo, minio', iamDialect: 'indigo', storeDialect: 'minio' },
  { name: 'indigo, rgw', iamDialect: 'indigo', storeDialect: 'rgw' },
];

/** All times are short, so that a death takes seconds: the life of a token, and of a lease. */
const SHORT = { accessTokenSeconds: 4, leaseSeconds: 3 };
/** As given to `--expiry-wait`. */
const WAIT_MS = 3000;
/** EKEYEXPIRED of Linux (`errno.h`); Node has no name for it. */
const EKEYEXPIRED = -127;
const TEXT = 'kept through the end of the login';
/** Each look starts a command, on a machine that may have other things to do. */
const POLL = { timeout: 30_000, interval: 500 };

interface MountFacts {
  readonly mountPoint: string;
  readonly degraded?: string;
  readonly degradedReason?: string;
  readonly credentialsUntilMs?: number;
  readonly unsavedFiles: number;
  readonly failures: readonly { readonly name: string; readonly keptAt?: string }[];
}

async function facts(scene: Scene): Promise<MountFacts> {
  const { stdout } = await scene.user.wire(['status', '--json'], scene.signal);
  const { mounts } = JSON.parse(stdout) as { mounts: readonly MountFacts[] };
  // Others on this machine may have mounts too.
  const mount = mounts.find(({ mountPoint }) => mountPoint.startsWith(scene.user.folder));
  if (mount === undefined) throw new Error('there is no mount');
  return mount;
}

/** The login is revoked at the provider, and the last lease is over. */
async function die(scene: Scene): Promise<void> {
  scene.playground.iam.revokeAll();
  const isOver = async (): Promise<boolean> => {
    const { degradedReason = '', credentialsUntilMs = 0 } = await facts(scene);
    return degradedReason.includes('wire login') && credentialsUntilMs < Date.now();
  };
  await expect.poll(isOver, POLL).toBe(true);
}

/** A program with what it says. */
class Program {
  readonly child: ChildProcess;
  readonly ended: Promise<{ readonly code: number | null; readonly stderr: string }>;

  constructor(file: string, args: readonly string[]) {
    const child = spawn(file, args, { stdio: ['pipe', 'ignore', 'pipe'] });
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    this.child = child;
    this.ended = new Promise((resolve) => child.once('close', (code) => resolve({ code, stderr })));
  }
}

/**
 * Writes to a file and closes it when its input ends; says the errno of the close. A process of
 * its own: starting a program closes what is open for writing in between fork and exec, and the
 * playground, which would have to answer that, lives in this one.
 */
const WRITER = `
const { closeSync, openSync, writeSync } = require('node:fs');
const [, path, text] = process.argv;
const file = openSync(path, 'w');
writeSync(file, text);
process.stdin.resume().on('end', () => {
  try {
    closeSync(file);
    process.stderr.write('saved');
  } catch (error) {
    process.stderr.write('errno ' + error.errno);
  }
});`;

/** Writes and reads files until its input ends, or an error ends it, and says how often it did. */
const WORKER = `
const { readFileSync, writeFileSync } = require('node:fs');
const [, folder] = process.argv;
let round = 0;
const work = () => {
  const path = folder + '/file-' + round;
  writeFileSync(path, 'round ' + round);
  if (readFileSync(path, 'utf8') !== 'round ' + round) throw new Error(path);
  round += 1;
};
const working = setInterval(work, 50);
process.stdin.resume().on('end', () => {
  clearInterval(working);
  process.stderr.write(round + ' rounds');
});`;

/** `work`'s result, and how long it took. */
async function timed<T>(
  work: () => Promise<T>,
): Promise<{ readonly value: T; readonly ms: number }> {
  const started = performance.now();
  return { value: await work(), ms: performance.now() - started };
}

/** A mount with a file that was read, one that was not, and one that is being written. */
async function scenario(
  options: PlaygroundOptions,
  expiryWait: string,
  run: (it: Scenario) => Promise<void>,
): Promise<void> {
  await using scene = await Scene.open({ ...options, ...SHORT });
  const { playground, user, signal } = scene;
  const { bucket } = playground;
  playground.s3.foreign.putObject(bucket, 'read', Buffer.alloc(2 * MiB, 'r'));
  playground.s3.foreign.putObject(bucket, 'unread', 'never read before');
  await scene.login();
  const mountPoint = scene.place('bucket');
  await scene.mount(`s3://${bucket}`, mountPoint, '--expiry-wait', expiryWait);
  const reading = await open(join(mountPoint, 'read'));
  await reading.read(Buffer.alloc(MiB), 0, MiB, 0);
  const writing = new Program(process.execPath, ['-e', WRITER, join(mountPoint, 'written'), TEXT]);
  try {
    await expect.poll(async () => (await facts(scene)).unsavedFiles, POLL).toBe(1);
    await run({ scene, mountPoint, reading, writing });
  } finally {
    await reading.close();
    writing.child.kill('SIGKILL');
    await writing.ended;
  }
  await user.wire(['unmount', mountPoint], signal);
}

interface Scenario {
  readonly scene: Scene;
  readonly mountPoint: string;
  /** Its first MiB is in memory. */
  readonly reading: FileHandle;
  /** Has written `TEXT`, and closes its file when its input ends. */
  readonly writing: Program;
}

function objectNames({ playground }: Scene): readonly string[] {
  return playground.s3.foreign.objects(playground.bucket).map(({ key }) => key);
}

describe.skipIf(!canMount)('a mount whose login has ended', () => {
  it.each(dialects)('stays, says so, and is healed by wire login ($name)', async (options) => {
    await scenario(options, `${WAIT_MS / 1000}s`, async (given) => {
      const { scene, mountPoint, reading, writing } = given;
      const { playground, user, signal } = scene;
      await die(scene);
      expect(await facts(scene)).toMatchObject({ degraded: 'identity' });
      const { stdout } = await user.wire(['status'], signal);
      expect(stdout).toMatch(/degraded: identity \(.*wire login/);
      playground.iam.resetCounters();

      // Who needs the store waits, then is told why.
      const cat = new Program('cat', [join(mountPoint, 'unread')]);
      const { value: refused, ms } = await timed(async () => await cat.ended);
      expect(refused.stderr).toContain('Key has expired');
      expect(ms).toBeGreaterThan(WAIT_MS - 500);
      expect(ms).toBeLessThan(WAIT_MS + 20_000);

      // Meanwhile what is in memory is read as ever.
      const waiting = new Program('cat', [join(mountPoint, 'unread')]);
      await sleep(200);
      const cached = await timed(async () => await reading.read(Buffer.alloc(MiB), 0, MiB, 0));
      expect(cached.value.bytesRead).toBe(MiB);
      expect(cached.value.buffer.every((byte) => byte === 'r'.charCodeAt(0))).toBe(true);
      expect(cached.ms).toBeLessThan(WAIT_MS);
      expect(waiting.child.exitCode).toBeNull();

      // A close that cannot save keeps the bytes.
      writing.child.stdin?.end();
      expect((await writing.ended).stderr).toBe(`errno ${EKEYEXPIRED}`);
      const unsaved = await facts(scene);
      expect(unsaved.unsavedFiles).toBe(1);
      expect(unsaved.failures).toMatchObject([{ name: 'written' }]);
      expect(objectNames(scene)).not.toContain('written');
      expect((await waiting.ended).code).not.toBe(0);
      // The provider was left in peace: a dead token is not tried by each who waits.
      expect(playground.iam.counters().token).toBeLessThanOrEqual(3);

      await scene.login();
      await expect
        .poll(async () => (await facts(scene)).degraded, { timeout: 5000, interval: 100 })
        .toBeUndefined();
      expect(await readFile(join(mountPoint, 'unread'), 'utf8')).toBe('never read before');
      await expect
        .poll(() => objectNames(scene), { timeout: 10_000, interval: 100 })
        .toContain('written');
      const saved = await playground.s3.foreign.getObject(playground.bucket, 'written');
      expect(String(saved)).toBe(TEXT);
      expect(await facts(scene)).toMatchObject({ unsavedFiles: 0, failures: [] });
    });
  });

  it('lets a reader that waits be interrupted, and go on by a login', async () => {
    await scenario({ iamDialect: 'indigo', storeDialect: 'rgw' }, '60s', async (given) => {
      const { scene, mountPoint } = given;
      await die(scene);
      const unread = join(mountPoint, 'unread');
      const impatient = new Program('cat', [unread]);
      const patient = new Program('cat', [unread]);
      await sleep(500);
      impatient.child.kill('SIGINT');
      const { ms } = await timed(async () => await impatient.ended);
      expect(ms).toBeLessThan(1000);
      expect(impatient.child.signalCode).toBe('SIGINT');
      expect(patient.child.exitCode).toBeNull();
      await scene.login();
      const { value, ms: healedMs } = await timed(async () => await patient.ended);
      expect(value).toEqual({ code: 0, stderr: '' });
      expect(healedMs).toBeLessThan(3000);
    });
  });
});

describe.skipIf(!canMount)('a mount whose provider is down for a while', () => {
  it.each(['standard', 'indigo'] as const)(
    'works on without an error while its lease lives (%s)',
    async (iamDialect) => {
      const lives = { accessTokenSeconds: 4, leaseSeconds: 20 };
      await using scene = await Scene.open({ iamDialect, storeDialect: 'rgw', ...lives });
      const { playground, user, signal } = scene;
      await scene.login();
      const mountPoint = scene.place('bucket');
      await scene.mount(`s3://${playground.bucket}`, mountPoint);
      playground.iam.addFault({ endpoint: 'any', times: 10_000, drop: 'before' });
      const working = new Program(process.execPath, ['-e', WORKER, mountPoint]);
      try {
        // Renewals are due at three quarters of the lease, and fail from then on.
        const reason = async (): Promise<string> =>
          (await facts(scene)).degradedReason ?? 'nothing yet';
        await expect.poll(reason, POLL).toContain('the connection broke off');
        expect((await facts(scene)).degraded).toBe('identity');
        playground.iam.clearFaults();
        const degraded = async (): Promise<unknown> => (await facts(scene)).degraded;
        await expect.poll(degraded, POLL).toBeUndefined();
      } finally {
        working.child.stdin?.end();
      }
      const { code, stderr } = await working.ended;
      expect([code, stderr]).toEqual([0, expect.stringMatching(/^\d+ rounds$/)]);
      expect(Number.parseInt(stderr, 10)).toBeGreaterThan(10);
      await user.wire(['unmount', mountPoint], signal);
    },
  );
});
