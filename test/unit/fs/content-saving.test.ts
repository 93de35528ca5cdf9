import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { HandleId } from '../../../src/fs/ids.ts';
import { MiB } from '../../../src/lib/bytes.ts';
import { StoreError } from '../../../src/store/errors.ts';
import type { ObjectVersion, UploadedPart } from '../../../src/store/object-store.ts';
import { FakeClock } from '../../fixtures/fake-clock.ts';
import { MemoryObjectStore } from '../../fixtures/memory-object-store.ts';
import { errnoOf, type FailingTree, FileTree, failingTree, kept } from './file-tree.ts';

/** Bytes that differ from place to place, and by their seed. */
function pattern(seed: number, bytes: number): Buffer {
  const some = Buffer.alloc(8191);
  for (let at = 0; at < some.length; at += 1) some[at] = (seed * 31 + at * 7 + (at >> 8)) % 251;
  return Buffer.alloc(bytes, some);
}

/** Writes `bytes` in pieces, as the kernel does. */
async function stream(tree: FileTree, handle: HandleId, bytes: Buffer, at = 0): Promise<void> {
  for (let done = 0; done < bytes.length; done += MiB) {
    await tree.writeHandle(handle, at + done, bytes.subarray(done, done + MiB));
  }
}

/** Lets what goes on in the background go on until `isSo`. */
async function until(isSo: () => boolean): Promise<void> {
  for (let looks = 0; looks < 20_000; looks += 1) {
    if (isSo()) return;
    await new Promise((resolve) => setImmediate(resolve));
  }
  throw new Error('it has not happened');
}

function stored(tree: FileTree, key: string): Buffer {
  return Buffer.from(tree.store.bytesOf(key) ?? []);
}

/** Holds to S3's rule for the length of parts. */
async function strictTree(): Promise<FailingTree> {
  const clock = new FakeClock();
  const store = new MemoryObjectStore({ clock, minPartBytes: 5 * MiB });
  const root = { kind: 'bucket', store, prefix: '' } as const;
  const tree = await FileTree.make({ root, clock });
  return {
    ...{ tree, store, clock },
    [Symbol.asyncDispose]: async () => await tree[Symbol.asyncDispose](),
  };
}

describe('a long file that is changed', () => {
  it('sends one part for a byte, and downloads no more than that part', async () => {
    await using setup = await strictTree();
    const { tree, store } = setup;
    const bytes = pattern(1, 300 * MiB);
    store.set('f', bytes);
    const handle = await tree.open('f', { access: 'read-write' });
    await tree.writeHandle(handle, 200 * MiB, '!');
    expect(store.calls.read).toBe(0);
    await tree.close(handle);
    bytes[200 * MiB] = 0x21;
    expect(Buffer.from(store.bytesOf('f') ?? []).equals(bytes)).toBe(true);
    expect(store.calls).toMatchObject({ put: 0, uploadPart: 1, completeUpload: 1 });
    expect(store.calls.copyPart).toBeLessThanOrEqual(4);
  });

  it('has one part of at most 8 MiB sent wherever the byte is, and reads what that part needs', async () => {
    const bytes = pattern(1, 40 * MiB);
    const ends = [0, bytes.length - 1, bytes.length - 5 * MiB - 1];
    const inside = [3 * MiB, 5 * MiB, 19 * MiB + 1000];
    for (const at of [...ends, ...inside]) {
      const clock = new FakeClock();
      const store = new MeasuredStore({ clock, minPartBytes: 5 * MiB });
      const root = { kind: 'bucket', store, prefix: '' } as const;
      await using tree = await FileTree.make({ root, clock });
      store.set('f', bytes);
      const handle = await tree.open('f', { access: 'read-write' });
      await tree.writeHandle(handle, at, '!');
      await tree.close(handle);
      expect(store.bytesOf('f')?.[at]).toBe(0x21);
      expect(store.sent).toHaveLength(1);
      const [sent = 0] = store.sent;
      expect(sent).toBeLessThanOrEqual(8 * MiB);
      // The pages at its two ends, and on both sides of the byte.
      expect(store.readBytes).toBeLessThanOrEqual(sent + 4 * 4096);
    }
  });

  it('is cut, grown and appended to without a download', async () => {
    await using setup = await strictTree();
    const { tree, store } = setup;
    const bytes = pattern(2, 40 * MiB);
    store.set('f', bytes);
    await tree.setattr('f', { bytes: 30 * MiB + 1 });
    await tree.setattr('f', { bytes: 31 * MiB });
    const handle = await tree.open('f', { access: 'write', append: true });
    await tree.writeHandle(handle, 0, 'end');
    await tree.close(handle);
    const truth = Buffer.concat([bytes.subarray(0, 30 * MiB + 1), Buffer.alloc(MiB - 1)]);
    const wanted = Buffer.concat([truth, Buffer.from('end')]);
    expect(Buffer.from(store.bytesOf('f') ?? []).equals(wanted)).toBe(true);
    expect(store.calls.read).toBe(0);
  });

  it('copies what an earlier fsync has saved, and sends what came after', async () => {
    await using setup = await strictTree();
    const { tree, store } = setup;
    const handle = await tree.create('f');
    const first = pattern(3, 30 * MiB);
    await stream(tree, handle, first);
    await tree.fs.fsync(handle, false, tree.context);
    const { uploadPart } = store.calls;
    await tree.writeHandle(handle, first.length, 'more');
    await tree.close(handle);
    const wanted = Buffer.concat([first, Buffer.from('more')]);
    expect(Buffer.from(store.bytesOf('f') ?? []).equals(wanted)).toBe(true);
    expect(store.calls.uploadPart).toBe(uploadPart + 1);
    expect(store.calls.read).toBe(0);
  });

  it('is sent whole to a server that copies no parts, or denies it to these credentials', async () => {
    // A refusal that may be due to the object is asked for again with the next one.
    const refusals = [
      ['unsupported', 501, 1],
      ['access-denied', 403, 1],
      ['unsupported', 400, 2],
    ] as const;
    for (const [kind, status, tries] of refusals) {
      const clock = new FakeClock();
      const refusal = new StoreError(kind, 'copy', { code: 'Refused', status });
      const store = new UncopyingStore(refusal, clock);
      const root = { kind: 'bucket', store, prefix: '' } as const;
      await using tree = await FileTree.make({ root, clock });
      for (const key of ['f', 'g']) {
        const bytes = pattern(4, 20 * MiB);
        store.set(key, bytes);
        const handle = await tree.open(key, { access: 'write' });
        await tree.writeHandle(handle, 5, '!');
        await tree.close(handle);
        bytes[5] = 0x21;
        expect(Buffer.from(store.bytesOf(key) ?? []).equals(bytes)).toBe(true);
        expect(store.openUploads).toBe(0);
      }
      expect(store.refusals).toBe(tries);
    }
  });

  it('is refused with ESTALE when its object became another, and keeps what was written', async () => {
    await using tree = await FileTree.make();
    tree.store.set('f', pattern(5, 20 * MiB));
    const handle = await tree.open('f', { access: 'read-write' });
    await tree.writeHandle(handle, 3, 'mine');
    tree.store.set('f', 'theirs');
    expect(await errnoOf(async () => await tree.readHandle(handle, 0, 100))).toBe('ESTALE');
    expect((await tree.readHandle(handle, 3, 4)).toString()).toBe('mine');
    expect(await errnoOf(async () => await tree.close(handle))).toBe('ESTALE');
    expect(stored(tree, 'f').toString()).toBe('theirs');
    const [bytes = '', note = ''] = (await kept(tree)).sort((a, b) => b.length - a.length);
    expect(bytes.slice(0, 8)).toBe('\0\0\0mine\0');
    expect(JSON.parse(note)).toMatchObject({ key: 'f', bytes: 20 * MiB });
    expect(tree.store.openUploads).toBe(0);
  });

  it('has holes and room as fallocate and lseek say', async () => {
    await using tree = await FileTree.make();
    tree.store.set('f', pattern(6, MiB));
    const handle = await tree.open('f', { access: 'read-write' });
    const { fs, context } = tree;
    const none = { keepSize: false, punchHole: false, zeroRange: false };
    const seek = (at: number, whence: 'data' | 'hole'): number => fs.lseek(handle, at, whence);
    expect([seek(5, 'data'), seek(5, 'hole')]).toEqual([5, MiB]);
    expect(await errnoOf(() => seek(MiB, 'data'))).toBe('ENXIO');
    await fs.fallocate(handle, 0, 2 * MiB, { ...none, keepSize: true }, context);
    expect((await tree.stat('f')).bytes).toBe(MiB);
    await fs.fallocate(handle, 0, 2 * MiB, none, context);
    const punch = { ...none, keepSize: true, punchHole: true };
    await fs.fallocate(handle, 4096, 8192, punch, context);
    await fs.fallocate(handle, 3 * MiB, 5, { ...none, zeroRange: true }, context);
    expect([seek(0, 'hole'), seek(5000, 'data'), seek(12_288, 'hole')]).toEqual([
      4096,
      12_288,
      MiB,
    ]);
    const { bytes, allocatedBytes } = await tree.stat('f');
    expect([bytes, allocatedBytes]).toEqual([3 * MiB + 5, MiB - 8192]);
    await tree.close(handle);
    const wanted = Buffer.alloc(3 * MiB + 5);
    pattern(6, MiB).copy(wanted);
    wanted.fill(0, 4096, 12_288);
    expect(stored(tree, 'f').equals(wanted)).toBe(true);
  });
});

describe('a file that is written in order', () => {
  it('is sent while it is being written, and appears at the close', async () => {
    await using setup = await strictTree();
    const { tree, store } = setup;
    const bytes = pattern(7, 50 * MiB + 3);
    const handle = await tree.create('f');
    await stream(tree, handle, bytes);
    await until(() => store.calls.uploadPart === 6);
    expect(store.keys()).toEqual([]);
    await tree.close(handle);
    expect(Buffer.from(store.bytesOf('f') ?? []).equals(bytes)).toBe(true);
    expect(store.calls).toMatchObject({ startUpload: 1, uploadPart: 7, put: 0 });
    expect(store.openUploads).toBe(0);
  });

  it('has parts sent again that were changed since, under their numbers', async () => {
    await using setup = await strictTree();
    const { tree, store } = setup;
    const bytes = pattern(8, 50 * MiB);
    const handle = await tree.create('f');
    await stream(tree, handle, bytes);
    await until(() => store.calls.uploadPart === 6);
    bytes.write('head', 0);
    bytes.write('middle', 16 * MiB - 3);
    await tree.writeHandle(handle, 0, 'head');
    await tree.writeHandle(handle, 16 * MiB - 3, 'middle');
    await tree.close(handle);
    expect(Buffer.from(store.bytesOf('f') ?? []).equals(bytes)).toBe(true);
    // The last two MiB, and the three parts that were changed.
    expect(store.calls.uploadPart).toBe(6 + 1 + 3);
  });

  it('leaves nothing in the bucket when it is removed, or cut short, before its close', async () => {
    await using setup = await strictTree();
    const { tree, store } = setup;
    const gone = await tree.create('gone');
    await stream(tree, gone, pattern(9, 20 * MiB));
    const short = await tree.create('short');
    await stream(tree, short, pattern(9, 20 * MiB));
    await until(() => store.calls.uploadPart === 4);
    await tree.unlink('gone');
    await tree.close(gone);
    await tree.fs.setattr(tree.inodeOf(short), short, { bytes: 3 }, tree.context);
    await tree.close(short);
    expect(store.keys()).toEqual(['short']);
    expect(store.bytesOf('short')?.length).toBe(3);
    expect(store.openUploads).toBe(0);
  });

  it('is sent anew where a directory above it has moved meanwhile', async () => {
    await using tree = await FileTree.make();
    await tree.mkdir('d');
    const handle = await tree.create('d/f');
    const bytes = pattern(10, 30 * MiB);
    await stream(tree, handle, bytes);
    await until(() => tree.store.calls.uploadPart === 3);
    await tree.rename('d', 'e');
    await tree.close(handle);
    expect(tree.store.keys()).toEqual(['e/', 'e/f']);
    expect(stored(tree, 'e/f').equals(bytes)).toBe(true);
    expect(tree.store.openUploads).toBe(0);
  });

  it('saves all the same when sending it early failed', async () => {
    let failing = true;
    await using setup = await failingTree(({ method }) =>
      failing && (method === 'uploadPart' || method === 'startUpload')
        ? { error: 'unavailable' }
        : undefined,
    );
    const { tree, store } = setup;
    const handle = await tree.create('f');
    const bytes = pattern(11, 40 * MiB);
    await stream(tree, handle, bytes);
    failing = false;
    await tree.close(handle);
    expect(Buffer.from(store.bytesOf('f') ?? []).equals(bytes)).toBe(true);
    expect(store.openUploads).toBe(0);
  });

  it('is denied once, at the close, and asked for again once it has changed', async () => {
    let denies = true;
    let asked = 0;
    await using setup = await failingTree(({ method }) => {
      if (method !== 'startUpload') return undefined;
      asked += 1;
      return denies ? { error: 'access-denied' } : undefined;
    });
    const { tree, store } = setup;
    const handle = await tree.create('f');
    const bytes = pattern(12, 40 * MiB);
    await stream(tree, handle, bytes);
    const flush = async (): Promise<void> => await tree.fs.flush(handle, tree.context);
    expect(await errnoOf(flush)).toBe('EACCES');
    expect(asked).toBe(1);
    denies = false;
    await tree.writeHandle(handle, 0, bytes.subarray(0, 1));
    await tree.close(handle);
    expect(Buffer.from(store.bytesOf('f') ?? []).equals(bytes)).toBe(true);
    expect(store.openUploads).toBe(0);
  });

  it('is right however it was written and changed while its parts were on their way', async () => {
    const place = fc.oneof(fc.nat(45 * MiB), fc.constantFrom(0, 8 * MiB, 16 * MiB - 1, 24 * MiB));
    const change = fc.oneof(
      { weight: 3, arbitrary: fc.record({ op: fc.constant('append' as const) }) },
      { weight: 2, arbitrary: fc.record({ op: fc.constant('write' as const), at: place }) },
      { weight: 1, arbitrary: fc.record({ op: fc.constant('truncate' as const), at: place }) },
      { weight: 1, arbitrary: fc.record({ op: fc.constant('zero' as const), at: place }) },
      { weight: 1, arbitrary: fc.record({ op: fc.constant('fsync' as const) }) },
      { weight: 3, arbitrary: fc.record({ op: fc.constant('wait' as const), turns: fc.nat(60) }) },
    );
    type Change = typeof change extends fc.Arbitrary<infer T> ? T : never;
    const run = async (changes: readonly Change[]): Promise<void> => {
      const clock = new FakeClock();
      const slow = new SlowStore({ clock, minPartBytes: 5 * MiB });
      const root = { kind: 'bucket', store: slow, prefix: '' } as const;
      await using tree = await FileTree.make({ root, clock });
      const handle = await tree.create('f');
      let truth = pattern(0, 20 * MiB);
      await stream(tree, handle, truth);
      for (const [nth, one] of changes.entries()) {
        const some = pattern(nth + 1, 700_000);
        if (one.op === 'append') {
          const more = pattern(nth, 6 * MiB);
          await stream(tree, handle, more, truth.length);
          truth = Buffer.concat([truth, more]);
        } else if (one.op === 'write') {
          await tree.writeHandle(handle, one.at, some);
          truth = resized(truth, Math.max(truth.length, one.at + some.length));
          some.copy(truth, one.at);
        } else if (one.op === 'truncate') {
          await tree.fs.setattr(tree.inodeOf(handle), handle, { bytes: one.at }, tree.context);
          truth = resized(truth, one.at);
        } else if (one.op === 'zero') {
          const flags = { keepSize: true, punchHole: true, zeroRange: false };
          await tree.fs.fallocate(handle, one.at, 100_000, flags, tree.context);
          truth.fill(0, Math.min(one.at, truth.length), Math.min(one.at + 100_000, truth.length));
        } else if (one.op === 'fsync') {
          await tree.fs.fsync(handle, false, tree.context);
          expect(Buffer.from(slow.bytesOf('f') ?? []).equals(truth)).toBe(true);
        } else {
          for (let turn = 0; turn < one.turns; turn += 1) {
            await new Promise((resolve) => setImmediate(resolve));
          }
        }
      }
      await tree.close(handle);
      expect(Buffer.from(slow.bytesOf('f') ?? []).equals(truth)).toBe(true);
      expect(slow.openUploads).toBe(0);
    };
    const history = fc.array(change, { maxLength: 12, size: 'max' });
    await fc.assert(fc.asyncProperty(history, run), { numRuns: 25 });
  }, 120_000);
});

/** Refuses to copy parts. */
class UncopyingStore extends MemoryObjectStore {
  refusals = 0;
  readonly #refusal: StoreError;

  constructor(refusal: StoreError, clock: FakeClock) {
    super({ clock, minPartBytes: 5 * MiB });
    this.#refusal = refusal;
  }

  override async copyPart(): Promise<UploadedPart> {
    await Promise.resolve();
    this.refusals += 1;
    throw this.#refusal;
  }
}

/** Measures what is sent in parts, and read. */
class MeasuredStore extends MemoryObjectStore {
  readonly sent: number[] = [];
  readBytes = 0;

  override async uploadPart(
    ...args: Parameters<MemoryObjectStore['uploadPart']>
  ): Promise<UploadedPart> {
    this.sent.push(args[2].byteLength);
    return await super.uploadPart(...args);
  }

  override async read(...args: Parameters<MemoryObjectStore['read']>): Promise<ObjectVersion> {
    this.readBytes += args[1].end - args[1].start;
    return await super.read(...args);
  }
}

/** Takes a few turns of the event loop to read the body of a part. */
class SlowStore extends MemoryObjectStore {
  override async uploadPart(
    ...args: Parameters<MemoryObjectStore['uploadPart']>
  ): Promise<UploadedPart> {
    for (let turn = 0; turn < 20; turn += 1) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    return await super.uploadPart(...args);
  }
}

function resized(bytes: Buffer, length: number): Buffer {
  const other = Buffer.alloc(length);
  bytes.copy(other);
  return other;
}
