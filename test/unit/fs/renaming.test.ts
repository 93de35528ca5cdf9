import { describe, expect, it } from 'vitest';
import { MiB } from '../../../src/lib/bytes.ts';
import { contextOf, errnoOf, failingTree, text } from './file-tree.ts';

const names = Array.from({ length: 40 }, (_, at) => `f${at}`);

describe('renaming over a store that fails', () => {
  it('takes back copies whose answer was lost too, and nothing that was there before', async () => {
    await using setup = await failingTree(({ method, nth }) =>
      method === 'copy' && nth === 3 ? { lostAnswer: 'unavailable' } : undefined,
    );
    const { tree, store } = setup;
    const before = ['d/', ...names.map((name) => `d/${name}`), 'z/'].sort();
    for (const key of before) store.set(key, key);
    expect(await errnoOf(async () => await tree.rename('d', 'z'))).toBe('EIO');
    expect([...store.keys()].sort()).toEqual(before);
    await tree.rename('d', 'z');
    expect(store.keys().every((key) => key.startsWith('z/'))).toBe(true);
  });

  it('refuses with ENOTEMPTY to rename over what somebody else has just made', async () => {
    await using setup = await failingTree(() => undefined);
    const { tree, store } = setup;
    store.set('d/f', 'mine');
    await tree.stat('d');
    expect(await errnoOf(async () => await tree.entry('z'))).toBe('ENOENT');
    store.set('z/f', 'theirs');
    expect(await errnoOf(async () => await tree.rename('d', 'z'))).toBe('ENOTEMPTY');
    expect([text(store, 'd/f'), text(store, 'z/f')]).toEqual(['mine', 'theirs']);
  });

  it('ends a rename once its copies are there, whatever interrupts it and though deletes fail', async () => {
    const interrupt = new AbortController();
    let ofFile = 0;
    await using setup = await failingTree(({ method, key, nth }) => {
      if (method !== 'delete') return undefined;
      interrupt.abort();
      ofFile += key === 'f' ? 1 : 0;
      return nth <= 20 || ofFile === 1 ? { error: 'unavailable' } : undefined;
    });
    const { tree, store } = setup;
    for (const name of names) store.set(`d/${name}`, name);
    store.set('f', 'f');
    tree.context = contextOf(interrupt.signal);
    await tree.rename('d', 'z');
    expect(store.keys()).toEqual(['f', ...names.map((name) => `z/${name}`).sort()]);
    tree.context = contextOf();
    await tree.rename('f', 'g');
    expect(store.keys()).not.toContain('f');
  });

  it('leaves old names that cannot be deleted in sight when a directory has moved', async () => {
    await using setup = await failingTree(({ method, key }) =>
      method === 'delete' && key === 'd/b' ? { error: 'unavailable' } : undefined,
    );
    const { tree, store } = setup;
    for (const key of ['d/a', 'd/b', 'd/c']) store.set(key, key);
    await tree.rename('d', 'z');
    expect(store.keys()).toEqual(['d/b', 'z/a', 'z/b', 'z/c']);
    expect([await tree.list('d'), (await tree.list('z')).sort()]).toEqual([['b'], ['a', 'b', 'c']]);
  });

  it('leaves what somebody else has changed or made below the old name, and says so', async () => {
    let isChanged = false;
    await using setup = await failingTree(() => {
      // All copies are there, and nothing is deleted yet.
      if (setup.store.calls.copy === 3 && setup.store.keys().includes('z/c') && !isChanged) {
        isChanged = true;
        setup.store.set('d/b', 'changed');
        setup.store.set('d/theirs', 'made');
      }
      return undefined;
    });
    const { tree, store } = setup;
    for (const key of ['d/a', 'd/b', 'd/c']) store.set(key, key);
    await tree.rename('d', 'z');
    expect(store.keys()).toEqual(['d/b', 'd/theirs', 'z/a', 'z/b', 'z/c']);
    expect([text(store, 'd/b'), text(store, 'z/b')]).toEqual(['changed', 'd/b']);
    expect((await tree.list('d')).sort()).toEqual(['b', 'theirs']);
  });

  it('turns a rename back with EACCES when policy lets nobody delete', async () => {
    let denied = true;
    await using setup = await failingTree(({ method, key }) =>
      denied && method === 'delete' && !key.startsWith('z')
        ? { error: 'access-denied' }
        : undefined,
    );
    const { tree, store } = setup;
    for (const key of ['d/a', 'd/e/b', 'f']) store.set(key, key);
    const reader = await tree.open('d/e/b');
    expect(await errnoOf(async () => await tree.rename('d', 'z'))).toBe('EACCES');
    expect(await errnoOf(async () => await tree.rename('f', 'z'))).toBe('EACCES');
    expect(store.keys()).toEqual(['d/a', 'd/e/b', 'f']);
    expect((await tree.readHandle(reader)).toString()).toBe('d/e/b');
    await tree.close(reader);
    expect(await tree.read('f')).toBe('f');
    denied = false;
    await tree.rename('d', 'z');
    expect(store.keys()).toEqual(['f', 'z/a', 'z/e/b']);
  });
});

describe('renaming beside other changes', () => {
  it('moves a directory while a large file in it is uploaded, which then appears at its new name', async () => {
    let slow = false;
    let sends = (): void => undefined;
    const sending = new Promise<void>((resolve) => {
      sends = resolve;
    });
    await using setup = await failingTree(({ method }) => {
      if (method !== 'uploadPart' || !slow) return undefined;
      slow = false;
      sends();
      return { delayMs: 1000 };
    });
    const { tree, store, clock } = setup;
    const handle = await tree.mkdir('d').then(async () => await tree.create('d/big'));
    await tree.writeHandle(handle, 0, Buffer.alloc(20 * MiB));
    await tree.fs.fsync(handle, false, tree.context);
    await tree.writeHandle(handle, 0, 'changed');
    slow = true;
    const flushed = tree.fs.flush(handle, tree.context);
    await sending;
    await tree.rename('d', 'z');
    await tree.write('small', 'x');
    await tree.write('z/small', 'y');
    expect(store.keys()).toEqual(['small', 'z/', 'z/big', 'z/small']);
    expect(text(store, 'z/big')?.startsWith('changed')).toBe(false);
    await clock.advance(1000);
    await flushed;
    await tree.close(handle);
    expect(store.keys()).toEqual(['small', 'z/', 'z/big', 'z/small']);
    expect(text(store, 'z/big')?.startsWith('changed')).toBe(true);
    expect(store.openUploads).toBe(0);
  });

  it('stops changes only below the directory that moves', async () => {
    let copies = (): void => undefined;
    const copying = new Promise<void>((resolve) => {
      copies = resolve;
    });
    await using setup = await failingTree(({ method }) => {
      if (method !== 'copy') return undefined;
      copies();
      return { delayMs: 1000 };
    });
    const { tree, store, clock } = setup;
    for (const key of ['d/a', 'e/a']) store.set(key, key);
    const below = await tree.create('d/below');
    await tree.writeHandle(below, 0, 'below');
    const moved = tree.rename('d', 'z');
    await copying;
    const saved = tree.fs.flush(below, tree.context);
    await tree.write('e/beside', 'beside');
    await tree.mkdir('e/made');
    expect(store.keys()).toEqual(['d/a', 'e/a', 'e/beside', 'e/made/']);
    await clock.advance(1000);
    await moved;
    await saved;
    await tree.close(below);
    expect(store.keys()).toEqual(['e/a', 'e/beside', 'e/made/', 'z/a', 'z/below']);
  });
});
