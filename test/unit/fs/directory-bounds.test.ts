import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import type { Entry } from '../../../src/fs/filesystem.ts';
import { ROOT_INODE } from '../../../src/fs/ids.ts';
import { InodeTable } from '../../../src/fs/inode-table.ts';
import type { EntryName } from '../../../src/fs/kernel-cache.ts';
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

function tableOf(forgetEntries: (entries: readonly EntryName[]) => Promise<void>): InodeTable {
  const { clock, store } = filled(1);
  const root = { kind: 'bucket', store, prefix: '' } as const;
  return new InodeTable({ root, clock, listTtlMs: 1000, log: silentLog, forgetEntries });
}

/** A full collection of garbage. */
function collect(): void {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
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

  it('asks the kernel to forget what it knew first, many at once, and never what is open', async () => {
    const asked: EntryName[][] = [];
    const nodes = tableOf(async (entries) => {
      asked.push([...entries]);
      await Promise.resolve();
    });
    const made: FileNode[] = [];
    for (let at = 0; at < 40_000; at += 1) {
      const node = nodes.addFile(nodes.root, `file-${at}`);
      node.lookups += 1;
      if (at === 3) node.addUse({ pinned: undefined, backed: false });
      made.push(node);
      await Promise.resolve(); // the kernel has heard
    }
    const forgotten = asked.flat().map(({ name }) => Buffer.from(name).toString());
    expect(asked.length).toBeLessThan(6);
    expect(forgotten.length).toBeGreaterThan(5000);
    expect(forgotten.length).toBeLessThan(9000);
    expect(forgotten.slice(0, 4)).toEqual(['file-0', 'file-1', 'file-2', 'file-4']);
    expect(nodes.isFull).toBe(false);
    const gone = new Set(forgotten);
    for (const node of made) if (gone.has(node.name)) nodes.release(node, 1);
    expect(nodes.size).toBeLessThan(35_000);
  });

  it('asks nothing more of a kernel that has not heard yet', async () => {
    let heard = (): void => undefined;
    let times = 0;
    const nodes = tableOf(async () => {
      times += 1;
      await new Promise<void>((resolve) => {
        heard = resolve;
      });
    });
    for (let at = 0; at < 50_000; at += 1) nodes.addFile(nodes.root, `file-${at}`).lookups += 1;
    expect(times).toBe(1);
    heard();
    await new Promise(setImmediate);
    for (let at = 0; at < 2100; at += 1) nodes.addFile(nodes.root, `more-${at}`).lookups += 1;
    expect(times).toBe(2);
    heard();
  });

  it('holds nothing of files that have come and gone', async () => {
    const nodes = tableOf(async () => await Promise.resolve());
    const seen: WeakRef<FileNode>[] = [];
    const known: FileNode[] = [];
    for (let at = 0; at < 20_000; at += 1) {
      const node = nodes.addFile(nodes.root, `file-${at}`);
      node.lookups += 1;
      seen.push(new WeakRef(node));
      known.push(node);
      if (known.length === 200) for (const each of known.splice(0, 100)) nodes.release(each, 1);
    }
    for (const each of known.splice(0)) nodes.release(each, 1);
    expect(nodes.size).toBe(1);
    // What a WeakRef was made of lives to the end of the turn (ECMA-262, KeepDuringJob).
    await new Promise(setImmediate);
    collect();
    expect(seen.filter((each) => each.deref() !== undefined).length).toBeLessThan(100);
  });

  it('asks for a directory, where a program may work, only when it must', async () => {
    const asked = new Set<string>();
    const nodes = tableOf(async (entries) => {
      for (const { name } of entries) asked.add(Buffer.from(name).toString());
      await Promise.resolve();
    });
    const add = async (count: number): Promise<void> => {
      for (let at = 0; at < count; at += 1) {
        nodes.bind(nodes.root, `folder-${nodes.size}`, { type: 'directory' }).lookups += 1;
        await Promise.resolve();
      }
    };
    await add(60_000);
    expect(asked.size).toBe(0);
    await add(10_000);
    expect(asked.size).toBeGreaterThan(0);
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
