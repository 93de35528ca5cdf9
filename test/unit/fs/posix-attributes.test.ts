import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Attributes } from '../../../src/fs/filesystem.ts';
import { IndexStore } from '../../../src/fs/index-store.ts';
import { silentLog } from '../../../src/lib/log.ts';
import { FaultyObjectStore } from '../../../src/store/faulty-object-store.ts';
import { FakeClock } from '../../fixtures/fake-clock.ts';
import { MemoryObjectStore } from '../../fixtures/memory-object-store.ts';
import { FileTree, LIST_TTL_MS } from './file-tree.ts';

const script = { mode: String(0o100755), uid: '7', gid: '8', mtime: '5.5' };

/** What READDIRPLUS tells of each name. */
async function listed(tree: FileTree, directory = ''): Promise<Map<string, Attributes>> {
  const { handle } = tree.fs.opendir(await tree.inode(directory));
  const told = new Map<string, Attributes>();
  try {
    for (let [before, cookie] = [-1, 0]; before !== cookie; ) {
      before = cookie;
      await tree.fs.readdirplus(
        handle,
        cookie,
        (dirent, entry) => {
          ({ cookie } = dirent);
          if (entry !== undefined) told.set(Buffer.from(dirent.name).toString(), entry.attributes);
          return true;
        },
        tree.context,
      );
    }
  } finally {
    tree.fs.releasedir(handle);
  }
  return told;
}

describe('attributes read of metadata', () => {
  it('are shown for every entry, with one HEAD for each version', async () => {
    await using tree = await FileTree.make({ posix: true });
    for (let nth = 0; nth < 400; nth += 1)
      tree.store.set(`f${nth}`, 'content', { metadata: script });
    tree.store.set('plain', 'content');
    const told = await listed(tree);
    expect(told.size).toBe(401);
    expect(told.get('f0')).toMatchObject({ mode: 0o755, uid: 7, gid: 8, mtimeMs: 5500 });
    expect(told.get('plain')).toMatchObject({ mode: 0o644, uid: 1000 });
    expect(tree.store.calls.head).toBe(401);
    await tree.expire();
    await listed(tree);
    expect(await tree.stat('f9')).toMatchObject({ mode: 0o755 });
    expect(tree.store.calls.head).toBe(401);
    tree.store.set('f9', 'content', { metadata: { ...script, mode: String(0o100600) } });
    await tree.expire();
    expect(await tree.stat('f9')).toMatchObject({ mode: 0o600 });
    expect(tree.store.calls.head).toBe(402);
  });

  it('are asked for many at a time', async () => {
    const clock = new FakeClock();
    const store = new MemoryObjectStore({ clock });
    const slow = ({ method }: { method: string }) =>
      method === 'head' ? { delayMs: 20 } : undefined;
    const faulty = new FaultyObjectStore(store, slow, clock);
    await using tree = await FileTree.make({
      root: { kind: 'bucket', store: faulty, prefix: '' },
      clock,
      posix: true,
    });
    for (let nth = 0; nth < 64; nth += 1) store.set(`f${nth}`, '', { metadata: script });
    const all = listed(tree);
    await clock.advance(20);
    expect(store.calls.head).toBe(32);
    await clock.advance(20);
    expect((await all).size).toBe(64);
  });

  it('come with the listing where the store tells them so, and nothing else is asked', async () => {
    const clock = new FakeClock();
    const store = new MemoryObjectStore({ clock, tellsMetadata: true });
    await using tree = await FileTree.make({
      ...{ root: { kind: 'bucket', store, prefix: '' }, clock, posix: true },
    });
    store.set('a', 'content', { metadata: script });
    store.set('d/', '', { metadata: { mode: String(0o040700) } });
    store.set('d/b', 'content', { metadata: script });
    store.set('e/c', 'content');
    const [top, below] = [await listed(tree), await listed(tree, 'd')];
    expect(top.get('a')).toMatchObject({ mode: 0o755, mtimeMs: 5500 });
    expect(below.get('b')).toMatchObject({ mode: 0o755 });
    await listed(tree, 'e');
    // A listing of what is above tells nothing of the objects of directories.
    expect(store.calls.head).toBe(2);
    await tree.setattr('a', { mode: 0o600 });
    await tree.clock.advance(1001);
    await tree.expire();
    expect((await listed(tree)).get('a')).toMatchObject({ mode: 0o600 });
  });

  it('of directories are those of their objects, and of others as usual', async () => {
    await using tree = await FileTree.make({ posix: true });
    tree.store.set('marked/', '', { metadata: { mode: String(0o040700), uid: '7', mtime: '9' } });
    tree.store.set('plain/file', '');
    const told = await listed(tree);
    expect(told.get('marked')).toMatchObject({ mode: 0o700, uid: 7, mtimeMs: 9000 });
    expect(told.get('plain')).toMatchObject({ mode: 0o755, uid: 1000 });
    await listed(tree);
    expect(await tree.stat('marked')).toMatchObject({ mode: 0o700 });
    expect(tree.store.calls.head).toBe(2);
  });

  it('of a directory without an object make it one when they are set', async () => {
    await using tree = await FileTree.make({ posix: true });
    tree.store.set('d/file', '');
    await tree.setattr('d', { mode: 0o700 });
    await tree.clock.advance(1001);
    expect(tree.store.headOf('d/')?.metadata['mode']).toBe(String(0o040700));
  });

  it('are not asked for again after a remount, and not at all by default', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'wire-posix-'));
    const clock = new FakeClock();
    const store = new MemoryObjectStore({ clock });
    store.set('a', 'content', { metadata: script });
    store.set('d/b', 'content', { metadata: script });
    const mount = async (posix: boolean): Promise<void> => {
      await using index = await IndexStore.open({
        ...{ folder, listTtlMs: LIST_TTL_MS, clock, log: silentLog },
      });
      await using tree = await FileTree.make({
        ...{ root: { kind: 'bucket', store, prefix: '' }, clock, index, posix },
      });
      const [top, below] = [await listed(tree), await listed(tree, 'd')];
      if (!posix) return;
      expect(top.get('a')).toMatchObject({ mode: 0o755, mtimeMs: 5500 });
      expect(below.get('b')).toMatchObject({ mode: 0o755, mtimeMs: 5500 });
      await tree.write('own', 'content');
    };
    try {
      await mount(false);
      expect(store.calls.head).toBe(0);
      await mount(true);
      // a, d, d/b and the new name of no object.
      const { head } = store.calls;
      expect(head).toBe(3);
      await mount(true);
      expect(store.calls.head).toBe(head);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  it('are as usual where policy lets nobody look, which is asked once a minute', async () => {
    const clock = new FakeClock();
    const store = new MemoryObjectStore({ clock });
    let asked = 0;
    const denied = ({ method }: { method: string }) => {
      if (method !== 'head') return undefined;
      asked += 1;
      return { error: 'access-denied' } as const;
    };
    await using tree = await FileTree.make({
      root: { kind: 'bucket', store: new FaultyObjectStore(store, denied, clock), prefix: '' },
      clock,
      posix: true,
    });
    store.set('a', 'content', { metadata: script });
    expect(await tree.stat('a')).toMatchObject({ mode: 0o644 });
    await listed(tree);
    expect(await tree.stat('a')).toMatchObject({ mode: 0o644 });
    expect(asked).toBe(1);
  });

  it('tell no type of short names that nobody has asked for', async () => {
    await using tree = await FileTree.make({ posix: true });
    tree.store.set('short', 'content');
    tree.store.set('long', Buffer.alloc(5000));
    const types = async (): Promise<string[]> =>
      (await tree.dirents()).slice(2).map(({ type }) => type);
    expect(await types()).toEqual(['file', 'unknown']);
    await tree.stat('short');
    expect(await types()).toEqual(['file', 'file']);
  });
});
