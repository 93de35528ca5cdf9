/** What the kernel is told of a file that it serves itself. */
import { expect, it } from 'vitest';
import type { HandleId } from '../../../src/fs/ids.ts';
import { openReplyFlags } from '../../../src/fuse/protocol/abi.ts';
import { ReplyWriter } from '../../../src/fuse/protocol/reply.ts';

function openFlagsOf(keepCache: boolean, backingId: number): number {
  const body = new Uint8Array(16);
  new ReplyWriter(body).opened(0, { handle: 1 as HandleId, keepCache, directIo: false }, backingId);
  return new DataView(body.buffer).getUint32(8, true);
}

it('an open with a backing file never asks the kernel to keep pages, which it refuses with EIO', () => {
  expect(openFlagsOf(true, 5)).toBe(openReplyFlags.PASSTHROUGH);
  expect(openFlagsOf(false, 5)).toBe(openReplyFlags.PASSTHROUGH);
  expect(openFlagsOf(true, 0)).toBe(openReplyFlags.KEEP_CACHE);
});
