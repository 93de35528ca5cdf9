import { describe, expect, it } from 'vitest';
import { ROOT_INODE } from '../../../src/fs/ids.ts';
import { FaultyObjectStore } from '../../../src/store/faulty-object-store.ts';
import { FakeClock } from '../../fixtures/fake-clock.ts';
import { HeldListing } from '../../fixtures/held-listing.ts';
import { MemoryObjectStore, MemoryObjectStores } from '../../fixtures/memory-object-store.ts';
import { contextOf, errnoOf, FileTree } from './file-tree.ts';

describe('names', () => {
  it('shows keys as files and what they share before a slash as directories', async () => {
    await using tree = await FileTree.make();
    for (const key of ['a', 'd/b', 'd/e/c', 'm/']) tree.store.set(key, 'x');
    expect(await tree.list()).toEqual(['d', 'm', 'a']);
    expect(await tree.list('d')).toEqual(['e', 'b']);
    expect(await tree.list('m')).toEqual([]);
    expect((await tree.stat('d')).type).toBe('directory');
  });

  it('lets a directory hide a file of the same name', async () => {
    await using tree = await FileTree.make();
    for (const key of ['a', 'a-1', 'a.txt', 'a/b']) tree.store.set(key, 'x');
    expect((await tree.stat('a')).type).toBe('directory');
    expect((await tree.list()).sort()).toEqual(['a', 'a-1', 'a.txt']);
  });

  it('finds the directory behind any number of names that sort before it', async () => {
    await using tree = await FileTree.make();
    for (let at = 0; at < 50; at += 1) tree.store.set(`a-${at}`, 'x');
    tree.store.set('a/b', 'x');
    expect((await tree.stat('a')).type).toBe('directory');
  });

  it('hides keys that no file name can show', async () => {
    await using tree = await FileTree.make();
    for (const key of ['ok', '/x', '..', 'd//y', 'n'.repeat(256)]) tree.store.set(key, 'x');
    expect((await tree.list()).sort()).toEqual(['d', 'ok']);
    expect(await tree.list('d')).toEqual([]);
    expect(await errnoOf(async () => await tree.rmdir('d'))).toBe('ENOTEMPTY');
  });

  it('refuses names of over 255 bytes and paths of over 1,024 with ENAMETOOLONG', async () => {
    await using tree = await FileTree.make();
    expect(await errnoOf(async () => await tree.write('n'.repeat(256), 'x'))).toBe('ENAMETOOLONG');
    const deep = Array.from({ length: 4 }, () => 'd'.repeat(250));
    for (let at = 1; at <= 4; at += 1) await tree.mkdir(deep.slice(0, at).join('/'));
    const long = [...deep, 'f'.repeat(100)].join('/');
    expect(await errnoOf(async () => await tree.write(long, 'x'))).toBe('ENAMETOOLONG');
  });

  it('answers a lookup with at most one request, and a second one at once', async () => {
    await using tree = await FileTree.make();
    tree.store.set('f', 'x');
    await tree.entry('f');
    expect(tree.store.calls).toMatchObject({ list: 1, head: 0 });
    expect(tree.fs.lookup(ROOT_INODE, Buffer.from('f'), tree.context)).not.toBeInstanceOf(Promise);
    expect(tree.store.calls.list).toBe(1);
  });

  it('remembers that a name is not there', async () => {
    await using tree = await FileTree.make();
    expect(await errnoOf(async () => await tree.entry('no'))).toBe('ENOENT');
    const lookup = (): unknown => tree.fs.lookup(ROOT_INODE, Buffer.from('no'), tree.context);
    expect(lookup).toThrow('find a name');
    expect(tree.store.calls.list).toBe(1);
    tree.store.set('no', 'now');
    await tree.expire();
    expect(await tree.read('no')).toBe('now');
  });

  it('lists a directory in pages, without a request for each entry, under stable cookies', async () => {
    const clock = new FakeClock();
    const store = new MemoryObjectStore({ clock, maxKeys: 7 });
    for (let at = 0; at < 40; at += 1) store.set(`f${at}`, 'x');
    await using tree = await FileTree.make({ root: { kind: 'bucket', store, prefix: '' }, clock });
    const all = await tree.dirents('', 3);
    expect(new Set(all.map(({ name }) => Buffer.from(name).toString())).size).toBe(42);
    expect(all.map(({ cookie }) => cookie)).toEqual(all.map((_, at) => at + 1));
    expect(store.calls).toMatchObject({ list: 6, head: 0 });
  });

  it('gives attributes with a listing, and counts a reference for each entry taken', async () => {
    await using tree = await FileTree.make();
    tree.store.set('f', 'four');
    tree.store.set('g', 'x');
    const { handle } = tree.fs.opendir(ROOT_INODE);
    const entries: (number | undefined)[] = [];
    const fill = (_: unknown, entry: { attributes: { bytes: number } } | undefined): boolean => {
      if (entries.length === 3) return false;
      entries.push(entry?.attributes.bytes);
      return true;
    };
    await tree.fs.readdirplus(handle, 0, fill, tree.context);
    await tree.fs.readdirplus(handle, 2, fill, tree.context);
    expect(entries).toEqual([undefined, undefined, 4]);
    tree.fs.releasedir(handle);
    expect(tree.store.calls).toMatchObject({ list: 1, head: 0 });
  });

  it('shows files being written and directories it made or emptied', async () => {
    await using tree = await FileTree.make();
    tree.store.set('d/x', '1');
    const handle = await tree.create('new');
    await tree.mkdir('made');
    await tree.unlink('d/x');
    await tree.expire();
    expect((await tree.list()).sort()).toEqual(['d', 'made', 'new']);
    await tree.rmdir('d');
    await tree.close(handle);
    await tree.expire();
    expect((await tree.list()).sort()).toEqual(['made', 'new']);
  });

  it('does not bring back what was unlinked while a listing was under way', async () => {
    const clock = new FakeClock();
    const store = new HeldListing({ clock });
    store.set('f', 'x');
    const root = { kind: 'bucket', store, prefix: '' } as const;
    await using tree = await FileTree.make({ root, clock });
    await tree.entry('f');
    const answer = store.holdNext();
    const listing = tree.list();
    await clock.advance(0);
    await tree.unlink('f');
    answer();
    expect(await listing).toEqual([]);
    expect(await errnoOf(async () => await tree.entry('f'))).toBe('ENOENT');
  });

  it('gives a name the same st_ino on every mount, and no two names the same', async () => {
    await using one = await FileTree.make();
    await using two = await FileTree.make();
    for (const { store } of [one, two]) for (const key of ['a', 'd/a']) store.set(key, key);
    const inos = async (tree: FileTree): Promise<number[]> =>
      await Promise.all(['', 'a', 'd', 'd/a'].map(async (name) => (await tree.stat(name)).ino));
    expect(await inos(one)).toEqual(await inos(two));
    expect(new Set(await inos(one)).size).toBe(4);
    expect((await inos(one)).every((ino) => Number.isSafeInteger(ino) && ino > 0)).toBe(true);
    const told = new Map((await one.dirents()).map((d) => [Buffer.from(d.name).toString(), d.ino]));
    expect([told.get('a'), told.get('d')]).toEqual((await inos(one)).slice(1, 3));
  });

  it('forgets an inode when the kernel has and nothing is open, and never uses its number again', async () => {
    await using tree = await FileTree.make();
    tree.store.set('f', 'x');
    const first = await tree.inode('f');
    const handle = await tree.open('f');
    tree.fs.forget(first, 2);
    expect((await tree.readHandle(handle)).toString()).toBe('x');
    await tree.close(handle);
    expect(await errnoOf(() => tree.fs.getattr(first, undefined, tree.context))).toBe('ESTALE');
    expect(await tree.inode('f')).toBeGreaterThan(first);
  });

  it('gives EROFS to every change of a read-only mount', async () => {
    await using tree = await FileTree.make({ readOnly: true });
    tree.store.set('f', 'x');
    tree.store.set('d/x', 'x');
    const changes = [
      async () => await tree.write('new', 'x'),
      async () => await tree.open('f', { access: 'write' }),
      async () => await tree.mkdir('made'),
      async () => await tree.unlink('f'),
      async () => await tree.rmdir('d'),
      async () => await tree.rename('f', 'g'),
      async () => await tree.setattr('f', { mode: 0o600 }),
      async () => await tree.setattr('f', { bytes: 0 }),
    ];
    for (const change of changes) expect(await errnoOf(change)).toBe('EROFS');
    expect(await tree.read('f')).toBe('x');
  });

  it('asks once within the TTL when policy denies a listing', async () => {
    const clock = new FakeClock();
    const store = new MemoryObjectStore({ clock });
    let asked = 0;
    const denied = new FaultyObjectStore(
      store,
      ({ method }) => {
        asked += method === 'list' ? 1 : 0;
        return { error: 'access-denied' };
      },
      clock,
    );
    const root = { kind: 'bucket', store: denied, prefix: '' } as const;
    await using tree = await FileTree.make({ root, clock });
    for (let at = 0; at < 5; at += 1) {
      expect(await errnoOf(async () => await tree.list())).toBe('EACCES');
    }
    expect(asked).toBe(1);
    await clock.advance(2000);
    expect(await errnoOf(async () => await tree.list())).toBe('EACCES');
    expect(asked).toBe(2);
  });

  it('keeps mode, owner and times for the life of the mount, and drops setuid on a write', async () => {
    await using tree = await FileTree.make();
    tree.store.set('f', 'x');
    await tree.setattr('f', { mode: 0o4755, uid: 7 });
    await tree.setattr('f', { mode: 0o4755, mtimeMs: 1000, atimeMs: 2000 });
    tree.fs.forget(await tree.inode('f'), 99);
    expect(await tree.stat('f')).toMatchObject({
      mode: 0o4755,
      uid: 7,
      mtimeMs: 1000,
      atimeMs: 2000,
    });
    await tree.write('f', 'y');
    expect((await tree.stat('f')).mode).toBe(0o755);
    await tree.setattr('f', { mtimeMs: 3000 });
    tree.store.set('f', 'foreign');
    await tree.expire();
    expect((await tree.stat('f')).mtimeMs).toBeGreaterThan(3000);
  });

  it('keeps the time a program set on a file it was still writing', async () => {
    await using tree = await FileTree.make();
    const handle = await tree.create('f');
    await tree.writeHandle(handle, 0, 'x');
    await tree.fs.setattr(tree.inodeOf(handle), handle, { mtimeMs: 5000 }, tree.context);
    await tree.close(handle);
    await tree.expire();
    expect((await tree.stat('f')).mtimeMs).toBe(5000);
  });
});

describe('renaming', () => {
  it('renames a file over another, and the old name is gone', async () => {
    await using tree = await FileTree.make();
    await tree.write('a', 'new');
    await tree.write('b', 'old');
    await tree.rename('a', 'b');
    expect(tree.store.keys()).toEqual(['b']);
    expect(await tree.read('b')).toBe('new');
    expect(await errnoOf(async () => await tree.entry('a'))).toBe('ENOENT');
  });

  it('renames a file that is still being written, and its handle goes on at the new name', async () => {
    await using tree = await FileTree.make();
    const handle = await tree.create('tmp');
    await tree.writeHandle(handle, 0, 'one');
    await tree.rename('tmp', 'final');
    await tree.writeHandle(handle, 3, ' two');
    await tree.close(handle);
    expect(tree.store.keys()).toEqual(['final']);
    expect(await tree.read('final')).toBe('one two');
  });

  it('renames a directory with all that is below it, open and unsaved files too', async () => {
    await using tree = await FileTree.make();
    for (const key of ['d/', 'd/a', 'd/e/b']) tree.store.set(key, key);
    const reader = await tree.open('d/e/b');
    const writer = await tree.create('d/new');
    await tree.writeHandle(writer, 0, 'new');
    await tree.rename('d', 'z');
    expect(tree.store.keys()).toEqual(['z/', 'z/a', 'z/e/b']);
    expect((await tree.readHandle(reader)).toString()).toBe('d/e/b');
    await tree.close(writer);
    await tree.close(reader);
    expect(await tree.read('z/new')).toBe('new');
    expect(await errnoOf(async () => await tree.entry('d'))).toBe('ENOENT');
  });

  it('takes its copies back when a directory cannot be copied whole', async () => {
    const clock = new FakeClock();
    const store = new MemoryObjectStore({ clock });
    for (const key of ['d/a', 'd/b', 'd/c']) store.set(key, key);
    const failing = new FaultyObjectStore(
      store,
      ({ method, key }) =>
        method === 'copy' && key === 'z/b' ? { error: 'unavailable' } : undefined,
      clock,
    );
    const root = { kind: 'bucket', store: failing, prefix: '' } as const;
    await using tree = await FileTree.make({ root, clock });
    expect(await errnoOf(async () => await tree.rename('d', 'z'))).toBe('EIO');
    expect(store.keys()).toEqual(['d/a', 'd/b', 'd/c']);
    expect((await tree.list('d')).sort()).toEqual(['a', 'b', 'c']);
  });

  it('refuses what rename(2) refuses', async () => {
    await using tree = await FileTree.make();
    for (const key of ['f', 'g', 'd/x', 'e/']) tree.store.set(key, 'x');
    const rename = async (from: string, to: string, flags = {}): Promise<string> =>
      await errnoOf(async () => await tree.rename(from, to, flags));
    expect(await rename('no', 'g')).toBe('ENOENT');
    expect(await rename('f', 'g', { noReplace: true })).toBe('EEXIST');
    expect(await rename('f', 'g', { exchange: true })).toBe('EINVAL');
    expect(await rename('f', 'd')).toBe('EISDIR');
    expect(await rename('d', 'f')).toBe('ENOTDIR');
    expect(await rename('e', 'd')).toBe('ENOTEMPTY');
    expect(await rename('d', 'd/y')).toBe('EINVAL');
    expect(await rename('d', 'e')).toBe('ok');
  });
});

describe('a root of buckets', () => {
  it('shows every bucket one may list, and enters one that is not listed', async () => {
    const clock = new FakeClock();
    const listed = new MemoryObjectStores({ clock, buckets: ['one', 'two', 'hidden'] });
    const stores = {
      buckets: async (signal: AbortSignal) =>
        (await listed.buckets(signal)).filter(({ name }) => name !== 'hidden'),
      open: (name: string) => listed.open(name),
    };
    await using tree = await FileTree.make({ root: { kind: 'buckets', stores }, clock });
    listed.memory('hidden').set('f', 'found');
    expect((await tree.list()).sort()).toEqual(['one', 'two']);
    await tree.expire();
    expect(await tree.read('hidden/f')).toBe('found');
    expect(await errnoOf(async () => await tree.entry('nowhere'))).toBe('ENOENT');
    expect(await errnoOf(async () => await tree.entry('.git'))).toBe('ENOENT');
  });

  it('refuses to make or remove buckets with EPERM, and to rename across them with EXDEV', async () => {
    const clock = new FakeClock();
    const stores = new MemoryObjectStores({ clock, buckets: ['one', 'two'] });
    await using tree = await FileTree.make({ root: { kind: 'buckets', stores }, clock });
    stores.memory('one').set('f', 'x');
    expect(await errnoOf(async () => await tree.mkdir('three'))).toBe('EPERM');
    expect(await errnoOf(async () => await tree.rmdir('one'))).toBe('EPERM');
    expect(await errnoOf(async () => await tree.write('f', 'x'))).toBe('EPERM');
    expect(await errnoOf(async () => await tree.rename('one', 'ten'))).toBe('EPERM');
    expect(await errnoOf(async () => await tree.rename('one/f', 'two/f'))).toBe('EXDEV');
    await tree.write('two/g', 'y');
    expect(stores.memory('two').keys()).toEqual(['g']);
  });
});

it('ends a lookup that the kernel interrupts with EINTR', async () => {
  const clock = new FakeClock();
  const store = new FaultyObjectStore(
    new MemoryObjectStore({ clock }),
    () => ({ stall: true }),
    clock,
  );
  await using tree = await FileTree.make({ root: { kind: 'bucket', store, prefix: '' }, clock });
  const interrupt = new AbortController();
  tree.context = contextOf(interrupt.signal);
  const lookup = errnoOf(async () => await tree.entry('f'));
  interrupt.abort();
  expect(await lookup).toBe('EINTR');
});
