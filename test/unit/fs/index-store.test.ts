import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { FoundName } from '../../../src/fs/directory-source.ts';
import { IndexStore } from '../../../src/fs/index-store.ts';
import { type BootMoment } from '../../../src/lib/clock.ts';
import { silentLog } from '../../../src/lib/log.ts';
import { FakeClock } from '../../fixtures/fake-clock.ts';
import { MemoryObjectStore } from '../../fixtures/memory-object-store.ts';
import { FileTree } from './file-tree.ts';

const LONG_TTL_MS = 60_000;

/** Knows how long its machine has been running. */
class BootClock extends FakeClock {
  start = 'first';

  boot(): BootMoment {
    return { start: this.start, ms: this.monotonic() + 5000 };
  }
}

const listed: readonly FoundName[] = [
  { name: 'd', found: { type: 'directory' } },
  { name: 'f', found: { type: 'file', version: { etag: '"e"', bytes: 7, modifiedMs: 9 } } },
];

describe('the index on disk', () => {
  let folder = '';
  let clock = new BootClock();
  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'wire-index-test-'));
    clock = new BootClock();
  });
  afterEach(async () => await rm(folder, { recursive: true, force: true }));

  async function open(listTtlMs = LONG_TTL_MS): Promise<IndexStore> {
    return await IndexStore.open({ folder, listTtlMs, clock, log: silentLog });
  }

  it('knows attributes again after it was closed, and those that were taken away no more', async () => {
    for (let life = 0; life < 3; life += 1) {
      await using index = await open();
      if (life > 0) expect(index.attributes('/b/d/f')).toEqual({ mode: 0o600, etag: '"e"' });
      expect(index.attributes('/b/gone')).toBeUndefined();
      index.setAttributes('/b/d/f', { mode: 0o600, etag: '"e"' });
      index.setAttributes('/b/gone', { mode: 1 });
      await clock.advance(2000);
      index.setAttributes('/b/gone', undefined);
      index.setAttributes('/b/__proto__', { mtimeMs: 1.5 });
      await clock.advance(life * 1000);
      expect(index.attributes('/b/__proto__')).toEqual({ mtimeMs: 1.5 });
    }
    expect(await readdir(folder)).toHaveLength(1);
  });

  it('keeps a listing for as long as it holds, and not beyond a start of the machine', async () => {
    await using first = await open();
    await clock.advance(1000);
    first.keepListing('/b/', clock.monotonic() - 500, listed);
    await first[Symbol.asyncDispose]();
    await clock.advance(10_000);
    await using second = await open();
    expect(second.listing('/b/')).toEqual({ names: listed, toldMs: 500 });
    await second[Symbol.asyncDispose]();
    clock.start = 'second';
    await using third = await open();
    expect(third.listing('/b/')).toBeUndefined();
    clock.start = 'first';
    third.keepListing('/b/', clock.monotonic(), listed);
    await third[Symbol.asyncDispose]();
    await clock.advance(LONG_TTL_MS);
    await using fourth = await open();
    expect(fourth.listing('/b/')).toBeUndefined();
  });

  it('gives no listing that was outdated, however suddenly its process died', async () => {
    await using first = await open();
    first.keepListing('/b/', clock.monotonic(), listed);
    first.keepListing('/b/d/', clock.monotonic(), listed);
    first.keepListing('/c/', clock.monotonic(), listed);
    await clock.advance(2000);
    first.changedBelow('/b/');
    const [name = ''] = await readdir(folder);
    await writeFile(
      path.join(folder, 'left-0123456789ab.index'),
      await readFile(path.join(folder, name)),
    );
    await using second = await open();
    expect(second.listing('/b/')).toBeUndefined();
    expect(second.listing('/b/d/')).toBeUndefined();
    expect(second.listing('/c/')?.names).toEqual(listed);
  });

  it('takes what is whole of a file that was cut or damaged anywhere', async () => {
    await using first = await open();
    for (let at = 0; at < 20; at += 1) {
      first.setAttributes(`/b/d${at}/f`, { mtimeMs: at });
      await clock.advance(1000);
    }
    const [name = ''] = await readdir(folder);
    const whole = await readFile(path.join(folder, name));
    for (let cut = 0; cut < whole.length; cut += 7) {
      const isCut = cut % 2 === 0;
      const damaged = Buffer.from(isCut ? whole.subarray(0, cut) : whole);
      if (!isCut) damaged[cut] = (damaged[cut] ?? 0) ^ 0x40;
      await writeFile(path.join(folder, 'left-0123456789ab.index'), damaged);
      const second = await open();
      let isPast = false;
      for (let at = 0; at < 20; at += 1) {
        const kept = second.attributes(`/b/d${at}/f`);
        isPast ||= kept === undefined;
        expect(kept).toEqual(isPast ? undefined : { mtimeMs: at });
      }
      await second[Symbol.asyncDispose]();
      for (const file of await readdir(folder)) {
        if (file !== name) await rm(path.join(folder, file));
      }
    }
  });

  it('leaves files of others alone, and those of a mount that lives', async () => {
    const foreign = ['notes.txt', 'left-x.index', 'left-0123456789ab.index.bak', 'life-1.index'];
    for (const name of foreign) await writeFile(path.join(folder, name), 'mine');
    await using first = await open();
    first.setAttributes('/b/f', { mode: 1 });
    await clock.advance(1000);
    await using second = await open();
    expect(second.attributes('/b/f')).toBeUndefined();
    expect(first.attributes('/b/f')).toEqual({ mode: 1 });
    for (const name of foreign) {
      expect(await readFile(path.join(folder, name), 'utf8')).toBe('mine');
    }
  });

  it('shows modes and times after a remount as they were, and asks for nothing but listings', async () => {
    const store = new MemoryObjectStore({ clock });
    const root = { kind: 'bucket', store, prefix: '' } as const;
    const names = ['a', 'd/b', 'd/e/c', 'd'];
    const stats = async (tree: FileTree): Promise<unknown[]> =>
      await Promise.all(
        names.map(async (name) => {
          const stat = await tree.stat(name);
          // Nobody set the other times of a directory: it has been one since the mount began.
          return stat.type === 'file' ? stat : [stat.mtimeMs, stat.mode, stat.ino];
        }),
      );
    let before: unknown[] = [];
    {
      await using index = await open();
      await using tree = await FileTree.make({ root, clock, index });
      await tree.mkdir('d');
      await tree.mkdir('d/e');
      for (const name of names.slice(0, 3)) await tree.write(name, name);
      await clock.advance(777.5);
      await tree.setattr('a', { mtimeMs: 1234.5, atimeMs: 99 });
      await tree.setattr('d/b', { mode: 0o755, uid: 7 });
      await tree.setattr('d', { mtimeMs: 4321 });
      await tree.rename('d/e/c', 'd/e/x');
      await tree.rename('d/e/x', 'd/e/c');
      before = await stats(tree);
      await tree[Symbol.asyncDispose]();
    }
    await clock.advance(1_000_000);
    await using index = await open();
    await using tree = await FileTree.make({ root, clock, index });
    Object.assign(store.calls, { head: 0, read: 0 });
    expect(await stats(tree)).toEqual(before);
    expect(store.calls).toMatchObject({ head: 0, read: 0 });
  });

  it('lists nothing after a remount within the TTL, and shows what this mount changed before', async () => {
    const store = new MemoryObjectStore({ clock });
    const root = { kind: 'bucket', store, prefix: '' } as const;
    for (const key of ['a', 'd/b', 'd/c', 'e/f']) store.set(key, key);
    const options = { root, clock, listTtlMs: LONG_TTL_MS };
    const lives: readonly ((tree: FileTree) => Promise<void>)[] = [
      async (tree) => {
        for (const directory of ['', 'd', 'e']) await tree.list(directory);
      },
      async (tree) => {
        expect((await tree.list()).sort()).toEqual(['a', 'd', 'e']);
        expect(await tree.list('e')).toEqual(['f']);
        expect((await tree.stat('e/f')).bytes).toBe(3);
        expect(store.calls.list).toBe(3);
        await tree.unlink('d/b');
      },
      async (tree) => {
        store.calls.list = 0;
        expect(await tree.list('d')).toEqual(['c']);
        expect(await tree.list('e')).toEqual(['f']);
        expect(store.calls.list).toBeGreaterThan(0);
      },
    ];
    for (const live of lives) {
      await using index = await open();
      await using tree = await FileTree.make({ ...options, index });
      await live(tree);
    }
  });
});
