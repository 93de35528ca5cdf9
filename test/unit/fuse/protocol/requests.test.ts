/**
 * Each request as a kernel lays it out, what the file system is asked for it, and the reply byte by
 * byte. Layouts are written by hand from `include/uapi/linux/fuse.h` of Linux 6.18 (protocol 7.45,
 * little-endian), each named by its struct; nothing here goes through our encoder or decoder.
 */
import { describe, expect, it } from 'vitest';
import type { Attributes, FileSystem } from '../../../../src/fs/filesystem.ts';
import type { HandleId, InodeNumber } from '../../../../src/fs/ids.ts';
import { errnoNumbers } from '../../../../src/fuse/linux/errno.ts';
import { MemoryChannel } from '../../../../src/fuse/memory-channel.ts';
import { operations } from '../../../../src/fuse/operations.ts';
import { Session } from '../../../../src/fuse/session.ts';
import { silentLog } from '../../../../src/lib/log.ts';

/** Little-endian fields `[width in bytes, value]`, and bytes as they are. */
type Field = readonly [1 | 2 | 4 | 8, number] | Uint8Array;

function layout(fields: readonly Field[]): Buffer {
  return Buffer.concat(
    fields.map((field) => {
      if (field instanceof Uint8Array) return field;
      const [width, value] = field;
      const bytes = Buffer.alloc(width);
      if (width === 8) bytes.writeBigInt64LE(BigInt(value));
      else bytes.writeUIntLE(value, 0, width);
      return bytes;
    }),
  );
}

const text = (value: string): Buffer => Buffer.from(`${value}\0`);
const name = (value: string): Buffer => Buffer.from(value);
/** `[width, value]` alike, for fields in a row. */
const words = (...values: readonly number[]): Field[] => values.map((value) => [4, value] as const);
const longs = (...values: readonly number[]): Field[] => values.map((value) => [8, value] as const);

const INODE = 2 ** 33 + 5;
const HANDLE = (2 ** 34 + 7) as HandleId;
const OFFSET = 2 ** 40 + 4096;

const attributes: Attributes = {
  ino: 77,
  type: 'block-device',
  mode: 0o640,
  nlink: 3,
  uid: 1001,
  gid: 1002,
  bytes: 5000,
  allocatedBytes: 1024,
  device: { major: 0xabc, minor: 0x12345 },
  atimeMs: 1000.5,
  mtimeMs: -1500,
  ctimeMs: 3000,
  birthMs: 4000.25,
};
/** `struct fuse_attr` */
const attr: Field[] = [
  ...longs(77, 5000, 2, 1, -2, 3),
  ...words(500_000, 500_000_000, 0, 0o060640, 3, 1001, 1002, 0x123abc45, 1 << 20, 0),
];
/** As a kernel wants them of what it has just made. */
const fileAttributes: Attributes = { ...attributes, type: 'file', device: undefined };
const fileAttr: Field[] = [
  ...longs(77, 5000, 2, 1, -2, 3),
  ...words(500_000, 500_000_000, 0, 0o100640, 3, 1001, 1002, 0, 1 << 20, 0),
];
const linkAttributes: Attributes = { ...fileAttributes, type: 'symlink' };
const directoryAttributes: Attributes = { ...fileAttributes, type: 'directory' };

const entryOf = (shown: Attributes): object => ({
  inode: 9 as InodeNumber,
  attributes: shown,
  ttlMs: 1500,
});
/** `struct fuse_entry_out` before its attributes. */
const entryHead: Field[] = [...longs(9, 0, 1, 1), ...words(500_000_000, 500_000_000)];
const typed = (bits: number): Field[] =>
  fileAttr.map((field, at) => (at === 9 ? ([4, bits | 0o640] as const) : field));

const opened = { handle: HANDLE, keepCache: true, directIo: false };
/** `struct fuse_open_out` */
const openOut: Field[] = [...longs(HANDLE), ...words(2, 0)];
const reply = { attributes, ttlMs: 1500 };

interface Case {
  readonly struct: string;
  readonly opcode: number;
  readonly body: readonly Field[];
  /** Method and arguments, without the context. */
  readonly call: readonly unknown[];
  readonly answer?: unknown;
  readonly reply: readonly Field[];
}

const noFlags = { access: 'read', truncate: false, append: false, exclusive: false };

const cases: readonly Case[] = [
  {
    struct: 'LOOKUP: a name',
    opcode: 1,
    body: [text('été')],
    call: ['lookup', INODE, name('été')],
    answer: entryOf(attributes),
    reply: [...entryHead, ...attr],
  },
  {
    struct: 'fuse_getattr_in without FUSE_GETATTR_FH, fuse_attr_out',
    opcode: 3,
    body: [...words(0, 0), ...longs(HANDLE)],
    call: ['getattr', INODE, undefined],
    answer: reply,
    reply: [...longs(1), ...words(500_000_000, 0), ...attr],
  },
  {
    struct: 'fuse_getattr_in with FUSE_GETATTR_FH',
    opcode: 3,
    body: [...words(1, 0), ...longs(HANDLE)],
    call: ['getattr', INODE, HANDLE],
    answer: reply,
    reply: [...longs(1), ...words(500_000_000, 0), ...attr],
  },
  {
    struct: 'fuse_setattr_in',
    opcode: 4,
    body: [
      ...words(1 | 2 | 4 | 8 | 16 | 32 | 64, 0),
      ...longs(HANDLE, OFFSET, 0, 1, -2, 0),
      ...words(500_000_000, 250_000_000, 0, 0o104751, 0, 11, 12, 0),
    ],
    call: [
      'setattr',
      INODE,
      HANDLE,
      { mode: 0o4751, uid: 11, gid: 12, bytes: OFFSET, atimeMs: 1500, mtimeMs: -1750 },
    ],
    answer: reply,
    reply: [...longs(1), ...words(500_000_000, 0), ...attr],
  },
  {
    struct: 'READLINK: no body, the target without NUL',
    opcode: 5,
    body: [],
    call: ['readlink', INODE],
    answer: name('../a/b'),
    reply: [name('../a/b')],
  },
  {
    struct: 'SYMLINK: a name and a target',
    opcode: 6,
    body: [text('link'), text('/a/b')],
    call: ['symlink', INODE, name('link'), name('/a/b')],
    answer: entryOf(linkAttributes),
    reply: [...entryHead, ...typed(0o120000)],
  },
  {
    struct: 'fuse_mknod_in',
    opcode: 8,
    body: [...words(0o060640, 0x123abc45, 0o22, 0), text('dev')],
    call: [
      'mknod',
      INODE,
      name('dev'),
      { type: 'block-device', mode: 0o640, device: { major: 0xabc, minor: 0x12345 } },
    ],
    answer: entryOf(attributes),
    reply: [...entryHead, ...attr],
  },
  {
    struct: 'fuse_mkdir_in',
    opcode: 9,
    body: [...words(0o41755, 0o22), text('dir')],
    call: ['mkdir', INODE, name('dir'), 0o1755],
    answer: entryOf(directoryAttributes),
    reply: [...entryHead, ...typed(0o040000)],
  },
  {
    struct: 'UNLINK',
    opcode: 10,
    body: [text('a')],
    call: ['unlink', INODE, name('a')],
    reply: [],
  },
  { struct: 'RMDIR', opcode: 11, body: [text('a')], call: ['rmdir', INODE, name('a')], reply: [] },
  {
    struct: 'fuse_rename_in',
    opcode: 12,
    body: [...longs(8), text('old'), text('new')],
    call: ['rename', INODE, name('old'), 8, name('new'), { noReplace: false, exchange: false }],
    reply: [],
  },
  {
    struct: 'fuse_link_in: the old node in the body, the new parent in the header',
    opcode: 13,
    body: [...longs(8), text('new')],
    call: ['link', 8, INODE, name('new')],
    answer: entryOf(attributes),
    reply: [...entryHead, ...attr],
  },
  {
    struct: 'fuse_open_in, fuse_open_out',
    opcode: 14,
    body: [...words(0o1002 | 0o2000, 1)],
    call: ['open', INODE, { access: 'read-write', truncate: true, append: true, exclusive: false }],
    answer: opened,
    reply: openOut,
  },
  {
    struct: 'fuse_read_in',
    opcode: 15,
    body: [...longs(HANDLE, OFFSET), ...words(6, 2), ...longs(1), ...words(0, 0)],
    call: ['read', HANDLE, OFFSET, 6],
    answer: [name('abc'), name('def')],
    reply: [name('abcdef')],
  },
  {
    struct: 'fuse_write_in, fuse_write_out',
    opcode: 16,
    body: [...longs(HANDLE, OFFSET), ...words(3, 4), ...longs(1), ...words(0, 0), name('abc')],
    call: ['write', HANDLE, OFFSET, name('abc')],
    reply: words(3, 0),
  },
  {
    struct: 'fuse_statfs_out',
    opcode: 17,
    body: [],
    call: ['statfs', INODE],
    answer: {
      ...{ blockBytes: 4096, blocks: 100, freeBlocks: 40 },
      ...{ files: 7, freeFiles: 3, nameBytes: 255 },
    },
    reply: [...longs(100, 40, 40, 7, 3), ...words(4096, 255, 4096, 0, 0, 0, 0, 0, 0, 0)],
  },
  {
    struct: 'fuse_release_in',
    opcode: 18,
    body: [...longs(HANDLE), ...words(0o100002, 3), ...longs(9)],
    call: ['release', HANDLE],
    reply: [],
  },
  {
    struct: 'fuse_fsync_in with FUSE_FSYNC_FDATASYNC',
    opcode: 20,
    body: [...longs(HANDLE), ...words(1, 0)],
    call: ['fsync', HANDLE, true],
    reply: [],
  },
  {
    struct: 'fuse_setxattr_in without FUSE_SETXATTR_EXT',
    opcode: 21,
    body: [...words(3, 1), text('user.a'), Buffer.from([0, 0x2f, 255])],
    call: [
      'setxattr',
      INODE,
      name('user.a'),
      Buffer.from([0, 0x2f, 255]),
      { create: true, replace: false },
    ],
    reply: [],
  },
  {
    struct: 'fuse_getxattr_in with room',
    opcode: 22,
    body: [...words(3, 0), text('user.a/b')],
    call: ['getxattr', INODE, name('user.a/b')],
    answer: name('abc'),
    reply: [name('abc')],
  },
  {
    struct: 'fuse_getxattr_in that asks for the size, fuse_getxattr_out',
    opcode: 22,
    body: [...words(0, 0), text('user.a')],
    call: ['getxattr', INODE, name('user.a')],
    answer: name('abc'),
    reply: words(3, 0),
  },
  {
    struct: 'LISTXATTR: names with a NUL behind each',
    opcode: 23,
    body: words(100, 0),
    call: ['listxattr', INODE],
    answer: [name('user.a'), name('user.b')],
    reply: [text('user.a'), text('user.b')],
  },
  {
    struct: 'LISTXATTR that asks for the size',
    opcode: 23,
    body: words(0, 0),
    call: ['listxattr', INODE],
    answer: [name('user.a'), name('user.b')],
    reply: words(14, 0),
  },
  {
    struct: 'REMOVEXATTR',
    opcode: 24,
    body: [text('user.a')],
    call: ['removexattr', INODE, name('user.a')],
    reply: [],
  },
  {
    struct: 'fuse_flush_in',
    opcode: 25,
    body: [...longs(HANDLE), ...words(0, 0), ...longs(9)],
    call: ['flush', HANDLE],
    reply: [],
  },
  {
    struct: 'fuse_open_in of OPENDIR; FOPEN_CACHE_DIR',
    opcode: 27,
    body: words(0o200000, 0),
    call: ['opendir', INODE],
    answer: { ...opened, keepCache: false, cacheDirectory: true },
    reply: [...longs(HANDLE), ...words(8, 0)],
  },
  {
    struct: 'fuse_read_in of READDIR',
    opcode: 28,
    body: [...longs(HANDLE, OFFSET), ...words(4096, 0), ...longs(0), ...words(0, 0)],
    call: ['readdir', HANDLE, OFFSET, expect.any(Function)],
    reply: [],
  },
  {
    struct: 'fuse_read_in of READDIRPLUS',
    opcode: 44,
    body: [...longs(HANDLE, 0), ...words(4096, 0), ...longs(0), ...words(0, 0)],
    call: ['readdirplus', HANDLE, 0, expect.any(Function)],
    reply: [],
  },
  {
    struct: 'fuse_release_in of RELEASEDIR',
    opcode: 29,
    body: [...longs(HANDLE), ...words(0, 0), ...longs(0)],
    call: ['releasedir', HANDLE],
    reply: [],
  },
  {
    struct: 'fuse_fsync_in of FSYNCDIR',
    opcode: 30,
    body: [...longs(HANDLE), ...words(0, 0)],
    call: ['fsyncdir', HANDLE, false],
    reply: [],
  },
  {
    struct: 'fuse_access_in',
    opcode: 34,
    body: words(5, 0),
    call: ['access', INODE, { read: true, write: false, execute: true }],
    reply: [],
  },
  {
    struct: 'fuse_create_in: fuse_entry_out, then fuse_open_out',
    opcode: 35,
    body: [...words(0o302, 0o100640, 0o22, 0), text('new')],
    call: [
      'create',
      INODE,
      name('new'),
      0o640,
      { access: 'read-write', truncate: false, append: false, exclusive: true },
    ],
    answer: { ...opened, entry: entryOf(fileAttributes) },
    reply: [...entryHead, ...fileAttr, ...openOut],
  },
  {
    struct: 'fuse_ioctl_in, fuse_ioctl_out',
    opcode: 39,
    body: [
      ...longs(HANDLE),
      ...words(0, 0xc0046601),
      ...longs(2 ** 40),
      ...words(4, 8),
      name('abcd'),
    ],
    call: ['ioctl', HANDLE, 0xc0046601, name('abcd'), 8],
    answer: { result: 5, output: name('output') },
    reply: [...words(5, 0, 0, 0), name('output')],
  },
  {
    struct: 'fuse_poll_in, fuse_poll_out',
    opcode: 40,
    body: [...longs(HANDLE, 3), ...words(1, 0x145)],
    call: ['poll', HANDLE, 0x145],
    answer: 0x41,
    reply: words(0x41, 0),
  },
  {
    struct: 'fuse_fallocate_in',
    opcode: 43,
    body: [...longs(HANDLE, OFFSET, 2 ** 35), ...words(3, 0)],
    call: [
      'fallocate',
      HANDLE,
      OFFSET,
      2 ** 35,
      { keepSize: true, punchHole: true, zeroRange: false },
    ],
    reply: [],
  },
  {
    struct: 'fuse_rename2_in',
    opcode: 45,
    body: [...longs(8), ...words(2, 0), text('a'), text('b')],
    call: ['rename', INODE, name('a'), 8, name('b'), { noReplace: false, exchange: true }],
    reply: [],
  },
  {
    struct: 'fuse_lseek_in of SEEK_HOLE, fuse_lseek_out',
    opcode: 46,
    body: [...longs(HANDLE, OFFSET), ...words(4, 0)],
    call: ['lseek', HANDLE, OFFSET, 'hole'],
    answer: OFFSET + 1,
    reply: longs(OFFSET + 1),
  },
  {
    struct: 'fuse_copy_file_range_in, fuse_write_out: at most what its 32 bits can tell',
    opcode: 47,
    body: longs(HANDLE, 1, 12, 13, OFFSET, 2 ** 40, 0),
    call: [
      'copyFileRange',
      { handle: HANDLE, offset: 1 },
      { handle: 13, offset: OFFSET },
      2 ** 32 - 4096,
    ],
    answer: 2 ** 31 + 1,
    reply: words(2 ** 31 + 1, 0),
  },
  {
    struct: 'fuse_syncfs_in',
    opcode: 50,
    body: longs(0),
    call: ['syncfs', INODE],
    reply: [],
  },
  {
    struct: 'fuse_create_in of TMPFILE, whose name is "/"',
    opcode: 51,
    body: [...words(0o20200000 | 1, 0o100600, 0o22, 0), text('/')],
    call: ['tmpfile', INODE, 0o600, { ...noFlags, access: 'write' }],
    answer: { ...opened, entry: entryOf(fileAttributes) },
    reply: [...entryHead, ...fileAttr, ...openOut],
  },
  {
    struct: 'fuse_statx_in, fuse_statx_out with fuse_statx and its fuse_sx_time',
    opcode: 52,
    body: [...words(1, 0), ...longs(HANDLE), ...words(0, 0xfff)],
    call: ['getattr', INODE, HANDLE],
    answer: reply,
    reply: [
      ...[...longs(1), ...words(500_000_000, 0), ...longs(0, 0)],
      ...[...words(0xfff, 1 << 20), ...longs(0), ...words(3, 1001, 1002)],
      ...([
        [2, 0o060640],
        [2, 0],
      ] as const),
      ...longs(77, 5000, 2, 0),
      ...[...longs(1), ...words(500_000, 0)],
      ...[...longs(4), ...words(250_000, 0)],
      ...[...longs(3), ...words(0, 0)],
      ...[...longs(-2), ...words(500_000_000, 0)],
      ...words(0xabc, 0x12345, 0, 0),
      ...longs(...new Array<number>(14).fill(0)),
    ],
  },
  {
    struct: 'fuse_copy_file_range_in of the 64-bit one, fuse_copy_file_range_out',
    opcode: 53,
    body: longs(HANDLE, 1, 12, 13, OFFSET, 2 ** 40, 0),
    call: ['copyFileRange', { handle: HANDLE, offset: 1 }, { handle: 13, offset: OFFSET }, 2 ** 40],
    answer: 2 ** 40,
    reply: longs(2 ** 40),
  },
];

/** A session over a file system that answers everything with `answer` and keeps what it was asked. */
function started(answer: unknown): { channel: MemoryChannel; calls: unknown[][] } {
  const calls: unknown[][] = [];
  const fileSystem = new Proxy(
    {},
    {
      get:
        (_, method) =>
        (...args: unknown[]): unknown => {
          // Names and payloads are views of the arena, which is about to change.
          const kept = args.map((arg) => (arg instanceof Uint8Array ? Buffer.from(arg) : arg));
          calls.push([method, ...(method === 'forget' ? kept : kept.slice(0, -1))]);
          return answer;
        },
    },
  ) as FileSystem;
  const channel = new MemoryChannel();
  new Session(channel, fileSystem, errnoNumbers, silentLog).start();
  channel.init();
  return { channel, calls };
}

describe('requests', () => {
  it.each(cases.map((one) => [one.struct, one] as const))('%s', (_, one) => {
    const { channel, calls } = started(one.answer);
    const unique = channel.request(one.opcode, { inode: INODE, body: layout(one.body) });
    expect(calls).toEqual([one.call]);
    const { errno, body } = channel.replyTo(unique) ?? {};
    expect([errno, Buffer.from(body ?? []).toString('hex')]).toEqual([
      0,
      layout(one.reply).toString('hex'),
    ]);
    expect(channel.violations).toEqual([]);
  });

  it('are all here', () => {
    expect(new Set(cases.map(({ opcode }) => opcode))).toEqual(new Set(operations.keys()));
  });

  it('fuse_forget_in, fuse_batch_forget_in and fuse_forget_one are told and not answered', () => {
    const { channel, calls } = started(undefined);
    channel.replies.length = 0;
    channel.request(2, { inode: INODE, body: layout(longs(2 ** 32 + 1)) });
    const two = [...words(2, 0), ...longs(INODE, 3, 8, 1)];
    channel.request(42, { body: layout(two) });
    expect(calls).toEqual([
      ['forget', INODE, 2 ** 32 + 1],
      ['forget', INODE, 3],
      ['forget', 8, 1],
    ]);
    expect(channel.replies).toEqual([]);
  });

  it.each([
    ['an unknown type', 8, [...words(0o140000 | 0o20000, 0, 0, 0), text('a')], 'EINVAL'],
    [
      'an unknown flag of renameat2',
      45,
      [...longs(8), ...words(4, 0), text('a'), text('b')],
      'EINVAL',
    ],
    ['an unknown flag of setxattr', 21, [...words(0, 4), text('a')], 'EINVAL'],
    ['an unknown flag of fallocate', 43, [...longs(1, 0, 1), ...words(8, 0)], 'ENOTSUP'],
    ['an unknown flag of copy_file_range', 47, longs(1, 0, 1, 1, 0, 1, 1), 'EINVAL'],
    ['another whence', 46, [...longs(1, 0), ...words(2, 0)], 'EINVAL'],
    ['a position beyond 2^53', 46, [...longs(1, 2 ** 60), ...words(3, 0)], 'EFBIG'],
    ['a value that is cut off', 21, [...words(9, 0), text('a')], 'EINVAL'],
    [
      'an argument that is cut off',
      39,
      [...longs(1), ...words(0, 1), ...longs(0), ...words(9, 0)],
      'EINVAL',
    ],
    ['a link without a target', 6, [text('a')], 'EINVAL'],
  ] as const)('with %s are refused', (_, opcode, body, errno) => {
    const { channel, calls } = started(undefined);
    const unique = channel.request(opcode, { body: layout(body) });
    expect([channel.replyTo(unique)?.errno, calls]).toEqual([errnoNumbers[errno], []]);
  });
});
