import { describe, expect, it } from 'vitest';
import { contextOf, errnoOf, FileTree, failingTree, text } from './file-tree.ts';

describe('making directories', () => {
  it('stores a marker, and changes the times of the directory it is made in', async () => {
    await using tree = await FileTree.make();
    tree.store.set('d/x', 'x');
    const before = await tree.stat('d');
    await tree.clock.advance(10);
    await tree.mkdir('d/e');
    expect(tree.store.keys()).toEqual(['d/e/', 'd/x']);
    const after = await tree.stat('d');
    expect([after.mtimeMs, after.ctimeMs]).toEqual([before.mtimeMs + 10, before.ctimeMs + 10]);
    await tree.clock.advance(10);
    await tree.rmdir('d/e');
    expect((await tree.stat('d')).mtimeMs).toBe(before.mtimeMs + 20);
    await tree.clock.advance(10);
    await tree.unlink('d/x');
    expect((await tree.stat('d')).mtimeMs).toBe(before.mtimeMs + 30);
  });

  it('refuses with EEXIST what is there, also when somebody else has just made it', async () => {
    await using tree = await FileTree.make();
    for (const key of ['f', 'd/x', 'm/']) tree.store.set(key, 'x');
    for (const name of ['f', 'd', 'm']) {
      expect(await errnoOf(async () => await tree.mkdir(name))).toBe('EEXIST');
    }
    expect(await errnoOf(async () => await tree.entry('new'))).toBe('ENOENT');
    tree.store.set('new/', '');
    expect(await errnoOf(async () => await tree.mkdir('new'))).toBe('EEXIST');
    expect((await tree.stat('new')).type).toBe('directory');
  });

  it('refuses to make anything in a directory that is gone, with ESTALE', async () => {
    await using tree = await FileTree.make();
    await tree.mkdir('d');
    const inode = await tree.inode('d');
    await tree.rmdir('d');
    const name = Buffer.from('e');
    expect(await errnoOf(async () => await tree.fs.mkdir(inode, name, 0o755, contextOf()))).toBe(
      'ESTALE',
    );
    expect(tree.store.keys()).toEqual([]);
  });
});

describe('removing directories', () => {
  it('refuses with ENOTEMPTY what somebody else has put there meanwhile, and deletes nothing', async () => {
    await using tree = await FileTree.make();
    await tree.mkdir('d');
    expect(await tree.list('d')).toEqual([]);
    tree.store.set('d/theirs', 'theirs');
    expect(await errnoOf(async () => await tree.rmdir('d'))).toBe('ENOTEMPTY');
    expect(tree.store.keys()).toEqual(['d/', 'd/theirs']);
    await tree.expire();
    expect(await tree.list('d')).toEqual(['theirs']);
  });

  it('deletes nothing but the marker, whatever comes there while it does', async () => {
    await using setup = await failingTree(({ method, key }) => {
      if (method === 'delete' && key === 'd/') setup_.store?.set('d/theirs', 'theirs');
      return undefined;
    });
    const setup_: { store?: typeof setup.store } = { store: setup.store };
    const { tree, store } = setup;
    await tree.mkdir('d');
    await tree.rmdir('d');
    expect(store.keys()).toEqual(['d/theirs']);
    await tree.expire();
    expect(text(store, 'd/theirs')).toBe(await tree.read('d/theirs'));
  });

  it('refuses with ENOTEMPTY while it holds a file that is not in the bucket yet', async () => {
    await using tree = await FileTree.make();
    await tree.mkdir('d');
    const handle = await tree.create('d/new');
    expect(await errnoOf(async () => await tree.rmdir('d'))).toBe('ENOTEMPTY');
    await tree.unlink('d/new');
    await tree.rmdir('d');
    await tree.close(handle);
    expect(tree.store.keys()).toEqual([]);
  });

  it('removes a tree from the leaves up, though the store loses each directory with its last key', async () => {
    await using tree = await FileTree.make();
    for (const key of ['a/b/c/f', 'a/b/g', 'a/d/h']) tree.store.set(key, 'x');
    for (const file of ['a/b/c/f', 'a/b/g', 'a/d/h']) await tree.unlink(file);
    await tree.expire();
    expect(await tree.list()).toEqual(['a']);
    for (const directory of ['a/b/c', 'a/b', 'a/d', 'a']) await tree.rmdir(directory);
    expect(await tree.list()).toEqual([]);
    expect(tree.store.keys()).toEqual([]);
  });
});
