import { describe, expect, it } from 'vitest';
import type { Entry } from '../../../src/fs/filesystem.ts';
import { ROOT_INODE } from '../../../src/fs/ids.ts';
import { InodeTable } from '../../../src/fs/inode-table.ts';
import type { FileNode } from '../../../src/fs/nodes.ts';
import { silentLog } from '../../../src/lib/log.ts';
import { FaultyObjectStore } from '../../../src/store/faulty-object-store.ts';
import { FakeClock } from '../../fixtures/fake-clock.ts';
import { MemoryObjectStore } from '../../fixtures/memory-object-store.ts';
import { FileTree } from './file-tree.ts';

function filled(count: number): { readonly clock: FakeClock; readonly store: MemoryObjectStore } {
  const clock = new FakeClock();
  const store = new MemoryObjectStore({ clock });
  for (let at = 0; at < count; at += 1) store.set(`file-${String(at).padStart(6, '0')}`, 'x');
  return { clock, store };
}

/** READDIRPLUS of the root to its end; entries by name. */
async function readWhole(tree: FileTree): Promise<Map<string, Entry | undefined>> {
  const entries = new Map<string, Entry | undefined>();
  const { handle } = tree.fs.opendir(ROOT_INODE);
  let cookie = 0;
  for (let taken = -1; taken !== 0; ) {
    taken = 0;
    const fill = (
      dirent: { readonly name: Uint8Array; readonly cookie: number },
      entry: Entry | undefined,
    ): boolean => {
      if (taken === 100) return false;
      taken += 1;
      ({ cookie } = dirent);
      entries.set(Buffer.from(dirent.name).toString(), entry);
      return true;
    };
    await tree.fs.readdirplus(handle, cookie, fill, tree.context);
  }
  tree.fs.releasedir(handle);
  entries.delete('.');
  entries.delete('..');
  return entries;
}

describe('a directory of very many files', () => {
  it('gives names without attributes once a kernel that forgets nothing knows very many', async () => {
    const { clock, store } = filled(66_000);
    await using tree = await FileTree.make({ root: { kind: 'bucket', store, prefix: '' }, clock });
    const entries = await readWhole(tree);
    expect(entries.size).toBe(66_000);
    const given = [...entries.values()].filter((entry) => entry !== undefined);
    expect(given.length).toBeGreaterThan(50_000);
    expect(given.length).toBeLessThan(70_000);
    // What was given as a mere name is found when it is asked for.
    expect((await tree.stat('file-065999')).bytes).toBe(1);
  });

  it('asks the kernel to forget what it knew first, and never what is open', () => {
    const { clock, store } = filled(1);
    const forgotten: string[] = [];
    const nodes = new InodeTable({
      root: { kind: 'bucket', store, prefix: '' },
      clock,
      listTtlMs: 1000,
      log: silentLog,
      forgetEntry: (parent, name) => {
        expect(parent).toBe(ROOT_INODE);
        forgotten.push(Buffer.from(name).toString());
      },
    });
    const made: FileNode[] = [];
    for (let at = 0; at < 40_000; at += 1) {
      const node = nodes.addFile(nodes.root, `file-${at}`);
      node.lookups += 1;
      if (at === 3) node.addUse({ pinned: undefined, backed: false });
      made.push(node);
    }
    expect(forgotten.length).toBeGreaterThan(7000);
    expect(forgotten.length).toBeLessThan(9000);
    expect(forgotten.slice(0, 4)).toEqual(['file-0', 'file-1', 'file-2', 'file-4']);
    expect(nodes.isFull).toBe(false);
    const gone = new Set(forgotten);
    for (const node of made) if (gone.has(node.name)) nodes.release(node, 1);
    expect(nodes.size).toBeLessThan(33_000);
  });

  it('asks for the next page while the kernel reads one, and for two at most', async () => {
    const { clock, store } = filled(10_000);
    const slow = new FaultyObjectStore(store, () => ({ delayMs: 20 }), clock);
    await using tree = await FileTree.make({
      root: { kind: 'bucket', store: slow, prefix: '' },
      clock,
    });
    const { handle } = tree.fs.opendir(ROOT_INODE);
    let left = 10;
    const fill = (): boolean => {
      left -= 1;
      return left >= 0;
    };
    const reading = tree.fs.readdir(handle, 0, fill, tree.context);
    await clock.advance(20);
    // '.' and '..' are told at once; the names need the page.
    await reading;
    left = 10;
    const more = tree.fs.readdir(handle, 2, fill, tree.context);
    await clock.advance(20);
    await more;
    await clock.advance(1000);
    expect(store.calls.list).toBe(3);
    tree.fs.releasedir(handle);
  });
});
