import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MiB } from '../../../src/lib/bytes.ts';
import { systemClock } from '../../../src/lib/clock.ts';
import { compileTo } from '../../fixtures/compiled.ts';
import { Random } from '../../fixtures/random.ts';
import { dyingObjects } from './disk-dying-objects.ts';
import { blocksOf, countGiven, DiskBench, diskBytes, signal, writeAll } from './disk-fixture.ts';

const HERE = 'test/unit/cache';
/** More than a writer needs for all of its objects' first blocks. */
const MAX_CALLS = 60;

let code: string;
beforeAll(async () => {
  code = await mkdtemp(path.join(tmpdir(), 'wire-killed-'));
  const files = ['disk-writer-process', 'disk-dying-objects', 'disk-fixture'];
  await compileTo(code, ['src/cache', 'src/lib', ...files.map((name) => `${HERE}/${name}.ts`)]);
  await symlink(path.resolve('native'), path.join(code, 'native'));
});
afterAll(async () => await rm(code, { recursive: true, force: true }));

interface Writer {
  /** Resolves when it has printed something; rejects when it ended before. */
  readonly begun: Promise<unknown>;
  /** The signal that ended it. */
  readonly ended: Promise<NodeJS.Signals | null>;
  readonly kill: () => void;
}

function startWriter(folder: string, how: string, deadly: number): Writer {
  const script = path.join(code, HERE, 'disk-writer-process.js');
  const words = [script, folder, how, String(deadly)];
  const child = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(child, 'exit').then(([, by]) => by as NodeJS.Signals | null);
  child.stdout.resume();
  return {
    begun: once(child.stdout, 'data', { signal: AbortSignal.timeout(20_000) }),
    ended,
    kill: () => child.kill('SIGKILL'),
  };
}

const keyOf = (how: string): { key: Uint8Array } | object =>
  how === 'sealed' ? { key: Buffer.alloc(32, 7) } : {};

/** All that is there is right, and there is room for more. */
async function expectUsable(bench: DiskBench, how: string): Promise<number> {
  const cache = await bench.cache({ quotaBytes: 64 * MiB, ...keyOf(how) });
  let found = 0;
  for (const object of dyingObjects) found += await countGiven(cache, object);
  for (const object of dyingObjects) {
    await writeAll(cache, object);
    expect(await countGiven(cache, object)).toBe(blocksOf(object));
  }
  return found;
}

describe.each(['clear', 'sealed'])('a process killed while it keeps blocks (%s)', (how) => {
  it('before any of its system calls leaves a cache that works', async () => {
    let most = 0;
    for (let deadly = 1; deadly <= MAX_CALLS; deadly += how === 'sealed' ? 7 : 2) {
      await using bench = await DiskBench.make();
      const writer = startWriter(bench.folder, how, deadly);
      writer.begun.catch(() => undefined);
      expect(await writer.ended).toBe('SIGKILL');
      most = Math.max(most, await expectUsable(bench, how));
    }
    expect(most).toBeGreaterThan(0);
  }, 120_000);

  it('at random moments leaves a cache that works, also for one who uses it meanwhile', async () => {
    const random = new Random(2026);
    await using bench = await DiskBench.make();
    const options = { quotaBytes: MiB, ...keyOf(how) };
    const beside = await bench.cache(options);
    for (let round = 0; round < 8; round += 1) {
      const writer = startWriter(bench.folder, how, 0);
      try {
        await writer.begun;
        const until = systemClock.monotonic() + random.below(250);
        while (systemClock.monotonic() < until) await countGiven(beside, random.pick(dyingObjects));
      } finally {
        writer.kill();
      }
      expect(await writer.ended).toBe('SIGKILL');
      for (const object of dyingObjects) await countGiven(beside, object);
      expect(diskBytes(bench.root)).toBeLessThanOrEqual(MiB);
    }
    await beside.contents.clear({}, signal);
    await expectUsable(bench, how);
  }, 120_000);
});
