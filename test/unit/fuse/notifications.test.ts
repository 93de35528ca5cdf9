import { describe, expect, it } from 'vitest';
import type { HandleId, InodeNumber } from '../../../src/fs/ids.ts';
import { MemoryChannel } from '../../../src/fuse/memory-channel.ts';
import { MemoryTransport } from '../../../src/fuse/memory-transport.ts';
import { Notifications } from '../../../src/fuse/notifications.ts';
import { Passthrough } from '../../../src/fuse/passthrough.ts';
import {
  encodeDelete,
  encodeInvalEntry,
  encodeInvalInode,
  encodeStoreHead,
} from '../../../src/fuse/protocol/notification.ts';
import { silentLog } from '../../../src/lib/log.ts';
import { MemoryFileSystem } from '../../fixtures/memory-filesystem.ts';

const inode = (number: number): InodeNumber => number as InodeNumber;
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const { signal } = new AbortController();

/** A channel that holds every notification until it is let go. */
class HeldChannel extends MemoryChannel {
  readonly #held: (() => void)[] = [];
  most = 0;

  override async notify(pieces: readonly Uint8Array[]): Promise<void> {
    await super.notify(pieces);
    await new Promise<void>((resolve) => {
      this.#held.push(resolve);
      this.most = Math.max(this.most, this.#held.length);
    });
  }

  letGo(): void {
    for (const resolve of this.#held.splice(0)) resolve();
  }
}

describe('notifications as bytes (include/uapi/linux/fuse.h, protocol 7.45, little-endian)', () => {
  // fuse_out_header: len, error = code, unique = 0; then the struct named.
  it('fuse_notify_inval_inode_out: ino, off, len; -1 leaves the pages', () => {
    expect(hex(encodeInvalInode(inode(5), 4096, 8192))).toBe(
      '2800000002000000000000000000000005000000000000000010000000000000' + '0020000000000000',
    );
    expect(hex(encodeInvalInode(inode(5), -1, 0)).slice(48, 64)).toBe('ffffffffffffffff');
  });

  it('fuse_notify_inval_entry_out: parent, namelen, flags, the name and a NUL', () => {
    expect(hex(encodeInvalEntry(inode(1), Buffer.from('abc')))).toBe(
      '24000000030000000000000000000000' + '01000000000000000300000000000000' + '61626300',
    );
  });

  it('fuse_notify_delete_out: parent, child, namelen, padding, the name and a NUL', () => {
    expect(hex(encodeDelete(inode(1), inode(7), Buffer.from('ab')))).toBe(
      '2b000000060000000000000000000000' +
        '0100000000000000' +
        '0700000000000000' +
        '0200000000000000' +
        '616200',
    );
  });

  it('fuse_notify_store_out: nodeid, offset, size, padding; the length counts what follows', () => {
    expect(hex(encodeStoreHead(inode(9), 16, 4))).toBe(
      '2c000000040000000000000000000000' +
        '0900000000000000' +
        '1000000000000000' +
        '0400000000000000',
    );
  });
});

describe('Notifications', () => {
  it('sends a few at a time, each in its turn, and all of them', async () => {
    const channel = new HeldChannel();
    const kernel = new Notifications(channel, silentLog);
    const told = Promise.all(
      Array.from({ length: 50 }, (_, at) => kernel.invalidateInode(inode(at))),
    );
    while (kernel.pending > 0) {
      channel.letGo();
      await Promise.resolve();
    }
    await told;
    expect(channel.most).toBeLessThanOrEqual(8);
    const order = channel.notifications.map((message) => message[16]);
    expect(order).toEqual(Array.from({ length: 50 }, (_, at) => at));
  });

  it('says what waits already only once, and again what is said after it was sent', async () => {
    const channel = new HeldChannel();
    const kernel = new Notifications(channel, silentLog);
    const first = Array.from({ length: 8 }, (_, at) => kernel.invalidateInode(inode(at)));
    const name = Buffer.from('a');
    const waiting = Array.from({ length: 100 }, () => kernel.invalidateEntry(inode(1), name));
    const sentAlready = kernel.invalidateInode(inode(3));
    // Other pages of the same file are another matter.
    const pages = [1, 2].map((page) => kernel.invalidateInode(inode(3), page * 4096, 4096));
    expect(kernel.pending).toBe(8 + 1 + 1 + 2);
    while (kernel.pending > 0) {
      channel.letGo();
      await Promise.resolve();
    }
    await Promise.all([...first, ...waiting, sentAlready, ...pages]);
    expect(channel.notifications).toHaveLength(12);
  });

  it('sends many names in one message after the other, in one go', async () => {
    const channel = new MemoryChannel();
    const kernel = new Notifications(channel, silentLog);
    const names = ['a', 'bc', 'def'].map((name) => Buffer.from(name));
    await kernel.invalidateEntries(names.map((name) => ({ parent: inode(1), name })));
    const apart = names.map((name) => Buffer.from(encodeInvalEntry(inode(1), name)));
    expect(channel.notifications).toEqual([Buffer.concat(apart)]);
  });

  it('takes a refusal for done, and logs it', async () => {
    const channel = new MemoryChannel();
    channel.notify = async () => await Promise.reject(new Error('EBUSY'));
    const events: string[] = [];
    const log = { ...silentLog, warn: (event: string) => void events.push(event) };
    await new Notifications(channel, log).deleteEntry(inode(1), inode(2), Buffer.from('a'));
    expect(events).toEqual(['fuse.notification refused']);
  });

  it('come to the kernel through a mount', async () => {
    const transport = new MemoryTransport();
    const options = { mountPoint: '/m', readOnly: false, allowOther: false, fsName: 'memory' };
    const mount = await transport.attach(options, signal);
    await expect(transport.attach(options, signal)).rejects.toMatchObject({ kind: 'mount-point' });
    const kernel = mount.serve(new MemoryFileSystem(), silentLog);
    mount.channel.init();
    await kernel.store(inode(2), 0, Buffer.from('kept'));
    expect(Buffer.from(mount.channel.notifications[0] ?? []).toString()).toMatch(/kept$/);
    expect(mount.channel.violations).toEqual([]);
    await mount.unmount('wait', signal);
    expect(transport.mounts.size).toBe(0);
  });
});

describe('Passthrough', () => {
  const opened = (handle: number, backing?: number) => ({
    handle: handle as HandleId,
    keepCache: false,
    directIo: false,
    ...(backing !== undefined && { backing }),
  });
  const make = (refuse = false) => {
    const open: number[] = [];
    const closed: number[] = [];
    let next = 1;
    const through = new Passthrough({
      open: () => {
        if (refuse) return undefined;
        open.push(next);
        return next++;
      },
      close: (id) => {
        closed.push(id);
        open.splice(open.indexOf(id), 1);
      },
    });
    return { through, open, closed };
  };

  it('is decided by the first open of an inode and holds until its last release', () => {
    const { through, open } = make();
    expect(through.opened(inode(2), opened(10, 5))).toBe(1);
    expect(through.opened(inode(2), opened(11))).toBe(1);
    expect(through.opened(inode(2), opened(12, 6))).toBe(1);
    expect(open).toEqual([1]);
    // Twice the same: told once by RELEASE, once by a reply that did not arrive.
    for (const handle of [10, 11, 11]) through.released(handle as HandleId);
    expect(open).toEqual([1]);
    through.released(12 as HandleId);
    expect(open).toEqual([]);
    expect(through.opened(inode(2), opened(13))).toBe(0);
    expect(through.opened(inode(2), opened(14, 5))).toBe(0);
    expect(open).toEqual([]);
  });

  it('goes by each inode for itself, and by us where the kernel refuses', () => {
    const { through, open } = make();
    expect(through.opened(inode(2), opened(10))).toBe(0);
    expect(through.opened(inode(3), opened(11, 5))).toBe(1);
    through.released(99 as HandleId);
    expect(open).toEqual([1]);
    const refused = make(true);
    expect(refused.through.opened(inode(2), opened(10, 5))).toBe(0);
    refused.through.released(10 as HandleId);
    expect(refused.closed).toEqual([]);
  });
});
