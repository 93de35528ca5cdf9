/** Rules of the session towards a kernel that no ordinary history of requests shows. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import type { FileSystem, RequestContext } from '../../../src/fs/filesystem.ts';
import type { HandleId } from '../../../src/fs/ids.ts';
import { errnoNumbers } from '../../../src/fuse/linux/errno.ts';
import { encodeRequest, MemoryChannel } from '../../../src/fuse/memory-channel.ts';
import { operations } from '../../../src/fuse/operations.ts';
import { initFlags, opcodes } from '../../../src/fuse/protocol/abi.ts';
import { Listing } from '../../../src/fuse/protocol/listing.ts';
import { ReplyWriter } from '../../../src/fuse/protocol/reply.ts';
import { Session } from '../../../src/fuse/session.ts';
import type { BackingFiles } from '../../../src/fuse/transport.ts';
import { silentLog } from '../../../src/lib/log.ts';
import { MemoryFileSystem } from '../../fixtures/memory-filesystem.ts';

const { EIO } = errnoNumbers;
let channel: MemoryChannel;

function start(override: Partial<FileSystem> = {}, made = new MemoryChannel()): Session {
  channel = made;
  const files = new MemoryFileSystem();
  const fileSystem = new Proxy(files, {
    get: (target, name) => {
      if (name in override) return Reflect.get(override, name) as unknown;
      const inherited: unknown = Reflect.get(target, name);
      return typeof inherited === 'function' ? (inherited.bind(target) as unknown) : inherited;
    },
  });
  const session = new Session(channel, fileSystem, errnoNumbers, silentLog);
  session.start();
  return session;
}

const words = (...values: number[]): Uint8Array => new Uint8Array(Uint32Array.from(values).buffer);
const text = (value: string): Uint8Array => Buffer.from(`${value}\0`);
const join = (...parts: Uint8Array[]): Uint8Array => Buffer.concat(parts);
const errnoOf = (unique: number): number | undefined => channel.replyTo(unique)?.errno;
const wordsOf = (unique: number): Uint32Array =>
  new Uint32Array(Uint8Array.from(channel.replyTo(unique)?.body ?? []).buffer);

afterEach(() => {
  expect(channel.violations).toEqual([]);
});

describe('INIT', () => {
  const initBody = (major: number, minor: number, flags = 0): Uint8Array =>
    join(words(major, minor, 131072, flags), new Uint8Array(48));

  it('is taken once', () => {
    start();
    channel.init();
    expect(errnoOf(channel.request(opcodes.INIT, { body: initBody(7, 45) }))).toBe(EIO);
    expect(errnoOf(channel.request(opcodes.STATFS))).toBe(0);
  });

  it('of a later major gets ours, and nothing is served until it asks again', () => {
    start();
    const first = channel.request(opcodes.INIT, { body: initBody(8, 0) });
    expect([...wordsOf(first).subarray(0, 2)]).toEqual([7, 45]);
    expect(errnoOf(channel.request(opcodes.STATFS))).toBe(EIO);
    channel.init();
    expect(errnoOf(channel.request(opcodes.STATFS))).toBe(0);
  });

  it('of a later minor gets ours, and of all that is offered only what we rely on', () => {
    start();
    const init = channel.request(opcodes.INIT, { body: initBody(7, 99, 0xffffffff) });
    const [, minor, , flags = 0] = wordsOf(init);
    const wanted = Object.values(initFlags).reduce((all, flag) => (all | flag) >>> 0, 0);
    expect([minor, flags]).toEqual([45, wanted]);
  });
});

it('DESTROY is answered', () => {
  start();
  channel.init();
  expect(errnoOf(channel.request(opcodes.DESTROY))).toBe(0);
});

it('BATCH_FORGET gives back as many as it says, whatever lies behind them', () => {
  const given: unknown[] = [];
  start({ forget: (...args) => void given.push(args) });
  channel.init();
  channel.request(opcodes.BATCH_FORGET, { body: words(1, 0, 2, 0, 3, 0, 4, 0, 5, 0) });
  expect(given).toEqual([[2, 3]]);
});

it('requests whose names differ only in the upper word are two', async () => {
  const waiting: (() => void)[] = [];
  const session = start({ flush: () => new Promise<void>((resolve) => waiting.push(resolve)) });
  channel.init();
  const body = words(1, 0, 0, 0, 0, 0);
  const names = [100, 2 ** 32 + 100];
  for (const name of names) channel.deliver([encodeRequest(opcodes.FLUSH, name, { body })]);
  expect(session.inFlight).toBe(2);
  for (const finish of waiting) finish();
  await nextTurn();
  expect(names.map(errnoOf)).toEqual([0, 0]);
});

it('a name that the file system keeps stays as it was when the next requests come', () => {
  const kept: Uint8Array[] = [];
  start({
    lookup: (_, name) => {
      kept.push(name);
      throw new Error('not there');
    },
  });
  channel.init();
  channel.request(opcodes.LOOKUP, { body: text('kept') });
  channel.request(opcodes.LOOKUP, { body: text('next') });
  expect(kept.map((name) => Buffer.from(name).toString())).toEqual(['kept', 'next']);
});

it('a closed session aborts what still runs', async () => {
  const contexts: RequestContext[] = [];
  let finish = (): void => undefined;
  const session = start({
    flush: (_, context) => {
      contexts.push(context);
      return new Promise<void>((resolve) => (finish = resolve));
    },
  });
  channel.init();
  channel.request(opcodes.FLUSH, { body: words(1, 0, 0, 0, 0, 0) });
  session.close();
  expect(contexts[0]?.signal.aborted).toBe(true);
  finish();
  await session.ended;
});

it('only operations that leave nothing behind are cut off by an interrupt', () => {
  const prompt = [...operations.values()].filter((one) => one.prompt).map(({ name }) => name);
  expect(prompt.sort()).toEqual(
    [
      ...['ACCESS', 'GETATTR', 'GETXATTR', 'LISTXATTR', 'LOOKUP', 'LSEEK', 'OPENDIR', 'POLL'],
      ...['READ', 'READDIR', 'READDIRPLUS', 'READLINK', 'STATFS', 'STATX'],
    ].sort(),
  );
});

it('a listing takes no more memory than a kernel ever asks for, whatever is asked', () => {
  start();
  channel.init();
  const opened = channel.request(opcodes.OPENDIR, { body: words(0, 0) });
  const handle = wordsOf(opened)[0] ?? 0;
  const before = process.memoryUsage().arrayBuffers;
  const body = words(handle, 0, 0, 0, 2 ** 30, 0, 0, 0, 0, 0);
  expect(errnoOf(channel.request(opcodes.READDIR, { body }))).toBe(0);
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2 ** 25);
});

it.each([
  ['an empty name', new Uint8Array(0)],
  ['a NUL in a name', Buffer.from('a\0b')],
])('LISTXATTR with %s is EIO: programs would see other names', (_, name) => {
  start({ listxattr: () => [name] });
  channel.init();
  expect(errnoOf(channel.request(opcodes.LISTXATTR, { body: words(100, 0) }))).toBe(EIO);
});

it('a dirent that would fail the listing in the kernel is a defect of the file system', () => {
  const listing = new Listing(new Uint8Array(8192), 8192);
  const dirent = { ino: 2, type: 'file', cookie: 1 } as Parameters<typeof listing.fill>[0];
  expect(listing.fill({ ...dirent, name: new Uint8Array(1024).fill(97) })).toBe(true);
  for (const bytes of [0, 1025]) {
    const name = new Uint8Array(bytes).fill(97);
    expect(() => listing.fill({ ...dirent, name })).toThrow(/name of/);
  }
});

it('a time to live is a century at most and never negative', () => {
  const writer = new ReplyWriter(new Uint8Array(128));
  const { attributes } = new MemoryFileSystem().getattr(1 as Parameters<FileSystem['getattr']>[0]);
  const secondsOf = (ttlMs: number): number => {
    writer.attributesReply(0, { attributes, ttlMs });
    return new Uint32Array(writer.bytes.buffer)[0] ?? 0;
  };
  expect([Infinity, -1].map(secondsOf)).toEqual([3.2e9 >>> 0, 0]);
});

it('RELEASE of the last handle gives the backing file back', () => {
  const closed: number[] = [];
  const made = Object.assign(new MemoryChannel(), {
    backing: { open: () => 5, close: (id: number) => void closed.push(id) } satisfies BackingFiles,
  });
  start(
    {
      offersBacking: true,
      open: () => ({ handle: 9 as HandleId, keepCache: false, directIo: false, backing: 3 }),
      release: () => undefined,
    },
    made,
  );
  const body = join(words(7, 45, 131072, initFlags.INIT_EXT, 0x20), new Uint8Array(44));
  channel.request(opcodes.INIT, { body });
  const opened = channel.request(opcodes.OPEN, { inode: 2, body: words(2, 0) });
  expect(wordsOf(opened)[3]).toBe(5);
  channel.request(opcodes.RELEASE, { inode: 2, body: words(9, 0, 0, 0, 0, 0) });
  expect(closed).toEqual([5]);
});
