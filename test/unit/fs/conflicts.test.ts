import { readdir } from 'node:fs/promises';
import { userInfo } from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { errnoOf, FileTree, kept } from './file-tree.ts';

const [user] = [userInfo().username.replaceAll(/[^\w.-]/g, '_')];

async function keptNames(tree: FileTree): Promise<readonly string[]> {
  return await readdir(path.join(tree.stagingDir, 'kept')).catch(() => []);
}

describe('a file that somebody else has changed', () => {
  it('keeps the bytes under the name of the file, the user and the time, and says where', async () => {
    await using tree = await FileTree.make();
    tree.store.set('d/report (1).csv', 'old');
    const handle = await tree.open('d/report (1).csv', { access: 'read-write' });
    await tree.writeHandle(handle, 0, 'mine');
    tree.store.set('d/report (1).csv', 'theirs');
    expect(await errnoOf(async () => await tree.close(handle))).toBe('ESTALE');
    const time = new Date(tree.clock.now()).toISOString().replaceAll(':', '');
    const [name = ''] = await keptNames(tree);
    expect(name.replace(/-[\da-f]{8}$/, '')).toBe(`report__1_.csv.conflict-${user}-${time}`);
    expect(await kept(tree)).toEqual(['mine']);
    expect(tree.fs.state.failures).toMatchObject([
      { name: 'report (1).csv', keptAt: path.join(tree.stagingDir, 'kept', name) },
    ]);
    expect(Buffer.from(tree.store.bytesOf('d/report (1).csv') ?? []).toString()).toBe('theirs');
  });

  it('is told so by a truncate without handle, and by a save of a file that was to be new', async () => {
    await using tree = await FileTree.make();
    tree.store.set('f', 'content');
    await tree.stat('f');
    tree.store.set('f', 'theirs, longer');
    expect(await errnoOf(async () => await tree.setattr('f', { bytes: 3 }))).toBe('ESTALE');
    expect(await errnoOf(async () => await tree.entry('g'))).toBe('ENOENT');
    const handle = await tree.create('g');
    await tree.writeHandle(handle, 0, 'mine');
    tree.store.set('g', 'theirs');
    expect(await errnoOf(async () => await tree.close(handle))).toBe('ESTALE');
    const exclusive = await tree.create('h', { exclusive: true });
    tree.store.set('h', 'theirs');
    expect(await errnoOf(async () => await tree.close(exclusive))).toBe('EEXIST');
    await tree.expire();
    for (const name of ['g', 'h']) expect(await tree.read(name)).toBe('theirs');
    expect(await tree.read('f')).toBe('theirs, longer');
    expect(await kept(tree)).toContain('mine');
  });

  it('is replaced by a rename as it is at that moment, and kept by one that may not replace', async () => {
    await using tree = await FileTree.make();
    await tree.write('a', 'A');
    expect(await errnoOf(async () => await tree.entry('b'))).toBe('ENOENT');
    tree.store.set('b', 'theirs');
    const noReplace = async (): Promise<void> => await tree.rename('a', 'b', { noReplace: true });
    expect(await errnoOf(noReplace)).toBe('EEXIST');
    expect([...tree.store.keys()]).toEqual(['a', 'b']);
    await tree.rename('a', 'b');
    expect(await tree.read('b')).toBe('A');
    expect(tree.store.keys()).toEqual(['b']);
  });
});
