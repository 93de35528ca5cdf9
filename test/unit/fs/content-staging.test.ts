import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MemoryBudget } from '../../../src/cache/memory-budget.ts';
import { ChunkPool } from '../../../src/fs/chunk-pool.ts';
import { ContentBase } from '../../../src/fs/content-base.ts';
import { ContentDisk } from '../../../src/fs/content-disk.ts';
import { ContentMemory } from '../../../src/fs/content-memory.ts';
import { readerFor } from '../../../src/fs/reader.ts';
import { StagedFile } from '../../../src/fs/staged-file.ts';
import { KiB, MiB } from '../../../src/lib/bytes.ts';
import { silentLog } from '../../../src/lib/log.ts';
import { FakeClock } from '../../fixtures/fake-clock.ts';
import { MemoryObjectStore } from '../../fixtures/memory-object-store.ts';

const never = new AbortController().signal;

/** A length or place: small ones, ones about the length of a chunk, and ones of several. */
const size = fc.oneof(fc.nat(20), fc.integer({ min: MiB - 5, max: MiB + 5 }), fc.nat(3 * MiB));
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ op: fc.constant('write' as const), at: size, bytes: size }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('append' as const), bytes: size }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('zero' as const), at: size, bytes: size }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('truncate' as const), bytes: size }) },
  { weight: 4, arbitrary: fc.record({ op: fc.constant('read' as const), at: size, bytes: size }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('spill' as const) }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('saved' as const) }) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** The same, as one array of bytes. */
class Bytes {
  all = Buffer.alloc(0);

  put(at: number, bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.resize(Math.max(this.all.length, at + bytes.length));
    this.all.set(bytes, at);
  }

  resize(bytes: number): void {
    const resized = Buffer.alloc(bytes);
    this.all.copy(resized);
    this.all = resized;
  }
}

class Scene implements AsyncDisposable {
  readonly clock = new FakeClock();
  readonly store = new MemoryObjectStore({ clock: this.clock });
  readonly reader = readerFor({ clock: this.clock, log: silentLog, memoryBytes: 4 * MiB });
  readonly memory: ContentMemory;
  readonly folder: string;
  #files = 0;

  constructor(folder: string, memoryBytes: number) {
    this.folder = folder;
    const chunks = new ChunkPool(new MemoryBudget(4 * memoryBytes));
    this.memory = new ContentMemory({ chunks, clock: this.clock, log: silentLog });
  }

  static async make(memoryBytes = 2 * MiB): Promise<Scene> {
    return new Scene(await mkdtemp(path.join(tmpdir(), 'wire-content-test-')), memoryBytes);
  }

  /** Content that begins as an object of these bytes; undefined: as nothing. */
  stage(bytes?: Uint8Array): StagedFile {
    const place = { store: this.store, key: 'f' };
    const base = bytes && this.store.set('f', bytes);
    const { reader } = this;
    const reads = new ContentBase({
      pin: (version) => reader.pinAt(() => place, version),
      unpin: (pinned) => reader.unpin(pinned),
      read: (...args) => reader.read(...args),
    });
    this.#files += 1;
    const disk = new ContentDisk(path.join(this.folder, `staged-${this.#files}`));
    return new StagedFile({ base, reads, disk, memory: this.memory, nowMs: this.clock.now() });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.memory[Symbol.asyncDispose]();
    await this.reader[Symbol.asyncDispose]();
    await rm(this.folder, { recursive: true, force: true });
  }
}

async function contentOf(staged: StagedFile, start = 0, end = staged.bytes): Promise<Buffer> {
  const into = Buffer.alloc(Math.max(end - start, 0), 0xee);
  await staged.fill(start, into, never);
  return into;
}

/** Bytes that differ from one write to the next, and from place to place. */
function pattern(seed: number, bytes: number): Uint8Array {
  const some = Buffer.alloc(Math.min(bytes, 4096));
  for (let at = 0; at < some.length; at += 1) some[at] = (seed * 31 + at * 7 + (at >> 8)) % 251;
  return bytes === 0 ? some : Buffer.alloc(bytes, some);
}

describe('content that is being changed', () => {
  it('reads as one array of bytes would, whatever is in memory, on the disk or in the bucket', async () => {
    const history = fc.array(step, { maxLength: 25, size: 'max' });
    const begins = fc.option(size, { nil: undefined });
    const run = async (base: number | undefined, steps: readonly Step[]): Promise<void> => {
      await using scene = await Scene.make();
      const truth = new Bytes();
      if (base !== undefined) truth.put(0, pattern(99, base));
      if (base === 0) truth.resize(0);
      const staged = scene.stage(base === undefined ? undefined : pattern(99, base));
      for (const [nth, one] of steps.entries()) {
        staged.touch(scene.clock.now());
        if (one.op === 'write' || one.op === 'append') {
          const at = one.op === 'write' ? one.at : staged.bytes;
          const bytes = pattern(nth, one.bytes);
          const taken = staged.take(at, bytes);
          await staged.write(at + taken, bytes.subarray(taken));
          truth.put(at, bytes);
        } else if (one.op === 'zero') {
          staged.zero(one.at, one.at + one.bytes);
          truth.put(one.at, new Uint8Array(one.bytes));
        } else if (one.op === 'truncate') {
          await staged.truncate(one.bytes);
          truth.resize(one.bytes);
        } else if (one.op === 'spill') await staged.spill();
        else if (one.op === 'saved') {
          staged.savedAs(scene.store.set('f', truth.all));
        } else {
          const end = Math.min(one.at + one.bytes, truth.all.length);
          const wanted = truth.all.subarray(one.at, Math.max(end, one.at));
          expect((await contentOf(staged, one.at, Math.max(end, one.at))).equals(wanted)).toBe(
            true,
          );
        }
        expect(staged.bytes).toBe(truth.all.length);
      }
      expect((await contentOf(staged)).equals(truth.all)).toBe(true);
      // What a save would copy is as in the object, byte for byte.
      const object = scene.store.bytesOf('f');
      for (const { start, end, from } of staged.changes()) {
        if (from !== 'base') continue;
        const same = truth.all
          .subarray(start, end)
          .equals(object?.subarray(start, end) ?? Buffer.alloc(0));
        expect(same).toBe(true);
      }
      const kept = path.join(scene.folder, 'kept');
      await staged.fetch(never);
      await staged.keep(kept);
      expect((await readFile(kept)).equals(truth.all)).toBe(true);
      expect(scene.memory.used).toBe(0);
    };
    await fc.assert(fc.asyncProperty(begins, history, run), { numRuns: 60 });
  }, 60_000);

  it('costs no file on the disk while it is short and soon saved', async () => {
    await using scene = await Scene.make();
    const staged = scene.stage();
    const bytes = pattern(1, 200 * KiB);
    expect(staged.take(0, bytes)).toBe(bytes.length);
    expect((await contentOf(staged)).equals(bytes)).toBe(true);
    await expect(readFile(staged.path)).rejects.toMatchObject({ code: 'ENOENT' });
    await staged.discard();
    expect(scene.memory.used).toBe(0);
  });

  it('is on the disk a second after it was written', async () => {
    await using scene = await Scene.make();
    const staged = scene.stage();
    staged.touch(scene.clock.now());
    staged.take(0, Buffer.from('soon'));
    await scene.clock.advance(1001);
    await scene.memory[Symbol.asyncDispose]();
    expect(await readFile(staged.path, 'utf8')).toBe('soon');
    expect(scene.memory.used).toBe(0);
    await staged.discard();
  });

  it('keeps what a full disk refused, tells who writes more than memory holds, and goes on later', async () => {
    await using scene = await Scene.make(2 * MiB);
    const staged = scene.stage();
    // Nobody can write below a file: as with a disk that is full, the first byte fails.
    const blocked = path.join(scene.folder, 'staged-1');
    const other = scene.stage();
    await other.write(0, pattern(9, 3 * MiB));
    await other.discard();
    const { mkdir, rmdir } = await import('node:fs/promises');
    await mkdir(blocked);
    const bytes = pattern(2, 3 * MiB);
    const taken = staged.take(0, bytes);
    expect(taken).toBe(2 * MiB);
    const rest = bytes.slice(taken);
    await expect(staged.write(taken, rest)).rejects.toMatchObject({ code: 'EEXIST' });
    expect((await contentOf(staged)).equals(bytes.subarray(0, taken))).toBe(true);
    await rmdir(blocked);
    await staged.write(taken, rest);
    expect((await contentOf(staged)).equals(bytes)).toBe(true);
    await staged.discard();
  });

  it('downloads nothing of an object until somebody reads what it had', async () => {
    await using scene = await Scene.make();
    const staged = scene.stage(pattern(3, 3 * MiB));
    await staged.write(MiB + 5, Buffer.from('patch'));
    await staged.truncate(2 * MiB);
    expect(scene.store.calls.read).toBe(0);
    expect((await contentOf(staged, MiB, MiB + 20)).subarray(5, 10).toString()).toBe('patch');
    expect(scene.store.calls.read).toBeGreaterThan(0);
    expect(staged.missingBytes).toBe(2 * MiB - 5);
    await staged.discard();
  });

  it('gives ESTALE for what it had of an object that is another by now, and keeps the rest', async () => {
    await using scene = await Scene.make();
    const staged = scene.stage(pattern(3, MiB));
    staged.touch(scene.clock.now());
    await staged.write(0, Buffer.from('mine'));
    scene.store.set('f', 'theirs');
    await expect(contentOf(staged)).rejects.toMatchObject({ errno: 'ESTALE' });
    expect((await contentOf(staged, 0, 4)).toString()).toBe('mine');
    await staged.discard();
  });

  it('is written down for a journal, and made again of that', async () => {
    await using scene = await Scene.make();
    const staged = scene.stage(pattern(4, 100 * KiB));
    staged.touch(scene.clock.now());
    await staged.write(10, Buffer.from('one'));
    await staged.write(200 * KiB, Buffer.from('two'));
    staged.zero(50, 60);
    const record = await staged.record();
    expect(record).toMatchObject({
      bytes: 200 * KiB + 3,
      extents: [
        [0, 10, 'base'],
        [10, 13, 'local'],
        [13, 50, 'base'],
        [60, 100 * KiB, 'base'],
        [200 * KiB, 200 * KiB + 3, 'local'],
      ],
      content: { inline: Buffer.from('onetwo') },
    });
    await staged.write(MiB, pattern(5, MiB));
    const long = await staged.record();
    expect(long.content).toEqual({ file: staged.path });
    expect((await readFile(staged.path)).subarray(MiB).equals(pattern(5, MiB))).toBe(true);
    await staged.discard();
  });
});
