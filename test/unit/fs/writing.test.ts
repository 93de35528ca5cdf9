import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { gridParts } from '../../../src/fs/upload-plan.ts';
import { GiB, MiB } from '../../../src/lib/bytes.ts';
import { errnoOf, FileTree, failingTree, kept, text } from './file-tree.ts';

describe('writing', () => {
  it('has the object in the bucket when close returns', async () => {
    await using tree = await FileTree.make();
    const handle = await tree.create('f');
    await tree.writeHandle(handle, 0, 'hello');
    expect(tree.store.keys()).toEqual([]);
    await tree.fs.flush(handle, tree.context);
    expect(text(tree.store, 'f')).toBe('hello');
    await tree.fs.release(handle, tree.context);
  });

  it('has the object in the bucket when fsync returns, and goes on writing after it', async () => {
    await using tree = await FileTree.make();
    const handle = await tree.create('f');
    await tree.writeHandle(handle, 0, 'one');
    await tree.fs.fsync(handle, false, tree.context);
    expect(text(tree.store, 'f')).toBe('one');
    await tree.writeHandle(handle, 3, ' two');
    await tree.close(handle);
    expect(text(tree.store, 'f')).toBe('one two');
  });

  it('makes a created empty file a zero-byte object at close', async () => {
    await using tree = await FileTree.make();
    await tree.close(await tree.create('empty'));
    expect(text(tree.store, 'empty')).toBe('');
  });

  it('uploads nothing when nothing changed since the last upload', async () => {
    await using tree = await FileTree.make();
    const handle = await tree.create('f');
    await tree.writeHandle(handle, 0, 'x');
    await tree.fs.flush(handle, tree.context);
    await tree.fs.flush(handle, tree.context);
    await tree.close(handle);
    await tree.close(await tree.open('f', { access: 'read-write' }));
    expect(tree.store.calls.put).toBe(1);
  });

  it('shows writes to every reader of the file at once, and the size while writing', async () => {
    await using tree = await FileTree.make();
    tree.store.set('f', 'abcdef');
    const reader = await tree.open('f');
    const writer = await tree.open('f', { access: 'write' });
    await tree.writeHandle(writer, 2, 'XY');
    await tree.writeHandle(writer, 8, '!');
    expect((await tree.readHandle(reader)).toString()).toBe('abXYef\0\0!');
    expect((await tree.stat('f')).bytes).toBe(9);
    expect(text(tree.store, 'f')).toBe('abcdef');
    await tree.close(writer);
    expect(text(tree.store, 'f')).toBe('abXYef\0\0!');
    await tree.close(reader);
  });

  it('appends at the end whatever offset the kernel believes in', async () => {
    await using tree = await FileTree.make();
    tree.store.set('log', 'one\n');
    const handle = await tree.open('log', { access: 'write', append: true });
    await tree.writeHandle(handle, 0, 'two\n');
    await tree.close(handle);
    expect(text(tree.store, 'log')).toBe('one\ntwo\n');
  });

  it('writes pages of a shared mapping where they belong, also if the descriptor appends', async () => {
    await using tree = await FileTree.make();
    tree.store.set('f', 'AAAA');
    const handle = await tree.open('f', { access: 'read-write', append: true });
    const pages = { ...tree.context, fromPages: true };
    const write = async (offset: number, text: string): Promise<void> =>
      await tree.fs.write(handle, offset, Buffer.from(text), pages);
    await write(1, 'BB');
    await write(3, 'CDEF');
    await write(4096, 'beyond the end');
    await tree.close(handle);
    expect(text(tree.store, 'f')).toBe('ABBC');
    expect(tree.store.calls.put).toBe(1);
  });

  it('cuts and grows closed files at once, and fetches only what stays', async () => {
    await using tree = await FileTree.make();
    tree.store.set('f', 'abcdef');
    expect((await tree.setattr('f', { bytes: 3 })).bytes).toBe(3);
    expect(text(tree.store, 'f')).toBe('abc');
    await tree.setattr('f', { bytes: 5 });
    expect(text(tree.store, 'f')).toBe('abc\0\0');
    const reads = tree.store.calls.read;
    await tree.setattr('f', { bytes: 0 });
    expect(text(tree.store, 'f')).toBe('');
    expect(tree.store.calls.read).toBe(reads);
  });

  it('downloads nothing for a file that is opened with O_TRUNC', async () => {
    await using tree = await FileTree.make();
    tree.store.set('f', 'old content');
    await tree.write('f', 'new');
    expect(text(tree.store, 'f')).toBe('new');
    expect(tree.store.calls.read).toBe(0);
  });

  it('sends large files in parts, whole or not at all', async () => {
    await using tree = await FileTree.make();
    const content = Buffer.alloc(20 * MiB + 17, 'wire');
    await tree.write('big', content);
    expect(Buffer.from(tree.store.bytesOf('big') ?? []).equals(content)).toBe(true);
    expect(tree.store.calls).toMatchObject({ put: 0, startUpload: 1, uploadPart: 3 });
    expect(tree.store.openUploads).toBe(0);
  });

  it('gives up an upload whose part failed and leaves no part behind', async () => {
    let failing = true;
    await using setup = await failingTree(({ method, nth }) =>
      method === 'uploadPart' && failing && nth % 2 === 0 ? { error: 'unavailable' } : undefined,
    );
    const { tree, store } = setup;
    const handle = await tree.create('big');
    await tree.writeHandle(handle, 0, Buffer.alloc(20 * MiB));
    expect(await errnoOf(async () => await tree.fs.flush(handle, tree.context))).toBe('EIO');
    expect(store.openUploads).toBe(0);
    expect(store.keys()).toEqual([]);
    failing = false;
    await tree.fs.flush(handle, tree.context);
    expect(store.bytesOf('big')?.length).toBe(20 * MiB);
    await tree.close(handle);
  });

  it('cuts any file into at most 10,000 parts', () => {
    for (const bytes of [17 * MiB, 80 * GiB, 200 * GiB, 5 * 1024 * GiB]) {
      const parts = gridParts(bytes);
      expect(parts.length).toBeLessThanOrEqual(10_000);
      expect(parts.at(-1)?.end).toBe(bytes);
      expect(parts.every(({ start }, at) => start === (parts[at - 1]?.end ?? 0))).toBe(true);
    }
  });

  it('refuses with ESTALE to overwrite what somebody else changed, and keeps the bytes', async () => {
    await using tree = await FileTree.make();
    tree.store.set('f', 'base');
    const handle = await tree.open('f', { access: 'write' });
    await tree.writeHandle(handle, 0, 'mine');
    tree.store.set('f', 'theirs');
    expect(await errnoOf(async () => await tree.close(handle))).toBe('ESTALE');
    expect(text(tree.store, 'f')).toBe('theirs');
    expect(await kept(tree)).toEqual(['mine']);
    expect(await tree.read('f')).toBe('theirs');
  });

  it('ends a handle with ESTALE once its file is known to be another, after a conflict too', async () => {
    await using tree = await FileTree.make();
    const saved = await tree.create('f');
    await tree.writeHandle(saved, 0, 'saved');
    await tree.fs.fsync(saved, false, tree.context);
    tree.store.set('f', 'theirs');
    await tree.expire();
    await tree.stat('f');
    expect(await errnoOf(async () => await tree.readHandle(saved))).toBe('ESTALE');
    expect(await errnoOf(async () => await tree.writeHandle(saved, 0, 'x'))).toBe('ESTALE');
    await tree.close(saved);

    const refused = await tree.open('f', { access: 'read-write' });
    await tree.writeHandle(refused, 0, 'mine');
    tree.store.set('f', 'theirs again');
    const flush = async (): Promise<void> => await tree.fs.flush(refused, tree.context);
    expect([await errnoOf(flush), await errnoOf(flush)]).toEqual(['ESTALE', 'ESTALE']);
    expect(await errnoOf(async () => await tree.readHandle(refused))).toBe('ESTALE');
    await tree.fs.release(refused, tree.context);
    expect(text(tree.store, 'f')).toBe('theirs again');
  });

  it('refuses with EEXIST when somebody else made the file that O_EXCL was to make', async () => {
    await using tree = await FileTree.make();
    const handle = await tree.create('f', { exclusive: true });
    await tree.writeHandle(handle, 0, 'mine');
    tree.store.set('f', 'theirs');
    expect(await errnoOf(async () => await tree.close(handle))).toBe('EEXIST');
    expect(text(tree.store, 'f')).toBe('theirs');
    expect(await kept(tree)).toEqual(['mine']);
  });

  it('does not try again behind the back of a program that was told of a failure', async () => {
    let failing = true;
    await using setup = await failingTree(({ method }) =>
      method === 'put' && failing ? { error: 'unavailable' } : undefined,
    );
    const { tree, store } = setup;
    const handle = await tree.create('f');
    await tree.writeHandle(handle, 0, 'bytes');
    expect(await errnoOf(async () => await tree.fs.flush(handle, tree.context))).toBe('EIO');
    failing = false;
    await tree.fs.release(handle, tree.context);
    expect(store.keys()).toEqual([]);
    expect(await kept(tree)).toEqual(['bytes']);
    expect(tree.fs.state.failures.at(-1)).toMatchObject({ name: 'f' });
  });

  it('uploads at release what was written after the last flush', async () => {
    await using tree = await FileTree.make();
    const handle = await tree.create('f');
    await tree.fs.flush(handle, tree.context);
    await tree.writeHandle(handle, 0, 'late');
    await tree.fs.release(handle, tree.context);
    expect(text(tree.store, 'f')).toBe('late');
  });

  it('asks once and gives EACCES when policy denies a write', async () => {
    await using setup = await failingTree(({ method }) =>
      method === 'put' ? { error: 'access-denied' } : undefined,
    );
    const { tree, store } = setup;
    expect(await errnoOf(async () => await tree.write('f', 'x'))).toBe('EACCES');
    expect(store.keys()).toEqual([]);
  });

  it('gives EKEYEXPIRED when the credentials ended, and saves once they are back', async () => {
    let expired = true;
    await using setup = await failingTree(() =>
      expired ? { error: 'credentials-expired' } : undefined,
    );
    const { tree, store } = setup;
    expect(await errnoOf(async () => await tree.entry('f'))).toBe('EKEYEXPIRED');
    expired = false;
    const handle = await tree.create('f');
    await tree.writeHandle(handle, 0, 'x');
    expired = true;
    expect(await errnoOf(async () => await tree.fs.flush(handle, tree.context))).toBe(
      'EKEYEXPIRED',
    );
    expired = false;
    await tree.close(handle);
    expect(text(store, 'f')).toBe('x');
  });

  it('saves everything before an unmount, and says when it cannot', async () => {
    let failing = true;
    await using setup = await failingTree(({ method, key }) =>
      method === 'put' && key === 'b' && failing ? { error: 'unavailable' } : undefined,
    );
    const { tree, store } = setup;
    const handles = [await tree.create('a'), await tree.create('b')];
    for (const handle of handles) await tree.writeHandle(handle, 0, 'x');
    expect(tree.fs.state).toMatchObject({ unsavedFiles: 2, unsavedBytes: 2, openHandles: 2 });
    await expect(tree.fs.sync(tree.context.signal)).rejects.toMatchObject({ kind: 'not-saved' });
    expect(store.keys()).toEqual(['a']);
    failing = false;
    await tree.fs.sync(tree.context.signal);
    expect(store.keys()).toEqual(['a', 'b']);
    for (const handle of handles) await tree.close(handle);
  });

  it('never throws unsaved bytes away when it ends', async () => {
    await using tree = await FileTree.make();
    const handle = await tree.create('f');
    await tree.writeHandle(handle, 0, 'unsaved');
    await tree.fs[Symbol.asyncDispose]();
    expect(await kept(tree)).toEqual(['unsaved']);
    expect((await readdir(tree.stagingDir)).filter((name) => name !== 'kept')).toEqual([]);
  });

  it('keeps local bytes where only their owner can read them, and frees the disk', async () => {
    await using tree = await FileTree.make();
    const handle = await tree.create('f');
    // More than stays in memory at once.
    await tree.writeHandle(handle, 0, Buffer.alloc(20 * MiB));
    const [own = ''] = await readdir(tree.stagingDir);
    const folder = path.join(tree.stagingDir, own);
    const [name = ''] = (await readdir(folder)).filter((file) => file.startsWith('staged-'));
    const mode = async (file: string): Promise<number> => (await stat(file)).mode & 0o777;
    expect(await mode(path.join(folder, name))).toBe(0o600);
    expect([await mode(folder), await mode(tree.stagingDir)]).toEqual([0o700, 0o700]);
    await tree.close(handle);
    expect(await readdir(folder)).toEqual([]);
    await tree.fs[Symbol.asyncDispose]();
    expect(await readdir(tree.stagingDir)).toEqual([]);
  });

  it('copies a thousand files in with one request each and few listings', async () => {
    await using tree = await FileTree.make();
    await tree.mkdir('d');
    for (let at = 0; at < 1000; at += 1) {
      await errnoOf(async () => await tree.entry(`d/file-${at}`));
      await tree.write(`d/file-${at}`, `content ${at}`);
      if (at % 100 === 0) await tree.clock.advance(300);
    }
    expect(tree.store.keys()).toHaveLength(1001);
    expect(tree.store.calls.put).toBe(1001);
    expect(tree.store.calls.head).toBe(0);
    expect(tree.store.calls.list).toBeLessThan(20);
  });
});
