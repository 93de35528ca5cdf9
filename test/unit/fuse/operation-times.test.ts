import { describe, expect, it } from 'vitest';
import { FsError } from '../../../src/fs/errno.ts';
import type { Entry, FileSystem, MaybePromise } from '../../../src/fs/filesystem.ts';
import { errnoNumbers } from '../../../src/fuse/linux/errno.ts';
import { MemoryChannel } from '../../../src/fuse/memory-channel.ts';
import { OperationTimes } from '../../../src/fuse/operation-times.ts';
import { opcodes } from '../../../src/fuse/protocol/abi.ts';
import { Session } from '../../../src/fuse/session.ts';
import { silentLog } from '../../../src/lib/log.ts';

const name = (text: string): Uint8Array => Buffer.from(`${text}\0`);
const attributes = {
  ...{ ino: 2, type: 'file', mode: 0o644, nlink: 1, uid: 0, gid: 0, bytes: 1 },
  ...{ atimeMs: 0, mtimeMs: 0, ctimeMs: 0 },
} as const;
const entry = { inode: 2, attributes, ttlMs: 0 } as unknown as Entry;

/** A session whose clock moves on only when a test says so. */
function start(fileSystem: Partial<FileSystem>): {
  readonly channel: MemoryChannel;
  readonly times: OperationTimes;
  pass(ms: number): void;
} {
  let nowMs = 1e7;
  const times = new OperationTimes(() => nowMs);
  const channel = new MemoryChannel();
  new Session(channel, fileSystem as FileSystem, errnoNumbers, silentLog, times).start();
  channel.init();
  return { channel, times, pass: (ms) => (nowMs += ms) };
}

/** READ and WRITE of handle 1. */
function ioBody(bytes: number, content = ''): Uint8Array {
  const words = Uint32Array.from([1, 0, 0, 0, bytes, 0, 0, 0, 0, 0]);
  return Buffer.concat([new Uint8Array(words.buffer), Buffer.from(content)]);
}

const summaryOf = (times: OperationTimes, operation: string): unknown =>
  times.all.find((one) => one.name === operation)?.times.summary();

describe('OperationTimes', () => {
  it('tells how long an answer took that came later, and one that came at once', async () => {
    let answer: (found: Entry) => void = () => undefined;
    const waiting = new Promise<Entry>((resolve) => {
      answer = resolve;
    });
    const answers: MaybePromise<Entry>[] = [waiting, entry];
    const scene = start({ lookup: () => answers.shift() ?? entry });
    scene.channel.request(opcodes.LOOKUP, { body: name('a') });
    scene.pass(250);
    answer(entry);
    await waiting;
    await Promise.resolve();
    expect(summaryOf(scene.times, 'LOOKUP')).toMatchObject({ count: 1, maxMs: 250, sumMs: 250 });
    scene.channel.request(opcodes.LOOKUP, { body: name('b') });
    expect(summaryOf(scene.times, 'LOOKUP')).toMatchObject({ count: 2, sumMs: 250 });
    expect(scene.channel.violations).toEqual([]);
  });

  it('counts bytes of content, and refusals by their errno', () => {
    const scene = start({
      lookup: () => {
        throw new FsError('ENOENT', 'find it');
      },
      read: () => [Buffer.from('ab'), Buffer.from('cde')],
      write: () => undefined,
      getattr: () => {
        throw new Error('a defect');
      },
    });
    for (const each of ['a', 'b']) scene.channel.request(opcodes.LOOKUP, { body: name(each) });
    scene.channel.request(opcodes.READ, { body: ioBody(100) });
    scene.channel.request(opcodes.WRITE, { body: ioBody(4, 'four') });
    scene.channel.request(opcodes.GETATTR, { body: new Uint8Array(16) });
    expect([scene.times.readBytes, scene.times.writtenBytes]).toEqual([5, 4]);
    const errors = scene.times.all.map((one) => [one.name, ...one.errors]);
    expect(errors).toEqual([
      ['LOOKUP', ['ENOENT', 2]],
      ['GETATTR', ['EIO', 1]],
      ['READ'],
      ['WRITE'],
    ]);
  });

  it('shows neither the handshake nor what no kernel of today asks for', () => {
    const scene = start({});
    for (const opcode of [63, 4096]) scene.channel.request(opcode);
    expect(scene.times.all).toEqual([]);
  });
});
