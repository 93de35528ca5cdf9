import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Access, AccessLog } from '../../../src/daemon/access-log.ts';
import { notedFileSystem } from '../../../src/daemon/access-watch.ts';
import type { FileSystem, RequestContext } from '../../../src/fs/filesystem.ts';
import { type InodeNumber, ROOT_INODE } from '../../../src/fs/ids.ts';
import { ObjectFileSystem } from '../../../src/fs/object-filesystem.ts';
import { silentLog } from '../../../src/lib/log.ts';
import { FakeClock } from '../../fixtures/fake-clock.ts';
import { MemoryObjectStore } from '../../fixtures/memory-object-store.ts';

let folder = '';
let path = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'wire-access-'));
  path = join(folder, 'access.log');
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

const access: Access = {
  op: 'read',
  path: 'a',
  bytes: 4,
  errno: undefined,
  ms: 0.5,
  pid: 1,
  uid: 2,
};

async function linesOf(file: string): Promise<readonly Record<string, unknown>[]> {
  const text = await readFile(file, 'utf8');
  return text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

describe('the access log', () => {
  it('writes lines together a moment later, for its owner alone', async () => {
    const clock = new FakeClock(0);
    const log = await AccessLog.open({ path, clock, log: silentLog });
    log.note('/m', access);
    log.note('/m', { ...access, path: undefined, errno: 'EIO' });
    expect(await readFile(path, 'utf8')).toBe('');
    await clock.advance(200);
    await expect.poll(async () => await linesOf(path)).toHaveLength(2);
    await log[Symbol.asyncDispose]();
    const time = '1970-01-01T00:00:00.000Z';
    const program = { pid: 1, uid: 2, ms: 0.5, bytes: 4 };
    expect(await linesOf(path)).toEqual([
      { time, mount: '/m', op: 'read', path: 'a', errno: null, ...program },
      { time, mount: '/m', op: 'read', path: null, errno: 'EIO', ...program },
    ]);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
  });

  it('has what waited when it ends', async () => {
    const log = await AccessLog.open({ path, clock: new FakeClock(), log: silentLog });
    for (let at = 0; at < 1000; at += 1) log.note('/m', { ...access, offset: at });
    await log[Symbol.asyncDispose]();
    expect((await linesOf(path)).map(({ offset }) => offset)).toEqual([...Array(1000).keys()]);
  });

  it('keeps a bound on what waits, and tells how many lines it dropped', async () => {
    const clock = new FakeClock();
    const log = await AccessLog.open({ path, clock, log: silentLog, waitingChars: 10_000 });
    for (let at = 0; at < 1000; at += 1) log.note('/m', access);
    await log[Symbol.asyncDispose]();
    const lines = await linesOf(path);
    expect(lines.length).toBeLessThan(110);
    expect(lines.at(-1)).toEqual({ dropped: log.dropped });
    expect(log.dropped + lines.length - 1).toBe(1000);
  });

  it('is begun anew when it is large, with one older file', async () => {
    const clock = new FakeClock();
    const log = await AccessLog.open({ path, clock, log: silentLog, maxBytes: 500 });
    for (let round = 0; round < 3; round += 1) {
      for (let at = 0; at < 10; at += 1) log.note('/m', { ...access, offset: round * 10 + at });
      await clock.advance(200);
      await expect.poll(() => clock.sleeping).toBe(0);
      await expect.poll(async () => (await linesOf(path)).length).toBe(10);
    }
    await log[Symbol.asyncDispose]();
    expect((await linesOf(`${path}.1`)).at(-1)).toMatchObject({ offset: 19 });
  });

  it('survives a disk without room: lines are lost and counted, nothing else', async () => {
    const clock = new FakeClock();
    const log = await AccessLog.open({ path: '/dev/full', clock, log: silentLog });
    log.note('/m', access);
    await log[Symbol.asyncDispose]();
    expect(log.dropped).toBe(1);
  });
});

describe('operations in it', () => {
  const context = {
    ...{ uid: 1000, gid: 1000, pid: 42 },
    signal: new AbortController().signal,
  } as RequestContext;
  const name = (text: string): Uint8Array => Buffer.from(text);
  const plain = { truncate: false, append: false, exclusive: false };
  const flags = { access: 'read-write', ...plain } as const;

  interface Mounted extends AsyncDisposable {
    readonly files: FileSystem;
    readonly notes: Access[];
  }

  async function mounted(): Promise<Mounted> {
    const clock = new FakeClock();
    const store = new MemoryObjectStore({ clock });
    for (const key of ['d/e/f', 'top']) await store.put(key, name('hello'), {}, context.signal);
    const objects = new ObjectFileSystem({
      root: { kind: 'bucket', store, prefix: '' },
      ...{ readOnly: false, uid: 1, gid: 1, fileMode: 0o644, directoryMode: 0o755 },
      ...{ stagingDir: join(folder, 'staging'), listTtlMs: 1000, clock, log: silentLog },
    });
    const notes: Access[] = [];
    const files = notedFileSystem(objects, objects, (one) => notes.push(one), clock);
    const dispose = async (): Promise<void> => await objects[Symbol.asyncDispose]();
    return { files, notes, [Symbol.asyncDispose]: dispose };
  }

  const told = (notes: readonly Access[]): readonly unknown[] =>
    notes.map(({ op, path: place, to, offset, bytes, errno }) =>
      [op, place, to, offset, bytes, errno].filter((fact) => fact !== undefined),
    );

  it('have the path they were asked for, their bytes and their refusal', async () => {
    await using scene = await mounted();
    const { files, notes } = scene;
    const d = await files.lookup(ROOT_INODE, name('d'), context);
    const e = await files.lookup(d.inode, name('e'), context);
    const f = await files.lookup(e.inode, name('f'), context);
    const { handle } = await files.open(f.inode, flags, context);
    await files.read(handle, 1, 100, context);
    await files.write(handle, 2, name('xyz'), context);
    await files.flush(handle, context);
    await expect((async () => await files.lookup(e.inode, name('g'), context))()).rejects.toThrow();
    await files.rename(
      e.inode,
      name('f'),
      ROOT_INODE,
      name('g'),
      { noReplace: false, exchange: false },
      context,
    );
    await files.getattr(f.inode, handle, context);
    await files.unlink(ROOT_INODE, name('g'), context);
    await files.getattr(f.inode, handle, context);
    await files.release(handle, context);
    expect(told(notes)).toEqual([
      ['lookup', 'd'],
      ['lookup', 'd/e'],
      ['lookup', 'd/e/f'],
      ['open', 'd/e/f'],
      ['read', 'd/e/f', 1, 4],
      ['write', 'd/e/f', 2, 3],
      ['flush', 'd/e/f'],
      ['lookup', 'd/e/g', 'ENOENT'],
      ['rename', 'd/e/f', 'g'],
      ['getattr', 'g'],
      ['unlink', 'g'],
      ['getattr'],
      ['release'],
    ]);
    expect(notes[0]).toMatchObject({ pid: 42, uid: 1000, ms: 0 });
  });

  it('are answered as the file system answers, at once where it does', async () => {
    await using scene = await mounted();
    const { files } = scene;
    const first = await files.lookup(ROOT_INODE, name('top'), context);
    expect(files.lookup(ROOT_INODE, name('top'), context)).not.toBeInstanceOf(Promise);
    expect(() => files.getattr(12_345 as InodeNumber, undefined, context)).toThrow(/ESTALE/);
    files.forget(first.inode, 2);
    // What the file system has not, is not there: the kernel copies by itself.
    expect(['syncfs' in files, 'copyFileRange' in files]).toEqual([true, false]);
  });
});
