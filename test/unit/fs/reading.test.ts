import { describe, expect, it } from 'vitest';
import { MiB } from '../../../src/lib/bytes.ts';
import { silentLog } from '../../../src/lib/log.ts';
import { FaultyObjectStore } from '../../../src/store/faulty-object-store.ts';
import { FakeClock } from '../../fixtures/fake-clock.ts';
import { MemoryObjectStore } from '../../fixtures/memory-object-store.ts';
import { contextOf, errnoOf, FileTree } from './file-tree.ts';

/** Bytes that tell where they are from. */
function pattern(bytes: number): Buffer {
  const made = Buffer.alloc(bytes);
  for (let at = 0; at + 4 <= bytes; at += 4) made.writeUInt32LE(at, at);
  return made;
}

describe('reading', () => {
  it('gives fewer bytes than asked for only at the end of the file', async () => {
    await using tree = await FileTree.make();
    const content = pattern(3 * MiB + 1000);
    tree.store.set('f', content);
    const handle = await tree.open('f');
    for (const [start, bytes] of [
      [0, 100],
      [MiB - 50, 100],
      [MiB - 1, MiB + 2],
      [3 * MiB + 900, 500],
      [4 * MiB, 10],
    ] as const) {
      const read = await tree.readHandle(handle, start, bytes);
      expect(read.equals(content.subarray(start, start + bytes))).toBe(true);
    }
    await tree.close(handle);
  });

  it('gives ESTALE through old handles and the new content to new opens when an object is replaced', async () => {
    await using tree = await FileTree.make();
    tree.store.set('f', 'old');
    const old = await tree.open('f');
    expect((await tree.readHandle(old)).toString()).toBe('old');
    tree.store.set('f', 'new!');
    await tree.expire();
    expect(await tree.read('f')).toBe('new!');
    expect(await errnoOf(async () => await tree.readHandle(old))).toBe('ESTALE');
    expect((await tree.stat('f')).bytes).toBe(4);
    await tree.close(old);
  });

  it('is told again of each block that a failed read has waited for', async () => {
    await using tree = await FileTree.make();
    tree.store.set('f', pattern(300_000));
    const old = await tree.open('f');
    tree.store.set('f', pattern(10));
    expect(await errnoOf(async () => await tree.readHandle(old, 0, 262_144))).toBe('ESTALE');
    expect(await errnoOf(async () => await tree.readHandle(old, 131_072, 100))).toBe('ESTALE');
    await tree.close(old);
  });

  it('shows a change that somebody else made after at most the listing TTL', async () => {
    await using tree = await FileTree.make();
    tree.store.set('f', 'old');
    expect(await tree.read('f')).toBe('old');
    tree.store.set('g', 'made');
    tree.store.set('f', 'newer');
    await tree.expire();
    expect(await tree.read('f')).toBe('newer');
    expect(await tree.read('g')).toBe('made');
  });

  it('lets the kernel keep its pages of a file exactly while the object is the same', async () => {
    await using tree = await FileTree.make();
    tree.store.set('f', 'one');
    const inode = await tree.inode('f');
    const flags = { access: 'read', truncate: false, append: false, exclusive: false } as const;
    const open = async (): Promise<boolean> => {
      const opened = await tree.fs.open(inode, flags, tree.context);
      await tree.close(opened.handle);
      return opened.keepCache;
    };
    expect([await open(), await open()]).toEqual([false, true]);
    tree.store.set('f', 'two');
    await tree.expire();
    expect([await open(), await open()]).toEqual([false, true]);
    await tree.write('f', 'ours');
    expect(await open()).toBe(true);
  });

  it('goes on reading an open file after it was renamed, without asking for its old name', async () => {
    await using tree = await FileTree.make();
    const content = pattern(5 * MiB);
    tree.store.set('f', content);
    const handle = await tree.open('f');
    await tree.readHandle(handle, 0, 10);
    await tree.rename('f', 'g');
    const read = await tree.readHandle(handle, 4 * MiB, 1000);
    expect(read.equals(content.subarray(4 * MiB, 4 * MiB + 1000))).toBe(true);
    await tree.close(handle);
  });

  it('gives an error, never wrong bytes, when the store sends too few', async () => {
    const clock = new FakeClock();
    const store = new MemoryObjectStore({ clock });
    store.set('f', 'complete');
    const short = new FaultyObjectStore(
      store,
      ({ method }) => (method === 'read' ? { shortAfterBytes: 3 } : undefined),
      clock,
    );
    await using tree = await FileTree.make({ root: { kind: 'bucket', store: short, prefix: '' } });
    expect(await errnoOf(async () => await tree.read('f'))).toBe('EIO');
  });

  it('interrupts one reader and serves the other one of the same block', async () => {
    const clock = new FakeClock();
    const store = new MemoryObjectStore({ clock });
    store.set('f', 'bytes');
    const slow = new FaultyObjectStore(
      store,
      ({ method }) => (method === 'read' ? { delayMs: 100 } : undefined),
      clock,
    );
    const root = { kind: 'bucket', store: slow, prefix: '' } as const;
    await using tree = await FileTree.make({ root, clock, log: silentLog });
    const handle = await tree.open('f');
    const interrupt = new AbortController();
    const interrupted = errnoOf(
      async () => await tree.fs.read(handle, 0, 5, contextOf(interrupt.signal)),
    );
    const served = tree.readHandle(handle, 0, 5);
    interrupt.abort();
    expect(await interrupted).toBe('EINTR');
    await clock.advance(100);
    expect((await served).toString()).toBe('bytes');
    expect(store.calls.read).toBe(1);
    await tree.close(handle);
  });

  it('reads a file in order with less than two requests per block', async () => {
    await using tree = await FileTree.make();
    tree.store.set('f', pattern(8 * MiB));
    const handle = await tree.open('f');
    for (let at = 0; at < 8 * MiB; at += 128 * 1024) await tree.readHandle(handle, at, 128 * 1024);
    await tree.close(handle);
    expect(tree.store.calls.read).toBeLessThanOrEqual(8);
    expect(tree.store.calls.head).toBe(0);
  });
});
