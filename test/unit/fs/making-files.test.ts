import { describe, expect, it } from 'vitest';
import { errnoOf, FileTree, LIST_TTL_MS, text } from './file-tree.ts';

/** Between two new files: the store sees 200 in a second. */
const PACE_MS = 5;
const FILES = 2000;
const TTLS = (FILES * PACE_MS) / LIST_TTL_MS;

const sorted = Array.from({ length: FILES }, (_, at) => `file-${String(at).padStart(5, '0')}`);
/** The same each time, in no order: 7919 has no divisor in common with their number. */
const mixed = sorted.map((_, at) => sorted[(at * 7919) % FILES] ?? '');

const largeDirectory = Array.from(
  { length: 5000 },
  (_, at) => `file-${String(at).padStart(5, '0')}-x`,
);

/** Makes files, so many at once, as the kernel does: it looks first. Counts the listings. */
async function listingsFor(
  tree: FileTree,
  names: readonly string[],
  atOnce: number,
): Promise<number> {
  const before = tree.store.calls.list;
  const make = async (name: string): Promise<void> => {
    expect(await errnoOf(async () => await tree.entry(name))).toBe('ENOENT');
    await tree.write(name, name);
  };
  for (let at = 0; at < names.length; at += atOnce) {
    await Promise.all(names.slice(at, at + atOnce).map(make));
    await tree.clock.advance(PACE_MS * atOnce);
  }
  return tree.store.calls.list - before;
}

describe('making many files', () => {
  it('asks for few listings within a TTL, in whatever order they are made', async () => {
    for (const [names, atOnce, most] of [
      [sorted, 1, 1.5],
      [sorted, 16, 1.5],
      [mixed, 1, 3],
      [mixed, 16, 3],
    ] as const) {
      await using tree = await FileTree.make();
      expect(await listingsFor(tree, names, atOnce)).toBeLessThanOrEqual(TTLS * most);
      expect(tree.store.calls.put).toBe(FILES);
      await tree.expire();
      expect((await tree.list()).sort()).toEqual(sorted);
    }
  });

  it('asks for few listings where many files are already', async () => {
    for (const [names, most] of [
      [sorted, 1.5],
      // About one for each thousand names that are there.
      [mixed, 8],
    ] as const) {
      await using tree = await FileTree.make();
      for (const name of largeDirectory) tree.store.set(name, 'x');
      expect(await listingsFor(tree, names, 16)).toBeLessThanOrEqual(TTLS * most);
      expect(tree.store.keys()).toHaveLength(largeDirectory.length + FILES);
    }
  });

  it('asks for nothing below the directories that it makes, within the TTL', async () => {
    await using tree = await FileTree.make();
    for (let at = 0; at < 200; at += 1) {
      const directory = `d${at}`;
      await tree.mkdir(directory);
      await listingsFor(tree, [`${directory}/a`, `${directory}/b`, `${directory}/c`], 1);
      await tree.mkdir(`${directory}/e`);
      await listingsFor(tree, [`${directory}/e/f`], 1);
    }
    // 800 files in four seconds: what is asked for is the directory around them.
    expect(tree.store.calls.list).toBeLessThanOrEqual(8);
  });

  it('sees what somebody else makes among them, at most a TTL later', async () => {
    await using tree = await FileTree.make();
    await listingsFor(tree, sorted.slice(0, 1500), 16);
    for (const theirs of ['file-00700-x', 'file-01499-x', 'file-09999', 'a']) {
      await listingsFor(tree, [`${theirs}-ours`], 1);
      tree.store.set(theirs, 'theirs');
      await tree.expire();
      expect(await tree.read(theirs)).toBe('theirs');
    }
  });

  it('never saves over what somebody else has made of the name meanwhile', async () => {
    await using tree = await FileTree.make();
    await listingsFor(tree, sorted.slice(0, 1200), 16);
    expect(await errnoOf(async () => await tree.entry('file-01200'))).toBe('ENOENT');
    expect(await errnoOf(async () => await tree.entry('file-01201'))).toBe('ENOENT');
    const asked = tree.store.calls.list;
    tree.store.set('file-01201', 'theirs');
    const outcome = await errnoOf(async () => {
      const handle = await tree.create('file-01201', { exclusive: true });
      await tree.writeHandle(handle, 0, 'ours');
      await tree.close(handle);
    });
    expect(outcome).toBe('EEXIST');
    expect(tree.store.calls.list).toBe(asked);
    expect(text(tree.store, 'file-01201')).toBe('theirs');
  });
});
