/**
 * What the kernel is told to forget, or given, without having asked.
 *
 * The kernel may hold a notification until a READ or a listing under way in the same file or
 * directory is answered. So an operation never awaits one about what it works on; it may send one.
 * Messages are written by a thread of the channel, a few at a time; more wait here in order, and
 * one that says the same as one waiting becomes that one: what waits is bounded by what there is to
 * forget.
 */
import type { InodeNumber } from '../fs/ids.ts';
import type { EntryName, KernelCache } from '../fs/kernel-cache.ts';
import type { Log } from '../lib/log.ts';
import {
  encodeDelete,
  encodeInvalEntry,
  encodeInvalInode,
  encodeStoreHead,
} from './protocol/notification.ts';
import type { Channel } from './transport.ts';

/** Messages with the channel at once: enough to keep its thread busy. */
const IN_FLIGHT_MAX = 8;
/** An offset of -1 leaves the pages alone (`fuse_reverse_inval_inode`). */
const NO_PAGES = -1;

interface Waiting {
  readonly pieces: readonly Uint8Array[];
  readonly key: string | undefined;
  readonly done: Promise<void>;
  readonly settle: () => void;
}

export class Notifications implements KernelCache {
  readonly #channel: Channel;
  readonly #log: Log;
  readonly #queue: Waiting[] = [];
  /** Messages of the queue by what they say. */
  readonly #alike = new Map<string, Waiting>();
  #inFlight = 0;

  constructor(channel: Channel, log: Log) {
    this.#channel = channel;
    this.#log = log;
  }

  /** Messages that the kernel has not taken. */
  get pending(): number {
    return this.#queue.length + this.#inFlight;
  }

  async invalidateInode(inode: InodeNumber, offset = 0, bytes = 0): Promise<void> {
    const key = `inode ${inode} ${offset} ${bytes}`;
    await this.#send(() => [encodeInvalInode(inode, offset, bytes)], key);
  }

  async invalidateAttributes(inode: InodeNumber): Promise<void> {
    await this.invalidateInode(inode, NO_PAGES, 0);
  }

  async invalidateEntry(parent: InodeNumber, name: Uint8Array): Promise<void> {
    const key = `entry ${parent} ${Buffer.from(name).toString('latin1')}`;
    await this.#send(() => [encodeInvalEntry(parent, name)], key);
  }

  async invalidateEntries(entries: readonly EntryName[]): Promise<void> {
    const encode = (): Uint8Array[] =>
      entries.map(({ parent, name }) => encodeInvalEntry(parent, name));
    await this.#send(encode, undefined);
  }

  async deleteEntry(parent: InodeNumber, child: InodeNumber, name: Uint8Array): Promise<void> {
    const key = `delete ${parent} ${child} ${Buffer.from(name).toString('latin1')}`;
    await this.#send(() => [encodeDelete(parent, child, name)], key);
  }

  async store(inode: InodeNumber, offset: number, bytes: Uint8Array): Promise<void> {
    await this.#send(() => [encodeStoreHead(inode, offset, bytes.length), bytes], undefined);
  }

  /** `key` names what the message says; undefined when it must be sent as it is. */
  async #send(encode: () => readonly Uint8Array[], key: string | undefined): Promise<void> {
    if (!this.#channel.capabilities.notify) return;
    const same = key === undefined ? undefined : this.#alike.get(key);
    if (same !== undefined) {
      await same.done;
      return;
    }
    let settle = (): void => undefined;
    const done = new Promise<void>((resolve) => {
      settle = resolve;
    });
    const waiting = { pieces: encode(), key, done, settle };
    this.#queue.push(waiting);
    if (key !== undefined) this.#alike.set(key, waiting);
    this.#pump();
    await done;
  }

  #pump(): void {
    while (this.#inFlight < IN_FLIGHT_MAX) {
      const next = this.#queue.shift();
      if (next === undefined) return;
      // From here on it may be too early for somebody who says the same later.
      if (next.key !== undefined) this.#alike.delete(next.key);
      this.#inFlight += 1;
      this.#channel
        .notify(next.pieces)
        .catch((error: unknown) => this.#log.warn('fuse.notification refused', { error }))
        .finally(() => {
          this.#inFlight -= 1;
          next.settle();
          this.#pump();
        })
        .catch(() => undefined);
    }
  }
}
