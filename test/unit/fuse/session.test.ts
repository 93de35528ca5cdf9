import { setImmediate as nextTurn } from 'node:timers/promises';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FsError } from '../../../src/fs/errno.ts';
import type { FileSystem, RequestContext } from '../../../src/fs/filesystem.ts';
import { errnoNumbers } from '../../../src/fuse/linux/errno.ts';
import { encodeRequest, MemoryChannel } from '../../../src/fuse/memory-channel.ts';
import { opcodes } from '../../../src/fuse/protocol/abi.ts';
import { Session } from '../../../src/fuse/session.ts';
import type { ReceiveBatch } from '../../../src/fuse/transport.ts';
import { createLog, silentLog } from '../../../src/lib/log.ts';
import { MemoryFileSystem } from '../../fixtures/memory-filesystem.ts';

const { EINTR, EINVAL, EIO, ENOENT, ENOSYS, ENOTTY, EPERM, ERANGE } = errnoNumbers;
const text = (value: string): Uint8Array => Buffer.from(`${value}\0`);

/** Body of a request from 32-bit words (low word first), then bytes. */
function body(words: readonly number[], bytes: Uint8Array = new Uint8Array(0)): Uint8Array {
  return Buffer.concat([new Uint8Array(Uint32Array.from(words).buffer), bytes]);
}

const createBody = (name: string): Uint8Array => body([0o102, 0o644, 0, 0], text(name));
const readBody = (handle: number, offset: number, bytes: number): Uint8Array =>
  body([handle, 0, offset, 0, bytes, 0, 0, 0, 0, 0]);
const writeBody = (handle: number, content: Uint8Array): Uint8Array =>
  body([handle, 0, 0, 0, content.length, 0, 0, 0, 0, 0], content);

/** One operation that waits until the test says how it ends. */
class Gate<T> {
  readonly contexts: RequestContext[] = [];
  settle: (value: T) => void = () => undefined;
  fail: (error: unknown) => void = () => undefined;

  wait(context: RequestContext): Promise<T> {
    this.contexts.push(context);
    return new Promise((resolve, reject) => {
      this.settle = resolve;
      this.fail = reject;
    });
  }
}

let channel: MemoryChannel;
let memory: MemoryFileSystem;

function start(override: Partial<FileSystem> = {}, initialize = true): Session {
  channel = new MemoryChannel();
  memory = new MemoryFileSystem();
  // A method found on the override, else the memory file system's own, bound to it.
  const fileSystem = new Proxy(memory, {
    get: (target, name) => {
      const own: unknown = Reflect.get(override, name);
      if (own !== undefined || name in override) return own;
      const inherited: unknown = Reflect.get(target, name);
      return typeof inherited === 'function' ? (inherited.bind(target) as unknown) : inherited;
    },
  });
  const session = new Session(channel, fileSystem, errnoNumbers, silentLog);
  session.start();
  if (initialize) {
    channel.init();
    channel.replies.length = 0;
  }
  return session;
}

const errnoOf = (unique: number): number | undefined => channel.replyTo(unique)?.errno;
const wordsOf = (unique: number): Uint32Array =>
  new Uint32Array(Uint8Array.from(channel.replyTo(unique)?.body ?? []).buffer);

describe('Session', () => {
  beforeEach(() => {
    start();
  });
  afterEach(() => {
    expect(channel.violations).toEqual([]);
  });

  it('answers INIT with what it needs of the kernel, and EIO to what comes before', () => {
    start({}, false);
    const early = channel.request(opcodes.STATFS);
    const init = channel.init(45);
    expect(errnoOf(early)).toBe(EIO);
    const [major, minor, , flags = 0, , maxWrite] = wordsOf(init);
    expect([major, minor, maxWrite]).toEqual([7, 45, 1 << 20]);
    const writebackCache = 1 << 16;
    expect(flags & writebackCache).toBe(0);
    expect(errnoOf(channel.request(opcodes.STATFS))).toBe(0);
  });

  it('answers an older kernel in its minor, and refuses one it cannot speak with', () => {
    start({}, false);
    expect(errnoOf(channel.init(30))).toBe(EIO);
    expect(wordsOf(channel.init(31))[1]).toBe(31);
  });

  it('creates, writes, reads and closes within the batch when nothing waits', () => {
    const created = channel.request(opcodes.CREATE, { body: createBody('a') });
    const handle = wordsOf(created)[32] ?? 0;
    const written = channel.request(opcodes.WRITE, {
      body: writeBody(handle, Buffer.from('hello')),
    });
    expect(wordsOf(written)[0]).toBe(5);
    const read = channel.request(opcodes.READ, { body: readBody(handle, 1, 100) });
    expect(Buffer.from(channel.replyTo(read)?.body ?? []).toString()).toBe('ello');
    channel.request(opcodes.RELEASE, { body: body([handle, 0, 0, 0, 0, 0]) });
    expect([channel.waiting, memory.openHandles]).toEqual([0, 0]);
  });

  it('tells pages of a shared mapping from what a program writes', () => {
    const told: unknown[] = [];
    start({ write: (_handle, _offset, _bytes, { fromPages }) => void told.push(fromPages) });
    const writePage = (flags: number): Uint8Array =>
      body([1, 0, 0, 0, 1, flags, 0, 0, 0, 0], Buffer.from('x'));
    // FUSE_WRITE_CACHE, none, and FUSE_WRITE_LOCKOWNER with FUSE_WRITE_KILL_SUIDGID.
    for (const flags of [1, 0, 6]) channel.request(opcodes.WRITE, { body: writePage(flags) });
    expect(told).toEqual([true, false, false]);
  });

  it('answers ENOSYS to what it does not know: locks, BMAP, mappings, later additions', () => {
    for (const opcode of [0, 7, 19, 31, 32, 33, 37, 48, 49, 54, 4096, 9999]) {
      expect(errnoOf(channel.request(opcode, { body: new Uint8Array(64) }))).toBe(ENOSYS);
    }
  });

  it.each([
    ['READLINK', EINVAL],
    ['SYMLINK', EPERM],
    ['LINK', EPERM],
    ['MKNOD', EPERM],
    ['TMPFILE', ENOSYS],
    ['LSEEK', ENOSYS],
    ['FALLOCATE', ENOSYS],
    ['COPY_FILE_RANGE', ENOSYS],
    ['COPY_FILE_RANGE_64', ENOSYS],
    ['GETXATTR', ENOSYS],
    ['SETXATTR', ENOSYS],
    ['LISTXATTR', ENOSYS],
    ['REMOVEXATTR', ENOSYS],
    ['ACCESS', ENOSYS],
    ['IOCTL', ENOTTY],
    ['POLL', ENOSYS],
    ['SYNCFS', ENOSYS],
  ] as const)(
    'says what makes the kernel do without %s when the file system has none',
    (name, errno) => {
      start({
        ...{ readlink: undefined, symlink: undefined, link: undefined, mknod: undefined },
        ...{ tmpfile: undefined, lseek: undefined, fallocate: undefined, copyFileRange: undefined },
        ...{
          getxattr: undefined,
          setxattr: undefined,
          listxattr: undefined,
          removexattr: undefined,
        },
        ...{ access: undefined, ioctl: undefined, poll: undefined, syncfs: undefined },
      } as unknown as Partial<FileSystem>);
      expect(errnoOf(channel.request(opcodes[name], { body: new Uint8Array(64) }))).toBe(errno);
    },
  );

  it('answers ERANGE when an attribute is longer than its buffer', () => {
    start({ getxattr: () => new Uint8Array(11), listxattr: () => [Buffer.from('0123456789')] });
    const value = channel.request(opcodes.GETXATTR, { body: body([10, 0], text('user.a')) });
    const list = channel.request(opcodes.LISTXATTR, { body: body([10, 0]) });
    const fits = channel.request(opcodes.LISTXATTR, { body: body([11, 0]) });
    expect([errnoOf(value), errnoOf(list), errnoOf(fits)]).toEqual([ERANGE, ERANGE, 0]);
  });

  it('turns whatever an operation throws into one errno', async () => {
    start({
      statfs: () => {
        throw new TypeError('a defect');
      },
      // eslint-disable-next-line @typescript-eslint/require-await -- a rejection is what is tested
      getattr: async () => {
        throw new FsError('EPERM', 'look');
      },
    });
    const thrown = channel.request(opcodes.STATFS);
    const rejected = channel.request(opcodes.GETATTR, { body: body([0, 0, 0, 0]) });
    await nextTurn();
    expect([errnoOf(thrown), errnoOf(rejected)]).toEqual([EIO, EPERM]);
  });

  it('answers EIO when more bytes come than were asked for', () => {
    start({ read: () => new Uint8Array(11) });
    const read = channel.request(opcodes.READ, { body: readBody(1, 0, 10) });
    expect(errnoOf(read)).toBe(EIO);
  });

  it('answers a request that is too short, or whose length lies, with an error', () => {
    const short = channel.request(opcodes.READ, { body: new Uint8Array(8) });
    const lying = encodeRequest(opcodes.STATFS, 1000, {});
    new Uint32Array(lying.buffer)[0] = 4096;
    channel.deliver([lying]);
    const truncated = channel.request(opcodes.WRITE, {
      body: body([1, 0, 0, 0, 50, 0, 0, 0, 0, 0]),
    });
    expect([errnoOf(short), errnoOf(1000), errnoOf(truncated)]).toEqual([EINVAL, EIO, EINVAL]);
  });

  it('refuses names that are empty, unterminated or hold a slash', () => {
    for (const name of ['', '\0', 'abc', 'a/b\0']) {
      expect(errnoOf(channel.request(opcodes.LOOKUP, { body: Buffer.from(name) }))).toBe(EINVAL);
    }
  });

  describe('lookup counts', () => {
    it('are one for each entry that arrived, and FORGET gives them back without a reply', () => {
      channel.request(opcodes.CREATE, { body: createBody('a') });
      channel.request(opcodes.LOOKUP, { body: text('a') });
      channel.request(opcodes.MKDIR, { body: body([0o755, 0], text('d')) });
      expect(memory.lookups).toBe(3);
      const replies = channel.replies.length;
      channel.request(opcodes.FORGET, { inode: 2, body: body([1, 0]) });
      channel.request(opcodes.BATCH_FORGET, {
        body: body([2, 0, 2, 0, 1, 0, 3, 0, 1, 0]),
      });
      expect([memory.lookups, channel.replies.length]).toEqual([0, replies]);
    });

    it('undo what an interrupted reply handed over: entries, and handles of CREATE and OPEN', () => {
      channel.lost.add(4).add(6).add(8);
      channel.request(opcodes.CREATE, { body: createBody('a') });
      channel.request(opcodes.LOOKUP, { body: text('a') });
      channel.request(opcodes.OPEN, { inode: 2, body: body([0, 0]) });
      expect(channel.replies).toEqual([]);
      expect([memory.lookups, memory.openHandles]).toEqual([0, 0]);
    });

    it('count each READDIRPLUS entry but "." and "..", and undo them all when it is lost', () => {
      for (const name of ['a', 'b', 'c']) {
        channel.request(opcodes.CREATE, { body: createBody(name) });
      }
      const opened = channel.request(opcodes.OPENDIR, { body: body([0, 0]) });
      const handle = wordsOf(opened)[0] ?? 0;
      const listing = channel.request(opcodes.READDIRPLUS, { body: readBody(handle, 0, 4096) });
      expect(channel.replyTo(listing)?.body.length).toBe(5 * 160);
      expect(memory.lookups).toBe(3 + 3);
      channel.lost.add(listing + 2);
      channel.request(opcodes.READDIRPLUS, { body: readBody(handle, 0, 4096) });
      expect(memory.lookups).toBe(3 + 3);
    });

    it('count only what fits', () => {
      for (const name of ['a', 'b', 'c']) {
        channel.request(opcodes.CREATE, { body: createBody(name) });
      }
      const handle = wordsOf(channel.request(opcodes.OPENDIR, { body: body([0, 0]) }))[0] ?? 0;
      channel.request(opcodes.READDIRPLUS, { body: readBody(handle, 0, 3 * 160 + 159) });
      expect(memory.lookups).toBe(3 + 1);
    });
  });

  describe('INTERRUPT', () => {
    it('aborts a READ and answers it with EINTR at once, and never again', async () => {
      const gate = new Gate<Uint8Array>();
      start({ read: (_handle, _offset, _bytes, context) => gate.wait(context) });
      const read = channel.request(opcodes.READ, { body: readBody(1, 0, 10) });
      const { signal } = gate.contexts[0] ?? {};
      channel.interrupt(read);
      channel.interrupt(read);
      expect([signal?.aborted, errnoOf(read)]).toEqual([true, EINTR]);
      gate.settle(new Uint8Array(10));
      await nextTurn();
      expect(channel.replies.length).toBe(1);
    });

    it('is seen by a signal that is only asked for afterwards', async () => {
      const gate = new Gate<Uint8Array>();
      start({ read: (_handle, _offset, _bytes, context) => gate.wait(context) });
      channel.interrupt(channel.request(opcodes.READ, { body: readBody(1, 0, 10) }));
      expect(gate.contexts[0]?.signal.aborted).toBe(true);
      gate.settle(new Uint8Array(0));
      await nextTurn();
    });

    it('gives back the entry of a LOOKUP that found it too late', async () => {
      const gate = new Gate<undefined>();
      const session = start({
        lookup: async (parent, name, context) => {
          await gate.wait(context);
          return memory.lookup(parent, name);
        },
      });
      channel.request(opcodes.CREATE, { body: createBody('a') });
      const lookup = channel.request(opcodes.LOOKUP, { body: text('a') });
      channel.interrupt(lookup);
      gate.settle(undefined);
      await nextTurn();
      expect([errnoOf(lookup), memory.lookups, session.inFlight]).toEqual([EINTR, 1, 0]);
    });

    it('lets an operation that changes something run to its end', async () => {
      const gate = new Gate<undefined>();
      start({ flush: (_, context) => gate.wait(context) });
      const flush = channel.request(opcodes.FLUSH, { body: body([1, 0, 0, 0, 0, 0]) });
      channel.interrupt(flush);
      expect([gate.contexts[0]?.signal.aborted, errnoOf(flush)]).toEqual([false, undefined]);
      gate.settle(undefined);
      await nextTurn();
      expect(errnoOf(flush)).toBe(0);
    });

    it('of a request that was answered, or never was, is ignored', () => {
      const done = channel.request(opcodes.STATFS);
      channel.interrupt(done);
      channel.interrupt(123456);
      expect(channel.replies.map(({ unique }) => unique)).toEqual([done]);
    });
  });

  it('drops a request that repeats the name of one in flight', async () => {
    const gate = new Gate<undefined>();
    const session = start({ flush: (_, context) => gate.wait(context) });
    const flush = encodeRequest(opcodes.FLUSH, 100, { body: body([1, 0, 0, 0, 0, 0]) });
    channel.deliver([flush]);
    channel.deliver([flush]);
    expect(session.inFlight).toBe(1);
    gate.settle(undefined);
    await nextTurn();
    expect([channel.replies.length, gate.contexts.length]).toEqual([1, 1]);
  });

  it('ends when the kernel has let go and what writes has settled; what reads is aborted', async () => {
    const reading = new Gate<Uint8Array>();
    const flushing = new Gate<undefined>();
    const session = start({
      read: (_handle, _offset, _bytes, context) => reading.wait(context),
      flush: (_, context) => flushing.wait(context),
    });
    channel.request(opcodes.READ, { body: readBody(1, 0, 10) });
    channel.request(opcodes.FLUSH, { body: body([1, 0, 0, 0, 0, 0]) });
    let over = false;
    const ended = session.ended.then(() => (over = true));
    channel.close();
    await nextTurn();
    expect(reading.contexts[0]?.signal.aborted).toBe(true);
    expect(flushing.contexts[0]?.signal.aborted).toBe(false);
    reading.fail(new Error('aborted'));
    await nextTurn();
    expect(over).toBe(false);
    flushing.settle(undefined);
    await ended;
    expect(channel.replies).toEqual([]);
  });

  it('when closed, answers what waits with EIO so that no program hangs on it', async () => {
    const gate = new Gate<Uint8Array>();
    const session = start({ read: (_handle, _offset, _bytes, context) => gate.wait(context) });
    const read = channel.request(opcodes.READ, { body: readBody(1, 0, 10) });
    session.close();
    expect(errnoOf(read)).toBe(EIO);
    gate.settle(new Uint8Array(1));
    await session.ended;
  });

  it('writes to the log what was not a refusal, and nothing about a missing name', () => {
    const lines: string[] = [];
    const log = createLog(
      (line) => lines.push(line),
      'debug',
      () => 0,
    );
    const noisy = new MemoryChannel();
    const broken = Object.create(new MemoryFileSystem()) as FileSystem;
    broken.statfs = () => {
      throw new TypeError('a defect');
    };
    broken.lookup = () => {
      throw new FsError('ENOENT', 'find');
    };
    new Session(noisy, broken, errnoNumbers, log).start();
    noisy.init();
    lines.length = 0;
    const missing = noisy.request(opcodes.LOOKUP, { body: text('x') });
    expect([noisy.replyTo(missing)?.errno, lines.length]).toEqual([ENOENT, 0]);
    noisy.request(opcodes.STATFS);
    expect(lines.join()).toContain('a defect');
  });
});

describe('any bytes', () => {
  const opcode = fc.oneof(
    fc.constantFrom(...Object.values(opcodes)),
    fc.nat(60),
    fc.nat(2 ** 32 - 1),
  );
  /** A request whose header is mostly right and whose body is anything. */
  const plausible = fc
    .record({
      opcode,
      unique: fc.oneof(fc.nat(20), fc.maxSafeNat()),
      inode: fc.oneof(fc.nat(4), fc.maxSafeNat()),
      body: fc.oneof(
        fc.uint8Array({ maxLength: 200, size: 'max' }),
        fc.array(fc.nat(5), { maxLength: 40, size: 'max' }).map((words) => body(words)),
      ),
      saidLength: fc.option(fc.nat(2 ** 32 - 1), { freq: 10 }),
    })
    .map(({ opcode: code, unique, inode, body: content, saidLength }) => {
      const message = encodeRequest(code, unique, { inode, body: content });
      if (saidLength !== null) new Uint32Array(message.buffer)[0] = saidLength;
      return message;
    });
  const message = fc.oneof(plausible, fc.uint8Array({ maxLength: 120, size: 'max' }));

  it('never leave as an exception, never get two replies, and get one where one is due', async () => {
    const history = fc.array(fc.array(message, { maxLength: 5, size: 'max' }), {
      maxLength: 20,
      size: 'max',
    });
    const property = fc.asyncProperty(history, fc.boolean(), async (batches, slow) => {
      const later = async <T>(work: () => T): Promise<T> => {
        await nextTurn();
        return work();
      };
      const files = new MemoryFileSystem();
      const session = start(
        slow
          ? {
              lookup: (parent, name) => later(() => files.lookup(parent, name)),
              statfs: () => later(() => files.statfs()),
              flush: () => later(() => undefined),
              opendir: (inode) => later(() => files.opendir(inode)),
            }
          : {},
      );
      // A kernel names each request once; how often is not what is tried here.
      let next = 1;
      for (const batch of batches) {
        for (const bytes of batch) {
          if (bytes.length >= 40) bytes.set(new Uint8Array(Uint32Array.of((next += 1)).buffer), 8);
        }
        channel.deliver(batch);
      }
      await nextTurn();
      await nextTurn();
      expect(channel.violations).toEqual([]);
      expect(channel.waiting).toBe(0);
      expect(session.inFlight).toBe(0);
    });
    await fc.assert(property, { numRuns: 300 });
  });

  it('never reach beyond the request: what lies around it in the arena changes nothing', () => {
    const noise = fc.uint8Array({ minLength: 64, maxLength: 64 });
    const property = fc.property(plausible, noise, noise, (request, before, behind) => {
      const zeros = new Uint8Array(64);
      expect(outcome(request, before, behind)).toEqual(outcome(request, zeros, zeros));
    });
    fc.assert(property, { numRuns: 500 });
  });
});

/** What the file system was asked and the kernel was told, with `before` and `behind` around it. */
function outcome(request: Uint8Array, before: Uint8Array, behind: Uint8Array): unknown {
  const calls: unknown[] = [];
  const files = new MemoryFileSystem({ now: () => 0 });
  const spy = new Proxy(files, {
    get:
      (target, name) =>
      (...args: unknown[]) => {
        calls.push([name, args.map(plain)]);
        const method = Reflect.get(target, name) as (...all: unknown[]) => unknown;
        return method.apply(target, args);
      },
  });
  const kernel = new MemoryChannel();
  let receive: ReceiveBatch | undefined;
  kernel.start = (callback) => {
    receive = callback;
  };
  new Session(kernel, spy, errnoNumbers, silentLog).start();
  const replies: unknown[] = [];
  kernel.reply = (headBytes, payload) => {
    replies.push([...kernel.head.subarray(0, headBytes)], plain(payload));
    return true;
  };
  const init = encodeRequest(opcodes.INIT, 2, { body: body([7, 38, 0, 0]) });
  receive?.(new Uint8Array(init.buffer), Uint32Array.of(0, init.length), 1);
  // A slice of a larger buffer, as an arena may be.
  const arena = new Uint8Array(2048).subarray(512, 1536);
  const end = before.length + request.length;
  arena.set(before);
  arena.set(request, before.length);
  arena.set(behind, end);
  receive?.(arena, Uint32Array.of(before.length, end), 1);
  return [calls, replies];
}

function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return [...value];
  return typeof value === 'number' ? value : typeof value;
}
