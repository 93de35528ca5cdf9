import { cpSync, existsSync, mkdirSync, readdirSync, renameSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { FaultyObjectStore } from '../../../src/store/faulty-object-store.ts';
import { FakeClock } from '../../fixtures/fake-clock.ts';
import { ownLife } from '../../fixtures/journal-intents.ts';
import { MemoryObjectStore } from '../../fixtures/memory-object-store.ts';
import { contextOf, errnoOf, FileTree, text } from './file-tree.ts';

type Contents = Readonly<Record<string, string>>;

/** What a crash leaves on the disk, as the next mount finds it. */
function crashInto(stagingDir: string, left: string): void {
  mkdirSync(left, { recursive: true });
  if (!existsSync(stagingDir)) return;
  cpSync(stagingDir, left, { recursive: true });
  for (const [at, name] of readdirSync(left).entries()) {
    if (!name.startsWith('life-')) continue;
    renameSync(path.join(left, name), path.join(left, `left-${String(at).padStart(16, '0')}`));
  }
}

interface Ending {
  /** All objects, once the next mount has saved what it found. */
  readonly contents: Contents;
  readonly kept: number;
  /** How the change ended for its caller, if he lived to see it. */
  readonly outcome: string;
  readonly isOver: boolean;
}

/**
 * Does `change` in a mount with write-back whose process dies with its `nth` request, after
 * `before`; then mounts again at the same place.
 */
async function crashed(
  objects: Contents,
  before: (tree: FileTree) => Promise<void>,
  change: (tree: FileTree) => Promise<void>,
  nth: number,
): Promise<Ending> {
  const clock = new FakeClock();
  const store = new MemoryObjectStore({ clock, contentEtags: true });
  for (const [key, content] of Object.entries(objects)) store.set(key, content);
  // A mount looks for what others have left beside its own folder: each is on its own here.
  const home = await mkdtemp(path.join(tmpdir(), 'wire-fs-left-'));
  const [stagingDir, left] = [path.join(home, 'dying/staging'), path.join(home, 'next/staging')];
  let requests = -Infinity;
  let outcome = '';
  try {
    const options = { clock, life: ownLife, writeBack: 'on' } as const;
    {
      const dying = new FaultyObjectStore(
        store,
        () => {
          requests += 1;
          if (requests === nth) crashInto(stagingDir, left);
          return requests >= nth ? { error: 'unreachable' } : undefined;
        },
        clock,
      );
      const root = { kind: 'bucket', store: dying, prefix: '' } as const;
      await using tree = await FileTree.make({ root, stagingDir, ...options });
      await before(tree);
      requests = 0;
      outcome = await errnoOf(async () => await change(tree));
      if (requests < nth) crashInto(stagingDir, left);
      // Nothing that this one does from here on arrives.
      const isOver = requests < nth;
      requests = Math.max(requests, nth);
      if (isOver) requests = Infinity;
    }
    const root = { kind: 'bucket', store, prefix: '' } as const;
    {
      await using next = await FileTree.make({ root, stagingDir: left, ...options });
      await next.fs.recovered;
      await next.fs.sync(contextOf().signal);
    }
    const kept = await readdir(path.join(left, 'kept')).catch(() => []);
    const contents = Object.fromEntries(store.keys().map((key) => [key, text(store, key) ?? '']));
    return { contents, kept: kept.length, outcome, isOver: requests === Infinity };
  } finally {
    await rm(home, { recursive: true, force: true });
  }
}

/** Every ending of `change`, the last one without a crash in it. */
async function endingsOf(
  objects: Contents,
  before: (tree: FileTree) => Promise<void>,
  change: (tree: FileTree) => Promise<void>,
): Promise<readonly Ending[]> {
  const endings: Ending[] = [];
  for (let nth = 1; endings.at(-1)?.isOver !== true; nth += 1) {
    endings.push(await crashed(objects, before, change, nth));
  }
  return endings;
}

describe('a change of names before a crash, and the next mount at the same place', () => {
  it('finds a directory at one of its names, with what was accepted below it and not saved', async () => {
    const objects = { 'd/a': 'a', 'd/b': 'b', 'd/e/c': 'c' };
    const endings = await endingsOf(
      objects,
      async (tree) => {
        await tree.write('d/new', 'new');
        await tree.write('d/a', 'changed');
      },
      async (tree) => await tree.rename('d', 'z'),
    );
    const old: Contents = { ...objects, 'd/a': 'changed', 'd/new': 'new' };
    const renamed = Object.fromEntries(
      Object.entries(old).map(([key, content]) => [key.replace(/^d/, 'z'), content]),
    );
    expect(endings.length).toBeGreaterThan(5);
    for (const { contents, kept } of endings) {
      expect([contents, kept]).toEqual(['d/b' in contents ? [old, 0] : [renamed, 0]].flat());
    }
    expect(endings.at(-1)).toMatchObject({ outcome: 'ok', contents: renamed });
  });

  it('finds a file that was renamed before it was saved at its new name, as often as that was done', async () => {
    const endings = await endingsOf(
      { config: 'old', other: 'x' },
      async (tree) => {
        await tree.entry('config');
        await tree.write('config.lock', 'new');
      },
      async (tree) => {
        await tree.rename('config.lock', 'config.tmp');
        await tree.rename('config.tmp', 'config');
      },
    );
    const [last] = endings.slice(-1);
    expect(last).toEqual({
      contents: { config: 'new', other: 'x' },
      kept: 0,
      outcome: 'ok',
      isOver: true,
    });
    for (const { contents, kept } of endings) {
      expect(kept).toBe(0);
      expect([contents['config'], contents['config.lock'] ?? contents['config.tmp']]).toEqual(
        contents['config'] === 'new' ? ['new', undefined] : ['old', 'new'],
      );
    }
  });

  it('finds nothing of a file that was removed before it was saved', async () => {
    const endings = await endingsOf(
      { other: 'x' },
      async (tree) => await tree.write('f', 'content'),
      async (tree) => await tree.unlink('f'),
    );
    expect(endings).toEqual([{ contents: { other: 'x' }, kept: 0, outcome: 'ok', isOver: true }]);
  });

  it('deletes what was unlinked while open, and only that', async () => {
    const endings = await endingsOf(
      { 'd/f': 'content', 'd/g': 'g' },
      async (tree) => {
        await tree.open('d/f');
      },
      async (tree) => await tree.unlink('d/f'),
    );
    expect(endings.at(-1)).toMatchObject({ outcome: 'ok', contents: { 'd/g': 'g' } });
    for (const { contents } of endings) expect(contents['d/g']).toBe('g');
  });
});

describe('renaming a file that was accepted and has no object yet', () => {
  it('asks the store for nothing, and replaces what is there in one step when it is saved', async () => {
    await using tree = await FileTree.make({ life: ownLife, writeBack: 'on' });
    const { store } = tree;
    store.set('config', 'old');
    const reader = await tree.open('config');
    await tree.entry('config');
    await tree.write('config.lock', 'new');
    const { put, copy, delete: deleted } = store.calls;
    await tree.rename('config.lock', 'config');
    expect([store.calls.put, store.calls.copy, store.calls.delete]).toEqual([put, copy, deleted]);
    expect(await tree.read('config')).toBe('new');
    expect((await tree.list()).sort()).toEqual(['config']);
    expect((await tree.readHandle(reader)).toString()).toBe('old');
    await tree.fs.sync(contextOf().signal);
    expect([text(store, 'config'), store.keys()]).toEqual(['new', ['config']]);
    expect(store.calls.delete).toBe(deleted);
    expect((await tree.readHandle(reader)).toString()).toBe('old');
    await tree.close(reader);
  });

  it('keeps the bytes when somebody else has changed what it replaces', async () => {
    await using tree = await FileTree.make({ life: ownLife, writeBack: 'on' });
    const { store } = tree;
    store.set('config', 'old');
    await tree.entry('config');
    await tree.write('config.lock', 'mine');
    await tree.rename('config.lock', 'config');
    store.set('config', 'theirs');
    await tree.fs.sync(contextOf().signal).catch(() => undefined);
    expect(text(store, 'config')).toBe('theirs');
    expect(await readdir(path.join(tree.stagingDir, 'kept'))).toHaveLength(1);
  });
});
