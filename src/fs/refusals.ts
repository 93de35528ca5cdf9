import { type Errno, FsError } from './errno.ts';

/**
 * Refusals on hot paths, made once: an error with a stack costs more than the lookup it ends.
 * Shared, so they hold no facts of one call and cannot be changed.
 */

/** A name that is not there: by far the most frequent answer of all. */
export const noSuchEntry: FsError = shared('ENOENT', 'find a name');
/** The object behind an open file is another by now, or gone. */
export const staleFile: FsError = shared('ESTALE', 'use an object that changed');
export const badHandle: FsError = shared('EBADF', 'use a handle that is not open');
export const readOnlyMount: FsError = shared('EROFS', 'change a read-only mount');
export const notADirectory: FsError = shared('ENOTDIR', 'use a file as a directory');
export const isADirectory: FsError = shared('EISDIR', 'use a directory as a file');
export const alreadyThere: FsError = shared('EEXIST', 'make a name that is taken');
export const notEmpty: FsError = shared('ENOTEMPTY', 'replace or remove a directory with content');
export const notPermitted: FsError = shared('EPERM', 'change the list of buckets');

function shared(errno: Errno, tried: string): FsError {
  const error = new FsError(errno, tried);
  // Its stack would show where this module was loaded, which helps nobody.
  Object.defineProperty(error, 'stack', { value: `${error.name}: ${error.message}` });
  return Object.freeze(error);
}
