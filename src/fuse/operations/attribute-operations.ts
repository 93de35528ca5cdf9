/** Requests about an inode: struct stat, extended attributes, permissions, the file system itself. */
import { FsError } from '../../fs/errno.ts';
import { sizes } from '../protocol/abi.ts';
import {
  decodeAccessMask,
  decodeGetattrHandle,
  decodeSetattr,
  decodeSetxattr,
} from '../protocol/request.ts';
import {
  attributesForm,
  emptyForm,
  statisticsForm,
  statxForm,
  xattrForm,
  xattrSizeForm,
} from '../reply-form.ts';
import { notImplemented, type Run } from './operation.ts';

export const getattr: Run = (exchange, request, input) => {
  const handle = decodeGetattrHandle(input);
  const reply = exchange.fileSystem.getattr(input.inode, handle, request);
  exchange.settle(request, reply, attributesForm);
};

export const statx: Run = (exchange, request, input) => {
  const handle = decodeGetattrHandle(input);
  const reply = exchange.fileSystem.getattr(input.inode, handle, request);
  exchange.settle(request, reply, statxForm);
};

export const setattr: Run = (exchange, request, input) => {
  const { handle, changes } = decodeSetattr(input);
  const reply = exchange.fileSystem.setattr(input.inode, handle, changes, request);
  exchange.settle(request, reply, attributesForm);
};

export const getxattr: Run = (exchange, request, input) => {
  const { fileSystem } = exchange;
  if (fileSystem.getxattr === undefined) throw notImplemented;
  request.payloadBytes = input.u32(0);
  const value = fileSystem.getxattr(input.inode, input.text(sizes.getxattrIn), request);
  exchange.settle(request, value, request.payloadBytes === 0 ? xattrSizeForm : xattrForm);
};

export const listxattr: Run = (exchange, request, input) => {
  const { fileSystem } = exchange;
  if (fileSystem.listxattr === undefined) throw notImplemented;
  request.payloadBytes = input.u32(0);
  const form = request.payloadBytes === 0 ? xattrSizeForm : xattrForm;
  const names = fileSystem.listxattr(input.inode, request);
  const list = names instanceof Promise ? names.then(terminated) : terminated(names);
  exchange.settle(request, list, form);
};

export const setxattr: Run = (exchange, request, input) => {
  const { fileSystem } = exchange;
  if (fileSystem.setxattr === undefined) throw notImplemented;
  const { name, value, flags } = decodeSetxattr(input);
  exchange.settle(
    request,
    fileSystem.setxattr(input.inode, name, value, flags, request),
    emptyForm,
  );
};

export const removexattr: Run = (exchange, request, input) => {
  const { fileSystem } = exchange;
  if (fileSystem.removexattr === undefined) throw notImplemented;
  exchange.settle(request, fileSystem.removexattr(input.inode, input.text(0), request), emptyForm);
};

export const access: Run = (exchange, request, input) => {
  const { fileSystem } = exchange;
  if (fileSystem.access === undefined) throw notImplemented;
  const mask = decodeAccessMask(input.u32(0));
  exchange.settle(request, fileSystem.access(input.inode, mask, request), emptyForm);
};

export const statfs: Run = (exchange, request, input) =>
  exchange.settle(request, exchange.fileSystem.statfs(input.inode, request), statisticsForm);

export const syncfs: Run = (exchange, request, input) => {
  const { fileSystem } = exchange;
  if (fileSystem.syncfs === undefined) throw notImplemented;
  exchange.settle(request, fileSystem.syncfs(input.inode, request), emptyForm);
};

/** Names as listxattr(2) returns them: each with a NUL behind it. */
function terminated(names: readonly Uint8Array[]): Uint8Array {
  if (names.some((name) => name.length === 0 || name.includes(0))) {
    throw new FsError('EIO', 'list a name of an attribute that cannot be');
  }
  return Buffer.concat(names.flatMap((name) => [name, NUL]));
}

const NUL = new Uint8Array(1);
