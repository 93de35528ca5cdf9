import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { IndexStore } from '../../../src/fs/index-store.ts';
import { encodeMetadata } from '../../../src/fs/object-metadata.ts';
import { silentLog } from '../../../src/lib/log.ts';
import { FakeClock } from '../../fixtures/fake-clock.ts';
import { errnoOf, FileTree, LIST_TTL_MS, text } from './file-tree.ts';

async function typesOf(tree: FileTree, directory = ''): Promise<Record<string, string>> {
  const dirents = await tree.dirents(directory);
  const named = dirents.map(({ name, type }) => [Buffer.from(name).toString(), type] as const);
  return Object.fromEntries(named.filter(([name]) => !name.startsWith('.')));
}

describe('a symbolic link', () => {
  it('is an object whose body is its target and whose metadata says so', async () => {
    await using tree = await FileTree.make();
    const { attributes } = await tree.symlink('link', '../else/where');
    expect(attributes).toMatchObject({ type: 'symlink', mode: 0o777, bytes: 13, nlink: 1 });
    expect(text(tree.store, 'link')).toBe('../else/where');
    expect(tree.store.headOf('link')?.metadata).toMatchObject({
      mode: String(0o120777),
      uid: '1000',
    });
    expect(await tree.readlink('link')).toBe('../else/where');
    expect(await typesOf(tree)).toEqual({ link: 'symlink' });
    expect(tree.store.calls).toMatchObject({ put: 1, read: 0, head: 0 });
  });

  it('may lead nowhere, and has a target of up to 4,095 bytes of any kind', async () => {
    await using tree = await FileTree.make();
    const long = 'ü'.repeat(2047) + 'x';
    await tree.symlink('long', long);
    expect((await tree.stat('long')).bytes).toBe(4095);
    expect(await tree.readlink('long')).toBe(long);
    const { parent } = await tree.split('odd');
    const odd = new Uint8Array([0xff, 0x2f, 0x80]);
    await tree.fs.symlink(parent, Buffer.from('odd'), odd, tree.context);
    const inode = await tree.inode('odd');
    expect([...(await tree.fs.readlink(inode, tree.context))]).toEqual([...odd]);
  });

  it('is renamed, replaced and removed as any name', async () => {
    await using tree = await FileTree.make();
    await tree.symlink('one', 'target');
    await tree.write('file', 'content');
    await tree.rename('one', 'two');
    expect(await tree.readlink('two')).toBe('target');
    expect(await tree.stat('two')).toMatchObject({ type: 'symlink' });
    await tree.rename('two', 'file');
    expect(await tree.stat('file')).toMatchObject({ type: 'symlink', bytes: 6 });
    await tree.write('other', 'content');
    await tree.rename('other', 'file');
    expect(await tree.stat('file')).toMatchObject({ type: 'file', bytes: 7 });
    await tree.symlink('gone', 'x');
    await tree.unlink('gone');
    expect(await typesOf(tree)).toEqual({ file: 'file' });
    expect(tree.store.keys()).toEqual(['file']);
  });

  it('takes no name that is taken', async () => {
    await using tree = await FileTree.make();
    await tree.write('file', 'content');
    expect(await errnoOf(async () => await tree.symlink('file', 'x'))).toBe('EEXIST');
    expect(await errnoOf(async () => await tree.mknod('file', { type: 'fifo' }))).toBe('EEXIST');
    tree.store.set('other', 'somebody');
    expect(await errnoOf(async () => await tree.symlink('other', 'x'))).toBe('EEXIST');
    expect(text(tree.store, 'other')).toBe('somebody');
  });

  it('has an owner and times of its own, but no mode', async () => {
    await using tree = await FileTree.make();
    await tree.symlink('link', 'target');
    const chmod = async (): Promise<unknown> => await tree.setattr('link', { mode: 0o600 });
    expect(await errnoOf(chmod)).toBe('ENOTSUP');
    await tree.setattr('link', { uid: 7, mtimeMs: 1000 });
    await tree.clock.advance(1001);
    expect(await tree.stat('link')).toMatchObject({ uid: 7, mtimeMs: 1000, mode: 0o777 });
    expect(tree.store.headOf('link')?.metadata).toMatchObject({
      mode: String(0o120777),
      uid: '7',
      mtime: '1',
    });
    expect(await tree.readlink('link')).toBe('target');
  });

  it('is none to readlink when it is a file or a directory', async () => {
    await using tree = await FileTree.make();
    await tree.write('file', 'content');
    await tree.mkdir('d');
    for (const name of ['file', 'd']) {
      expect(await errnoOf(async () => await tree.readlink(name))).toBe('EINVAL');
    }
  });

  it('is a file again when somebody else has stored one in its place', async () => {
    await using tree = await FileTree.make();
    const { inode } = await tree.symlink('link', 'target');
    tree.store.set('link', 'content');
    await tree.expire();
    const { inode: other, attributes } = await tree.entry('link');
    expect(attributes).toMatchObject({ type: 'file', bytes: 7 });
    expect(other).not.toBe(inode);
    expect(await tree.read('link')).toBe('content');
  });
});

describe('a fifo, a socket, a device', () => {
  it('is an object without content whose metadata says what it is', async () => {
    await using tree = await FileTree.make();
    await tree.mknod('fifo', { type: 'fifo', mode: 0o620 });
    await tree.mknod('socket', { type: 'socket' });
    const device = { major: 259, minor: 70_001 };
    await tree.mknod('disk', { type: 'block-device', mode: 0o660, device });
    await tree.mknod('null', { type: 'character-device', device: { major: 1, minor: 3 } });
    expect(await tree.stat('fifo')).toMatchObject({ type: 'fifo', mode: 0o620, bytes: 0 });
    expect(await tree.stat('disk')).toMatchObject({ type: 'block-device', device });
    expect(await typesOf(tree)).toEqual({
      fifo: 'fifo',
      socket: 'socket',
      disk: 'block-device',
      null: 'character-device',
    });
    expect(tree.store.headOf('fifo')?.metadata).toMatchObject({ mode: String(0o010620) });
    expect(tree.store.headOf('null')?.metadata).toMatchObject({ rdev: '259' });
    expect(text(tree.store, 'fifo')).toBe('');
  });

  it('made by mknod as a regular file is one', async () => {
    await using tree = await FileTree.make();
    await tree.mknod('file', { type: 'file', mode: 0o640 });
    expect(await tree.stat('file')).toMatchObject({ type: 'file', mode: 0o640, bytes: 0 });
    await tree.write('file', 'content');
    expect(text(tree.store, 'file')).toBe('content');
  });

  it('is known again after a remount, and a link too', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'wire-special-'));
    const clock = new FakeClock();
    const log = silentLog;
    try {
      const index = await IndexStore.open({ folder, listTtlMs: LIST_TTL_MS, clock, log });
      await using tree = await FileTree.make({ clock, index });
      await tree.symlink('link', 'target');
      await tree.mknod('fifo', { type: 'fifo' });
      await tree.mknod('null', { type: 'character-device', device: { major: 1, minor: 3 } });
      await index[Symbol.asyncDispose]();
      await using again = await IndexStore.open({ folder, listTtlMs: LIST_TTL_MS, clock, log });
      await using later = await FileTree.make({
        root: { kind: 'bucket', store: tree.store, prefix: '' },
        clock,
        index: again,
      });
      const { head, read } = tree.store.calls;
      expect(await typesOf(later)).toEqual({
        link: 'symlink',
        fifo: 'fifo',
        null: 'character-device',
      });
      expect(await later.readlink('link')).toBe('target');
      expect((await later.stat('null')).device).toEqual({ major: 1, minor: 3 });
      expect(tree.store.calls).toMatchObject({ head, read });
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});

describe('a hard link', () => {
  it('is refused with EPERM', async () => {
    await using tree = await FileTree.make();
    // Without the operation the protocol answers so: see test/unit/fuse.
    expect('link' in tree.fs).toBe(false);
  });
});

describe('links of other programs', () => {
  it('are links where attributes are read of metadata', async () => {
    await using tree = await FileTree.make({ posix: true });
    const { metadata } = encodeMetadata({ type: 'symlink', mode: 0o777 });
    tree.store.set('s3fs', 'target', { metadata });
    tree.store.set('geesefs', '', { metadata: { '--symlink-target': 'target' } });
    for (const name of ['s3fs', 'geesefs']) {
      expect(await tree.stat(name)).toMatchObject({ type: 'symlink', bytes: 6 });
      expect(await tree.readlink(name)).toBe('target');
    }
    expect(await typesOf(tree)).toEqual({ s3fs: 'symlink', geesefs: 'symlink' });
  });
});
