/**
 * Random histories of two caches over one folder, while somebody breaks its files: what is given is
 * right, whatever else is lost. What was written, and neither broken nor pushed out, is given.
 */
import {
  closeSync,
  copyFileSync,
  existsSync,
  ftruncateSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  truncateSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { DiskObject, ObjectIdentity } from '../../../src/cache/block-disk.ts';
import type { DiskCache } from '../../../src/cache/disk-cache.ts';
import { MiB } from '../../../src/lib/bytes.ts';
import {
  BLOCK,
  blocksOf,
  DiskBench,
  filesIn,
  given,
  objectOf,
  signal,
  truths,
} from './disk-fixture.ts';

const objects: readonly ObjectIdentity[] = [
  objectOf('a/one', 9 * BLOCK + 1),
  objectOf('a/one', 9 * BLOCK + 1, '"2"'),
  objectOf('a/two', 9 * BLOCK + 1),
  objectOf('b/block', BLOCK),
  objectOf('b/little', 10),
  objectOf('b/many', 120 * BLOCK),
];

/** Which of several, by a number from 0 to 999. */
type Choice = number;
const choice = fc.nat(999);
const pick = <T>(all: readonly T[], which: Choice): T => {
  const chosen = all[which % all.length];
  if (chosen === undefined) throw new Error('nothing to pick from');
  return chosen;
};

const step = fc.oneof(
  { weight: 6, arbitrary: fc.tuple(fc.constant('put' as const), choice, choice, choice, choice) },
  { weight: 6, arbitrary: fc.tuple(fc.constant('get' as const), choice, choice, choice, choice) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('both' as const), choice, choice, choice, choice) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('close' as const), choice, choice) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('restart' as const), choice) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('clear' as const), choice, choice) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('pin' as const), choice, choice) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('clock' as const), choice) },
);
const blow = fc.oneof(
  fc.tuple(fc.constant('flip' as const), choice, choice),
  fc.tuple(fc.constant('cut' as const), choice, choice),
  fc.tuple(fc.constant('grow' as const), choice),
  fc.tuple(fc.constant('swap' as const), choice, choice),
  fc.tuple(fc.constant('copy' as const), choice, choice),
  fc.tuple(fc.constant('zero' as const), choice, choice),
  fc.tuple(fc.constant('remove' as const), choice),
);
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;
type Blow = typeof blow extends fc.Arbitrary<infer B> ? B : never;

interface Event {
  readonly step: Step;
  /** What somebody does to the files before. */
  readonly blow: Blow | null;
}

class World {
  readonly bench: DiskBench;
  readonly #key: Uint8Array | undefined;
  readonly #caches: DiskCache[] = [];
  readonly #open: readonly Map<number, DiskObject>[] = [
    new Map<number, DiskObject>(),
    new Map<number, DiskObject>(),
  ];

  constructor(bench: DiskBench, key: Uint8Array | undefined) {
    this.bench = bench;
    this.#key = key;
  }

  async run(what: Step): Promise<void> {
    switch (what[0]) {
      case 'put': {
        await this.#put(what[1] % 2, what[2] % objects.length, what[3], what[4]);
        return;
      }
      case 'get': {
        await this.#get(what[1] % 2, what[2] % objects.length, what[3], what[4]);
        return;
      }
      case 'both': {
        const object = what[2] % objects.length;
        for (const by of [0, 1]) await this.open(by, object);
        const all = [0, 1].map(async (by) => {
          await this.#put(by, object, what[3], what[4]);
          await this.#get(by, object, what[3], what[4]);
        });
        await Promise.all([...all, this.#get(what[1] % 2, object, what[3], what[4])]);
        return;
      }
      case 'close':
        await this.#open[what[1] % 2]?.get(what[2] % objects.length)?.[Symbol.asyncDispose]();
        this.#open[what[1] % 2]?.delete(what[2] % objects.length);
        return;
      case 'restart': {
        await this.restart(what[1] % 2);
        return;
      }
      case 'clear': {
        const { key } = pick(objects, what[2]);
        await this.#cache(what[1] % 2).contents.clear(what[2] % 5 === 0 ? {} : { key }, signal);
        return;
      }
      case 'pin': {
        const { contents } = this.#cache(what[1] % 2);
        const filter = { prefix: pick(['a/', 'b/'], what[2]) };
        await (what[2] % 3 > 0 ? contents.unpin(filter, signal) : contents.pin(filter, signal));
        return;
      }
      case 'clock':
        this.bench.clock.jumpWall((what[1] - 500) * 60_000);
        return;
    }
  }

  async restart(by: number): Promise<void> {
    for (const opened of this.#open[by]?.values() ?? []) await opened[Symbol.asyncDispose]();
    this.#open[by]?.clear();
    await this.#caches[by]?.[Symbol.asyncDispose]();
    const sealed = this.#key === undefined ? {} : { key: this.#key };
    this.#caches[by] = await this.bench.cache({ quotaBytes: MiB, ...sealed });
  }

  async open(by: number, object: number): Promise<DiskObject> {
    const known = this.#open[by]?.get(object);
    if (known !== undefined) return known;
    const opened = await this.#cache(by).open(pick(objects, object), signal);
    this.#open[by]?.set(object, opened);
    return opened;
  }

  async end(): Promise<void> {
    for (const by of [0, 1]) {
      for (const opened of this.#open[by]?.values() ?? []) await opened[Symbol.asyncDispose]();
    }
  }

  async #put(by: number, which: number, from: Choice, long: Choice): Promise<void> {
    const object = pick(objects, which);
    const first = from % blocksOf(object);
    const count = 1 + (long % (blocksOf(object) - first));
    const opened = await this.open(by, which);
    await opened.write(first, truths(object, first, count));
  }

  async #get(by: number, which: number, from: Choice, long: Choice): Promise<void> {
    const object = pick(objects, which);
    const first = from % blocksOf(object);
    const opened = await this.open(by, which);
    await given(opened, object, first, 1 + (long % (blocksOf(object) - first)));
  }

  #cache(by: number): DiskCache {
    return pick(this.#caches, by);
  }
}

function strike(all: readonly string[], blow: Blow): void {
  // A folder whose marker is broken is refused as a whole: another test's. Locks hold no bytes.
  const files = all.filter((path) => !/(?:format|lock)$/.test(path)).sort();
  if (files.length === 0) return;
  const path = pick(files, blow[1]);
  const length = statSync(path).size;
  switch (blow[0]) {
    case 'flip': {
      if (length === 0) return;
      const at = Math.floor((blow[2] / 1000) * length);
      const byte = readFileSync(path)[at] ?? 0;
      overwrite(path, at, Buffer.from([byte ^ (1 << (blow[2] % 8))]));
      return;
    }
    case 'cut': {
      truncateSync(path, Math.floor((blow[2] / 1000) * length));
      return;
    }
    case 'grow': {
      overwrite(path, length, Buffer.from('what is this'));
      return;
    }
    case 'swap': {
      const other = pick(files, blow[2]);
      if (other === path) return;
      renameSync(path, `${path}.away`);
      renameSync(other, path);
      renameSync(`${path}.away`, other);
      return;
    }
    case 'copy':
      if (pick(files, blow[2]) !== path) copyFileSync(pick(files, blow[2]), path);
      return;
    case 'zero': {
      const at = Math.floor((blow[2] / 1000) * length);
      overwrite(path, at, Buffer.alloc(Math.min(BLOCK, length - at)));
      return;
    }
    case 'remove':
      if (existsSync(path)) unlinkSync(path);
  }
}

function overwrite(path: string, at: number, bytes: Uint8Array): void {
  const descriptor = openSync(path, 'r+');
  try {
    if (bytes.byteLength > 0) writeSync(descriptor, bytes, 0, bytes.byteLength, at);
    else ftruncateSync(descriptor, statSync(path).size);
  } finally {
    closeSync(descriptor);
  }
}

async function live(history: readonly Event[], isSealed: boolean): Promise<void> {
  await using bench = await DiskBench.make();
  const world = new World(bench, isSealed ? Buffer.alloc(32, 7) : undefined);
  try {
    for (const by of [0, 1]) await world.restart(by);
    for (const { step: done, blow: struck } of history) {
      if (struck !== null) strike(filesIn(bench.root), struck);
      await world.run(done);
    }
    for (const [which, object] of objects.entries()) {
      await given(await world.open(0, which), object);
    }
  } finally {
    await world.end();
  }
}

describe.each([
  ['in clear', false],
  ['sealed', true],
])('two caches over one folder, %s', (_name, isSealed) => {
  it('give the truth or nothing, while its files are broken', async () => {
    const nothing = { weight: 5, arbitrary: fc.constant(null) };
    const event = fc.record({ step, blow: fc.oneof(nothing, blow) });
    const history = fc.array(event, { maxLength: 60, size: 'max' });
    await fc.assert(
      fc.asyncProperty(history, async (steps) => await live(steps, isSealed)),
      { numRuns: 120 },
    );
  }, 120_000);

  it('give all that was put, when nothing is broken or pushed out', async () => {
    const puts = fc.array(fc.tuple(choice, choice, choice, choice), { maxLength: 30, size: 'max' });
    await fc.assert(
      fc.asyncProperty(puts, async (all) => {
        await using bench = await DiskBench.make();
        const key = isSealed ? { key: Buffer.alloc(32, 7) } : {};
        const caches = [await bench.cache(key), await bench.cache(key)];
        const put = new Map(objects.map((object) => [object, new Set<number>()]));
        for (const [by, which, from, long] of all) {
          const object = pick(objects, which);
          const first = from % blocksOf(object);
          const count = 1 + (long % (blocksOf(object) - first));
          await using opened = await pick(caches, by).open(object, signal);
          await opened.write(first, truths(object, first, count));
          for (let at = 0; at < count; at += 1) put.get(object)?.add(first + at);
        }
        for (const [object, blocks] of put) {
          await using opened = await (await bench.cache(key)).open(object, signal);
          const found = await given(opened, object);
          expect(found.flatMap((isThere, index) => (isThere ? [index] : []))).toEqual(
            [...blocks].sort((one, other) => one - other),
          );
          expect(opened.whole() !== undefined).toBe(
            !isSealed && found.length > 1 && found.every(Boolean),
          );
        }
      }),
      { numRuns: 40 },
    );
  }, 120_000);
});
