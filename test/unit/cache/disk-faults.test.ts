/** The system's calls fail at random: the cache does without, and what it gives is right. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { MiB } from '../../../src/lib/bytes.ts';
import { createLog } from '../../../src/lib/log.ts';
import { Random } from '../../fixtures/random.ts';
import {
  BLOCK,
  blocksOf,
  countGiven,
  DiskBench,
  given,
  objectOf,
  signal,
  truths,
  writeAll,
} from './disk-fixture.ts';

type Call = (...given: unknown[]) => unknown;
/** Asked before each call that goes through; a name makes it fail with that. */
const faults = vi.hoisted((): { next: (call: string) => string | undefined } => ({
  next: () => undefined,
}));

vi.mock('node:fs', async (original) => {
  const real = await original<Record<string, Call>>();
  const { promisify } = await import('node:util');
  const failure = (code: string): Error => Object.assign(new Error(code), { code });
  const mocked: Record<string, Call> = { ...real };
  for (const name of ['open', 'fstat', 'ftruncate', 'readv', 'writev']) {
    const call = promisify(real[name] ?? failure) as Call;
    const faulty: Call = () => undefined;
    Object.defineProperty(faulty, promisify.custom, {
      value: async (...words: unknown[]) => {
        const code = faults.next(name);
        if (code !== undefined) throw failure(code);
        return await call(...words);
      },
    });
    mocked[name] = faulty;
  }
  for (const name of ['fstatSync', 'lstatSync', 'futimesSync', 'fchmodSync']) {
    mocked[name] = (...words: unknown[]) => {
      const code = faults.next(name);
      if (code !== undefined) throw failure(code);
      return real[name]?.(...words);
    };
  }
  return mocked;
});

vi.mock('node:fs/promises', async (original) => {
  const real = await original<Record<string, Call>>();
  const mocked: Record<string, Call> = { ...real };
  for (const name of ['mkdir', 'open', 'readdir', 'rename', 'statfs', 'unlink']) {
    mocked[name] = async (...words: unknown[]) => {
      const code = faults.next(name);
      if (code !== undefined) throw Object.assign(new Error(code), { code });
      return await real[name]?.(...words);
    };
  }
  return mocked;
});

afterEach(() => {
  faults.next = () => undefined;
});

const codes = ['EIO', 'ENOSPC', 'EMFILE', 'EACCES', 'EROFS', 'EDQUOT'] as const;
const objects = Array.from({ length: 12 }, (_none, n) =>
  objectOf(`o/${n}`, n % 4 === 0 ? 50 : 6 * BLOCK),
);

describe.each(['in clear', 'sealed'])('a disk that fails now and then (%s)', (how) => {
  const key = how === 'sealed' ? { key: Buffer.alloc(32, 7) } : {};

  it('never fails a read or a write, and never gives wrong bytes', async () => {
    await using bench = await DiskBench.make();
    const lines: string[] = [];
    const log = createLog((line) => lines.push(line), 'info', Date.now);
    const random = new Random(7);
    let oneIn = 10;
    let failed = 0;
    const fail = (): string | undefined => {
      if (random.below(oneIn) > 0) return undefined;
      failed += 1;
      return random.pick(codes);
    };
    const cache = await bench.cache({ log, quotaBytes: MiB, ...key });
    let right = 0;
    for (let round = 0; round < 400; round += 1) {
      oneIn = random.pick([3, 10, 100]);
      faults.next = fail;
      const object = random.pick(objects);
      await using opened = await cache.open(object, signal);
      const first = random.below(blocksOf(object));
      await opened.write(first, truths(object, first, 1 + random.below(blocksOf(object) - first)));
      right += (await given(opened, object)).filter(Boolean).length;
      // A pause is over after half a minute; the clock of the cache has to see that.
      if (random.below(3) === 0) bench.clock.jumpMonotonic(31_000);
      faults.next = () => undefined;
    }
    await cache.settled();
    expect(failed).toBeGreaterThan(300);
    expect(right).toBeGreaterThan(0);
    // An episode tells of each code once, and of its end.
    expect(lines.length).toBeLessThan(failed);
    for (const object of objects) {
      // What was taken of the quota and not written is counted again while the first is dropped.
      for (let attempt = 0; attempt < 2; attempt += 1) {
        bench.clock.jumpMonotonic(31_000);
        await writeAll(cache, object);
        await cache.settled();
      }
      expect(await countGiven(cache, object)).toBe(blocksOf(object));
    }
  }, 60_000);

  it.each(codes)('told once of %s, however many blocks there are', async (code) => {
    await using bench = await DiskBench.make();
    const lines: string[] = [];
    const log = createLog((line) => lines.push(line), 'info', Date.now);
    const cache = await bench.cache({ log, ...key });
    faults.next = (call) => (call === 'writev' || call === 'readv' ? code : undefined);
    for (const object of objects) {
      await writeAll(cache, object);
      expect(await countGiven(cache, object)).toBe(0);
    }
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain(code);
  });
});
