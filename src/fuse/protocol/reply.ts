/**
 * Encodes what follows the header of a reply. One `ReplyWriter` stands over one buffer and is used
 * for one reply at a time: what it writes is sent before anything else is encoded.
 */
import type {
  Attributes,
  AttributesReply,
  CreatedFile,
  DeviceNumber,
  Entry,
  FileSystemStatistics,
  OpenedFile,
} from '../../fs/filesystem.ts';
import { fileTypeBits, openReplyFlags, sizes, statxMask } from './abi.ts';

const WORD = 2 ** 32;
const NS_PER_SECOND = 1e9;
/** Preferred size of I/O (`st_blksize`): the largest request. cp and dd follow it. */
const PREFERRED_IO_BYTES = 1024 * 1024;
/** Unit of `st_blocks`, by definition of stat(2). */
const STAT_BLOCK_BYTES = 512;

export class ReplyWriter {
  readonly bytes: Uint8Array;
  readonly #words: Uint32Array;
  readonly #halves: Uint16Array;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.#halves = new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >>> 1);
    this.#words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >>> 2);
  }

  u16(at: number, value: number): void {
    this.#halves[at >>> 1] = value;
  }

  u32(at: number, value: number): void {
    this.#words[at >>> 2] = value;
  }

  /** A whole number, at most 2^53; negative ones as two's complement. */
  u64(at: number, value: number): void {
    const word = at >>> 2;
    // The array keeps the low 32 bits itself: `%` of a double is a call.
    this.#words[word] = value;
    this.#words[word + 1] = Math.floor(value / WORD);
  }

  /** `struct fuse_attr_out` */
  attributesReply(at: number, { attributes, ttlMs }: AttributesReply): number {
    this.#duration(at, at + 8, ttlMs);
    this.u32(at + 12, 0);
    this.#attributes(at + 16, attributes);
    return sizes.attrOut;
  }

  /** `struct fuse_entry_out`. The generation is 0: inode numbers are never used again. */
  entry(at: number, { inode, attributes, ttlMs }: Entry): number {
    this.u64(at, inode);
    this.u64(at + 8, 0);
    this.#duration(at + 16, at + 32, ttlMs);
    this.#duration(at + 24, at + 36, ttlMs);
    this.#attributes(at + 40, attributes);
    return sizes.entryOut;
  }

  /**
   * `struct fuse_open_out`. A `backingId` but 0: the kernel serves the file itself, and refuses the
   * open (EIO) if it is told to keep pages besides (`FOPEN_PASSTHROUGH_MASK` of fs/fuse/iomode.c).
   */
  opened(at: number, file: OpenedFile, backingId = 0): number {
    this.u64(at, file.handle);
    const direct = file.directIo ? openReplyFlags.DIRECT_IO : 0;
    const listing = file.cacheDirectory === true ? openReplyFlags.CACHE_DIR : 0;
    const keep = file.keepCache && backingId === 0 ? openReplyFlags.KEEP_CACHE : 0;
    const through = backingId === 0 ? 0 : openReplyFlags.PASSTHROUGH;
    this.u32(at + 8, direct | listing | keep | through);
    this.u32(at + 12, backingId);
    return sizes.openOut;
  }

  /** `struct fuse_entry_out`, then `struct fuse_open_out`. */
  created(at: number, file: CreatedFile, backingId = 0): number {
    const entryBytes = this.entry(at, file.entry);
    return entryBytes + this.opened(at + entryBytes, file, backingId);
  }

  /** `struct fuse_write_out` */
  written(at: number, bytes: number): number {
    this.u32(at, bytes);
    this.u32(at + 4, 0);
    return sizes.writeOut;
  }

  /** `struct fuse_getxattr_out`, `fuse_poll_out`: one word. */
  word(at: number, value: number): number {
    this.u32(at, value);
    this.u32(at + 4, 0);
    return 8;
  }

  /** `struct fuse_lseek_out`, `fuse_copy_file_range_out`: one long. */
  long(at: number, value: number): number {
    this.u64(at, value);
    return 8;
  }

  /** `struct fuse_ioctl_out` of a restricted ioctl; its output follows. */
  ioctlResult(at: number, result: number): number {
    this.u32(at, result);
    this.u32(at + 4, 0);
    this.u64(at + 8, 0);
    return sizes.ioctlOut;
  }

  /** `struct fuse_statx_out`. */
  statx(at: number, { attributes, ttlMs }: AttributesReply): number {
    this.#words.fill(0, at >>> 2, (at + sizes.statxOut) >>> 2);
    this.#duration(at, at + 8, ttlMs);
    this.#statxAttributes(at + 32, attributes);
    return sizes.statxOut;
  }

  /** `struct fuse_statfs_out` */
  statistics(at: number, statistics: FileSystemStatistics): number {
    this.#words.fill(0, at >>> 2, (at + sizes.statfsOut) >>> 2);
    this.u64(at, statistics.blocks);
    this.u64(at + 8, statistics.freeBlocks);
    this.u64(at + 16, statistics.freeBlocks);
    this.u64(at + 24, statistics.files);
    this.u64(at + 32, statistics.freeFiles);
    this.u32(at + 40, statistics.blockBytes);
    this.u32(at + 44, statistics.nameBytes);
    this.u32(at + 48, statistics.blockBytes);
    return sizes.statfsOut;
  }

  /** `struct fuse_attr` */
  #attributes(at: number, attributes: Attributes): void {
    this.u64(at, attributes.ino);
    this.u64(at + 8, attributes.bytes);
    this.u64(at + 16, blocksOf(attributes));
    this.#time(at + 24, at + 48, attributes.atimeMs);
    this.#time(at + 32, at + 52, attributes.mtimeMs);
    this.#time(at + 40, at + 56, attributes.ctimeMs);
    this.u32(at + 60, fileTypeBits[attributes.type] | attributes.mode);
    this.u32(at + 64, attributes.nlink);
    this.u32(at + 68, attributes.uid);
    this.u32(at + 72, attributes.gid);
    this.u32(at + 76, attributes.device === undefined ? 0 : deviceWord(attributes.device));
    this.u32(at + 80, PREFERRED_IO_BYTES);
    this.u32(at + 84, 0);
  }

  /** `struct fuse_statx`; what is not set is zero already. */
  #statxAttributes(at: number, attributes: Attributes): void {
    const { birthMs, device } = attributes;
    this.u32(at, statxMask.BASIC_STATS | (birthMs === undefined ? 0 : statxMask.BTIME));
    this.u32(at + 4, PREFERRED_IO_BYTES);
    this.u32(at + 16, attributes.nlink);
    this.u32(at + 20, attributes.uid);
    this.u32(at + 24, attributes.gid);
    this.u16(at + 28, fileTypeBits[attributes.type] | attributes.mode);
    this.u64(at + 32, attributes.ino);
    this.u64(at + 40, attributes.bytes);
    this.u64(at + 48, blocksOf(attributes));
    this.#time(at + 64, at + 72, attributes.atimeMs);
    if (birthMs !== undefined) this.#time(at + 80, at + 88, birthMs);
    this.#time(at + 96, at + 104, attributes.ctimeMs);
    this.#time(at + 112, at + 120, attributes.mtimeMs);
    if (device === undefined) return;
    this.u32(at + 128, device.major);
    this.u32(at + 132, device.minor);
  }

  /** Seconds and nanoseconds of a time in ms; before 1970 the nanoseconds still count forward. */
  #time(secondsAt: number, nanosecondsAt: number, ms: number): void {
    let seconds = Math.floor(ms / 1000);
    let nanoseconds = Math.round((ms - seconds * 1000) * 1e6);
    if (nanoseconds >= NS_PER_SECOND) {
      seconds += 1;
      nanoseconds = 0;
    }
    this.u64(secondsAt, seconds);
    this.u32(nanosecondsAt, nanoseconds);
  }

  #duration(secondsAt: number, nanosecondsAt: number, ms: number): void {
    // A century is forever, and far from where the kernel's jiffies overflow.
    this.#time(secondsAt, nanosecondsAt, Math.min(Math.max(ms, 0), 3.2e12));
  }
}

function blocksOf({ allocatedBytes, bytes }: Attributes): number {
  return Math.ceil((allocatedBytes ?? bytes) / STAT_BLOCK_BYTES);
}

/** `new_encode_dev` of the kernel's `include/linux/kdev_t.h`: the minor around the major. */
function deviceWord({ major, minor }: DeviceNumber): number {
  return ((minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12)) >>> 0;
}
