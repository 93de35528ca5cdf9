/**
 * The requests that go to the `FileSystem`, as a table: opcode → how its body is read, which
 * operation it calls and how the answer is told. What is absent gets ENOSYS, which the kernel
 * remembers.
 */
import {
  access,
  getattr,
  getxattr,
  listxattr,
  removexattr,
  setattr,
  setxattr,
  statfs,
  statx,
  syncfs,
} from './operations/attribute-operations.ts';
import {
  fsyncdir,
  opendir,
  readdir,
  readdirplus,
  releasedir,
} from './operations/directory-operations.ts';
import {
  copyFileRange,
  copyFileRange64,
  create,
  fallocate,
  flush,
  fsync,
  ioctl,
  lseek,
  open,
  poll,
  read,
  release,
  tmpfile,
  write,
} from './operations/file-operations.ts';
import {
  link,
  lookup,
  mkdir,
  mknod,
  readlink,
  renameOf,
  rmdir,
  symlink,
  unlink,
} from './operations/name-operations.ts';
import type { Run } from './operations/operation.ts';
import { opcodes, sizes } from './protocol/abi.ts';

export interface Operation {
  readonly name: string;
  /** Size of the fixed part of the body: a shorter request is answered EINVAL. */
  readonly fixedBytes: number;
  /**
   * Whether an interrupt is answered with EINTR at once, and what the operation still does is
   * given back. Only where nothing it did can be seen: any other runs to its end.
   */
  readonly prompt: boolean;
  readonly run: Run;
}

/** Operations by opcode. A request of no effect that is interrupted is answered promptly. */
export const operations: ReadonlyMap<number, Operation> = new Map<number, Operation>(
  (
    [
      ['LOOKUP', 0, 'prompt', lookup],
      ['GETATTR', sizes.getattrIn, 'prompt', getattr],
      ['SETATTR', sizes.setattrIn, 'patient', setattr],
      ['READLINK', 0, 'prompt', readlink],
      ['SYMLINK', 0, 'patient', symlink],
      ['MKNOD', sizes.mknodIn, 'patient', mknod],
      ['MKDIR', sizes.mkdirIn, 'patient', mkdir],
      ['UNLINK', 0, 'patient', unlink],
      ['RMDIR', 0, 'patient', rmdir],
      ['RENAME', sizes.renameIn, 'patient', renameOf(sizes.renameIn)],
      ['LINK', sizes.linkIn, 'patient', link],
      ['OPEN', sizes.openIn, 'patient', open],
      ['READ', sizes.readIn, 'prompt', read],
      ['WRITE', sizes.writeIn, 'patient', write],
      ['STATFS', 0, 'prompt', statfs],
      ['RELEASE', sizes.releaseIn, 'patient', release],
      ['FSYNC', sizes.fsyncIn, 'patient', fsync],
      ['SETXATTR', sizes.setxattrIn, 'patient', setxattr],
      ['GETXATTR', sizes.getxattrIn, 'prompt', getxattr],
      ['LISTXATTR', sizes.getxattrIn, 'prompt', listxattr],
      ['REMOVEXATTR', 0, 'patient', removexattr],
      ['FLUSH', sizes.flushIn, 'patient', flush],
      ['OPENDIR', sizes.openIn, 'prompt', opendir],
      ['READDIR', sizes.readIn, 'prompt', readdir],
      ['RELEASEDIR', sizes.releaseIn, 'patient', releasedir],
      ['FSYNCDIR', sizes.fsyncIn, 'patient', fsyncdir],
      ['ACCESS', sizes.accessIn, 'prompt', access],
      ['CREATE', sizes.createIn, 'patient', create],
      ['IOCTL', sizes.ioctlIn, 'patient', ioctl],
      ['POLL', sizes.pollIn, 'prompt', poll],
      ['FALLOCATE', sizes.fallocateIn, 'patient', fallocate],
      ['READDIRPLUS', sizes.readIn, 'prompt', readdirplus],
      ['RENAME2', sizes.rename2In, 'patient', renameOf(sizes.rename2In)],
      ['LSEEK', sizes.lseekIn, 'prompt', lseek],
      ['COPY_FILE_RANGE', sizes.copyFileRangeIn, 'patient', copyFileRange],
      ['SYNCFS', sizes.syncfsIn, 'patient', syncfs],
      ['TMPFILE', sizes.createIn, 'patient', tmpfile],
      ['STATX', sizes.statxIn, 'prompt', statx],
      ['COPY_FILE_RANGE_64', sizes.copyFileRangeIn, 'patient', copyFileRange64],
    ] as const
  ).map(([name, fixedBytes, interrupt, run]) => [
    opcodes[name],
    { name, fixedBytes, prompt: interrupt === 'prompt', run },
  ]),
);
