/** Many programs on one mount at the same time. */
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { FileSystem } from '../../src/fs/filesystem.ts';
import { attachMount } from '../../src/fuse/linux/mount.ts';
import { silentLog } from '../../src/lib/log.ts';
import { type Access, type Attempt, unexplained, unfair } from '../fixtures/history.ts';
import { MemoryFileSystem } from '../fixtures/memory-filesystem.ts';
import { compileDaemon, MountFolder, runProgram, whyNoMount } from '../fixtures/mount-tools.ts';
import type { WorkerReport } from '../fixtures/mount-worker.ts';
import { Random } from '../fixtures/random.ts';

const WORKERS = 8;
const OPERATIONS = 10_000;
/** As in mount-worker, which cannot be imported: it starts to work. */
const MIXED_BYTES = 48 * 1024;
const RECORD_BYTES = 32;
/** As many as the rounds of a worker can reach. */
const THINGS = Math.ceil(OPERATIONS / WORKERS / 3 / 10);

/** Give the seed of a failure to see it again, as far as the order of processes allows. */
const SEED_VARIABLE = 'WIRE_FUSE_SEED';
const seed = Number(process.env[SEED_VARIABLE] ?? Math.floor(Math.random() * 2 ** 31));

const why = await whyNoMount();
const suffix = why === undefined ? '' : ` (skipped: ${why})`;
const workerFile = join(
  import.meta.dirname,
  ...['..', '..', 'build', 'e2e', 'test', 'fixtures', 'mount-worker.js'],
);

const { signal } = new AbortController();

let folder: MountFolder;

beforeEach(async () => {
  folder = await MountFolder.make();
});
afterEach(async () => {
  await folder[Symbol.asyncDispose]();
});

async function prepareShared(shared: string): Promise<void> {
  await mkdir(shared);
  for (const which of [0, 1, 2]) {
    await writeFile(join(shared, `whole-${which}`), Buffer.alloc(10_000, 'initial|'));
    await writeFile(join(shared, `mixed-${which}`), Buffer.alloc(MIXED_BYTES, 'initial|'));
  }
  for (let thing = 0; thing < THINGS; thing += 1) {
    await writeFile(join(shared, `taken-${thing}`), '');
    await writeFile(join(shared, `removed-${thing}`), '');
  }
}

async function work(id: number, own: string, shared: string): Promise<WorkerReport> {
  await mkdir(own);
  const args = [workerFile, own, shared, `${seed + id}`, `${OPERATIONS / WORKERS}`, `${id}`];
  const { code, stdout, stderr } = await runProgram(process.execPath, args);
  const failure = stderr.split('\n').find((line) => line.startsWith('Error'));
  expect(failure ?? '', `worker ${id} of ${SEED_VARIABLE}=${seed}`).toBe('');
  expect(code).toBe(0);
  return JSON.parse(stdout) as WorkerReport;
}

/** Lists of all reports by what they are about. */
function merged<T>(parts: readonly Readonly<Record<string, readonly T[]>>[]): Map<string, T[]> {
  const all = new Map<string, T[]>();
  for (const part of parts) {
    for (const [thing, values] of Object.entries(part)) {
      all.set(thing, [...(all.get(thing) ?? []), ...values]);
    }
  }
  return all;
}

/** The names that the winners of `attempts` leave behind. */
function expectedNames(attempts: ReadonlyMap<string, readonly Attempt[]>): string[] {
  const names = ['log', ...[0, 1, 2].flatMap((which) => [`whole-${which}`, `mixed-${which}`])];
  for (let thing = 0; thing < THINGS; thing += 1) {
    for (const kind of ['created', 'made', 'linked']) {
      if (attempts.has(`${kind}-${thing}`)) names.push(`${kind}-${thing}`);
    }
    const taken = attempts.get(`taken-${thing}`)?.find(({ won }) => won);
    names.push(taken === undefined ? `taken-${thing}` : `by-${taken.by}-${thing}`);
    if (!attempts.has(`removed-${thing}`)) names.push(`removed-${thing}`);
  }
  return names.sort();
}

/** All workers at once in the mount; throws what one of them found wrong. */
async function workTogether(): Promise<void> {
  const shared = join(folder.mountPoint, 'shared');
  await prepareShared(shared);
  const reports = await Promise.all(
    Array.from({ length: WORKERS }, (_, id) =>
      work(id, join(folder.mountPoint, `own-${id}`), shared),
    ),
  );
  expect(reports.reduce((sum, { operations }) => sum + operations, 0)).toBe(OPERATIONS);

  const attempts = merged<Attempt>(reports.map((report) => report.attempts));
  for (const [thing, all] of attempts) expect([thing, unfair(all)]).toEqual([thing, undefined]);
  const contested = [...attempts.values()].filter((all) => all.length > 1).length;
  expect(contested).toBeGreaterThan(THINGS);

  const initial: Access = { kind: 'write', value: 'initial|', start: 0, end: 0 };
  const accesses = merged<Access>(reports.map((report) => report.accesses));
  expect([...accesses.keys()]).toHaveLength(6);
  for (const [thing, all] of accesses) {
    const last = await finalAccess(join(shared, thing));
    expect([thing, unexplained([initial, ...all, last])]).toEqual([thing, undefined]);
  }

  expect((await readdir(shared)).sort()).toEqual(expectedNames(attempts));
  const log = await readFile(join(shared, 'log'), 'latin1');
  const records = Array.from({ length: log.length / RECORD_BYTES }, (_, at) =>
    log.slice(at * RECORD_BYTES, (at + 1) * RECORD_BYTES),
  );
  expect(records.sort()).toEqual(reports.flatMap(({ appended }) => appended).sort());
}

async function finalAccess(path: string): Promise<Access> {
  const start = Number(process.hrtime.bigint());
  const content = await readFile(path, 'latin1');
  const tag = `${content.split('|')[0] ?? ''}|`;
  expect(content).toBe(Buffer.alloc(content.length, tag).toString('latin1'));
  return { kind: 'read', value: tag, start, end: Number(process.hrtime.bigint()) };
}

/** `files`, which do at once what they are asked and say so a little later, or much later. */
function answeringLate(files: MemoryFileSystem, random: Random): FileSystem {
  return new Proxy(files, {
    get: (target, method) => {
      const inherited = Reflect.get(target, method) as (...args: unknown[]) => unknown;
      return (...args: unknown[]): unknown => {
        if (method === 'forget' || random.below(3) === 0) return inherited.apply(target, args);
        return late(() => inherited.apply(target, args), random.below(4));
      };
    },
  });
}

/** Bytes that are read are a view of the file: what is written meanwhile must not show. */
async function late(work: () => unknown, turns: number): Promise<unknown> {
  const result = work();
  const answer = Array.isArray(result)
    ? result.map((piece: unknown) => (piece instanceof Uint8Array ? piece.slice() : piece))
    : result;
  for (let turn = 0; turn < turns; turn += 1) {
    await new Promise((resolve) => setImmediate(resolve));
  }
  return answer;
}

const scaled = `${OPERATIONS} operations of ${WORKERS} programs (${SEED_VARIABLE}=${seed})`;

describe.skipIf(why !== undefined)(`${scaled}${suffix}`, () => {
  beforeAll(async () => {
    await compileDaemon();
  });

  it('find what a model says, each in its own folder, and one order explains the shared one', async () => {
    await folder.startDaemon(['no', '0', '0']);
    await workTogether();
  });

  it('do so when answers come late and out of order; the kernel gives every reference back', async () => {
    const options = {
      ...{ mountPoint: folder.mountPoint, readOnly: false },
      ...{ allowOther: false, fsName: 'memory' },
    };
    const files = new MemoryFileSystem();
    const mount = await attachMount(options, signal);
    try {
      mount.serve(answeringLate(files, new Random(seed)), silentLog);
      await workTogether();
      // A remount makes the kernel drop what it remembers of this file system only.
      await runProgram('mount', ['-i', '-o', 'remount,rw', folder.mountPoint]);
      await expect.poll(() => files.lookups, { timeout: 10_000 }).toBe(0);
      expect(files.openHandles).toBe(0);
      expect(files.knownInodes).toBe(await countNames(folder.mountPoint));
    } finally {
      await mount[Symbol.asyncDispose]();
    }
  });
});

/** Different inodes below `path`. */
async function countNames(path: string): Promise<number> {
  const { stdout } = await runProgram('find', [path, '-mindepth', '1', '-printf', '%i\\n']);
  return new Set(stdout.trim().split('\n')).size;
}
