/** Flags of Linux's system calls, by their names there. */
import { constants } from 'node:fs';

const {
  O_RDONLY,
  O_WRONLY,
  O_RDWR,
  O_CREAT,
  O_EXCL,
  O_TRUNC,
  O_APPEND,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_SYNC,
  O_DSYNC,
  O_DIRECT,
  O_NONBLOCK,
} = constants;

/** Of open(2). The numbers differ between machines where Node knows them, and only there. */
export const O = {
  RDONLY: O_RDONLY,
  WRONLY: O_WRONLY,
  RDWR: O_RDWR,
  CREAT: O_CREAT,
  EXCL: O_EXCL,
  TRUNC: O_TRUNC,
  APPEND: O_APPEND,
  DIRECTORY: O_DIRECTORY,
  NOFOLLOW: O_NOFOLLOW,
  SYNC: O_SYNC,
  DSYNC: O_DSYNC,
  DIRECT: O_DIRECT,
  NONBLOCK: O_NONBLOCK,
  NOATIME: 0o1000000,
  CLOEXEC: 0o2000000,
  PATH: 0o10000000,
  /** Without O_DIRECTORY, which goes with it. */
  TMPFILE: 0o20000000,
} as const;

/** Of the calls whose names end with `at`. */
export const AT = {
  FDCWD: -100,
  SYMLINK_NOFOLLOW: 0x100,
  REMOVEDIR: 0x200,
  EACCESS: 0x200,
  SYMLINK_FOLLOW: 0x400,
  EMPTY_PATH: 0x1000,
} as const;

/** Where lseek(2) counts from. */
export const SEEK = { SET: 0, CUR: 1, END: 2, DATA: 3, HOLE: 4 } as const;

/** Of renameat2(2). */
export const RENAME = { NOREPLACE: 1, EXCHANGE: 2, WHITEOUT: 4 } as const;

/** Of fallocate(2). */
export const FALLOC = { KEEP_SIZE: 1, PUNCH_HOLE: 2, COLLAPSE_RANGE: 8, ZERO_RANGE: 16 } as const;

/** Of mmap(2) and msync(2). */
export const MAP = { SHARED: 1, PRIVATE: 2, ANONYMOUS: 0x20 } as const;
export const PROT = { READ: 1, WRITE: 2, EXEC: 4 } as const;
export const MS = { ASYNC: 1, INVALIDATE: 2, SYNC: 4 } as const;

/** Of flock(2). */
export const LOCK = { SH: 1, EX: 2, NB: 4, UN: 8 } as const;

/** Commands of fcntl(2). */
export const F = {
  DUPFD: 0,
  GETFD: 1,
  GETFL: 3,
  SETFL: 4,
  GETLK: 5,
  SETLK: 6,
  SETLKW: 7,
  OFD_GETLK: 36,
  OFD_SETLK: 37,
} as const;

/** Of setxattr(2). */
export const XATTR = { CREATE: 1, REPLACE: 2 } as const;

/** Of access(2). */
export const OK = { F: 0, X: 1, W: 2, R: 4 } as const;

/** Types of mknod(2). */
export const S = {
  IFIFO: constants.S_IFIFO,
  IFCHR: constants.S_IFCHR,
  IFDIR: constants.S_IFDIR,
  IFBLK: constants.S_IFBLK,
  IFREG: constants.S_IFREG,
  IFSOCK: constants.S_IFSOCK,
} as const;
