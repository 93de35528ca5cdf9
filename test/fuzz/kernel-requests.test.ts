/** Requests of a kernel that no kernel sends: each gets one answer at most, and nothing is thrown. */
import { describe, expect } from 'vitest';
import { FsError } from '../../src/fs/errno.ts';
import { errnoNumbers } from '../../src/fuse/linux/errno.ts';
import { encodeRequest, MemoryChannel } from '../../src/fuse/memory-channel.ts';
import { inHeader, opcodes } from '../../src/fuse/protocol/abi.ts';
import { RequestCursor } from '../../src/fuse/protocol/cursor.ts';
import {
  decodeCopy,
  decodeGetattrHandle,
  decodeMknod,
  decodeRename,
  decodeSetattr,
  decodeSetxattr,
  decodeWhence,
} from '../../src/fuse/protocol/request.ts';
import { Session } from '../../src/fuse/session.ts';
import { silentLog } from '../../src/lib/log.ts';
import { MemoryFileSystem } from '../fixtures/memory-filesystem.ts';
import { fuzz, orRefused } from './fuzzing.ts';

const isTyped = (error: unknown): boolean => error instanceof FsError;
const seeds = Object.values(opcodes).flatMap((opcode) =>
  [0, 8, 40, 64, 128].map((bytes) => {
    const body = Buffer.alloc(bytes, 'name\0other\0');
    return encodeRequest(opcode, 2, { inode: 1, body });
  }),
);
/** Where the opcode is, and the number of the request, which a session may see once. */
const UNIQUE_AT = inHeader.unique;
/** The kernel's own requests are no longer (1 MiB and a page); a session is given none that are. */
const MOST_BYTES = 64 * 1024;

describe('a request that is damaged', () => {
  fuzz('is understood, or refused with an errno', {
    name: 'fuse-body',
    seeds,
    read: (document) => {
      const arena = new Uint8Array(Math.max(inHeader.bytes + 128, document.length + 8));
      arena.set(document);
      const end = Math.max(inHeader.bytes + 128, document.length);
      const input = new RequestCursor();
      input.moveTo(new Uint8Array(arena.buffer), 0, end & ~3);
      for (const decode of [
        () => decodeGetattrHandle(input),
        () => decodeSetattr(input),
        () => decodeRename(input, 8),
        () => decodeRename(input, 16),
        () => decodeMknod(input),
        () => decodeSetxattr(input),
        () => decodeWhence(input),
        () => decodeCopy(input),
      ]) {
        orRefused<unknown>(decode, isTyped);
      }
    },
  });

  let nextUnique = 100;
  fuzz('gets one answer that a kernel would take, or none where none is due', {
    name: 'fuse-session',
    seeds,
    read: (document) => {
      if (document.length < inHeader.bytes || document.length > MOST_BYTES) return;
      const channel = new MemoryChannel();
      const files = new MemoryFileSystem();
      new Session(channel, files, errnoNumbers, silentLog).start();
      channel.init();
      nextUnique += 2;
      const message = Buffer.from(document.subarray(0, document.length & ~3));
      message.writeUInt32LE(message.length, 0);
      message.writeBigUInt64LE(BigInt(nextUnique), UNIQUE_AT);
      channel.deliver([message]);
      // What it tells of replies that are never due is of a kernel that asks for them.
      const thrown = channel.violations.filter((each) =>
        each.includes('an exception left the session'),
      );
      expect(thrown).toEqual([]);
      expect(channel.replies.filter(({ unique }) => unique === nextUnique).length).toBeLessThan(2);
    },
  });
});
