/**
 * Fills one READDIR or READDIRPLUS reply. It has a buffer of its own, because a listing may be
 * filled across awaits while other replies are encoded.
 */
import type { Dirent, Entry } from '../../fs/filesystem.ts';
import type { InodeNumber } from '../../fs/ids.ts';
import { fileTypeBits, NAME_BYTES_MAX, sizes } from './abi.ts';
import { ReplyWriter } from './reply.ts';

export class Listing {
  readonly #writer: ReplyWriter;
  readonly #capacity: number;
  /** Inodes whose reference the kernel gets with this reply. */
  readonly #referenced: InodeNumber[] = [];
  #length = 0;

  /** `capacity` is what the kernel asked for, at most the length of `buffer`. */
  constructor(buffer: Uint8Array, capacity: number) {
    this.#writer = new ReplyWriter(buffer);
    this.#capacity = Math.min(capacity, buffer.byteLength);
  }

  get bytes(): Uint8Array {
    return this.#writer.bytes.subarray(0, this.#length);
  }

  get referenced(): readonly InodeNumber[] {
    return this.#referenced;
  }

  /** `struct fuse_dirent`. */
  readonly fill = (dirent: Dirent): boolean => {
    const bytes = recordBytes(sizes.dirent, dirent.name);
    if (this.#length + bytes > this.#capacity) return false;
    this.#dirent(this.#length, dirent);
    this.#length += bytes;
    return true;
  };

  /** `struct fuse_direntplus`. Without an entry the node id is 0 and the kernel counts nothing. */
  readonly fillPlus = (dirent: Dirent, entry: Entry | undefined): boolean => {
    const bytes = recordBytes(sizes.direntplus, dirent.name);
    if (this.#length + bytes > this.#capacity) return false;
    if (entry === undefined) {
      this.#writer.bytes.fill(0, this.#length, this.#length + sizes.entryOut);
    } else {
      this.#writer.entry(this.#length, entry);
      this.#referenced.push(entry.inode);
    }
    this.#dirent(this.#length + sizes.entryOut, dirent);
    this.#length += bytes;
    return true;
  };

  #dirent(at: number, { name, ino, type, cookie }: Dirent): void {
    const writer = this.#writer;
    writer.u64(at, ino);
    writer.u64(at + 8, cookie);
    writer.u32(at + 16, name.length);
    writer.u32(at + 20, type === 'unknown' ? 0 : fileTypeBits[type] >>> 12);
    const from = at + sizes.dirent;
    writer.bytes.set(name, from);
    // The padding goes to another process: it must not hold what was here before.
    writer.bytes.fill(0, from + name.length, align8(from + name.length));
  }
}

/** @throws Error for a name that would fail the whole listing in the kernel. */
function recordBytes(fixedBytes: number, name: Uint8Array): number {
  if (name.length === 0 || name.length > NAME_BYTES_MAX) {
    throw new Error(`a dirent has a name of ${name.length} bytes`);
  }
  return align8(fixedBytes + name.length);
}

function align8(bytes: number): number {
  return (bytes + 7) & ~7;
}
