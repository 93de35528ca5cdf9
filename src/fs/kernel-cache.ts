import type { InodeNumber } from './ids.ts';

/** A name in a directory. */
export interface EntryName {
  readonly parent: InodeNumber;
  readonly name: Uint8Array;
}

/**
 * What a kernel keeps of a mount. Each promise resolves when the kernel has done it, or had nothing
 * to do; none rejects: a refusal is logged, and what is kept then expires with its ttl.
 */
export interface KernelCache {
  /** Drops attributes, and the pages of `[offset, offset + bytes)`; all of them by default. */
  invalidateInode(inode: InodeNumber, offset?: number, bytes?: number): Promise<void>;
  /** Drops only the attributes. */
  invalidateAttributes(inode: InodeNumber): Promise<void>;
  /** Drops what `name` stands for, or that it stands for nothing. */
  invalidateEntry(parent: InodeNumber, name: Uint8Array): Promise<void>;
  /** The same for many names; what the kernel does not know is left out. */
  invalidateEntries(entries: readonly EntryName[]): Promise<void>;
  /** `name` is gone, if it stands for `child`: watchers (inotify) hear of it. */
  deleteEntry(parent: InodeNumber, child: InodeNumber, name: Uint8Array): Promise<void>;
  /** Puts bytes into the page cache; the file grows if they end beyond it. */
  store(inode: InodeNumber, offset: number, bytes: Uint8Array): Promise<void>;
}

/** For transports that cannot tell a kernel anything. */
export const noKernelCache: KernelCache = {
  invalidateInode: async () => await Promise.resolve(),
  invalidateAttributes: async () => await Promise.resolve(),
  invalidateEntry: async () => await Promise.resolve(),
  invalidateEntries: async () => await Promise.resolve(),
  deleteEntry: async () => await Promise.resolve(),
  store: async () => await Promise.resolve(),
};

/** The kernel of a mount that is yet to be served: until then nothing is kept. */
export class LateKernelCache implements KernelCache {
  #kernel = noKernelCache;

  attach(kernel: KernelCache): void {
    this.#kernel = kernel;
  }

  async invalidateInode(inode: InodeNumber, offset?: number, bytes?: number): Promise<void> {
    await this.#kernel.invalidateInode(inode, offset, bytes);
  }

  async invalidateAttributes(inode: InodeNumber): Promise<void> {
    await this.#kernel.invalidateAttributes(inode);
  }

  async invalidateEntry(parent: InodeNumber, name: Uint8Array): Promise<void> {
    await this.#kernel.invalidateEntry(parent, name);
  }

  async invalidateEntries(entries: readonly EntryName[]): Promise<void> {
    await this.#kernel.invalidateEntries(entries);
  }

  async deleteEntry(parent: InodeNumber, child: InodeNumber, name: Uint8Array): Promise<void> {
    await this.#kernel.deleteEntry(parent, child, name);
  }

  async store(inode: InodeNumber, offset: number, bytes: Uint8Array): Promise<void> {
    await this.#kernel.store(inode, offset, bytes);
  }
}
