/** Reading over blocks in memory that mounts share, and over a disk. */
import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BlockCache } from '../../../src/cache/block-cache.ts';
import { Endpoint } from '../../../src/cache/endpoint.ts';
import { MemoryBudget } from '../../../src/cache/memory-budget.ts';
import { toErrno } from '../../../src/fs/errno.ts';
import { newPosition, type PinnedVersion } from '../../../src/fs/pinned-version.ts';
import { Reader, type ReaderOptions } from '../../../src/fs/reader.ts';
import { KiB, MiB } from '../../../src/lib/bytes.ts';
import { createLog } from '../../../src/lib/log.ts';
import { StoreError } from '../../../src/store/errors.ts';
import { FaultyObjectStore } from '../../../src/store/faulty-object-store.ts';
import { FakeClock } from '../../fixtures/fake-clock.ts';
import { type DiskFaults, MemoryBlockDisk } from '../../fixtures/memory-block-disk.ts';
import { MemoryObjectStore } from '../../fixtures/memory-object-store.ts';
import { Random } from '../../fixtures/random.ts';

const forever = new AbortController().signal;

function pattern(bytes: number): Buffer {
  const made = Buffer.alloc(bytes);
  for (let at = 0; at + 4 <= bytes; at += 4) made.writeUInt32LE(at, at);
  return made;
}

class ReaderRig implements AsyncDisposable {
  readonly clock = new FakeClock();
  readonly budget: MemoryBudget;
  readonly blocks: BlockCache;
  readonly store: MemoryObjectStore;
  readonly disk: MemoryBlockDisk | undefined;
  readonly readers: Reader[] = [];
  /** What was logged. */
  readonly warnings: string[] = [];
  readonly content: Buffer;

  constructor(content: Buffer, disk?: MemoryBlockDisk, memoryBytes: number = 8 * MiB) {
    const { clock } = this;
    this.content = content;
    this.disk = disk;
    this.budget = new MemoryBudget(memoryBytes);
    this.blocks = new BlockCache({ budget: this.budget, clock });
    this.store = new MemoryObjectStore({ clock });
    this.store.set('key', content);
  }

  reader(endpoint = 'https://s3.test'): Reader {
    const { blocks, clock, disk } = this;
    const log = createLog(
      (line) => this.warnings.push(line),
      'warn',
      () => 0,
    );
    const options: ReaderOptions = { blocks, clock, log, disk, endpoint: new Endpoint(endpoint) };
    const reader = new Reader(options);
    this.readers.push(reader);
    return reader;
  }

  async pin(reader: Reader): Promise<PinnedVersion> {
    const version = await this.store.head('key', forever);
    return reader.pinAt(() => ({ store: this.store, key: 'key' }), version);
  }

  /** As `pin`, when it is known what the disk has. */
  async pinOpened(reader: Reader): Promise<PinnedVersion> {
    const pinned = await this.pin(reader);
    await pinned.opening;
    return pinned;
  }

  async read(
    reader: Reader,
    pinned: PinnedVersion,
    start: number,
    bytes: number,
    position = newPosition(),
  ): Promise<void> {
    const extent = { start, end: start + bytes };
    const read = await reader.read(pinned, extent, position, () => forever);
    const joined = Buffer.concat(read instanceof Uint8Array ? [read] : read);
    expect(joined.equals(this.content.subarray(start, start + bytes))).toBe(true);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const reader of this.readers) await reader[Symbol.asyncDispose]();
    await turn();
    expect(this.blocks.pool.held).toBe(0);
    expect(this.disk?.opened ?? 0).toBe(0);
    await this.blocks[Symbol.asyncDispose]();
    expect(this.budget.used).toBe(0);
  }
}

describe('reading from memory', () => {
  it('answers a second open, and another mount of the same bucket, without a request', async () => {
    await using rig = new ReaderRig(pattern(MiB));
    const [one, two] = [rig.reader(), rig.reader()];
    const first = await rig.pin(one);
    await rig.read(one, first, 0, MiB);
    one.unpin(first);
    const { read } = rig.store.calls;
    await rig.read(one, await rig.pin(one), 0, MiB);
    await rig.read(two, await rig.pin(two), 0, MiB);
    expect(rig.store.calls.read).toBe(read);
  });

  it('names an object in cold storage in log and status, once', async () => {
    await using rig = new ReaderRig(pattern(MiB));
    const reader = rig.reader();
    const pinned = await rig.pin(reader);
    rig.store.read = async () =>
      await Promise.reject(
        new StoreError('archived', 'read bucket/key', { status: 403, code: 'x' }),
      );
    for (let nth = 0; nth < 2; nth += 1) {
      const read = reader.read(pinned, { start: 0, end: 10 }, newPosition(), () => forever);
      await expect(read).rejects.toSatisfy((error: unknown) => toErrno(error) === 'EIO');
    }
    expect(reader.figures.archived).toEqual(['key']);
    expect(rig.warnings).toHaveLength(1);
    expect(rig.warnings[0]).toContain('"event":"object-archived","key":"key"');
  });

  it('takes an object of another endpoint for another, though its names are the same', async () => {
    await using rig = new ReaderRig(pattern(MiB));
    const [one, two] = [rig.reader(), rig.reader('https://other.test')];
    await rig.read(one, await rig.pin(one), 0, 100);
    const { read } = rig.store.calls;
    await rig.read(two, await rig.pin(two), 0, 100);
    expect(rig.store.calls.read).toBe(read + 1);
  });

  it('answers at once what is in memory, without a promise', async () => {
    await using rig = new ReaderRig(pattern(MiB));
    const reader = rig.reader();
    const pinned = await rig.pin(reader);
    await rig.read(reader, pinned, 0, MiB);
    await turn();
    const again = reader.read(pinned, { start: 5, end: MiB }, newPosition(), () => forever);
    expect(again).not.toBeInstanceOf(Promise);
    expect(reader.figures).toMatchObject({
      hits: 1,
      misses: 1,
      amplification: MiB / (2 * MiB - 5),
    });
  });

  it('fetches at most 32 bytes for each that is read at random, and the pages alone in few reads', async () => {
    await using rig = new ReaderRig(pattern(64 * MiB));
    const reader = rig.reader();
    const pinned = await rig.pin(reader);
    const random = new Random(7);
    const position = newPosition();
    const offsets = new Set<number>();
    while (offsets.size < 1000) offsets.add((1 + random.below(64 * 256 - 1)) * 4 * KiB);
    let at = 0;
    for (const offset of offsets) {
      await rig.read(reader, pinned, offset, 4 * KiB, position);
      at += 1;
      if (at === 50) expect(reader.figures.amplification).toBeLessThan(8);
    }
    expect(reader.figures.amplification).toBeLessThan(32);
  });

  it('reads ahead of each of a hundred files, all within the memory', async () => {
    await using rig = new ReaderRig(pattern(3 * MiB));
    const reader = rig.reader();
    const opens = await Promise.all(
      Array.from({ length: 100 }, async (_, nth) => {
        rig.store.set(`key${nth}`, rig.content);
        const version = await rig.store.head(`key${nth}`, forever);
        const pinned = reader.pinAt(() => ({ store: rig.store, key: `key${nth}` }), version);
        return { pinned, position: newPosition() };
      }),
    );
    const before = rig.store.calls.read;
    for (let at = 0; at < 3 * MiB; at += 128 * KiB) {
      await Promise.all(
        opens.map(async ({ pinned, position }) => {
          await rig.read(reader, pinned, at, 128 * KiB, position);
        }),
      );
      expect(rig.budget.used).toBeLessThanOrEqual(8 * MiB);
    }
    // Each block once: nothing that was read ahead was lost before it was read.
    expect(reader.figures.amplification).toBeLessThan(1.2);
    expect(rig.store.calls.read - before).toBeLessThanOrEqual(100 * 24 * 1.2);
  });
});

describe('reading from a store that answers for another version', () => {
  it('keeps none of its bytes', async () => {
    await using rig = new ReaderRig(pattern(MiB));
    const reader = rig.reader();
    const version = await rig.store.head('key', forever);
    const store = new FaultyObjectStore(rig.store, () => ({ etag: '"another"' }), rig.clock);
    const pinned = reader.pinAt(() => ({ store, key: 'key' }), version);
    // Its bytes may have been given by then: a store that checks, as S3 does, sends none.
    await reader.copyPinned(pinned, 10, async () => await turn(), forever).catch(() => undefined);
    await turn();
    expect(rig.blocks.views(pinned.blocks, 0, 10, false)).toBeUndefined();
  });
});

describe('reading over a disk', () => {
  it('waits for what the disk knows before it asks the store, and then asks for what is lacking', async () => {
    const disk = new MemoryBlockDisk();
    await using rig = new ReaderRig(pattern(4 * MiB), disk, 2 * MiB);
    const reader = rig.reader();
    const pinned = await rig.pin(reader);
    await rig.read(reader, pinned, 0, 4 * MiB);
    reader.unpin(pinned);
    await turn();
    await turn();
    rig.blocks.drop(pinned.blocks);
    const { fetchedBytes } = reader.figures;
    const again = await rig.pin(reader);
    await rig.read(reader, again, 0, 4 * MiB);
    // A load is counted when it ends, which is a moment after its last block is there.
    await turn();
    const { diskBytes, fetchedBytes: now } = reader.figures;
    expect(diskBytes).toBeGreaterThan(0);
    expect(diskBytes + now - fetchedBytes).toBe(4 * MiB);
  });

  it('brings a whole object to the disk, with progress, and gives its descriptor then', async () => {
    const disk = new MemoryBlockDisk({ descriptor: 42 });
    await using rig = new ReaderRig(pattern(9 * MiB + 5), disk, MiB);
    const reader = rig.reader();
    const pinned = await rig.pin(reader);
    expect(reader.whole(pinned)).toBeUndefined();
    const told: number[] = [];
    await reader.warm(pinned, forever, (bytes) => told.push(bytes));
    expect(told.at(-1)).toBe(9 * MiB + 5);
    expect(told).toEqual(told.toSorted((a, b) => a - b));
    expect(reader.whole(pinned)).toBe(42);
    const { fetchedBytes } = reader.figures;
    expect(fetchedBytes).toBe(9 * MiB + 5);
    await rig.read(reader, pinned, 0, 9 * MiB + 5);
    expect(reader.figures.fetchedBytes).toBe(fetchedBytes);
  });

  /** Reads all of it in order and closes it; gives what was fetched after that. */
  async function readOnce(rig: ReaderRig, reader: Reader, disk: MemoryBlockDisk): Promise<number> {
    const pinned = await rig.pin(reader);
    const position = newPosition();
    const { length } = rig.content;
    for (let at = 0; at < length; at += MiB) {
      await rig.read(reader, pinned, at, Math.min(MiB, length - at), position);
    }
    expect(reader.whole(pinned)).toBeUndefined();
    // A load is counted when it ends, which is a moment after its last block is there.
    await turn();
    const { fetchedBytes } = reader.figures;
    reader.unpin(pinned);
    for (let turns = 0; disk.opened > 0 && turns < 10_000; turns += 1) await turn();
    expect(disk.opened).toBe(0);
    return reader.figures.fetchedBytes - fetchedBytes;
  }

  it('brings what little the disk lacks of a file that was read, when it is closed', async () => {
    let writes = 0;
    const full = (): boolean => {
      writes += 1;
      return writes === 3;
    };
    const disk = new MemoryBlockDisk({ full, descriptor: 42 });
    await using rig = new ReaderRig(pattern(32 * MiB + 7), disk);
    const reader = rig.reader();
    const mended = await readOnce(rig, reader, disk);
    expect(reader.whole(await rig.pinOpened(reader))).toBe(42);
    expect(mended).toBeLessThanOrEqual(2 * MiB);
  });

  it('brings no more of a file than was read when the disk lacks much of it', async () => {
    let writes = 0;
    const full = (): boolean => {
      writes += 1;
      return writes % 2 === 0;
    };
    const disk = new MemoryBlockDisk({ full, descriptor: 42 });
    await using rig = new ReaderRig(pattern(32 * MiB + 7), disk);
    const reader = rig.reader();
    expect(await readOnce(rig, reader, disk)).toBe(0);
    expect(reader.whole(await rig.pinOpened(reader))).toBeUndefined();
  });

  it('tells how much a full disk has taken of what it should bring there', async () => {
    let writes = 0;
    const full = (): boolean => {
      writes += 1;
      return writes > 2;
    };
    const disk = new MemoryBlockDisk({ full });
    await using rig = new ReaderRig(pattern(9 * MiB), disk);
    const reader = rig.reader();
    const told: number[] = [];
    await reader.warm(await rig.pin(reader), forever, (bytes) => told.push(bytes));
    expect(told.at(-1)).toBeLessThan(9 * MiB);
  });

  it('stops bringing an object to the disk when nobody wants it any more', async () => {
    const disk = new MemoryBlockDisk();
    await using rig = new ReaderRig(pattern(9 * MiB), disk);
    const reader = rig.reader();
    const end = new AbortController();
    const progress = (bytes: number): void => {
      if (bytes > 2 * MiB) end.abort(new Error('enough'));
    };
    const warming = reader.warm(await rig.pin(reader), end.signal, progress);
    await expect(warming).rejects.toThrow('enough');
  });

  it('never gives a wrong byte from a disk that is damaged, full or slow', async () => {
    const content = pattern(3 * MiB + 999);
    const reads = fc.array(
      fc.record({ start: fc.nat(3 * MiB), bytes: fc.integer({ min: 1, max: MiB }) }),
      { maxLength: 40, size: 'max' },
    );
    const faults = fc.record({ damaged: fc.nat(4), full: fc.nat(3), slow: fc.boolean() });
    const property = fc.asyncProperty(reads, faults, async (steps, { damaged, full, slow }) => {
      let calls = 0;
      const chance = (of: number): boolean => {
        calls += 1;
        return of > 0 && calls % (of + 1) === 0;
      };
      const wait = slow ? async (): Promise<void> => await turn() : undefined;
      const script: DiskFaults = {
        damaged: () => chance(damaged),
        full: () => chance(full),
        ...(wait !== undefined && { opening: wait, reading: wait, writing: wait }),
      };
      await using rig = new ReaderRig(content, new MemoryBlockDisk(script), MiB);
      const reader = rig.reader();
      let pinned = await rig.pin(reader);
      for (const [nth, { start, bytes }] of steps.entries()) {
        await rig.read(reader, pinned, start, Math.min(bytes, content.byteLength - start));
        if (nth % 7 !== 6) continue;
        reader.drop(pinned);
        reader.unpin(pinned);
        pinned = await rig.pin(reader);
      }
    });
    await fc.assert(property, { numRuns: 25 });
  });
});

describe('copying a version', () => {
  it('gives all of it in order, and asks for no more than it is told to copy', async () => {
    await using rig = new ReaderRig(pattern(5 * MiB + 3), undefined, MiB);
    const reader = rig.reader();
    const pinned = await rig.pin(reader);
    const copied = async (bytes: number): Promise<Buffer> => {
      const pieces: Buffer[] = [];
      let next = 0;
      const take = async (offset: number, piece: Uint8Array): Promise<void> => {
        expect(offset).toBe(next);
        next += piece.byteLength;
        // What is given stays as it is until the taker is done with it.
        await turn();
        pieces.push(Buffer.from(piece));
      };
      await reader.copyPinned(pinned, bytes, take, forever);
      return Buffer.concat(pieces);
    };
    expect((await copied(1000)).equals(rig.content.subarray(0, 1000))).toBe(true);
    await turn();
    expect(reader.figures.fetchedBytes).toBeLessThanOrEqual(4 * KiB);
    expect((await copied(5 * MiB + 3)).equals(rig.content)).toBe(true);
  });
});
