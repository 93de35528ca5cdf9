import { describe, expect, it } from 'vitest';
import type { Metadata } from '../../../src/fs/object-metadata.ts';
import { decodeMetadata } from '../../../src/fs/object-metadata.ts';
import {
  type Fault,
  FaultyObjectStore,
  type StoreCall,
} from '../../../src/store/faulty-object-store.ts';
import type { ObjectStore, ObjectVersion } from '../../../src/store/object-store.ts';
import { FakeClock } from '../../fixtures/fake-clock.ts';
import { MemoryObjectStore } from '../../fixtures/memory-object-store.ts';
import { contextOf, errnoOf, FileTree } from './file-tree.ts';

/** Time after which everything that waits for it is saved. */
const SAVED_MS = 1001;

const metadataOf = (tree: FileTree, key: string): Metadata | undefined =>
  tree.store.headOf(key)?.metadata;

/** Copies are done at once, and their answers are long on their way: reads meet what was made. */
class LateCopies extends MemoryObjectStore {
  #answer = (): void => undefined;
  readonly #answered = new Promise<void>((resolve) => {
    this.#answer = resolve;
  });

  answer(): void {
    this.#answer();
  }

  override async copy(...args: Parameters<ObjectStore['copy']>): Promise<ObjectVersion> {
    const copy = await super.copy(...args);
    await this.#answered;
    return copy;
  }
}

describe('attributes in the bucket', () => {
  it('are sent with the content, at no cost', async () => {
    await using tree = await FileTree.make();
    await tree.write('a', 'content');
    expect(metadataOf(tree, 'a')).toMatchObject({
      mode: String(0o100644),
      uid: '1000',
      gid: '1000',
      mtime: '1767225600',
    });
    const handle = await tree.create('b');
    await tree.writeHandle(handle, 0, 'content');
    await tree.setattr('b', { mode: 0o755, mtimeMs: 5000 });
    await tree.close(handle);
    await tree.clock.advance(SAVED_MS);
    expect(metadataOf(tree, 'b')).toMatchObject({ mode: String(0o100755), mtime: '5' });
    expect(tree.store.calls).toMatchObject({ put: 2, copy: 0, head: 0 });
  });

  it('of a directory are sent with its object', async () => {
    await using tree = await FileTree.make();
    await tree.mkdir('d');
    expect(decodeMetadata(metadataOf(tree, 'd/') ?? {})).toMatchObject({
      type: 'directory',
      mode: 0o755,
      uid: 1000,
    });
    await tree.setattr('d', { mode: 0o700, mtimeMs: 7000 });
    await tree.clock.advance(SAVED_MS);
    expect(decodeMetadata(metadataOf(tree, 'd/') ?? {})).toMatchObject({
      mode: 0o700,
      mtimeMs: 7000,
    });
    expect((await tree.stat('d')).mtimeMs).toBe(7000);
    expect(tree.store.headOf('d/')?.contentType).toBe('application/x-directory');
  });

  it('are brought there a second after the first of several changes, by one copy', async () => {
    await using tree = await FileTree.make();
    await tree.write('a', 'content');
    await tree.setattr('a', { mode: 0o600 });
    await tree.clock.advance(900);
    await tree.setattr('a', { uid: 5, gid: 6 });
    await tree.setattr('a', { mtimeMs: 1234, atimeMs: 5678 });
    expect(await tree.stat('a')).toMatchObject({ mode: 0o600, uid: 5, gid: 6, mtimeMs: 1234 });
    expect(tree.store.calls.copy).toBe(0);
    await tree.clock.advance(101);
    expect(tree.store.calls).toMatchObject({ put: 1, copy: 1, head: 0 });
    expect(decodeMetadata(metadataOf(tree, 'a') ?? {})).toMatchObject({
      mode: 0o600,
      uid: 5,
      gid: 6,
      mtimeMs: 1234,
      atimeMs: 5678,
    });
    expect(await tree.stat('a')).toMatchObject({ mode: 0o600, uid: 5, gid: 6, mtimeMs: 1234 });
  });

  it('cost nothing when they are set to what they are, or the time of access alone is', async () => {
    await using tree = await FileTree.make();
    await tree.write('mine', 'content');
    tree.store.set('foreign', 'content');
    await tree.expire();
    for (const file of ['mine', 'foreign']) {
      const { mtimeMs } = await tree.stat(file);
      await tree.setattr(file, { mode: 0o644 });
      await tree.setattr(file, { uid: 1000, gid: 1000 });
      await tree.setattr(file, { mtimeMs, atimeMs: 99_000 });
      expect((await tree.stat(file)).atimeMs).toBe(99_000);
    }
    await tree.clock.advance(SAVED_MS);
    expect(tree.store.calls).toMatchObject({ put: 1, copy: 0, head: 0 });
  });

  it('leave what strangers have put there as it is', async () => {
    await using tree = await FileTree.make();
    tree.store.set('page.html', 'content', {
      contentType: 'text/html',
      headers: { cacheControl: 'no-cache' },
      metadata: { author: 'somebody', uid: '77', mode: String(0o100755), mtime: '5' },
    });
    await tree.setattr('page.html', { gid: 6 });
    await tree.clock.advance(SAVED_MS);
    const head = tree.store.headOf('page.html');
    expect(head).toMatchObject({ contentType: 'text/html', headers: { cacheControl: 'no-cache' } });
    expect(head?.metadata).toMatchObject({ author: 'somebody', gid: '6', uid: '77', mtime: '5' });
    expect(decodeMetadata(head?.metadata ?? {}).mode).toBe(0o755);
    expect(tree.store.calls).toMatchObject({ head: 1, copy: 1 });
  });

  it('are there when fsync, or an unmount, returns', async () => {
    await using tree = await FileTree.make();
    await tree.write('a', 'content');
    await tree.write('b', 'content');
    const handle = await tree.open('a');
    await tree.setattr('a', { mode: 0o600 });
    await tree.setattr('b', { mode: 0o640 });
    await tree.fs.fsync(handle, false, tree.context);
    expect(decodeMetadata(metadataOf(tree, 'a') ?? {}).mode).toBe(0o600);
    expect(decodeMetadata(metadataOf(tree, 'b') ?? {}).mode).toBe(0o644);
    await tree.fs.sync(new AbortController().signal);
    expect(decodeMetadata(metadataOf(tree, 'b') ?? {}).mode).toBe(0o640);
    await tree.close(handle);
  });

  it('that change keep handles, local content and the pages of the kernel good', async () => {
    await using tree = await FileTree.make();
    await tree.write('a', 'content');
    const before = await tree.open('a');
    const writer = await tree.open('a', { access: 'read-write' });
    await tree.setattr('a', { mode: 0o600 });
    await tree.clock.advance(SAVED_MS);
    // Its ETag is another now: this store gives one to each write.
    expect((await tree.readHandle(before)).toString()).toBe('content');
    const inode = tree.inodeOf(before);
    const flags = { access: 'read', truncate: false, append: false, exclusive: false } as const;
    const again = await tree.fs.open(inode, flags, tree.context);
    expect(again.keepCache).toBe(true);
    await tree.writeHandle(writer, 7, '!');
    await tree.close(writer);
    expect(await tree.read('a')).toBe('content!');
    expect(await tree.stat('a')).toMatchObject({ mode: 0o600 });
    expect(decodeMetadata(metadataOf(tree, 'a') ?? {}).mode).toBe(0o600);
  });

  it('let a reader go on while an object is copied onto itself and becomes another version', async () => {
    const clock = new FakeClock();
    const store = new LateCopies({ clock });
    await using tree = await FileTree.make({
      root: { kind: 'bucket', store, prefix: '' },
      clock,
    });
    store.set('a', 'content');
    const handle = await tree.open('a');
    await tree.setattr('a', { mode: 0o600 });
    await tree.clock.advance(SAVED_MS);
    expect(store.calls.copy).toBe(1);
    const read = tree.readHandle(handle);
    await tree.clock.advance(1);
    store.answer();
    expect((await read).toString()).toBe('content');
    await tree.close(handle);
  });

  it('that are set while a file is written go with its content', async () => {
    await using tree = await FileTree.make();
    await tree.write('a', 'content');
    const handle = await tree.open('a', { access: 'read-write' });
    await tree.setattr('a', { mode: 0o600 });
    await tree.writeHandle(handle, 0, 'C');
    await tree.clock.advance(SAVED_MS);
    expect(tree.store.calls.copy).toBe(0);
    await tree.close(handle);
    await tree.clock.advance(SAVED_MS);
    expect(tree.store.calls).toMatchObject({ put: 2, copy: 0 });
    expect(decodeMetadata(metadataOf(tree, 'a') ?? {}).mode).toBe(0o600);
  });

  it('that are set just before a rename go with it', async () => {
    await using tree = await FileTree.make();
    await tree.write('.a.tmp', 'content');
    await tree.setattr('.a.tmp', { mode: 0o600, mtimeMs: 4000 });
    await tree.rename('.a.tmp', 'a');
    await tree.clock.advance(SAVED_MS);
    expect(tree.store.calls).toMatchObject({ put: 1, copy: 1, delete: 1, head: 0 });
    expect(decodeMetadata(metadataOf(tree, 'a') ?? {})).toMatchObject({
      mode: 0o600,
      mtimeMs: 4000,
    });
    expect(await tree.stat('a')).toMatchObject({ mode: 0o600, mtimeMs: 4000 });
  });

  it('are not copied over what somebody else has stored meanwhile', async () => {
    await using tree = await FileTree.make();
    await tree.write('a', 'content');
    await tree.setattr('a', { mode: 0o600 });
    tree.store.set('a', 'other', { metadata: { author: 'somebody' } });
    await tree.clock.advance(SAVED_MS);
    expect(metadataOf(tree, 'a')).toEqual({ author: 'somebody' });
    expect(await tree.read('a')).toBe('other');
  });

  it('stay here where the store refuses them, and no operation fails', async () => {
    const clock = new FakeClock();
    const store = new MemoryObjectStore({ clock });
    let copies = 0;
    const script = ({ method }: StoreCall): Fault | undefined => {
      if (method !== 'copy') return undefined;
      copies += 1;
      return { error: 'access-denied' };
    };
    const faulty = new FaultyObjectStore(store, script, clock);
    await using tree = await FileTree.make({
      root: { kind: 'bucket', store: faulty, prefix: '' },
      clock,
    });
    await tree.write('a', 'content');
    const handle = await tree.open('a');
    await tree.setattr('a', { mode: 0o600 });
    await tree.fs.fsync(handle, false, tree.context);
    await tree.clock.advance(60_000);
    await tree.close(handle);
    expect(copies).toBe(1);
    expect(await tree.stat('a')).toMatchObject({ mode: 0o600 });
  });

  it('are tried again when the store was away, and fsync says so', async () => {
    const clock = new FakeClock();
    const store = new MemoryObjectStore({ clock });
    let away = true;
    const faulty = new FaultyObjectStore(
      store,
      ({ method }) => (method === 'copy' && away ? { error: 'unreachable' } : undefined),
      clock,
    );
    await using tree = await FileTree.make({
      root: { kind: 'bucket', store: faulty, prefix: '' },
      clock,
    });
    await tree.write('a', 'content');
    const handle = await tree.open('a');
    await tree.setattr('a', { mode: 0o600 });
    const sync = async (): Promise<void> => await tree.fs.fsync(handle, false, tree.context);
    expect(await errnoOf(sync)).toBe('EIO');
    away = false;
    await tree.clock.advance(30_001);
    expect(store.headOf('a')?.metadata['mode']).toBe(String(0o100600));
    await tree.close(handle);
  });

  it('give a new file the group of a directory whose set-group-id bit is set', async () => {
    await using tree = await FileTree.make();
    await tree.mkdir('shared');
    await tree.setattr('shared', { mode: 0o2775, gid: 50 });
    tree.context = { ...contextOf(), gid: 1000 };
    await tree.write('shared/a', '');
    await tree.mkdir('shared/d');
    expect(await tree.stat('shared/a')).toMatchObject({ gid: 50, mode: 0o644 });
    expect(await tree.stat('shared/d')).toMatchObject({ gid: 50, mode: 0o2755 });
    expect(metadataOf(tree, 'shared/d/')?.['gid']).toBe('50');
  });

  it('of a directory change with the names in it', async () => {
    await using tree = await FileTree.make();
    await tree.mkdir('d');
    await tree.setattr('d', { mtimeMs: 1000 });
    for (const change of [
      async () => await tree.write('d/a', 'content'),
      async () => await tree.rename('d/a', 'd/b'),
      async () => await tree.mkdir('d/e'),
      async () => await tree.rmdir('d/e'),
      async () => await tree.symlink('d/l', 'b'),
      async () => await tree.unlink('d/b'),
    ]) {
      await tree.clock.advance(10);
      await change();
      const now = tree.clock.now();
      expect(await tree.stat('d')).toMatchObject({ mtimeMs: now, ctimeMs: now });
    }
  });

  it('show the time of every change as st_ctime', async () => {
    await using tree = await FileTree.make();
    await tree.write('a', 'content');
    for (const changes of [{ mode: 0o600 }, { uid: 4 }, { mtimeMs: 5 }, { bytes: 3 }]) {
      await tree.clock.advance(10);
      await tree.setattr('a', changes);
      expect((await tree.stat('a')).ctimeMs).toBe(tree.clock.now());
    }
    await tree.clock.advance(10);
    await tree.setxattr('a', 'user.a', 'value');
    expect((await tree.stat('a')).ctimeMs).toBe(tree.clock.now());
  });
});

describe('statfs', () => {
  it('shows 1 PiB, or the capacity it was given, less what waits to be saved', async () => {
    await using tree = await FileTree.make();
    expect(tree.fs.statfs()).toMatchObject({
      blockBytes: 4096,
      blocks: 2 ** 38,
      freeBlocks: 2 ** 38,
    });
    await using small = await FileTree.make({ capacityBytes: 10 * 4096 });
    const handle = await small.create('a');
    await small.writeHandle(handle, 0, Buffer.alloc(5000));
    expect(small.fs.statfs()).toMatchObject({ blocks: 10, freeBlocks: 8 });
    await small.close(handle);
    expect(small.fs.statfs()).toMatchObject({ blocks: 10, freeBlocks: 10 });
  });
});
