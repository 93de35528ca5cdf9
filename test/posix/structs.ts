/** Structures of the kernel, as they lie in memory on 64-bit Linux. */

/** What statx(2) tells. Times are nanoseconds since 1970. */
export interface Stat {
  readonly type: FileType;
  /** Permission bits, with set-user-id, set-group-id and sticky. */
  readonly mode: number;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  readonly ino: bigint;
  readonly size: number;
  /** Of 512 bytes. */
  readonly blocks: number;
  readonly blockSize: number;
  readonly atime: bigint;
  readonly mtime: bigint;
  readonly ctime: bigint;
  readonly rdev: string;
  readonly dev: string;
}

const fileTypes = {
  1: 'fifo',
  2: 'character device',
  4: 'directory',
  6: 'block device',
  8: 'file',
  10: 'symlink',
  12: 'socket',
} as const;

export type FileType = (typeof fileTypes)[keyof typeof fileTypes] | 'unknown';

function fileType(number: number): FileType {
  return (fileTypes as Readonly<Record<number, FileType>>)[number] ?? 'unknown';
}

export const STATX_BYTES = 256;

/** `struct statx` of linux/stat.h. */
export function parseStatx(bytes: Buffer): Stat {
  const time = (at: number): bigint =>
    bytes.readBigInt64LE(at) * 1_000_000_000n + BigInt(bytes.readUInt32LE(at + 8));
  const device = (at: number): string => `${bytes.readUInt32LE(at)}:${bytes.readUInt32LE(at + 4)}`;
  const mode = bytes.readUInt16LE(0x1c);
  return {
    type: fileType(mode >> 12),
    mode: mode & 0o7777,
    blockSize: bytes.readUInt32LE(0x04),
    nlink: bytes.readUInt32LE(0x10),
    uid: bytes.readUInt32LE(0x14),
    gid: bytes.readUInt32LE(0x18),
    ino: bytes.readBigUInt64LE(0x20),
    size: Number(bytes.readBigUInt64LE(0x28)),
    blocks: Number(bytes.readBigUInt64LE(0x30)),
    atime: time(0x40),
    ctime: time(0x60),
    mtime: time(0x70),
    rdev: device(0x80),
    dev: device(0x88),
  };
}

export interface Dirent {
  readonly name: string;
  readonly ino: bigint;
  readonly type: FileType;
  /** Where the one after it begins, for lseek. */
  readonly next: bigint;
}

/** `struct linux_dirent64`, one after the other. */
export function parseDirents(bytes: Buffer): readonly Dirent[] {
  const found: Dirent[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = bytes.readUInt16LE(at + 16);
    const raw = bytes.subarray(at + 19, at + length);
    found.push({
      ino: bytes.readBigUInt64LE(at),
      next: bytes.readBigInt64LE(at + 8),
      type: fileType(bytes.readUInt8(at + 18)),
      name: raw.subarray(0, raw.indexOf(0)).toString(),
    });
    at += length;
  }
  return found;
}

export interface FileSystemStat {
  readonly type: bigint;
  readonly blockSize: number;
  readonly blocks: bigint;
  readonly free: bigint;
  readonly available: bigint;
  readonly files: bigint;
  readonly nameLength: number;
}

export const STATFS_BYTES = 120;

/** `struct statfs`. */
export function parseStatfs(bytes: Buffer): FileSystemStat {
  const [type = 0n, blockSize = 0n, blocks = 0n, free = 0n, available = 0n, files = 0n] =
    new BigUint64Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + STATFS_BYTES));
  const nameLength = Number(bytes.readBigInt64LE(64));
  return { type, blockSize: Number(blockSize), blocks, free, available, files, nameLength };
}

/** Values of `l_type`. */
export const lockTypes = { read: 0, write: 1, none: 2 } as const;

export interface Lock {
  readonly type: keyof typeof lockTypes;
  readonly start: number;
  /** 0: to the end, however far that moves. */
  readonly length: number;
}

export function encodeLock({ type, start, length }: Lock): Buffer {
  const bytes = Buffer.alloc(32);
  bytes.writeInt16LE(lockTypes[type], 0);
  bytes.writeBigInt64LE(BigInt(start), 8);
  bytes.writeBigInt64LE(BigInt(length), 16);
  return bytes;
}

/** `struct timespec`, as often as there are times in nanoseconds. */
export function encodeTimes(...times: readonly (bigint | 'now' | 'omit')[]): Buffer {
  const bytes = Buffer.alloc(16 * times.length);
  for (const [at, time] of times.entries()) {
    if (typeof time === 'bigint') {
      const seconds = time / 1_000_000_000n;
      bytes.writeBigInt64LE(seconds, 16 * at);
      bytes.writeBigInt64LE(time - seconds * 1_000_000_000n, 16 * at + 8);
    } else {
      // UTIME_NOW and UTIME_OMIT of linux/stat.h.
      bytes.writeBigInt64LE(time === 'now' ? 0x3fffffffn : 0x3ffffffen, 16 * at + 8);
    }
  }
  return bytes;
}
