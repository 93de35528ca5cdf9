import type { Errno } from '../../fs/errno.ts';

/** Linux `include/uapi/asm-generic/errno-base.h` and `errno.h`. FUSE replies carry the negative. */
export const errnoNumbers: Readonly<Record<Errno, number>> = {
  EACCES: 13,
  EBADF: 9,
  EBUSY: 16,
  EDQUOT: 122,
  EEXIST: 17,
  EFBIG: 27,
  EINTR: 4,
  EINVAL: 22,
  EIO: 5,
  EISDIR: 21,
  EKEYEXPIRED: 127,
  ENAMETOOLONG: 36,
  ENODATA: 61,
  ENOENT: 2,
  ENOSPC: 28,
  ENOSYS: 38,
  ENOTDIR: 20,
  ENOTEMPTY: 39,
  ENOTSUP: 95,
  EPERM: 1,
  EROFS: 30,
  ESTALE: 116,
  EXDEV: 18,
};
