/** Bodies of requests with flags to understand: kernel bits in, the words of `FileSystem` out. */
import { FsError } from '../../fs/errno.ts';
import type {
  AccessMask,
  AllocationFlags,
  AttributeChanges,
  DeviceNumber,
  FilePosition,
  NewNode,
  OpenFlags,
  RenameFlags,
  XattrFlags,
} from '../../fs/filesystem.ts';
import type { HandleId } from '../../fs/ids.ts';
import {
  accessBits,
  allocationFlags,
  attributeBits,
  FILE_TYPE_MASK,
  fileTypeBits,
  GETATTR_FH,
  openFlags,
  renameFlags,
  seekWhence,
  sizes,
  xattrFlags,
} from './abi.ts';
import type { RequestCursor } from './cursor.ts';

type Changes = { -readonly [Key in keyof AttributeChanges]: AttributeChanges[Key] };

/** Permission bits of a mode; the type is known from the operation. */
export const PERMISSION_BITS = 0o7777;

export function decodeOpenFlags(flags: number): OpenFlags {
  const access = flags & openFlags.ACCESS;
  return {
    access: access === 0 ? 'read' : access === openFlags.WRONLY ? 'write' : 'read-write',
    truncate: (flags & openFlags.TRUNC) !== 0,
    append: (flags & openFlags.APPEND) !== 0,
    exclusive: (flags & openFlags.EXCL) !== 0,
  };
}

/** `struct fuse_getattr_in`, and `fuse_statx_in` which begins alike: the handle of an fstat(2). */
export function decodeGetattrHandle(input: RequestCursor): HandleId | undefined {
  return (input.u32(0) & GETATTR_FH) === 0 ? undefined : input.handle(8);
}

/** `struct fuse_setattr_in`. Its ctime is the file system's own business. */
export function decodeSetattr(input: RequestCursor): {
  readonly handle: HandleId | undefined;
  readonly changes: AttributeChanges;
} {
  const valid = input.u32(0);
  const has = (bit: number): boolean => (valid & bit) !== 0;
  const changes: Changes = {};
  if (has(attributeBits.MODE)) changes.mode = input.u32(68) & PERMISSION_BITS;
  if (has(attributeBits.UID)) changes.uid = input.u32(76);
  if (has(attributeBits.GID)) changes.gid = input.u32(80);
  if (has(attributeBits.SIZE)) changes.bytes = input.position(16);
  if (has(attributeBits.ATIME_NOW)) changes.atimeMs = 'now';
  else if (has(attributeBits.ATIME)) changes.atimeMs = toMs(input.i64(32), input.u32(56));
  if (has(attributeBits.MTIME_NOW)) changes.mtimeMs = 'now';
  else if (has(attributeBits.MTIME)) changes.mtimeMs = toMs(input.i64(40), input.u32(60));
  return { handle: has(attributeBits.FH) ? input.handle(8) : undefined, changes };
}

function toMs(seconds: number, nanoseconds: number): number {
  return seconds * 1000 + nanoseconds / 1e6;
}

/** Names of `struct fuse_rename_in` (8 bytes) or `fuse_rename2_in` (16 bytes) after its fixed part. */
export function decodeRename(
  input: RequestCursor,
  fixedBytes: number,
): { readonly name: Uint8Array; readonly newName: Uint8Array; readonly flags: RenameFlags } {
  const bits = fixedBytes === sizes.rename2In ? input.u32(8) : 0;
  if ((bits & ~(renameFlags.NOREPLACE | renameFlags.EXCHANGE)) !== 0) {
    throw new FsError('EINVAL', 'rename with an unknown flag');
  }
  const name = input.name(fixedBytes);
  const newName = input.name(fixedBytes + name.length + 1);
  const noReplace = (bits & renameFlags.NOREPLACE) !== 0;
  return { name, newName, flags: { noReplace, exchange: (bits & renameFlags.EXCHANGE) !== 0 } };
}

/**
 * `struct fuse_mknod_in`. The umask is applied by the kernel already.
 *
 * @throws FsError EINVAL for a type that mknod(2) does not make.
 */
export function decodeMknod(input: RequestCursor): NewNode {
  const mode = input.u32(0);
  const type = nodeTypes.get(mode & FILE_TYPE_MASK);
  if (type === undefined) throw new FsError('EINVAL', 'make a node of an unknown type');
  return { type, mode: mode & PERMISSION_BITS, device: decodeDevice(input.u32(4)) };
}

const nodeTypes: ReadonlyMap<number, NewNode['type']> = new Map(
  (['file', 'fifo', 'socket', 'character-device', 'block-device'] as const).map((type) => [
    fileTypeBits[type],
    type,
  ]),
);

/** `new_decode_dev` of the kernel's `include/linux/kdev_t.h`. */
function decodeDevice(word: number): DeviceNumber {
  return { major: (word >>> 8) & 0xfff, minor: (word & 0xff) | ((word >>> 12) & 0xfff00) };
}

/** `struct fuse_setxattr_in` as it is without SETXATTR_EXT, the name, the value. */
export function decodeSetxattr(input: RequestCursor): {
  readonly name: Uint8Array;
  readonly value: Uint8Array;
  readonly flags: XattrFlags;
} {
  const bits = input.u32(4);
  if ((bits & ~(xattrFlags.CREATE | xattrFlags.REPLACE)) !== 0) {
    throw new FsError('EINVAL', 'set an attribute with an unknown flag');
  }
  const name = input.text(sizes.setxattrIn);
  return {
    name,
    value: input.payload(sizes.setxattrIn + name.length + 1, input.u32(0)),
    flags: {
      create: (bits & xattrFlags.CREATE) !== 0,
      replace: (bits & xattrFlags.REPLACE) !== 0,
    },
  };
}

/** `fuse_fallocate_in.mode`. */
export function decodeAllocationFlags(bits: number): AllocationFlags {
  const { KEEP_SIZE, PUNCH_HOLE, ZERO_RANGE } = allocationFlags;
  if ((bits & ~(KEEP_SIZE | PUNCH_HOLE | ZERO_RANGE)) !== 0) {
    throw new FsError('ENOTSUP', 'allocate with an unknown flag');
  }
  return {
    keepSize: (bits & KEEP_SIZE) !== 0,
    punchHole: (bits & PUNCH_HOLE) !== 0,
    zeroRange: (bits & ZERO_RANGE) !== 0,
  };
}

/** `struct fuse_lseek_in`: the kernel seeks by itself but for data and holes. */
export function decodeWhence(input: RequestCursor): 'data' | 'hole' {
  const whence = input.u32(16);
  if (whence === seekWhence.DATA) return 'data';
  if (whence === seekWhence.HOLE) return 'hole';
  throw new FsError('EINVAL', 'seek to something unknown');
}

/** `struct fuse_copy_file_range_in`. There are no flags yet. */
export function decodeCopy(input: RequestCursor): {
  readonly from: FilePosition;
  readonly to: FilePosition;
  readonly bytes: number;
} {
  if (input.u64(48) !== 0) throw new FsError('EINVAL', 'copy with an unknown flag');
  return {
    from: { handle: input.handle(0), offset: input.position(8) },
    to: { handle: input.handle(24), offset: input.position(32) },
    // More than any file: what it copies is what there is.
    bytes: Math.min(input.u64(40), Number.MAX_SAFE_INTEGER),
  };
}

/** `fuse_access_in.mask`. */
export function decodeAccessMask(mask: number): AccessMask {
  return {
    read: (mask & accessBits.READ) !== 0,
    write: (mask & accessBits.WRITE) !== 0,
    execute: (mask & accessBits.EXECUTE) !== 0,
  };
}
