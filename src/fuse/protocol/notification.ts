/**
 * Messages that we send without being asked: `fuse_notify_*_out` of `include/uapi/linux/fuse.h`,
 * the same since protocol 7.18. In their header the error field holds the code, the unique is 0.
 */
import type { InodeNumber } from '../../fs/ids.ts';
import { outHeader } from './abi.ts';
import { ReplyWriter } from './reply.ts';

/** `enum fuse_notify_code` */
export const notifyCodes = { INVAL_INODE: 2, INVAL_ENTRY: 3, STORE: 4, DELETE: 6 } as const;

/** `struct fuse_notify_inval_inode_out`. A length of 0 means to the end. */
export function encodeInvalInode(inode: InodeNumber, offset: number, bytes: number): Uint8Array {
  const writer = startMessage(notifyCodes.INVAL_INODE, 24);
  writer.u64(outHeader.bytes, inode);
  writer.u64(outHeader.bytes + 8, offset);
  writer.u64(outHeader.bytes + 16, bytes);
  return writer.bytes;
}

/** `struct fuse_notify_inval_entry_out`, the name and a NUL that its length does not count. */
export function encodeInvalEntry(parent: InodeNumber, name: Uint8Array): Uint8Array {
  const writer = startMessage(notifyCodes.INVAL_ENTRY, 16 + name.length + 1);
  writer.u64(outHeader.bytes, parent);
  writer.u32(outHeader.bytes + 8, name.length);
  writer.bytes.set(name, outHeader.bytes + 16);
  return writer.bytes;
}

/** `struct fuse_notify_delete_out`, the name and a NUL. */
export function encodeDelete(
  parent: InodeNumber,
  child: InodeNumber,
  name: Uint8Array,
): Uint8Array {
  const writer = startMessage(notifyCodes.DELETE, 24 + name.length + 1);
  writer.u64(outHeader.bytes, parent);
  writer.u64(outHeader.bytes + 8, child);
  writer.u32(outHeader.bytes + 16, name.length);
  writer.bytes.set(name, outHeader.bytes + 24);
  return writer.bytes;
}

/** `struct fuse_notify_store_out`; `bytes` bytes follow it. */
export function encodeStoreHead(inode: InodeNumber, offset: number, bytes: number): Uint8Array {
  const writer = startMessage(notifyCodes.STORE, 24, bytes);
  writer.u64(outHeader.bytes, inode);
  writer.u64(outHeader.bytes + 8, offset);
  writer.u32(outHeader.bytes + 16, bytes);
  return writer.bytes;
}

/** A zeroed message with its header; `later` bytes are sent behind it. */
function startMessage(code: number, bodyBytes: number, later = 0): ReplyWriter {
  const bytes = outHeader.bytes + bodyBytes;
  // Words are written whole, so the buffer ends on one; the message ends where it should.
  const buffer = new ArrayBuffer((bytes + 7) & ~7);
  const writer = new ReplyWriter(new Uint8Array(buffer, 0, bytes));
  writer.u32(outHeader.length, bytes + later);
  writer.u32(outHeader.error, code);
  return writer;
}
