/**
 * Bytes of the main structs, as `include/uapi/linux/fuse.h` (protocol 7.45) lays them out on a
 * little-endian machine. Written by hand from the header, not from our encoder.
 */
import { describe, expect, it } from 'vitest';
import type { Attributes } from '../../../../src/fs/filesystem.ts';
import type { HandleId, InodeNumber } from '../../../../src/fs/ids.ts';
import { encodeRequest } from '../../../../src/fuse/memory-channel.ts';
import { agree, decodeOffer, encodeAgreement } from '../../../../src/fuse/negotiation.ts';
import { inHeader } from '../../../../src/fuse/protocol/abi.ts';
import { RequestCursor } from '../../../../src/fuse/protocol/cursor.ts';
import { Listing } from '../../../../src/fuse/protocol/listing.ts';
import { ReplyWriter } from '../../../../src/fuse/protocol/reply.ts';
import {
  decodeOpenFlags,
  decodeRename,
  decodeSetattr,
} from '../../../../src/fuse/protocol/request.ts';

/** Little-endian fields: `[width in bytes, value]`. */
type Field = readonly [1 | 2 | 4 | 8, number];

function layout(fields: readonly Field[]): string {
  const bytes = Buffer.alloc(fields.reduce((sum, [width]) => sum + width, 0));
  let at = 0;
  for (const [width, value] of fields) {
    if (width === 8) bytes.writeBigInt64LE(BigInt(value), at);
    else bytes.writeUIntLE(value, at, width);
    at += width;
  }
  return bytes.toString('hex');
}

function encoded(encode: (writer: ReplyWriter) => number): string {
  const bytes = new Uint8Array(512).fill(0xaa);
  return Buffer.from(bytes.subarray(0, encode(new ReplyWriter(bytes)))).toString('hex');
}

function cursorOver(body: Uint8Array): RequestCursor {
  const message = encodeRequest(1, 2, { body });
  const cursor = new RequestCursor();
  cursor.moveTo(new Uint8Array(message.buffer), 0, message.length);
  return cursor;
}

const attributes: Attributes = {
  ino: 2 ** 40 + 5,
  type: 'file',
  mode: 0o640,
  nlink: 3,
  uid: 1001,
  gid: 1002,
  bytes: 2 ** 33 + 1,
  atimeMs: 1_700_000_000_123.5,
  mtimeMs: -1500,
  ctimeMs: 0,
};

/** `struct fuse_attr` */
const attributeFields: readonly Field[] = [
  [8, 2 ** 40 + 5],
  [8, 2 ** 33 + 1],
  [8, 2 ** 24 + 1],
  [8, 1_700_000_000],
  [8, -2],
  [8, 0],
  [4, 123_500_000],
  [4, 500_000_000],
  [4, 0],
  [4, 0o100640],
  [4, 3],
  [4, 1001],
  [4, 1002],
  [4, 0],
  [4, 1 << 20],
  [4, 0],
];

const entry = { inode: 9 as InodeNumber, attributes, ttlMs: 1500 };
const entryFields: readonly Field[] = [
  [8, 9],
  [8, 0],
  [8, 1],
  [8, 1],
  [4, 500_000_000],
  [4, 500_000_000],
  ...attributeFields,
];

describe('replies', () => {
  it('lay out fuse_attr_out', () => {
    expect(encoded((writer) => writer.attributesReply(0, { attributes, ttlMs: 1500 }))).toBe(
      layout([[8, 1], [4, 500_000_000], [4, 0], ...attributeFields]),
    );
  });

  it('lay out fuse_entry_out', () => {
    expect(encoded((writer) => writer.entry(0, entry))).toBe(layout(entryFields));
  });

  it('lay out fuse_open_out, and CREATE as entry then open', () => {
    const open = { handle: (2 ** 32 + 7) as HandleId, keepCache: true, directIo: true };
    const openFields: readonly Field[] = [
      [8, 2 ** 32 + 7],
      [4, 3],
      [4, 0],
    ];
    expect(encoded((writer) => writer.opened(0, open))).toBe(layout(openFields));
    expect(encoded((writer) => writer.created(0, { ...open, entry }))).toBe(
      layout([...entryFields, ...openFields]),
    );
  });

  it('lay out fuse_statfs_out', () => {
    const statistics = {
      blockBytes: 4096,
      blocks: 100,
      freeBlocks: 40,
      files: 7,
      freeFiles: 3,
      nameBytes: 255,
    };
    expect(encoded((writer) => writer.statistics(0, statistics))).toBe(
      layout([
        [8, 100],
        [8, 40],
        [8, 40],
        [8, 7],
        [8, 3],
        [4, 4096],
        [4, 255],
        [4, 4096],
        ...Array.from({ length: 7 }, (): Field => [4, 0]),
      ]),
    );
  });

  it('lay out fuse_init_out, asking for nothing that the kernel has not', () => {
    const offered = new Uint8Array(64);
    const asyncReadAndAutoInval = (1 << 0) | (1 << 12) | (1 << 22);
    new Uint32Array(offered.buffer).set([7, 45, 131072, asyncReadAndAutoInval]);
    const agreement = agree(decodeOffer(cursorOver(offered)), {
      maxWriteBytes: 1 << 20,
      notify: true,
      readdirplus: true,
    });
    if (agreement === undefined) throw new Error('no agreement');
    expect(encoded((writer) => encodeAgreement(writer, 0, agreement))).toBe(
      layout([
        [4, 7],
        [4, 45],
        [4, 131072],
        [4, (1 << 0) | (1 << 22)],
        [2, 64],
        [2, 48],
        [4, 1 << 20],
        [4, 1],
        [2, 256],
        [2, 0],
        ...Array.from({ length: 8 }, (): Field => [4, 0]),
      ]),
    );
  });

  it('lay out flags2 and max_stack_depth of fuse_init_out where there is passthrough', () => {
    const offered = new Uint8Array(64);
    new Uint32Array(offered.buffer).set([7, 45, 131072, 1 << 30, 0xffffffff]);
    const capabilities = { maxWriteBytes: 1 << 20, notify: true, readdirplus: true };
    const offer = decodeOffer(cursorOver(offered));
    expect(agree(offer, capabilities)).toMatchObject({ flags2: 0, maxStackDepth: 0 });
    const agreement = agree(offer, { ...capabilities, passthrough: true });
    if (agreement === undefined) throw new Error('no agreement');
    expect(encoded((writer) => encodeAgreement(writer, 0, agreement)).slice(2 * 28)).toBe(
      layout([
        [2, 256],
        [2, 0],
        [4, 0x20],
        [4, 2],
        ...Array.from({ length: 6 }, (): Field => [4, 0]),
      ]),
    );
  });

  it('ask a kernel before 7.36 for nothing of flags2, which its shorter fuse_init_in has not', () => {
    const all = { maxWriteBytes: 1 << 20, notify: true, readdirplus: true, passthrough: true };
    // Of 16 bytes; and of 64 without FUSE_INIT_EXT, whose further words mean nothing.
    const short = new Uint8Array(16);
    new Uint32Array(short.buffer).set([7, 31, 131072, 0xffffffff]);
    const silent = new Uint8Array(64);
    new Uint32Array(silent.buffer).set([7, 36, 131072, ~(1 << 30), 0xffffffff]);
    for (const [body, minor] of [
      [short, 31],
      [silent, 36],
    ] as const) {
      const agreement = agree(decodeOffer(cursorOver(body)), all);
      expect(agreement).toMatchObject({ minor, flags2: 0, maxStackDepth: 0 });
    }
  });

  it('lay out fuse_dirent padded to 8 with zeros, and take none that does not fit', () => {
    const buffer = new Uint8Array(64).fill(0xaa);
    const listing = new Listing(buffer, 63);
    const dirent = { name: Buffer.from('abc'), ino: 5, type: 'directory', cookie: 6 } as const;
    expect(listing.fill(dirent)).toBe(true);
    expect(listing.fill(dirent)).toBe(false);
    expect(Buffer.from(listing.bytes).toString('hex')).toBe(
      layout([
        [8, 5],
        [8, 6],
        [4, 3],
        [4, 4],
      ]) + Buffer.from('abc\0\0\0\0\0').toString('hex'),
    );
  });

  it('lay out fuse_direntplus, with node id 0 where there is no entry', () => {
    const listing = new Listing(new Uint8Array(1024).fill(0xaa), 1024);
    const dirent = { name: Buffer.from('12345678'), ino: 5, type: 'file', cookie: 1 } as const;
    expect(listing.fillPlus(dirent, entry)).toBe(true);
    expect(listing.fillPlus({ ...dirent, name: Buffer.from('.') }, undefined)).toBe(true);
    const record =
      layout([
        [8, 5],
        [8, 1],
        [4, 8],
        [4, 8],
      ]) + Buffer.from('12345678').toString('hex');
    const dot =
      layout([
        [8, 5],
        [8, 1],
        [4, 1],
        [4, 8],
      ]) + '2e00000000000000';
    expect(Buffer.from(listing.bytes).toString('hex')).toBe(
      layout(entryFields) + record + '00'.repeat(128) + dot,
    );
    expect(listing.referenced).toEqual([9]);
  });

  it('round a fraction of a second up into the next one rather than past it', () => {
    const late = { ...attributes, mtimeMs: 999.9999999 };
    const bytes = Buffer.from(
      encoded((writer) => writer.entry(0, { ...entry, attributes: late })),
      'hex',
    );
    expect(bytes.readBigInt64LE(40 + 32)).toBe(1n);
    expect(bytes.readUInt32LE(40 + 52)).toBe(0);
  });
});

describe('requests', () => {
  it('read fuse_in_header', () => {
    const message = encodeRequest(15, 2 ** 33 + 4, { inode: 2 ** 34 + 1, uid: 1000 });
    expect(Buffer.from(message.subarray(0, 40)).toString('hex')).toBe(
      layout([
        [4, 40],
        [4, 15],
        [8, 2 ** 33 + 4],
        [8, 2 ** 34 + 1],
        [4, 1000],
        [4, 0],
        [4, 0],
        [4, 0],
      ]),
    );
    const cursor = new RequestCursor();
    cursor.moveTo(new Uint8Array(message.buffer), 0, 40);
    expect([cursor.inode, cursor.header(inHeader.uid)]).toEqual([2 ** 34 + 1, 1000]);
  });

  it('read fuse_setattr_in, with times before 1970 and to the nanosecond', () => {
    const valid = 1 | 2 | 4 | 8 | 16 | 32 | 64;
    const body = Buffer.from(
      layout([
        [4, valid],
        [4, 0],
        [8, 77],
        [8, 2 ** 35],
        [8, 0],
        [8, -2],
        [8, 1_700_000_000],
        [8, 0],
        [4, 500_000_000],
        [4, 250_000_000],
        [4, 0],
        [4, 0o104755],
        [4, 0],
        [4, 11],
        [4, 12],
        [4, 0],
      ]),
      'hex',
    );
    expect(body.length).toBe(88);
    expect(decodeSetattr(cursorOver(body))).toEqual({
      handle: 77,
      changes: {
        mode: 0o4755,
        uid: 11,
        gid: 12,
        bytes: 2 ** 35,
        atimeMs: -1500,
        mtimeMs: 1_700_000_000_250,
      },
    });
  });

  it('read FATTR_ATIME_NOW and FATTR_MTIME_NOW as now', () => {
    const body = new Uint8Array(88);
    new Uint32Array(body.buffer)[0] = 16 | 32 | 128 | 256;
    expect(decodeSetattr(cursorOver(body))).toEqual({
      handle: undefined,
      changes: { atimeMs: 'now', mtimeMs: 'now' },
    });
  });

  it('read fuse_rename2_in with its two names', () => {
    const body = Buffer.concat([
      Buffer.from(
        layout([
          [8, 3],
          [4, 1],
          [4, 0],
        ]),
        'hex',
      ),
      Buffer.from('old\0new\0'),
    ]);
    const { name, newName, flags } = decodeRename(cursorOver(body), 16);
    expect([String(Buffer.from(name)), String(Buffer.from(newName)), flags]).toEqual([
      'old',
      'new',
      { noReplace: true, exchange: false },
    ]);
  });

  it('refuse a rename flag they do not know', () => {
    const body = Buffer.concat([
      Buffer.from(
        layout([
          [8, 3],
          [4, 4],
          [4, 0],
        ]),
        'hex',
      ),
      Buffer.from('a\0b\0'),
    ]);
    expect(() => decodeRename(cursorOver(body), 16)).toThrow(
      expect.objectContaining({ errno: 'EINVAL' }),
    );
  });

  it.each([
    [0o0, { access: 'read', truncate: false, append: false, exclusive: false }],
    [0o1001, { access: 'write', truncate: true, append: false, exclusive: false }],
    [0o2302, { access: 'read-write', truncate: false, append: true, exclusive: true }],
  ])('read open(2) flags %i', (flags, expected) => {
    expect(decodeOpenFlags(flags)).toEqual(expected);
  });
});
