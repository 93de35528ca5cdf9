import { spawnSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { KiB, MiB } from '../../../src/lib/bytes.ts';
import { createLog, type Log } from '../../../src/lib/log.ts';
import {
  BLOCK,
  countGiven,
  DiskBench,
  diskBytes,
  filesIn,
  given,
  objectOf,
  signal,
  truths,
  writeAll,
} from './disk-fixture.ts';

let bench: DiskBench;
let lines: string[];
let log: Log;
beforeEach(async () => {
  bench = await DiskBench.make();
  lines = [];
  log = createLog((line) => lines.push(line), 'info', Date.now);
});
afterEach(async () => await bench[Symbol.asyncDispose]());

const big = objectOf('big', 20 * BLOCK + 77);
const small = objectOf('small', 300);
const isRoot = process.getuid?.() === 0;

function fillDisk(path: string): void {
  expect(() => {
    for (;;) appendFileSync(path, Buffer.alloc(64 * KiB));
  }).toThrow('ENOSPC');
}

const recordOf = (): string => filesIn(bench.root).find((path) => path.endsWith('.record')) ?? '';
const dataOf = (): string => filesIn(bench.root).find((path) => path.endsWith('.data')) ?? '';

describe('the folder of the cache', () => {
  it('is this user alone, and so are its files', async () => {
    const cache = await bench.cache();
    for (const object of [big, small]) await writeAll(cache, object);
    await cache.contents.pin({}, signal);
    const folders = new Set(filesIn(bench.root).map((path) => dirname(path)));
    for (const folder of folders) expect(lstatSync(folder).mode & 0o777).toBe(0o700);
    for (const file of filesIn(bench.root)) expect(lstatSync(file).mode & 0o777).toBe(0o600);
  });

  it('may hold what others put there, which is never touched', async () => {
    const cache = await bench.cache({ quotaBytes: MiB });
    await writeAll(cache, big);
    const owner = dirname(dirname(dataOf()));
    const strangers = [
      join(bench.folder, 'thesis.tex'),
      join(bench.root, 'thesis.tex'),
      join(bench.root, 'ab'),
      join(owner, 'thesis.tex'),
      join(dirname(dataOf()), 'thesis.tex'),
      join(dirname(dataOf()), `${'a'.repeat(40)}.data`),
      join(dirname(dataOf()), `${'A'.repeat(40)}.record`),
    ];
    for (const path of strangers) {
      writeFileSync(path, 'do not touch');
      utimesSync(path, 1, 1);
    }
    for (let n = 0; n < 40; n += 1) {
      await writeAll(cache, objectOf(`n/${n}`, 25 * BLOCK));
      await cache.settled();
    }
    await cache.contents.clear({}, signal);
    writeFileSync(join(bench.root, 'format'), 'wire blocks 0\n');
    await bench.cache();
    for (const path of strangers) {
      expect(readFileSync(path, 'utf8')).toBe('do not touch');
      expect(statSync(path).mtimeMs).toBe(1000);
    }
  });

  it('is refused when it is a link, a file, or open to others', async () => {
    const elsewhere = join(bench.folder, 'elsewhere');
    mkdirSync(elsewhere, { mode: 0o700 });
    symlinkSync(elsewhere, bench.root);
    await expect(bench.cache()).rejects.toMatchObject({ kind: 'config' });
    expect(readdirSync(elsewhere)).toEqual([]);
    unlinkSync(bench.root);
    writeFileSync(bench.root, '');
    await expect(bench.cache()).rejects.toMatchObject({ kind: 'config' });
    unlinkSync(bench.root);
    mkdirSync(bench.root);
    chmodSync(bench.root, 0o750);
    await expect(bench.cache()).rejects.toMatchObject({ kind: 'config' });
    chmodSync(bench.root, 0o700);
    chmodSync(bench.folder, 0o777);
    await expect(bench.cache()).rejects.toMatchObject({ kind: 'config' });
    chmodSync(bench.folder, 0o1777);
    await writeAll(await bench.cache(), big);
  });

  it.skipIf(!isRoot)('is refused when it belongs to another user (as root)', async () => {
    await bench.cache();
    chownSync(bench.root, 12345, 12345);
    await expect(bench.cache()).rejects.toMatchObject({ kind: 'config' });
    chownSync(bench.root, 0, 0);
    chownSync(bench.folder, 12345, 12345);
    await expect(bench.cache()).rejects.toMatchObject({ kind: 'config' });
    chownSync(bench.folder, 0, 0);
  });

  it('is refused when something else is in it', async () => {
    mkdirSync(bench.root, { mode: 0o700 });
    writeFileSync(join(bench.root, 'thesis.tex'), 'a year of work');
    await expect(bench.cache()).rejects.toMatchObject({ kind: 'config' });
    writeFileSync(join(bench.root, 'format'), 'a file system of mine');
    await expect(bench.cache()).rejects.toMatchObject({ kind: 'config' });
    expect(readdirSync(bench.root).sort()).toEqual(['format', 'lock', 'thesis.tex']);
  });

  it('of another format is emptied of blocks', async () => {
    await writeAll(await bench.cache(), big);
    writeFileSync(join(bench.root, 'format'), 'wire blocks 99\n');
    const cache = await bench.cache();
    expect(dataOf()).toBe('');
    expect(await countGiven(cache, big)).toBe(0);
    await writeAll(cache, big);
    expect(await countGiven(await bench.cache(), big)).toBe(21);
  });
});

describe('links in the folder', () => {
  const victim = (): string => join(bench.folder, 'victim');
  beforeEach(() => writeFileSync(victim(), 'mine alone'));

  it.each(['record', 'data'])('in the place of a %s are not followed', async (which) => {
    await writeAll(await bench.cache(), big);
    const path = which === 'record' ? recordOf() : dataOf();
    unlinkSync(path);
    symlinkSync(victim(), path);
    const cache = await bench.cache({ log });
    await writeAll(cache, big);
    await cache.contents.pin({}, signal);
    await cache.contents.list({}, 10, signal);
    expect(await countGiven(cache, big)).toBe(0);
    await cache.contents.clear({}, signal);
    expect(readFileSync(victim(), 'utf8')).toBe('mine alone');
    expect(lstatSync(victim()).mode & 0o7777).toBe(0o644);
    expect(lstatSync(path).isSymbolicLink()).toBe(true);
  });

  it('in the place of a shard or an identity are not followed', async () => {
    await writeAll(await bench.cache(), big);
    const shard = dirname(dataOf());
    const elsewhere = join(bench.folder, 'elsewhere');
    renameSync(shard, elsewhere);
    symlinkSync(elsewhere, shard);
    const before = filesIn(elsewhere).map((path) => [path, statSync(path).mtimeMs]);
    const cache = await bench.cache({ quotaBytes: MiB });
    expect(await countGiven(cache, big)).toBe(0);
    await writeAll(cache, big);
    await cache.contents.clear({}, signal);
    expect(filesIn(elsewhere).map((path) => [path, statSync(path).mtimeMs])).toEqual(before);
    rmSync(dirname(shard), { recursive: true });
    symlinkSync(elsewhere, dirname(shard));
    await expect(bench.cache()).rejects.toMatchObject({ kind: 'config' });
  });

  it('in the place of counts, pins and marker are not followed', async () => {
    const cache = await bench.cache();
    await writeAll(cache, big);
    await cache.contents.pin({}, signal);
    for (const name of [
      'usage',
      join(dirname(dirname(dataOf())).split('/').at(-1) ?? '', 'pins'),
    ]) {
      unlinkSync(join(bench.root, name));
      symlinkSync(victim(), join(bench.root, name));
    }
    const again = await bench.cache({ log });
    await writeAll(again, small);
    await again.contents.pin({ prefix: 'x' }, signal).catch(() => 0);
    await again.contents.clear({}, signal).catch(() => undefined);
    expect(readFileSync(victim(), 'utf8')).toBe('mine alone');
    unlinkSync(join(bench.root, 'format'));
    symlinkSync(victim(), join(bench.root, 'format'));
    await expect(bench.cache()).rejects.toMatchObject({ kind: 'config' });
    expect(readFileSync(victim(), 'utf8')).toBe('mine alone');
  });
});

describe('what is broken', () => {
  it('is not given, is counted and told once, and is replaced', async () => {
    const cache = await bench.cache({ log });
    await writeAll(cache, big);
    truncateSync(dataOf(), 3 * BLOCK);
    truncateSync(dataOf(), big.bytes);
    {
      await using opened = await cache.open(big, signal);
      expect((await given(opened, big)).filter(Boolean)).toHaveLength(3);
      expect(opened.has(7)).toBe(false);
    }
    expect((await cache.contents.usage(signal)).damaged).toBe(18);
    expect(lines).toHaveLength(1);
    expect(await countGiven(await bench.cache(), big)).toBe(3);
    await writeAll(cache, big);
    expect(await countGiven(await bench.cache(), big)).toBe(21);
  });

  it.each([
    ['in clear', {}, 4],
    ['sealed', { key: Buffer.alloc(32, 7) }, 32],
  ])('is noticed when blocks change places together with their proofs, %s', async (...given) => {
    const [, key, slotBytes] = given;
    await writeAll(await bench.cache(key), big);
    const swap = (path: string, at: number, bytes: number): void => {
      const content = readFileSync(path);
      const [third, fifth] = [3, 5].map((index) =>
        Buffer.from(content.subarray(at + index * bytes, at + (index + 1) * bytes)),
      );
      fifth?.copy(content, at + 3 * bytes);
      third?.copy(content, at + 5 * bytes);
      writeFileSync(path, content);
    };
    swap(dataOf(), 0, BLOCK);
    swap(recordOf(), statSync(recordOf()).size - 21 * slotBytes, slotBytes);
    expect(await countGiven(await bench.cache(key), big)).toBe(19);
  });

  it('is not handed to the kernel when it is longer than the object', async () => {
    await writeAll(await bench.cache(), big);
    appendFileSync(dataOf(), 'and more');
    const cache = await bench.cache();
    await using opened = await cache.open(big, signal);
    await given(opened, big);
    expect(opened.whole()).toBeUndefined();
    await opened.write(0, truths(big, 0, 21));
    // The old file may lie beside the new one until it is cleared away.
    const data = filesIn(bench.root).filter((path) => path.endsWith('.data'));
    expect(data.map((path) => statSync(path).size)).toContain(big.bytes);
    expect(opened.whole()).toBeDefined();
  });

  it('is noticed when all files of an object take the names of another', async () => {
    await writeAll(await bench.cache(), big);
    const [record, data] = [recordOf(), dataOf()];
    const other = { ...big, etag: '"2"' };
    const cache = await bench.cache();
    await writeAll(cache, other);
    const names = filesIn(bench.root).filter((path) => /record|data/.test(path));
    const [otherRecord = ''] = names.filter((path) => path.endsWith('record') && path !== record);
    const [otherData = ''] = names.filter((path) => path.endsWith('data') && path !== data);
    copyFileSync(record, otherRecord);
    const generation = /[\da-f]{16}(?=\.data)/.exec(data)?.[0] ?? '';
    copyFileSync(data, otherData.replace(/[\da-f]{16}(?=\.data)/, generation));
    expect(await countGiven(await bench.cache(), other)).toBe(0);
    expect(await countGiven(await bench.cache(), big)).toBe(21);
  });

  it('is cleared away when a process ended before it was done, after a minute', async () => {
    const cache = await bench.cache();
    await writeAll(cache, big);
    await writeAll(cache, small);
    const shard = dirname(dataOf());
    const name = 'ab'.repeat(20);
    const remains = [
      join(shard, `${name}.${'0'.repeat(16)}.data`),
      join(shard, `${name}.${'1'.repeat(16)}.new`),
      dataOf().replace(/\.[\da-f]{16}\./, `.${'2'.repeat(16)}.`),
      dataOf().replace(/\.[\da-f]{16}\.data/, `.${'3'.repeat(16)}.new`),
    ];
    for (const path of remains) writeFileSync(path, 'left');
    await cache.contents.usage(signal);
    expect(remains.every((path) => existsSync(path))).toBe(true);
    bench.clock.jumpWall(61_000);
    await cache.contents.usage(signal);
    expect(remains.some((path) => existsSync(path))).toBe(false);
    expect(await countGiven(await bench.cache(), big)).toBe(21);
  });
});

describe('a disk in trouble', () => {
  it('that lost the folder is told once, reads go on, and it begins anew', async () => {
    const cache = await bench.cache({ log });
    await using opened = await cache.open(big, signal);
    await opened.write(0, truths(big, 0, 21));
    rmSync(bench.folder, { recursive: true });
    expect((await given(opened, big)).every(Boolean)).toBe(true);
    for (let n = 0; n < 50; n += 1) await writeAll(cache, objectOf(`n/${n}`, 3 * BLOCK));
    expect(lines.length).toBeLessThanOrEqual(2);
    expect(await countGiven(await bench.cache(), objectOf('n/49', 3 * BLOCK))).toBe(3);
  });

  it('whose folder became a file is told once, and nothing fails', async () => {
    const cache = await bench.cache({ log });
    await writeAll(cache, big);
    rmSync(bench.folder, { recursive: true });
    writeFileSync(bench.folder, 'a file');
    for (let n = 0; n < 50; n += 1) {
      await writeAll(cache, objectOf(`n/${n}`, 3 * BLOCK));
      expect(await countGiven(cache, objectOf(`n/${n}`, 3 * BLOCK))).toBe(0);
    }
    expect(lines).toHaveLength(1);
  });

  it('is not asked to keep more than 512 objects open', async () => {
    const cache = await bench.cache();
    const opened = [];
    for (let n = 0; n < 520; n += 1) opened.push(await cache.open(objectOf(`n/${n}`, 100), signal));
    const last = objectOf('n/519', 100);
    await opened[519]?.write(0, truths(last, 0, 1));
    expect(opened[519]?.has(0)).toBe(false);
    for (const object of opened) await object[Symbol.asyncDispose]();
    await writeAll(cache, last);
    expect(await countGiven(cache, last)).toBe(1);
  });

  it('believes neither a clock that was ahead nor one that is behind', async () => {
    const quotaBytes = 2 * MiB;
    const cache = await bench.cache({ quotaBytes });
    bench.clock.jumpWall(10 * 365 * 24 * 3_600_000);
    const ahead = objectOf('ahead', 50 * BLOCK);
    await writeAll(cache, ahead);
    await countGiven(cache, ahead);
    utimesSync(recordOf(), bench.clock.now() / 1000, bench.clock.now() / 1000);
    bench.clock.jumpWall(-10 * 365 * 24 * 3_600_000);
    // Looked at once, it is as old as that look.
    await cache.contents.usage(signal);
    for (let n = 0; n < 30; n += 1) {
      await writeAll(cache, objectOf(`n/${n}`, 50 * BLOCK));
      await cache.settled();
    }
    expect(await countGiven(cache, ahead)).toBe(0);
    expect(diskBytes(bench.root)).toBeLessThanOrEqual(quotaBytes);
  });

  const canMount = isRoot && spawnSync('mount', ['--version']).status === 0;
  const mount = (...words: readonly string[]): boolean =>
    spawnSync('mount', [...words, bench.folder]).status === 0;

  it.skipIf(!canMount)('that is full is told once, and reads go on (as root)', async (context) => {
    if (!mount('-t', 'tmpfs', '-o', 'size=8m,mode=700', 'tmpfs')) context.skip();
    try {
      const cache = await bench.cache({ log });
      for (let n = 0; n < 30; n += 1) {
        await using opened = await cache.open(objectOf(`n/${n}`, 5 * BLOCK), signal);
        await opened.write(0, truths(objectOf(`n/${n}`, 5 * BLOCK), 0, 5));
        await given(opened, objectOf(`n/${n}`, 5 * BLOCK));
        if (n === 5) fillDisk(join(bench.folder, 'of somebody else'));
      }
      expect(await countGiven(cache, objectOf('n/0', 5 * BLOCK))).toBe(5);
      expect(await countGiven(cache, objectOf('n/29', 5 * BLOCK))).toBe(0);
      expect(lines.filter((line) => line.includes('trouble'))).toHaveLength(1);
      expect(spawnSync('mount', ['-o', 'remount,ro', bench.folder]).status).toBe(0);
      await writeAll(cache, objectOf('ro', 5 * BLOCK));
      expect(await countGiven(cache, objectOf('ro', 5 * BLOCK))).toBe(0);
    } finally {
      spawnSync('umount', ['-l', bench.folder]);
    }
  });
});
