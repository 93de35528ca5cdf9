/**
 * Numbers of the FUSE protocol: `include/uapi/linux/fuse.h` of Linux, protocol 7.38 (what is used
 * here has not changed since 7.31 unless said). Sizes and offsets are in bytes; the byte order is
 * the machine's.
 */

export const PROTOCOL_MAJOR = 7;
/** What we answer in INIT; an older kernel gets its own minor back. */
export const PROTOCOL_MINOR = 38;
/** Linux 5.4, the oldest kernel of a supported distribution. */
export const OLDEST_MINOR = 31;

/** `enum fuse_opcode`. Absent ones get ENOSYS. */
export const opcodes = {
  LOOKUP: 1,
  FORGET: 2,
  GETATTR: 3,
  SETATTR: 4,
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
  FLUSH: 25,
  INIT: 26,
  OPENDIR: 27,
  READDIR: 28,
  RELEASEDIR: 29,
  FSYNCDIR: 30,
  CREATE: 35,
  INTERRUPT: 36,
  DESTROY: 38,
  NOTIFY_REPLY: 41,
  BATCH_FORGET: 42,
  READDIRPLUS: 44,
  RENAME2: 45,
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
  INIT_EXT: 0x40000000,
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
/** `FOPEN_*` of `fuse_open_out.open_flags`. */
export const openReplyFlags = { DIRECT_IO: 0x1, KEEP_CACHE: 0x2 } as const;
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
export const fileTypeBits = { directory: 0o040000, file: 0o100000, symlink: 0o120000 } as const;

/** Sizes of the fixed part of each body, `struct fuse_<name>_in` and `_out`. */
export const sizes = {
  forgetIn: 8,
  forgetOne: 16,
  batchForgetIn: 8,
  getattrIn: 16,
  setattrIn: 88,
  mkdirIn: 8,
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
  /** Until 7.35; 64 bytes later, with the flags of INIT_EXT. */
  initIn: 16,
  initOut: 64,
  attr: 88,
  attrOut: 104,
  entryOut: 128,
  openOut: 16,
  writeOut: 8,
  statfsOut: 80,
  /** Without the name. */
  dirent: 24,
  direntplus: 152,
} as const;

/** `FUSE_NAME_MAX` of `fs/fuse/fuse_i.h`: a longer name in a listing fails all of it with EIO. */
export const NAME_BYTES_MAX = 1024;
