/** Requests about names: what they stand for, making, removing and moving them. */
import { FsError } from '../../fs/errno.ts';
import { LINK_TARGET_BYTES_MAX, sizes } from '../protocol/abi.ts';
import { decodeMknod, decodeRename, PERMISSION_BITS } from '../protocol/request.ts';
import { emptyForm, entryForm, payloadForm } from '../reply-form.ts';
import { notPermitted, type Run } from './operation.ts';

export const lookup: Run = (exchange, request, input) =>
  exchange.settle(
    request,
    exchange.fileSystem.lookup(input.inode, input.name(0), request),
    entryForm,
  );

export const readlink: Run = (exchange, request, input) => {
  const { fileSystem } = exchange;
  if (fileSystem.readlink === undefined) throw new FsError('EINVAL', 'read a link');
  request.payloadBytes = LINK_TARGET_BYTES_MAX;
  exchange.settle(request, fileSystem.readlink(input.inode, request), payloadForm);
};

export const symlink: Run = (exchange, request, input) => {
  const { fileSystem } = exchange;
  if (fileSystem.symlink === undefined) throw notPermitted;
  const name = input.name(0);
  const target = input.text(name.length + 1);
  exchange.settle(request, fileSystem.symlink(input.inode, name, target, request), entryForm);
};

export const link: Run = (exchange, request, input) => {
  const { fileSystem } = exchange;
  if (fileSystem.link === undefined) throw notPermitted;
  const name = input.name(sizes.linkIn);
  const entry = fileSystem.link(input.inodeAt(0), input.inode, name, request);
  exchange.settle(request, entry, entryForm);
};

export const mknod: Run = (exchange, request, input) => {
  const { fileSystem } = exchange;
  if (fileSystem.mknod === undefined) throw notPermitted;
  const name = input.name(sizes.mknodIn);
  const entry = fileSystem.mknod(input.inode, name, decodeMknod(input), request);
  exchange.settle(request, entry, entryForm);
};

export const mkdir: Run = (exchange, request, input) => {
  const mode = input.u32(0) & PERMISSION_BITS;
  const name = input.name(sizes.mkdirIn);
  exchange.settle(request, exchange.fileSystem.mkdir(input.inode, name, mode, request), entryForm);
};

export const unlink: Run = (exchange, request, input) =>
  exchange.settle(
    request,
    exchange.fileSystem.unlink(input.inode, input.name(0), request),
    emptyForm,
  );

export const rmdir: Run = (exchange, request, input) =>
  exchange.settle(
    request,
    exchange.fileSystem.rmdir(input.inode, input.name(0), request),
    emptyForm,
  );

/** RENAME and RENAME2 differ in their fixed part. */
export function renameOf(fixedBytes: number): Run {
  return (exchange, request, input) => {
    const { name, newName, flags } = decodeRename(input, fixedBytes);
    const newParent = input.inodeAt(0);
    const done = exchange.fileSystem.rename(input.inode, name, newParent, newName, flags, request);
    exchange.settle(request, done, emptyForm);
  };
}
