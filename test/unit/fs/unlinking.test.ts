import { describe, expect, it } from 'vitest';
import { MiB } from '../../../src/lib/bytes.ts';
import type { FaultScript } from '../../../src/store/faulty-object-store.ts';
import { FaultyObjectStore } from '../../../src/store/faulty-object-store.ts';
import { FakeClock } from '../../fixtures/fake-clock.ts';
import { HeldListing } from '../../fixtures/held-listing.ts';
import { MemoryNotes } from '../../fixtures/memory-notes.ts';
import { MemoryObjectStore } from '../../fixtures/memory-object-store.ts';
import { contextOf, errnoOf, FileTree, kept, text } from './file-tree.ts';

/** Bytes that tell where they are from. */
function pattern(bytes: number): Buffer {
  const made = Buffer.alloc(bytes);
  for (let at = 0; at + 4 <= bytes; at += 4) made.writeUInt32LE(at, at);
  return made;
}

interface NotedTree extends AsyncDisposable {
  readonly tree: FileTree;
  readonly store: MemoryObjectStore;
  readonly clock: FakeClock;
  readonly notes: MemoryNotes;
}

/** Little memory, and what is written down in sight. */
async function notedTree(script: FaultScript = () => undefined): Promise<NotedTree> {
  const clock = new FakeClock();
  const store = new MemoryObjectStore({ clock, contentEtags: true });
  const notes = new MemoryNotes();
  const tree = await FileTree.make({
    root: { kind: 'bucket', store: new FaultyObjectStore(store, script, clock), prefix: '' },
    ...{ clock, notes },
    memoryBytes: 4 * MiB,
  });
  const close = async (): Promise<void> => await tree[Symbol.asyncDispose]();
  return { tree, store, clock, notes, [Symbol.asyncDispose]: close };
}

/** Reads all of a handle in pieces, as a program does. */
async function whole(
  tree: FileTree,
  handle: Awaited<ReturnType<FileTree['open']>>,
): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for (let offset = 0; ; ) {
    const piece = await tree.readHandle(handle, offset, MiB);
    if (piece.length === 0) return Buffer.concat(pieces);
    pieces.push(Buffer.from(piece));
    offset += piece.length;
  }
}

describe('unlinking an open file', () => {
  it('hides its name at once, and deletes its object with the last close', async () => {
    await using setup = await notedTree();
    const { tree, store, notes } = setup;
    store.set('d/f', 'content');
    const { etag } = await store.head('d/f', contextOf().signal);
    const [one, two] = [await tree.open('d/f'), await tree.open('d/f')];
    await tree.unlink('d/f');
    for (let nth = 0; nth < 2; nth += 1) {
      expect(await errnoOf(async () => await tree.entry('d/f'))).toBe('ENOENT');
      expect(await tree.list('d')).toEqual([]);
      expect(await tree.list()).toEqual(['d']);
      await tree.expire();
    }
    expect(notes.intents).toEqual([{ kind: 'delete', bucket: 'bucket', key: 'd/f', etag }]);
    await tree.close(one);
    expect(text(store, 'd/f')).toBe('content');
    expect((await tree.readHandle(two)).toString()).toBe('content');
    await tree.close(two);
    expect(store.keys()).toEqual([]);
    expect(notes.intents).toEqual([]);
    expect(await tree.list()).toEqual(['d']);
    expect(tree.fs.state.openHandles).toBe(0);
  });

  it('leaves all of it to be read, whatever its length and though nothing of it is in memory', async () => {
    await using setup = await notedTree();
    const { tree, store } = setup;
    const content = pattern(100 * MiB);
    store.set('f', content);
    const handle = await tree.open('f');
    await tree.unlink('f');
    await tree.expire();
    expect((await whole(tree, handle)).equals(content)).toBe(true);
    await tree.close(handle);
    expect(store.keys()).toEqual([]);
  });

  it('leaves it to be written too, by those who have it open, and keeps nothing of that', async () => {
    await using setup = await notedTree();
    const { tree, store } = setup;
    const content = pattern(3 * MiB);
    store.set('f', content);
    const handle = await tree.open('f', { access: 'read-write' });
    const reader = await tree.open('f');
    await tree.unlink('f');
    await tree.writeHandle(handle, 8, 'changed');
    content.write('changed', 8);
    await tree.fs.fsync(handle, false, tree.context);
    expect((await whole(tree, reader)).equals(content)).toBe(true);
    await tree.fs.setattr(tree.inodeOf(handle), handle, { bytes: 10 }, tree.context);
    expect((await tree.readHandle(reader)).equals(content.subarray(0, 10))).toBe(true);
    await tree.close(handle);
    await tree.close(reader);
    expect(store.keys()).toEqual([]);
    expect(tree.fs.state).toMatchObject({ unsavedFiles: 0, openHandles: 0, failures: [] });
  });

  it('never takes a new file of the name for the one before, nor deletes it', async () => {
    await using setup = await notedTree();
    const { tree, store, notes } = setup;
    const content = pattern(20 * MiB);
    store.set('f', content);
    const old = await tree.open('f');
    await tree.unlink('f');
    const made = await tree.create('f', { exclusive: true });
    await tree.writeHandle(made, 0, 'new');
    expect((await tree.readHandle(old, 4, 4)).readUInt32LE()).toBe(4);
    await tree.close(made);
    expect(text(store, 'f')).toBe('new');
    expect((await whole(tree, old)).equals(content)).toBe(true);
    await tree.expire();
    expect(await tree.read('f')).toBe('new');
    await tree.close(old);
    expect(text(store, 'f')).toBe('new');
    expect(notes.intents).toEqual([]);
  });

  it('lets a new file of the name be unlinked while open in its turn', async () => {
    await using setup = await notedTree();
    const { tree, store } = setup;
    store.set('f', 'first');
    const handles = [await tree.open('f')];
    for (const content of ['second', 'third']) {
      await tree.unlink('f');
      await tree.write('f', content);
      await tree.expire();
      handles.push(await tree.open('f'));
    }
    await tree.unlink('f');
    await tree.expire();
    const read = await Promise.all(handles.map(async (handle) => await tree.readHandle(handle)));
    expect(read.map(String)).toEqual(['first', 'second', 'third']);
    for (const handle of handles) await tree.close(handle);
    expect(store.keys()).toEqual([]);
  });

  it('goes on when a directory is made at its name, or another file renamed to it', async () => {
    await using setup = await notedTree();
    const { tree, store } = setup;
    for (const key of ['a', 'b', 'c', 'd/x', 'e']) store.set(key, key);
    const [a, b, c] = [await tree.open('a'), await tree.open('b'), await tree.open('c')];
    for (const name of ['a', 'b', 'c']) await tree.unlink(name);
    await tree.mkdir('a');
    await tree.rename('d', 'b');
    await tree.rename('e', 'c');
    expect(store.keys()).toEqual(['a/', 'b/x', 'c']);
    for (const [handle, content] of [
      [a, 'a'],
      [b, 'b'],
      [c, 'c'],
    ] as const) {
      expect((await tree.readHandle(handle)).toString()).toBe(content);
      await tree.close(handle);
    }
    expect(store.keys()).toEqual(['a/', 'b/x', 'c']);
    expect(await tree.read('c')).toBe('e');
  });

  it('goes on when the directory that held it is removed, or renamed', async () => {
    await using setup = await notedTree();
    const { tree, store, notes } = setup;
    for (const key of ['d/', 'd/f', 'e/g', 'e/h']) store.set(key, key);
    const [f, g] = [await tree.open('d/f'), await tree.open('e/g')];
    await tree.unlink('d/f');
    await tree.unlink('e/g');
    await tree.rmdir('d');
    await tree.rename('e', 'z');
    expect(store.keys()).toEqual(['z/h']);
    expect((await tree.list('z')).sort()).toEqual(['h']);
    expect((await tree.readHandle(f)).toString()).toBe('d/f');
    expect((await tree.readHandle(g)).toString()).toBe('e/g');
    await tree.close(f);
    await tree.close(g);
    expect(notes.intents).toEqual([]);
    expect(store.keys()).toEqual(['z/h']);
  });

  it('leaves what somebody else has stored at its name since', async () => {
    await using setup = await notedTree();
    const { tree, store, notes } = setup;
    store.set('f', 'ours');
    const handle = await tree.open('f');
    await tree.unlink('f');
    store.set('f', 'theirs');
    await tree.expire();
    expect(await tree.read('f')).toBe('theirs');
    await tree.close(handle);
    expect(text(store, 'f')).toBe('theirs');
    expect(notes.intents).toEqual([]);
  });

  it('does not fail a close for a store that is away, and deletes once it is back', async () => {
    let isAway = false;
    await using setup = await notedTree(({ method }) =>
      isAway && (method === 'head' || method === 'delete') ? { error: 'unavailable' } : undefined,
    );
    const { tree, store, clock, notes } = setup;
    store.set('f', 'content');
    const handle = await tree.open('f');
    await tree.unlink('f');
    isAway = true;
    await tree.close(handle);
    await clock.advance(60_000);
    expect(await errnoOf(async () => await tree.entry('f'))).toBe('ENOENT');
    expect([store.keys(), notes.intents.length]).toEqual([['f'], 1]);
    isAway = false;
    await clock.advance(60_000);
    expect([store.keys(), notes.intents.length]).toEqual([[], 0]);
  });

  it('brings the name back when policy lets nobody delete', async () => {
    await using setup = await notedTree(({ method }) =>
      method === 'delete' ? { error: 'access-denied' } : undefined,
    );
    const { tree, store, notes } = setup;
    store.set('f', 'content');
    const handle = await tree.open('f');
    await tree.unlink('f');
    await tree.close(handle);
    expect(await tree.read('f')).toBe('content');
    expect(notes.intents).toEqual([]);
  });

  it('deletes it when the mount ends while it is open, or leaves that to the next mount', async () => {
    for (const isAway of [false, true]) {
      let isOver = false;
      await using setup = await notedTree(() =>
        isOver && isAway ? { error: 'unreachable' } : undefined,
      );
      const { tree, store, notes } = setup;
      store.set('f', 'content');
      await tree.open('f');
      await tree.unlink('f');
      isOver = true;
      await tree.fs[Symbol.asyncDispose]();
      expect([store.keys(), notes.intents.length]).toEqual(isAway ? [['f'], 1] : [[], 0]);
    }
  });

  it('saves what is written after an unlink without an answer that has arrived', async () => {
    let isDeaf = true;
    await using setup = await notedTree(({ method }) =>
      method === 'delete' && isDeaf ? { lostAnswer: 'unreachable' } : undefined,
    );
    const { tree, store } = setup;
    store.set('f', 'before');
    const handle = await tree.open('f', { access: 'read-write' });
    await tree.writeHandle(handle, 0, 'all of it');
    expect(await errnoOf(async () => await tree.unlink('f'))).toBe('EIO');
    expect(store.keys()).toEqual([]);
    await tree.fs.fsync(handle, false, tree.context);
    expect(text(store, 'f')).toBe('all of it');
    await tree.writeHandle(handle, 0, 'ALL');
    await tree.fs.fsync(handle, false, tree.context);
    expect(text(store, 'f')).toBe('ALL of it');
    isDeaf = false;
    await tree.unlink('f');
    await tree.close(handle);
    expect(store.keys()).toEqual([]);
    expect(await kept(tree)).toEqual([]);
  });

  it('saves nothing over what somebody else has made after an unlink without an answer', async () => {
    await using setup = await notedTree(({ method }) =>
      method === 'delete' ? { lostAnswer: 'unreachable' } : undefined,
    );
    const { tree, store } = setup;
    store.set('f', 'before');
    const handle = await tree.open('f', { access: 'read-write' });
    await tree.writeHandle(handle, 0, 'all of it');
    expect(await errnoOf(async () => await tree.unlink('f'))).toBe('EIO');
    store.set('f', 'theirs');
    expect(await errnoOf(async () => await tree.close(handle))).toBe('ESTALE');
    expect(text(store, 'f')).toBe('theirs');
    expect(await kept(tree)).toEqual(['all of it']);
  });

  it('shows nothing of it in a listing that was under way', async () => {
    const clock = new FakeClock();
    const store = new HeldListing({ clock });
    store.set('f', 'x');
    const root = { kind: 'bucket', store, prefix: '' } as const;
    await using tree = await FileTree.make({ root, clock });
    const handle = await tree.open('f');
    const answer = store.holdNext();
    const listing = tree.list();
    await clock.advance(0);
    await tree.unlink('f');
    answer();
    expect(await listing).toEqual([]);
    await tree.expire();
    expect(await tree.list()).toEqual([]);
    await tree.close(handle);
    expect(await tree.list()).toEqual([]);
  });
});

describe('renaming over an open file', () => {
  it('lets an open of what is being replaced wait, and then look for the name again', async () => {
    for (const fault of [undefined, 'access-denied'] as const) {
      await using setup = await notedTree(({ method }) => {
        if (method !== 'copy') return undefined;
        return fault === undefined ? { delayMs: 100 } : { delayMs: 100, error: fault };
      });
      const { tree, store, clock } = setup;
      store.set('new', 'new');
      store.set('f', 'old');
      const before = await tree.inode('f');
      await tree.inode('new');
      const renaming = errnoOf(async () => await tree.rename('new', 'f'));
      await clock.advance(50);
      let opened: string | undefined;
      const flags = { access: 'read', truncate: false, append: false, exclusive: false } as const;
      const opening = errnoOf(async () => {
        const { handle } = await tree.fs.open(before, flags, tree.context);
        opened = (await tree.readHandle(handle)).toString();
        await tree.close(handle);
      });
      await clock.advance(10);
      expect(tree.fs.state.openHandles).toBe(0);
      await clock.advance(100);
      expect(await renaming).toBe(fault === undefined ? 'ok' : 'EACCES');
      // The kernel takes ESTALE for a name that it must look up once more.
      expect(await opening).toBe(fault === undefined ? 'ESTALE' : 'ok');
      expect(opened).toBe(fault === undefined ? undefined : 'old');
      expect(await tree.read('f')).toBe(fault === undefined ? 'new' : 'old');
    }
  });

  it('leaves all of what was replaced to be read, whatever its length', async () => {
    await using setup = await notedTree();
    const { tree, store } = setup;
    const content = pattern(100 * MiB);
    store.set('config', content);
    const handle = await tree.open('config');
    await tree.write('config.tmp', 'new');
    await tree.rename('config.tmp', 'config');
    expect((await whole(tree, handle)).equals(content)).toBe(true);
    expect(await tree.read('config')).toBe('new');
    await tree.close(handle);
    expect(store.keys()).toEqual(['config']);
    expect(tree.fs.state).toMatchObject({ openHandles: 0, unsavedFiles: 0 });
  });

  it('lets a long open file be read and written on at its new name', async () => {
    await using setup = await notedTree();
    const { tree, store } = setup;
    const content = pattern(100 * MiB);
    store.set('f', content);
    store.set('g', 'replaced');
    const handle = await tree.open('f', { access: 'read-write' });
    await tree.rename('f', 'g');
    expect((await whole(tree, handle)).equals(content)).toBe(true);
    await tree.writeHandle(handle, 50 * MiB, 'changed');
    await tree.close(handle);
    content.write('changed', 50 * MiB);
    expect(store.keys()).toEqual(['g']);
    expect(Buffer.from(store.bytesOf('g') ?? []).equals(content)).toBe(true);
  });
});
