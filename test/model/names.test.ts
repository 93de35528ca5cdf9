/** Sets of keys beside the tree they are to be shown as, said in the plainest way. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FakeClock } from '../fixtures/fake-clock.ts';
import { MemoryObjectStore, MemoryObjectStores } from '../fixtures/memory-object-store.ts';
import { errnoOf, FileTree } from '../unit/fs/file-tree.ts';
import { histories } from './histories.ts';

/** Paths of files with their keys, and paths of directories. */
interface Shown {
  readonly files: Map<string, string>;
  readonly directories: Set<string>;
}

function canBeShown(part: string): boolean {
  const isOdd = part === '' || part === '.' || part === '..' || part.includes('\0');
  return !isOdd && Buffer.byteLength(part) <= 255;
}

/** What a mount of `prefix` shows of `keys`. */
function shownOf(keys: readonly string[], prefix: string): Shown {
  const files = new Map<string, string>();
  const directories = new Set<string>();
  for (const key of keys) {
    if (!key.startsWith(prefix)) continue;
    const parts = key.slice(prefix.length).split('/');
    const name = parts.pop() ?? '';
    const above = parts.findIndex((part) => !canBeShown(part));
    for (let depth = 1; depth <= (above < 0 ? parts.length : above); depth += 1) {
      directories.add(parts.slice(0, depth).join('/'));
    }
    if (above < 0 && canBeShown(name)) files.set([...parts, name].join('/'), key);
  }
  for (const directory of directories) files.delete(directory);
  return { files, directories };
}

async function walk(tree: FileTree, at = '', found = emptyShown()): Promise<Shown> {
  for (const { name, type } of await tree.dirents(at)) {
    const text = Buffer.from(name).toString();
    if (text === '.' || text === '..') continue;
    const path = at === '' ? text : `${at}/${text}`;
    expect(found.files.has(path) || found.directories.has(path)).toBe(false);
    if (type === 'directory') {
      found.directories.add(path);
      await walk(tree, path, found);
    } else found.files.set(path, await tree.read(path));
  }
  return found;
}

function emptyShown(): Shown {
  return { files: new Map(), directories: new Set() };
}

const part = fc.constantFrom(
  'a',
  'b',
  'a-',
  'a.',
  'A',
  '0',
  '',
  '.',
  '..',
  '...',
  'nul\0',
  'caf\u00e9',
  'cafe\u0301',
  '\uff5e',
  '\u{1f600}',
  'n'.repeat(255),
  'n'.repeat(256),
  '\u00e9'.repeat(128),
  ' ',
  '\\',
  '*',
  '\u0001',
  '\ufeff',
);
const key = fc
  .array(part, { minLength: 1, maxLength: 5, size: 'max' })
  .map((parts) => parts.join('/'))
  .filter((text) => text !== '' && Buffer.byteLength(text) <= 1024);
const keys = fc.uniqueArray(key, { maxLength: 40, size: 'max' });

async function compare(all: readonly string[], prefix: string, maxKeys: number): Promise<void> {
  const clock = new FakeClock();
  const store = new MemoryObjectStore({ clock, maxKeys });
  for (const one of all) store.set(one, one);
  await using tree = await FileTree.make({ root: { kind: 'bucket', store, prefix }, clock });
  const expected = shownOf(all, prefix);
  // Each name asked for alone, and in a listing, and again when that is too old.
  for (const [path] of expected.files) {
    expect((await tree.stat(path)).type).toBe('file');
    await tree.expire();
  }
  for (let nth = 0; nth < 2; nth += 1) {
    const seen = await walk(tree);
    expect([...seen.directories].sort()).toEqual([...expected.directories].sort());
    expect([...seen.files].sort()).toEqual([...expected.files].sort());
    await tree.expire();
  }
  expect(store.calls.head).toBe(0);
}

describe('keys and names', () => {
  const { parameters, timeoutMs } = histories(150);

  it(
    'shows any set of keys as the tree that their parts make, whatever they hold',
    async () => {
      await fc.assert(
        fc.asyncProperty(
          keys,
          fc.constantFrom('', 'a/', 'a/b/'),
          fc.integer({ min: 1, max: 9 }),
          compare,
        ),
        parameters,
      );
    },
    timeoutMs,
  );

  it('takes names for bytes: another form of the same letters is another name', async () => {
    await using tree = await FileTree.make();
    tree.store.set('caf\u00e9', 'one');
    expect(await errnoOf(async () => await tree.entry('cafe\u0301'))).toBe('ENOENT');
    await tree.write('cafe\u0301', 'two');
    expect((await tree.list()).sort()).toEqual(['cafe\u0301', 'caf\u00e9']);
    expect(await tree.read('caf\u00e9')).toBe('one');
  });

  it('refuses names that are not UTF-8 with EINVAL', async () => {
    await using tree = await FileTree.make();
    const { fs, context } = tree;
    const name = Buffer.from([0x66, 0xff]);
    const root = await tree.inode('');
    expect(await errnoOf(async () => await fs.lookup(root, name, context))).toBe('EINVAL');
    expect(await errnoOf(async () => await fs.mkdir(root, name, 0o755, context))).toBe('EINVAL');
  });

  it('shows several buckets side by side, each with its own keys', async () => {
    const clock = new FakeClock();
    const stores = new MemoryObjectStores({ clock, buckets: ['one', 'two'] });
    stores.memory('one').set('a/b', 'a/b');
    stores.memory('two').set('a', 'a');
    await using tree = await FileTree.make({ root: { kind: 'buckets', stores }, clock });
    const seen = await walk(tree);
    expect([...seen.directories].sort()).toEqual(['one', 'one/a', 'two']);
    expect([...seen.files].sort()).toEqual([
      ['one/a/b', 'a/b'],
      ['two/a', 'a'],
    ]);
  });

  it('makes no key below the name of a file, and no file where keys lie below', async () => {
    await using tree = await FileTree.make();
    tree.store.set('file', 'x');
    tree.store.set('dir/x', 'x');
    const before = tree.store.keys();
    const tries: readonly (readonly [string, () => Promise<unknown>])[] = [
      ['ENOTDIR', async () => await tree.write('file/below', 'y')],
      ['ENOTDIR', async () => await tree.mkdir('file/below')],
      ['EEXIST', async () => await tree.mkdir('file')],
      ['EISDIR', async () => await tree.write('dir', 'y')],
      ['EISDIR', async () => await tree.rename('file', 'dir')],
      ['ENOTDIR', async () => await tree.rename('dir', 'file')],
      ['ENOTDIR', async () => await tree.rename('dir', 'file/below')],
    ];
    for (const [errno, work] of tries) expect(await errnoOf(work)).toBe(errno);
    expect(tree.store.keys()).toEqual(before);
  });

  it('says once in the log that an object is hidden by a directory of its name', async () => {
    const events: string[] = [];
    const note = (event: string): void => void events.push(event);
    const log = {
      error: note,
      warn: note,
      info: note,
      debug: note,
      trace: note,
      with: () => log,
    };
    await using tree = await FileTree.make({ log });
    for (const one of ['a', 'a/b', 'c', 'c/d']) tree.store.set(one, 'x');
    await tree.list();
    await tree.entry('a');
    await tree.expire();
    await tree.list();
    expect(events.filter((event) => event === 'object-hidden')).toHaveLength(1);
  });
});
