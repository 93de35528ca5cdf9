/** What waits for the store holds nobody else up. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { FileSystem } from '../../src/fs/filesystem.ts';
import type { AttachedMount } from '../../src/fuse/linux/attached-mount.ts';
import { attachMount } from '../../src/fuse/linux/mount.ts';
import { MiB } from '../../src/lib/bytes.ts';
import { silentLog } from '../../src/lib/log.ts';
import { MemoryFileSystem } from '../fixtures/memory-filesystem.ts';
import { killed, MountFolder, runProgram, whyNoMount } from '../fixtures/mount-tools.ts';

const STALLED = 32;
const WRITERS = 80;
const STATS = 1000;
/** Rounds of which the quietest counts: other programs of the machine disturb single ones. */
const ROUNDS = 5;
/** Below this, waking up a process is all that is measured. */
const NOISE_MS = 2;

const why = await whyNoMount();
const suffix = why === undefined ? '' : ` (skipped: ${why})`;
const { signal } = new AbortController();
const WAIT = { timeout: 20_000 };

let folder: MountFolder;
let mount: AttachedMount;
let files: MemoryFileSystem;

/** Serves the memory file system with `override` in the place of some operations. */
async function serve(override: Partial<FileSystem>): Promise<void> {
  files = new MemoryFileSystem({ ttlMs: 0 });
  files.addPattern('big', 512 * MiB);
  files.addDirectory('many', STATS);
  const fileSystem = new Proxy(files, {
    get: (target, method) => {
      const own: unknown = Reflect.get(override, method);
      if (own !== undefined) return own;
      const inherited: unknown = Reflect.get(target, method);
      return typeof inherited === 'function' ? (inherited.bind(target) as unknown) : inherited;
    },
  });
  const { mountPoint } = folder;
  const options = { mountPoint, readOnly: false, allowOther: false, fsName: 'memory' };
  mount = await attachMount(options, signal);
  mount.serve(fileSystem, silentLog);
}

/** 99th percentile of the stats of a process, in ms. */
async function statsP99(): Promise<number> {
  const many = join(folder.mountPoint, 'many');
  const args = ['-e', STATTER, many, `${STATS}`];
  const { stderr, stdout } = await runProgram(process.execPath, args);
  expect(stderr).toBe('');
  return Number(stdout);
}

async function quietest(rounds: number): Promise<number> {
  let best = Infinity;
  for (let round = 0; round < rounds; round += 1) best = Math.min(best, await statsP99());
  return best;
}

describe.skipIf(why !== undefined)(`on a mount where operations are stalled${suffix}`, () => {
  beforeEach(async () => {
    folder = await MountFolder.make();
  });
  afterEach(async () => {
    await mount[Symbol.asyncDispose]();
    await folder[Symbol.asyncDispose]();
  });

  it(`${STALLED} reads that wait leave ${STATS} stats as fast as before`, async () => {
    let release = (): void => undefined;
    const released = new Promise<void>((resolve) => (release = resolve));
    let waiting = 0;
    await serve({
      // To drop a file's pages, which an open without this does, the kernel waits for reads of them.
      open: (...[inode, flags]) => ({ ...files.open(inode, flags), keepCache: true }),
      read: async (...[handle, offset, bytes]) => {
        waiting += 1;
        await released;
        waiting -= 1;
        return files.read(handle, offset, bytes);
      },
    });
    const before = await quietest(ROUNDS);
    // Half of them through the page cache with its read-ahead, half past it.
    const read = (at: number): string =>
      `dd if=big of=/dev/null bs=64k count=1 skip=${at * 100} ${at % 2 === 0 ? 'iflag=direct' : ''} &`;
    const script = Array.from({ length: STALLED }, (_, at) => read(at)).join('\n');
    const reading = runProgram('sh', ['-c', `cd ${folder.mountPoint}\n${script}\nwait`]);
    try {
      await expect.poll(() => waiting, WAIT).toBeGreaterThanOrEqual(STALLED);
      const during = await quietest(ROUNDS);
      expect(waiting).toBeGreaterThanOrEqual(STALLED);
      expect(during).toBeLessThanOrEqual(Math.max(2 * before, NOISE_MS));
    } finally {
      release();
    }
    expect((await reading).code).toBe(0);
  });

  it('a program that is told to end ends, and what it asked for is aborted', async () => {
    const asked: AbortSignal[] = [];
    let answer = (): void => undefined;
    const answered = new Promise<void>((resolve) => (answer = resolve));
    await serve({
      statfs: async (...[, context]) => {
        asked.push(context.signal);
        await answered;
        return files.statfs();
      },
      read: async (...[handle, offset, bytes, context]) => {
        asked.push(context.signal);
        await answered;
        return files.read(handle, offset, bytes);
      },
    });
    const { mountPoint } = folder;
    const ended = async (
      name: NodeJS.Signals,
      ...[file = '', ...args]: string[]
    ): Promise<void> => {
      const known = asked.length;
      const program = spawn(file, args, { stdio: 'ignore' });
      const gone = new Promise((resolve) => program.once('exit', resolve));
      try {
        await expect.poll(() => asked.length, WAIT).toBeGreaterThan(known);
      } finally {
        program.kill(name);
      }
      // Although nothing is answered.
      await gone;
    };
    try {
      await ended('SIGINT', 'stat', '-f', mountPoint);
      await ended('SIGKILL', 'stat', '-f', mountPoint);
      await expect.poll(() => asked.every(({ aborted }) => aborted), WAIT).toBe(true);
      // The page cache reads ahead in nobody's name: no program's end interrupts that.
      await ended('SIGKILL', 'cat', join(mountPoint, 'big'));
    } finally {
      answer();
    }
    await expect.poll(() => files.openHandles, WAIT).toBe(0);
    const { stdout } = await runProgram('head', ['-c', '3', join(mountPoint, 'big')]);
    expect(stdout).toBe('\0\0\0');
  });

  it(`${WRITERS} writers of 1 MiB each hold 64 MiB at most, and the rest goes on`, async () => {
    const begun: { readonly bytes: number; readonly finish: () => void }[] = [];
    let holding = 0;
    let mostHeld = 0;
    await serve({
      write: async (...[handle, offset, view, context]) => {
        const bytes = view.slice();
        holding += bytes.length;
        mostHeld = Math.max(mostHeld, holding);
        await new Promise<void>((resolve) => begun.push({ bytes: bytes.length, finish: resolve }));
        holding -= bytes.length;
        files.write(handle, offset, bytes);
        expect(context.pid).toBeGreaterThan(0);
      },
    });
    const writers = spawn('sh', ['-c', `cd ${folder.mountPoint}\n${WRITE_ALL}`], {
      stdio: 'ignore',
    });
    const done = new Promise<number | null>((resolve) => writers.once('close', resolve));
    try {
      await expect.poll(() => begun.length, WAIT).toBe(64);
      // Time for further ones to be started, were there no bound.
      expect(await statsP99()).toBeLessThan(1000);
      expect(begun.length).toBe(64);
      const finishing = expect.poll(() => {
        for (const { finish } of begun) finish();
        return begun.length;
      }, WAIT);
      await finishing.toBe(WRITERS);
      expect(await done).toBe(0);
    } finally {
      for (const { finish } of begun) finish();
      await killed(writers);
    }
    expect(mostHeld).toBe(64 * MiB);
    const { stdout } = await runProgram('sh', ['-c', `cd ${folder.mountPoint}; cat w* | wc -c`]);
    expect(Number(stdout)).toBe(WRITERS * MiB);
  });
});

const WRITE_ALL = `
for i in $(seq ${WRITERS}); do dd if=/dev/zero of=w$i bs=1M count=1 oflag=direct status=none & done
wait
`;

/** Stats each name of a folder once, in some order; prints the 99th percentile in ms. */
const STATTER = `
const { readdirSync, statSync } = require('fs');
const [folder, count] = process.argv.slice(1);
const names = readdirSync(folder).map((name) => folder + '/' + name).slice(0, count);
for (const name of names.slice(0, 100)) statSync(name);
const took = names.map((name) => {
  const start = process.hrtime.bigint();
  statSync(name);
  return Number(process.hrtime.bigint() - start) / 1e6;
});
took.sort((a, b) => a - b);
console.log(took[Math.floor(took.length * 0.99)]);
`;
