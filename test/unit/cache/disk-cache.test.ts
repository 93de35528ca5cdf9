import { randomBytes } from 'node:crypto';
import { closeSync, fstatSync, openSync, readFileSync, readSync, writeSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { KiB, MiB } from '../../../src/lib/bytes.ts';
import { systemClock } from '../../../src/lib/clock.ts';
import { FakeClock } from '../../fixtures/fake-clock.ts';
import {
  BLOCK,
  countGiven,
  DiskBench,
  diskBytes,
  filesIn,
  given,
  objectOf,
  signal,
  truth,
  truths,
  writeAll,
} from './disk-fixture.ts';

let bench: DiskBench;
beforeEach(async () => {
  bench = await DiskBench.make();
});
afterEach(async () => await bench[Symbol.asyncDispose]());

const big = objectOf('runs/2024/hits.root', 20 * BLOCK + 77);
const small = objectOf('runs/2024/notes.txt', 300);

describe('the disk cache', () => {
  it('gives back what was written, and knows what was not', async () => {
    const cache = await bench.cache();
    await using opened = await cache.open(big, signal);
    expect(await given(opened, big, 0, 3)).toEqual([false, false, false]);
    await opened.write(1, truths(big, 1, 2));
    await opened.write(20, truths(big, 20, 1));
    expect([opened.has(0), opened.has(1), opened.has(2), opened.has(20)]).toEqual([
      false,
      true,
      true,
      true,
    ]);
    expect(await given(opened, big, 0, 4)).toEqual([false, true, true, false]);
    expect(await given(opened, big, 19, 2)).toEqual([false, true]);
  });

  it('survives a restart', async () => {
    for (const object of [big, small]) await writeAll(await bench.cache(), object);
    const again = await bench.cache();
    expect(await countGiven(again, big)).toBe(21);
    expect(await countGiven(again, small)).toBe(1);
  });

  it('is shared by those who have the folder open at the same time', async () => {
    const [one, other] = [await bench.cache(), await bench.cache()];
    await using early = await other.open(big, signal);
    await using writer = await one.open(big, signal);
    await writer.write(0, truths(big, 0, 5));
    expect(await countGiven(await bench.cache(), big)).toBe(5);
    // Opened before there was anything: adds to what the other has begun.
    await early.write(5, truths(big, 5, 5));
    expect(await countGiven(await bench.cache(), big)).toBe(10);
  });

  it('keeps versions, lengths, buckets and endpoints apart', async () => {
    const cache = await bench.cache();
    await writeAll(cache, big);
    const others = [
      { ...big, etag: '"2"' },
      { ...big, bytes: big.bytes - 1 },
      { ...big, bucket: 'other' },
      { ...big, endpoint: 'https://s3.example:9000' },
    ];
    for (const other of others) expect(await countGiven(cache, other)).toBe(0);
  });

  it('shows an identity nothing of another', async () => {
    await writeAll(await bench.cache({ owner: 'alice' }), big);
    const bob = await bench.cache({ owner: 'bob' });
    expect(await countGiven(bob, big)).toBe(0);
    expect(await bob.contents.list({}, 10, signal)).toEqual([]);
    await bob.contents.clear({}, signal);
    expect(await countGiven(await bench.cache({ owner: 'alice' }), big)).toBe(21);
  });

  it('keeps nothing of an object without bytes', async () => {
    const cache = await bench.cache();
    await using opened = await cache.open(objectOf('empty', 0), signal);
    await opened.write(0, []);
    expect(opened.whole()).toBeUndefined();
    expect(await opened.read(0, [])).toEqual([]);
  });

  it('reads from what was evicted while it is open, and keeps what comes after', async () => {
    const cache = await bench.cache();
    await using opened = await cache.open(big, signal);
    await opened.write(0, truths(big, 0, 10));
    await (await bench.cache()).contents.clear({}, signal);
    expect((await given(opened, big, 0, 10)).every(Boolean)).toBe(true);
    await opened.write(10, truths(big, 10, 5));
    expect(await given(opened, big, 9, 3)).toEqual([false, true, true]);
    expect(await countGiven(await bench.cache(), big)).toBe(5);
  });

  it('keeps what two put at the same time once', async () => {
    const cache = await bench.cache({ key: randomBytes(32) });
    await using opened = await cache.open(big, signal);
    const puts = Array.from({ length: 6 }, async (_none, at) => {
      await opened.write(at, truths(big, at, 10));
    });
    await Promise.all(puts);
    expect((await given(opened, big, 0, 15)).every(Boolean)).toBe(true);
    expect((await cache.contents.usage(signal)).damaged).toBe(0);
  });

  it('drops blocks rather than queueing more than sixteen megabytes', async () => {
    const cache = await bench.cache();
    const long = objectOf('long', 64 * MiB);
    await using opened = await cache.open(long, signal);
    const block = truth(long, 0);
    const lent = Array.from({ length: 8192 }, (_none, at) => opened.write(2 * at, [block]));
    await Promise.all(lent);
    const { dropped, misses } = await cache.contents.usage(signal);
    expect(misses).toBe(8192);
    expect(dropped).toBe(4096);
  });
});

describe('whole', () => {
  const wholeBytes = (descriptor: number | undefined): Buffer => {
    const bytes = Buffer.alloc(big.bytes + 1);
    return bytes.subarray(0, readSync(descriptor ?? -1, bytes, 0, bytes.byteLength, 0));
  };
  const allOf = Buffer.concat(truths(big, 0, 21));
  const scribble = (): void => {
    const file = filesIn(bench.root).find((path) => path.endsWith('.data')) ?? '';
    const descriptor = openSync(file, 'r+');
    writeSync(descriptor, 'X', 5);
    closeSync(descriptor);
  };
  /** Files have times in steps of up to 10 ms (CONFIG_HZ). */
  const later = async (): Promise<void> => await systemClock.sleep(20, signal);

  it('is a file of exactly the object, once every block is there', async () => {
    const cache = await bench.cache();
    await using opened = await cache.open(big, signal);
    await opened.write(0, truths(big, 0, 20));
    expect(opened.whole()).toBeUndefined();
    await opened.write(20, truths(big, 20, 1));
    expect(wholeBytes(opened.whole()).equals(allOf)).toBe(true);
  });

  it('is given only when every block was checked, and still at a later open', async () => {
    await writeAll(await bench.cache(), big);
    const cache = await bench.cache();
    {
      await using opened = await cache.open(big, signal);
      expect(opened.whole()).toBeUndefined();
      await given(opened, big);
      expect(wholeBytes(opened.whole()).equals(allOf)).toBe(true);
    }
    await using again = await cache.open(big, signal);
    expect(wholeBytes(again.whole()).equals(allOf)).toBe(true);
  });

  it('is not given when the file was changed since it was checked', async () => {
    const cache = await bench.cache();
    await writeAll(cache, big);
    await later();
    scribble();
    await using opened = await cache.open(big, signal);
    expect(opened.whole()).toBeUndefined();
    expect((await given(opened, big)).filter(Boolean)).toHaveLength(20);
    expect(opened.whole()).toBeUndefined();
  });

  it('is taken back when somebody changes the file of an open object', async () => {
    const cache = await bench.cache();
    await using opened = await cache.open(big, signal);
    await opened.write(0, truths(big, 0, 21));
    expect(opened.whole()).toBeDefined();
    await later();
    scribble();
    expect(opened.whole()).toBeUndefined();
    expect((await given(opened, big)).filter(Boolean)).toHaveLength(20);
    await opened.write(0, truths(big, 0, 1));
    expect(wholeBytes(opened.whole()).equals(allOf)).toBe(true);
  });

  it('comes by checking in the background, at no more than 64 MiB a second', async () => {
    const long = objectOf('long', 256 * BLOCK);
    await writeAll(await bench.cache(), long);
    const clock = new FakeClock();
    const cache = await bench.cache({ clock });
    await using opened = await cache.open(long, signal);
    const stop = new AbortController();
    const verified = cache.verify(stop.signal);
    const start = clock.monotonic();
    for (let steps = 0; opened.whole() === undefined && steps < 1000; steps += 1) {
      await clock.sleeper();
      await clock.advance(clock.nextDueMs ?? 0);
    }
    // The last batch is right before its pause ends.
    expect(clock.monotonic() - start).toBeGreaterThan(1000 / 64 - 1);
    expect(opened.whole()).toBeDefined();
    stop.abort();
    await verified;
  });

  it('stays open until its object is disposed', async () => {
    const cache = await bench.cache();
    const opened = await cache.open(big, signal);
    await opened.write(0, truths(big, 0, 21));
    const descriptor = opened.whole() ?? -1;
    await rm(bench.root, { recursive: true });
    await opened.write(0, truths(big, 0, 21));
    expect(wholeBytes(descriptor).equals(allOf)).toBe(true);
    await opened[Symbol.asyncDispose]();
    expect(() => fstatSync(descriptor)).toThrow('EBADF');
  });
});

describe('sealed with a key', () => {
  const key = randomBytes(32);

  it('gives back what was written, after a restart too', async () => {
    const cache = await bench.cache({ key });
    for (const object of [big, small]) await writeAll(cache, object);
    const again = await bench.cache({ key });
    expect(await countGiven(again, big)).toBe(21);
    expect(await countGiven(again, small)).toBe(1);
    await using opened = await again.open(big, signal);
    await given(opened, big);
    expect(opened.whole()).toBeUndefined();
  });

  it('gives a block that another process sealed anew since', async () => {
    await using late = await (await bench.cache({ key })).open(big, signal);
    await using early = await (await bench.cache({ key })).open(big, signal);
    await late.write(1, truths(big, 1, 2));
    await early.write(1, truths(big, 1, 2));
    expect(await given(late, big, 1, 2)).toEqual([true, true]);
    expect(await given(early, big, 1, 2)).toEqual([true, true]);
  });

  it('has no byte of content and no name in the folder', async () => {
    const cache = await bench.cache({ key, owner: 'alice@example' });
    const words = objectOf('secret-plans/of alice', 3 * BLOCK);
    await using opened = await cache.open(words, signal);
    const text = (index: number): Buffer =>
      Buffer.alloc(BLOCK, `attack at dawn, says block ${index}. `);
    await opened.write(0, [text(0), text(1), text(2)]);
    await writeAll(cache, { ...small, key: 'secret-plans/short' });
    await cache.contents.pin({ bucket: 'data', prefix: 'secret-plans/' }, signal);
    const shown = ['attack', 'secret-plans', 'alice', 's3.example', 'data/', truth(small, 0)];
    const files = filesIn(bench.root);
    expect(files.length).toBeGreaterThan(5);
    for (const file of files) {
      const content = await readFile(file);
      for (const word of shown) expect(content.includes(word)).toBe(false);
      expect(file).not.toMatch(/alice|plans/);
    }
    const room = Buffer.alloc(BLOCK);
    expect(await opened.read(1, [room])).toEqual([true]);
    expect(room.equals(text(1))).toBe(true);
  });

  it('gives nothing to another key, and takes nothing away from its own', async () => {
    await writeAll(await bench.cache({ key }), big);
    const thief = await bench.cache({ key: randomBytes(32) });
    expect(await countGiven(thief, big)).toBe(0);
    expect(await thief.contents.list({}, 10, signal)).toEqual([]);
    const clear = await bench.cache();
    expect(await countGiven(clear, big)).toBe(0);
    expect(await countGiven(await bench.cache({ key }), big)).toBe(21);
  });

  it('refuses a key of another length', async () => {
    await expect(bench.cache({ key: randomBytes(16) })).rejects.toThrow(RangeError);
  });
});

describe('the quota', () => {
  it('is never exceeded on the disk, and the latest stay', async () => {
    const quotaBytes = 4 * MiB;
    const cache = await bench.cache({ quotaBytes });
    let most = 0;
    for (let n = 0; n < 100; n += 1) {
      await writeAll(cache, objectOf(`n/${n}`, n % 3 === 0 ? 500 : 25 * BLOCK));
      most = Math.max(most, diskBytes(bench.root));
      await cache.settled();
    }
    expect(most).toBeLessThanOrEqual(quotaBytes);
    expect(most).toBeGreaterThan(quotaBytes / 2);
    expect(await countGiven(cache, objectOf('n/0', 500))).toBe(0);
    expect(await countGiven(cache, objectOf('n/98', 25 * BLOCK))).toBe(25);
  });

  it('is kept by several at once', async () => {
    const quotaBytes = 8 * MiB;
    const caches = [];
    for (let n = 0; n < 3; n += 1) caches.push(await bench.cache({ quotaBytes }));
    for (let n = 0; n < 60; n += 1) {
      const writes = caches.map(
        async (cache, by) => await writeAll(cache, objectOf(`${by}/${n}`, 25 * BLOCK)),
      );
      await Promise.all(writes);
      expect(diskBytes(bench.root)).toBeLessThanOrEqual(quotaBytes);
      for (const cache of caches) await cache.settled();
    }
  });

  it('evicts what was used least recently', async () => {
    const quotaBytes = 4 * MiB;
    const cache = await bench.cache({ quotaBytes });
    const objects = Array.from({ length: 16 }, (_none, n) => objectOf(`o/${n}`, 50 * BLOCK));
    for (const object of objects) await writeAll(cache, object);
    // A day later only the first is used.
    bench.clock.jumpWall(24 * 3_600_000);
    const [first] = objects;
    if (first === undefined) throw new Error('no object');
    expect(await countGiven(cache, first)).toBe(50);
    for (let n = 0; n < 12; n += 1) {
      await writeAll(cache, objectOf(`later/${n}`, 50 * BLOCK));
      await cache.settled();
    }
    expect(await countGiven(cache, first)).toBe(50);
    let left = 0;
    for (const object of objects.slice(1)) left += await countGiven(cache, object);
    expect(left).toBeLessThan(15 * 50);
  });

  it('leaves room to others on the disk', async () => {
    const cache = await bench.cache({ freeBytes: 2 ** 60 });
    await writeAll(cache, big);
    expect(await countGiven(cache, big)).toBe(0);
    expect((await cache.contents.usage(signal)).dropped).toBe(21);
  });

  it('never evicts what is pinned, by whomever', async () => {
    const options = { quotaBytes: 4 * MiB };
    const cache = await bench.cache(options);
    const kept = objectOf('keep/this', 50 * BLOCK);
    await writeAll(cache, kept);
    expect(await cache.contents.pin({ bucket: 'data', prefix: 'keep/' }, signal)).toBe(1);
    const later = objectOf('keep/that', 50 * BLOCK);
    const bob = await bench.cache({ ...options, owner: 'bob' });
    await writeAll(cache, later);
    for (let n = 0; n < 100; n += 1) {
      await writeAll(bob, objectOf(`n/${n}`, 25 * BLOCK));
      await bob.settled();
    }
    expect(await countGiven(await bench.cache(options), kept)).toBe(50);
    expect(await countGiven(cache, later)).toBe(50);
    expect(await cache.contents.unpin({ prefix: 'keep/' }, signal)).toBe(2);
    for (let n = 0; n < 100; n += 1) {
      await writeAll(bob, objectOf(`m/${n}`, 25 * BLOCK));
      await bob.settled();
    }
    expect(await countGiven(await bench.cache(options), kept)).toBe(0);
  });
});

describe('what is in it', () => {
  it('is told, those used last first', async () => {
    const cache = await bench.cache();
    for (const object of [big, small]) await writeAll(cache, object);
    const all = await cache.contents.list({}, 10, signal);
    expect(all.map(({ object }) => object.key).sort()).toEqual([big.key, small.key].sort());
    const [found] = await cache.contents.list({ key: big.key }, 10, signal);
    expect(found?.object).toEqual(big);
    expect(found?.diskBytes).toBeGreaterThanOrEqual(big.bytes);
    expect(found?.pinned).toBe(false);
    expect(await cache.contents.list({ prefix: 'runs/2025' }, 10, signal)).toEqual([]);
    expect(await cache.contents.list({}, 1, signal)).toHaveLength(1);
    const usage = await cache.contents.usage(signal);
    expect(usage.objects).toBe(2);
    // The folder's own files and places are beside it.
    expect(usage.bytes).toBeGreaterThanOrEqual(diskBytes(bench.root) - 64 * KiB);
    expect(usage).toMatchObject({ misses: 22, hits: 0, damaged: 0, dropped: 0 });
  });

  it('is cleared by bucket and prefix, and all of an owner', async () => {
    const cache = await bench.cache();
    for (const object of [big, small]) await writeAll(cache, object);
    expect(await cache.contents.clear({ bucket: 'other' }, signal)).toMatchObject({ objects: 0 });
    const cleared = await cache.contents.clear({ bucket: 'data', prefix: small.key }, signal);
    expect(cleared.objects).toBe(1);
    expect([await countGiven(cache, big), await countGiven(cache, small)]).toEqual([21, 0]);
    await cache.contents.clear({}, signal);
    expect(
      filesIn(bench.root)
        .map((file) => basename(file))
        .sort(),
    ).toEqual(['evict.lock', 'format', 'lock', 'usage']);
    expect(Number(readFileSync(join(bench.root, 'usage'), 'utf8'))).toBeLessThan(MiB);
  });

  it('remembers pins for everybody who comes', async () => {
    const cache = await bench.cache();
    await cache.contents.pin(big, signal);
    await cache.contents.pin({ prefix: 'runs/' }, signal);
    const other = await bench.cache();
    expect(await other.contents.pinned()).toHaveLength(2);
    await writeAll(other, big);
    await writeAll(other, objectOf('else', 100));
    const found = await other.contents.list({}, 10, signal);
    expect(found.filter(({ pinned }) => pinned).map(({ object }) => object.key)).toEqual([big.key]);
    await other.contents.unpin({}, signal);
    expect(await cache.contents.pinned()).toEqual([]);
    expect((await cache.contents.list({}, 10, signal)).some(({ pinned }) => pinned)).toBe(false);
  });
});
