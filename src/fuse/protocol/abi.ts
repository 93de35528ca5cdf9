/**
 * Numbers of the FUSE protocol: `include/uapi/linux/fuse.h` of Linux, protocol 7.45 (what is used
 * here has not changed since 7.31 unless said). Sizes and offsets are in bytes; the byte order is
 * the machine's.
 */

export const PROTOCOL_MAJOR = 7;
/** What we answer in INIT; an older kernel gets its own minor back. */
export const PROTOCOL_MINOR = 45;
/** Linux 5.4, the oldest kernel of a supported distribution. */
export const OLDEST_MINOR = 31;

/**
 * `enum fuse_opcode`. What is absent gets ENOSYS: locks (3 of them) are never sent, since INIT does
 * not ask for them; mappings are of virtiofs, BMAP is of mounts on a block device.
 */
export const opcodes = {
  LOOKUP: 1,
  FORGET: 2,
  GETATTR: 3,
  SETATTR: 4,
  READLINK: 5,
  SYMLINK: 6,
  MKNOD: 8,
  MKDIR: 9,
  UNLINK: 10,
  RMDIR: 11,
  RENAME: 12,
  LINK: 13,
  OPEN: 14,
  READ: 15,
  WRITE: 16,
  STATFS: 17,
  RELEASE: 18,
  FSYNC: 20,
  SETXATTR: 21,
  GETXATTR: 22,
  LISTXATTR: 23,
  REMOVEXATTR: 24,
  FLUSH: 25,
  INIT: 26,
  OPENDIR: 27,
  READDIR: 28,
  RELEASEDIR: 29,
  FSYNCDIR: 30,
  ACCESS: 34,
  CREATE: 35,
  INTERRUPT: 36,
  DESTROY: 38,
  IOCTL: 39,
  POLL: 40,
  NOTIFY_REPLY: 41,
  BATCH_FORGET: 42,
  FALLOCATE: 43,
  READDIRPLUS: 44,
  RENAME2: 45,
  LSEEK: 46,
  COPY_FILE_RANGE: 47,
  /** Since 7.34. */
  SYNCFS: 50,
  /** Since 7.37. */
  TMPFILE: 51,
  /** Since 7.39. */
  STATX: 52,
  /** Since 7.45: the one above can tell of less than 4 GiB only. */
  COPY_FILE_RANGE_64: 53,
} as const;

/** `struct fuse_in_header`: 40 bytes before the body of every request. */
export const inHeader = {
  bytes: 40,
  length: 0,
  opcode: 4,
  unique: 8,
  nodeid: 16,
  uid: 24,
  gid: 28,
  pid: 32,
} as const;

/** `struct fuse_out_header`: 16 bytes before the body of every reply. `error` is negative. */
export const outHeader = { bytes: 16, length: 0, error: 4, unique: 8 } as const;

/** `FUSE_*` flags of INIT, bits 0..31. */
export const initFlags = {
  ASYNC_READ: 0x1,
  ATOMIC_O_TRUNC: 0x8,
  BIG_WRITES: 0x20,
  DO_READDIRPLUS: 0x2000,
  READDIRPLUS_AUTO: 0x4000,
  ASYNC_DIO: 0x8000,
  PARALLEL_DIROPS: 0x40000,
  MAX_PAGES: 0x400000,
  HANDLE_KILLPRIV_V2: 0x10000000,
  /** Since 7.36: `flags2` counts. */
  INIT_EXT: 0x40000000,
} as const;

/** `FUSE_*` flags of INIT, bits 32..63, shifted down by 32. */
export const initFlags2 = {
  /** Since 7.40. */
  PASSTHROUGH: 0x20,
} as const;

/** `FATTR_*` of `fuse_setattr_in.valid`. */
export const attributeBits = {
  MODE: 0x1,
  UID: 0x2,
  GID: 0x4,
  SIZE: 0x8,
  ATIME: 0x10,
  MTIME: 0x20,
  FH: 0x40,
  ATIME_NOW: 0x80,
  MTIME_NOW: 0x100,
} as const;

/** `FUSE_GETATTR_FH` */
export const GETATTR_FH = 0x1;
/** `FUSE_FSYNC_FDATASYNC` */
export const FSYNC_DATA_ONLY = 0x1;
/** Of a write (FUSE_WRITE_CACHE): delayed bytes of the page cache, on any open handle of the inode. */
export const WRITE_FROM_PAGES = 0x1;
/** `FOPEN_*` of `fuse_open_out.open_flags`. */
export const openReplyFlags = {
  DIRECT_IO: 0x1,
  KEEP_CACHE: 0x2,
  CACHE_DIR: 0x8,
  /** Since 7.40: `backing_id` counts, which was padding. */
  PASSTHROUGH: 0x80,
} as const;
/** `XATTR_*` of setxattr(2), `include/uapi/linux/xattr.h`. */
export const xattrFlags = { CREATE: 0x1, REPLACE: 0x2 } as const;
/** `FALLOC_FL_*` of fallocate(2), `include/uapi/linux/falloc.h`. */
export const allocationFlags = { KEEP_SIZE: 0x1, PUNCH_HOLE: 0x2, ZERO_RANGE: 0x10 } as const;
/** `SEEK_*` of lseek(2) that are sent, `include/uapi/linux/fs.h`. */
export const seekWhence = { DATA: 3, HOLE: 4 } as const;
/** `R_OK` and so on of access(2). */
export const accessBits = { READ: 4, WRITE: 2, EXECUTE: 1 } as const;
/** `STATX_*` of statx(2), `include/uapi/linux/stat.h`. */
export const statxMask = { BASIC_STATS: 0x7ff, BTIME: 0x800 } as const;
/** `RENAME_*` of renameat2(2), `include/uapi/linux/fs.h`. */
export const renameFlags = { NOREPLACE: 0x1, EXCHANGE: 0x2 } as const;
/** open(2) flags, `include/uapi/asm-generic/fcntl.h`; the same on x86 and arm. */
export const openFlags = {
  ACCESS: 0o3,
  WRONLY: 0o1,
  RDWR: 0o2,
  EXCL: 0o200,
  TRUNC: 0o1000,
  APPEND: 0o2000,
} as const;

/** File type bits of `st_mode`, and the `d_type` they stand for (`mode >> 12`). */
export const fileTypeBits = {
  fifo: 0o010000,
  'character-device': 0o020000,
  directory: 0o040000,
  'block-device': 0o060000,
  file: 0o100000,
  symlink: 0o120000,
  socket: 0o140000,
} as const;
/** `S_IFMT` */
export const FILE_TYPE_MASK = 0o170000;

/** Sizes of the fixed part of each body, `struct fuse_<name>_in` and `_out`. */
export const sizes = {
  forgetIn: 8,
  forgetOne: 16,
  batchForgetIn: 8,
  getattrIn: 16,
  setattrIn: 88,
  mknodIn: 16,
  mkdirIn: 8,
  linkIn: 8,
  renameIn: 8,
  rename2In: 16,
  openIn: 8,
  createIn: 16,
  readIn: 40,
  writeIn: 40,
  flushIn: 24,
  releaseIn: 24,
  fsyncIn: 16,
  interruptIn: 8,
  /** Without the flags of SETXATTR_EXT, which INIT does not ask for. */
  setxattrIn: 8,
  getxattrIn: 8,
  accessIn: 8,
  ioctlIn: 32,
  pollIn: 24,
  fallocateIn: 32,
  lseekIn: 24,
  copyFileRangeIn: 56,
  syncfsIn: 8,
  statxIn: 24,
  /** Until 7.35. */
  initIn: 16,
  initExtIn: 64,
  initOut: 64,
  attr: 88,
  attrOut: 104,
  entryOut: 128,
  openOut: 16,
  writeOut: 8,
  statfsOut: 80,
  getxattrOut: 8,
  ioctlOut: 16,
  pollOut: 8,
  lseekOut: 8,
  copyFileRangeOut: 8,
  statxOut: 288,
  /** Without the name. */
  dirent: 24,
  direntplus: 152,
} as const;

/** What a kernel takes as the target of a link: `PAGE_SIZE - 1`, `fs/fuse/dir.c`. */
export const LINK_TARGET_BYTES_MAX = 4095;

/** What COPY_FILE_RANGE can tell in 32 bits, in whole pages. */
export const COPY_BYTES_MAX = 0xfffff000;

/** `FUSE_NAME_MAX` of `fs/fuse/fuse_i.h`: a longer name in a listing fails all of it with EIO. */
export const NAME_BYTES_MAX = 1024;
