/** Files that the kernel reads by itself, since the disk has them whole. */
import { describe, expect, it } from 'vitest';
import { BlockCache } from '../../../src/cache/block-cache.ts';
import { Endpoint } from '../../../src/cache/endpoint.ts';
import { MemoryBudget } from '../../../src/cache/memory-budget.ts';
import type { OpenedFile, OpenFlags } from '../../../src/fs/filesystem.ts';
import { MiB } from '../../../src/lib/bytes.ts';
import { FakeClock } from '../../fixtures/fake-clock.ts';
import { MemoryBlockDisk } from '../../fixtures/memory-block-disk.ts';
import { FileTree } from './file-tree.ts';

const DESCRIPTOR = 7;
const reads: OpenFlags = { access: 'read', truncate: false, append: false, exclusive: false };
const writes: OpenFlags = { ...reads, access: 'read-write' };
const name = Buffer.from('f');

/** A tree whose disk has `f` whole. */
async function treeWithWhole(): Promise<FileTree> {
  const clock = new FakeClock();
  const blocks = new BlockCache({ budget: new MemoryBudget(8 * MiB), clock });
  const disk = new MemoryBlockDisk({ descriptor: DESCRIPTOR });
  const endpoint = new Endpoint('https://s3.test');
  const tree = await FileTree.make({ clock, reading: { blocks, endpoint, disk } });
  await put(tree, 'before');
  return tree;
}

async function put(tree: FileTree, text: string): Promise<void> {
  tree.store.set('f', text);
  await tree.expire();
  expect(await tree.read('f')).toBe(text);
}

async function open(tree: FileTree, flags: OpenFlags = reads): Promise<OpenedFile> {
  const { inode } = await tree.entry('f');
  return await tree.fs.open(inode, flags, tree.context);
}

describe('a file that is whole on the disk', () => {
  it('is read by the kernel itself, by all who only read', async () => {
    await using tree = await treeWithWhole();
    const opened = [await open(tree), await open(tree)];
    expect(opened.map(({ backing }) => backing)).toEqual([DESCRIPTOR, DESCRIPTOR]);
    for (const { handle } of opened) await tree.fs.release(handle, tree.context);
  });

  it('is another inode for who writes, while the kernel reads it for others', async () => {
    await using tree = await treeWithWhole();
    const before = await tree.entry('f');
    const reader = await open(tree);
    await expect(open(tree, writes)).rejects.toMatchObject({ errno: 'ESTALE' });
    const after = await tree.entry('f');
    expect(after.inode).not.toBe(before.inode);
    expect(after.attributes.ino).toBe(before.attributes.ino);
    const writer = await open(tree, writes);
    expect(writer.backing).toBeUndefined();
    // And who reads beside a writer is served as the writer is.
    const other = await open(tree);
    expect(other.backing).toBeUndefined();
    await tree.fs.write(writer.handle, 0, Buffer.from('a'), tree.context);
    await tree.fs.flush(writer.handle, tree.context);
    expect(Buffer.from(tree.store.bytesOf('f') ?? []).toString()).toBe('aefore');
    for (const { handle } of [reader, writer, other]) await tree.fs.release(handle, tree.context);
  });

  it('is another inode for who makes it anew by its name, or cuts it off', async () => {
    await using tree = await treeWithWhole();
    const { inode } = await tree.entry('f');
    const reader = await open(tree);
    const cut = tree.fs.setattr(inode, undefined, { bytes: 1 }, tree.context);
    await expect(cut).rejects.toMatchObject({ errno: 'ESTALE' });
    const again = await open(tree);
    expect(again.backing).toBe(DESCRIPTOR);
    const flags = { ...writes, truncate: true };
    const made = await tree.fs.create(1 as never, name, 0o644, flags, tree.context);
    expect(made.backing).toBeUndefined();
    for (const { handle } of [reader, again, made]) await tree.fs.release(handle, tree.context);
    expect(tree.store.bytesOf('f')?.length).toBe(0);
  });

  it('is another inode once somebody else has changed the object', async () => {
    await using tree = await treeWithWhole();
    const reader = await open(tree);
    tree.store.set('f', 'changed');
    await tree.expire();
    await expect(open(tree)).rejects.toMatchObject({ errno: 'ESTALE' });
    const now = await open(tree);
    const bytes = await tree.fs.read(now.handle, 0, 100, tree.context);
    expect(Buffer.concat(bytes instanceof Uint8Array ? [bytes] : bytes).toString()).toBe('changed');
    for (const { handle } of [reader, now]) await tree.fs.release(handle, tree.context);
  });
});
