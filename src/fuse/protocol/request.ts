/** Bodies of requests with flags to understand: kernel bits in, the words of `FileSystem` out. */
import { FsError } from '../../fs/errno.ts';
import type { AttributeChanges, OpenFlags, RenameFlags } from '../../fs/filesystem.ts';
import type { HandleId } from '../../fs/ids.ts';
import { attributeBits, GETATTR_FH, openFlags, renameFlags, sizes } from './abi.ts';
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

/** `struct fuse_getattr_in`: the handle of an fstat(2). */
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
