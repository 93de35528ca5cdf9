import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { errnoNumbers } from '../../../src/fuse/linux/errno.ts';
import { MemoryChannel } from '../../../src/fuse/memory-channel.ts';
import { opcodes } from '../../../src/fuse/protocol/abi.ts';
import { Session } from '../../../src/fuse/session.ts';
import { MiB } from '../../../src/lib/bytes.ts';
import { silentLog } from '../../../src/lib/log.ts';
import { MemoryFileSystem } from '../../fixtures/memory-filesystem.ts';

const LIMIT_MIB = 64;

interface Begun {
  readonly bytes: Uint8Array;
  readonly finish: (error?: Error) => void;
}

let channel: MemoryChannel;
let session: Session;
let begun: Begun[];

/** A WRITE of 1 MiB of `value`; returns its name. */
function write(value: number, bytes = MiB): number {
  const body = new Uint8Array(40 + bytes).fill(value, 40);
  new Uint32Array(body.buffer, 0, 10).set([1, 0, 0, 0, bytes]);
  return channel.request(opcodes.WRITE, { body });
}

const errnoOf = (unique: number): number | undefined => channel.replyTo(unique)?.errno;

describe('WRITEs in flight', () => {
  beforeEach(() => {
    begun = [];
    channel = new MemoryChannel();
    const files = new MemoryFileSystem();
    const fileSystem = Object.create(files) as MemoryFileSystem;
    Object.assign(fileSystem, {
      statfs: () => files.statfs(),
      write: (_handle: number, _offset: number, bytes: Uint8Array) =>
        new Promise<void>((resolve, reject) => {
          const finish = (error?: Error): void => (error === undefined ? resolve() : reject(error));
          begun.push({ bytes: bytes.slice(0, 1), finish });
        }),
    });
    session = new Session(channel, fileSystem, errnoNumbers, silentLog);
    session.start();
    channel.init();
  });
  afterEach(() => {
    expect(channel.violations).toEqual([]);
  });

  it('hold at most 64 MiB; further ones wait for their start, in order, with their bytes', async () => {
    const names = Array.from({ length: LIMIT_MIB + 10 }, (_, at) => write(at));
    expect([begun.length, session.writeBytes]).toEqual([LIMIT_MIB, LIMIT_MIB * MiB]);
    expect(session.inFlight).toBe(LIMIT_MIB + 10);
    for (let at = 0; at < names.length; at += 1) {
      begun[at]?.finish();
      await nextTurn();
      expect(begun.length).toBe(Math.min(names.length, LIMIT_MIB + at + 1));
      expect(session.writeBytes).toBeLessThanOrEqual(LIMIT_MIB * MiB);
    }
    expect(begun.map(({ bytes }) => bytes[0])).toEqual(names.map((_, at) => at));
    expect(names.map(errnoOf)).toEqual(names.map(() => 0));
    expect([session.writeBytes, session.inFlight]).toEqual([0, 0]);
  });

  it('leave everything else to be read and answered', () => {
    for (let at = 0; at < LIMIT_MIB + 10; at += 1) write(at);
    expect(errnoOf(channel.request(opcodes.STATFS))).toBe(0);
  });

  it('start in order: a small one does not overtake a large one that waits', async () => {
    for (let at = 0; at < LIMIT_MIB - 1; at += 1) write(at);
    write(100, MiB / 2);
    write(101);
    write(102, 1);
    expect(begun.length).toBe(LIMIT_MIB);
    begun[0]?.finish();
    await nextTurn();
    expect(begun.slice(LIMIT_MIB).map(({ bytes }) => bytes[0])).toEqual([101, 102]);
    for (const one of begun) one.finish();
    await nextTurn();
  });

  it('are not written at all when they are interrupted before their start: EINTR', async () => {
    for (let at = 0; at < LIMIT_MIB; at += 1) write(at);
    const [waiting, next] = [write(100), write(101)];
    channel.interrupt(waiting);
    channel.interrupt(waiting);
    expect(errnoOf(waiting)).toBe(errnoNumbers.EINTR);
    for (const one of [...begun]) one.finish();
    await nextTurn();
    expect(begun.slice(LIMIT_MIB).map(({ bytes }) => bytes[0])).toEqual([101]);
    begun.at(-1)?.finish();
    await nextTurn();
    expect([errnoOf(next), session.inFlight, session.writeBytes]).toEqual([0, 0, 0]);
  });

  it('give their room back when they fail', async () => {
    for (let at = 0; at <= LIMIT_MIB; at += 1) write(at);
    begun[0]?.finish(new Error('full'));
    await nextTurn();
    expect(begun.length).toBe(LIMIT_MIB + 1);
    for (const one of begun) one.finish();
    await nextTurn();
    expect(session.writeBytes).toBe(0);
  });

  it('do not start any more once the kernel is gone; those that did run to their end', async () => {
    for (let at = 0; at < LIMIT_MIB + 5; at += 1) write(at);
    let over = false;
    const ended = session.ended.then(() => (over = true));
    channel.close();
    await nextTurn();
    expect(over).toBe(false);
    for (const one of begun) one.finish();
    await ended;
    expect(begun.length).toBe(LIMIT_MIB);
  });

  it('are answered with EIO when the session is closed, started or not', async () => {
    const names = Array.from({ length: LIMIT_MIB + 2 }, (_, at) => write(at));
    session.close();
    expect(names.map(errnoOf)).toEqual(names.map(() => errnoNumbers.EIO));
    for (const one of begun) one.finish();
    await session.ended;
    expect([begun.length, session.inFlight]).toEqual([LIMIT_MIB, 0]);
  });
});
