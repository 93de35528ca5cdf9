import { describe, expect, it } from 'vitest';
import { disappointed, noticeOpening, noWalks } from '../../../src/fs/walk-detector.ts';
import { FaultyObjectStore } from '../../../src/store/faulty-object-store.ts';
import { FakeClock } from '../../fixtures/fake-clock.ts';
import { MemoryObjectStore } from '../../fixtures/memory-object-store.ts';
import { FileTree } from './file-tree.ts';

function numbered(at: number): string {
  return String(at).padStart(4, '0');
}

function fill(store: MemoryObjectStore, directories: number, files: number, below = ''): void {
  for (let d = 0; d < directories; d += 1) {
    for (let f = 0; f < files; f += 1) store.set(`${below}d${numbered(d)}/f${numbered(f)}`, 'x');
  }
}

interface WatchedTree extends AsyncDisposable {
  readonly tree: FileTree;
  readonly store: MemoryObjectStore;
}

async function watchedTree(): Promise<WatchedTree> {
  const clock = new FakeClock();
  const store = new MemoryObjectStore({ clock });
  const tree = await FileTree.make({ root: { kind: 'bucket', store, prefix: '' }, clock });
  return { tree, store, [Symbol.asyncDispose]: async () => await tree[Symbol.asyncDispose]() };
}

/** Reads `directory` and all below, each before those in it, as find(1) and ls -R do. */
async function walk(tree: FileTree, directory = '', skip?: RegExp): Promise<string[]> {
  const files: string[] = [];
  const dirents = await tree.dirents(directory);
  const below: string[] = [];
  for (const { name, type } of dirents) {
    const text = Buffer.from(name).toString();
    if (text === '.' || text === '..') continue;
    const at = directory === '' ? text : `${directory}/${text}`;
    if (type === 'directory') below.push(at);
    else files.push(at);
  }
  for (const at of below) if (skip?.test(at) !== true) files.push(...(await walk(tree, at, skip)));
  return files;
}

describe('a walk through the tree', () => {
  it('lists ten thousand files in a hundred directories with twelve requests, and no HEAD', async () => {
    await using watched = await watchedTree();
    const { tree, store } = watched;
    fill(store, 100, 100);
    expect(await walk(tree)).toEqual(store.keys());
    expect(store.calls).toMatchObject({ head: 0 });
    expect(store.calls.list).toBeLessThanOrEqual(12);
  });

  it('shows what is there, in trees of any depth and with directories of any length', async () => {
    await using watched = await watchedTree();
    const { tree, store } = watched;
    for (const top of ['a/', 'b/c/', 'b/d/e/', 'long/']) fill(store, 7, 3, top);
    for (let at = 0; at < 5000; at += 1) store.set(`b/d/long/${numbered(at)}`, 'x');
    for (let at = 0; at < 30; at += 1) store.set(`b/d/s${at}/t/u/v`, 'x');
    for (let at = 0; at < 2500; at += 1) store.set(`long/x/y${numbered(at)}/z`, 'x');
    expect((await walk(tree)).sort()).toEqual(store.keys());
    expect(store.calls.head).toBe(0);
  });

  it('does not list what the walker leaves out', async () => {
    await using watched = await watchedTree();
    const { tree, store } = watched;
    fill(store, 40, 10);
    for (let at = 0; at < 30_000; at += 1) store.set(`d0020/huge/${at}`, 'x');
    const files = await walk(tree, '', /huge/);
    expect(files.sort()).toEqual(store.keys().filter((key) => !key.includes('huge')));
    expect(store.calls.list).toBeLessThan(20);
  });

  it('asks for each directory where policy denies a listing of all below', async () => {
    const clock = new FakeClock();
    const store = new MemoryObjectStore({ clock });
    let denied = 0;
    fill(store, 30, 3);
    const refusing = new FaultyObjectStore(store, () => undefined, clock);
    const list = refusing.list.bind(refusing);
    refusing.list = async (request, signal) => {
      if (request.delimiter !== undefined || request.maxKeys !== undefined) {
        return await list(request, signal);
      }
      denied += 1;
      const no = new FaultyObjectStore(store, () => ({ error: 'access-denied' }), clock);
      return await no.list(request, signal);
    };
    const root = { kind: 'bucket', store: refusing, prefix: '' } as const;
    await using tree = await FileTree.make({ root, clock });
    expect(await walk(tree)).toEqual(store.keys());
    expect(denied).toBe(1);
    expect(store.calls.list).toBe(31);
  });

  it('shows what this mount changed while the listing ran ahead', async () => {
    await using watched = await watchedTree();
    const { tree, store } = watched;
    fill(store, 50, 4);
    await tree.list();
    await tree.list('d0000');
    await tree.list('d0001');
    await tree.unlink('d0030/f0001');
    await tree.write('d0031/new', 'x');
    await tree.rename('d0032', 'd0033x');
    const before = store.calls.list;
    expect((await tree.list('d0030')).sort()).toEqual(['f0000', 'f0002', 'f0003']);
    expect((await tree.list('d0031')).sort()).toEqual(['f0000', 'f0001', 'f0002', 'f0003', 'new']);
    expect(store.calls.list).toBeGreaterThan(before);
    expect((await tree.list('d0033x')).sort()).toEqual(['f0000', 'f0001', 'f0002', 'f0003']);
  });

  it('asks for a page or two ahead of a walker, and no more', async () => {
    await using watched = await watchedTree();
    const { tree, store } = watched;
    fill(store, 1000, 10);
    await tree.list();
    await tree.list('d0000');
    await tree.list('d0001');
    await tree.clock.advance(0);
    expect(store.calls.list).toBeLessThanOrEqual(5);
    await tree.clock.advance(500);
    expect(store.calls.list).toBeLessThanOrEqual(5);
  });
});

describe('noticing a walk', () => {
  const open = (state: typeof noWalks, name: string, atMs: number, parent = 'b/') =>
    noticeOpening(state, { parent, name, atMs });

  it('takes the second directory of a parent, read in their order, for a walk', () => {
    const first = open(noWalks, 'a', 0);
    expect(first.isWalk).toBe(false);
    expect(open(first.state, 'a', 1).isWalk).toBe(false);
    expect(open(first.state, 'c', 1).isWalk).toBe(true);
    expect(open(first.state, 'c', 1, 'other/').isWalk).toBe(false);
    expect(open(first.state, 'c', 100_000).isWalk).toBe(false);
    expect(open(open(noWalks, 'c', 0).state, 'a', 1).isWalk).toBe(false);
  });

  it('wants more evidence after a listing that was of no use', () => {
    let { state } = open(noWalks, 'a', 0);
    ({ state } = open(state, 'b', 0));
    state = disappointed(state, 'b/');
    const seen: boolean[] = [];
    for (const name of ['c', 'd', 'e']) {
      const next = open(state, name, 1);
      seen.push(next.isWalk);
      ({ state } = next);
    }
    expect(seen).toEqual([false, false, true]);
  });
});
