import { WireError, type WireErrorKind } from '../lib/wire-error.ts';

/** Error names of POSIX.1-2017 `<errno.h>`. Their numbers differ by system: see `fuse/<system>/errno.ts`. */
export type Errno =
  | 'EACCES'
  | 'EBADF'
  | 'EBUSY'
  | 'EDQUOT'
  | 'EEXIST'
  | 'EFBIG'
  | 'EINTR'
  | 'EINVAL'
  | 'EIO'
  | 'EISDIR'
  | 'EKEYEXPIRED'
  | 'ENAMETOOLONG'
  | 'ENODATA'
  | 'ENOENT'
  | 'ENOSPC'
  | 'ENOSYS'
  | 'ENOTDIR'
  | 'ENOTEMPTY'
  | 'ENOTSUP'
  | 'ENOTTY'
  | 'ENXIO'
  | 'EPERM'
  | 'ERANGE'
  | 'EROFS'
  | 'ESTALE'
  | 'EXDEV';

/** A refusal decided by the file system itself. */
export class FsError extends WireError {
  override readonly name = 'FsError';
  readonly errno: Errno;

  constructor(errno: Errno, message: string, options?: ErrorOptions) {
    super('internal', { tried: message, answered: errno }, options);
    this.errno = errno;
  }
}

const errnoOf = {
  internal: 'EIO',
  usage: 'EINVAL',
  'login-denied': 'EACCES',
  'login-expired': 'EKEYEXPIRED',
  unreachable: 'EIO',
  config: 'EINVAL',
  'identity-refused': 'EACCES',
  'access-denied': 'EACCES',
  'not-found': 'ENOENT',
  'mount-point': 'ENOTDIR',
  'no-fuse': 'EIO',
  'not-saved': 'EIO',
  unavailable: 'EIO', // after the retry budget: cp and tar give up on EAGAIN
  'credentials-expired': 'EKEYEXPIRED',
  'precondition-failed': 'ESTALE',
  exists: 'EEXIST',
  unsupported: 'ENOTSUP',
  archived: 'EIO',
  'over-quota': 'EDQUOT',
  'store-full': 'ENOSPC',
  'name-too-long': 'ENAMETOOLONG',
  warned: 'EIO', // never of a file
  interrupted: 'EINTR',
} as const satisfies Record<WireErrorKind, Errno>;

/** Local errors of the staging disk that a program can act on; anything else of the disk is EIO. */
const localErrnos = new Set<string>(['ENOSPC', 'EDQUOT', 'EROFS', 'EFBIG']);

/** The only place where an error becomes an errno. What is not understood is EIO. */
export function toErrno(error: unknown): Errno {
  if (error instanceof FsError) return error.errno;
  if (error instanceof WireError) return errnoOf[error.kind];
  if (!(error instanceof Error)) return 'EIO';
  if (error.name === 'AbortError') return 'EINTR';
  const { code } = error as NodeJS.ErrnoException;
  return code !== undefined && localErrnos.has(code) ? (code as Errno) : 'EIO';
}
