/** Requests about open files: from OPEN, CREATE or TMPFILE to RELEASE. */
import { FsError } from '../../fs/errno.ts';
import { COPY_BYTES_MAX, FSYNC_DATA_ONLY, sizes, WRITE_FROM_PAGES } from '../protocol/abi.ts';
import type { RequestCursor } from '../protocol/cursor.ts';
import {
  decodeAllocationFlags,
  decodeCopy,
  decodeOpenFlags,
  decodeWhence,
  PERMISSION_BITS,
} from '../protocol/request.ts';
import {
  createdForm,
  emptyForm,
  ioctlForm,
  longForm,
  openedFileForm,
  payloadForm,
  wordForm,
  writtenForm,
} from '../reply-form.ts';
import { type Exchange, notImplemented, type Run } from './operation.ts';

export const open: Run = (exchange, request, input) => {
  const flags = decodeOpenFlags(input.u32(0));
  const file = exchange.fileSystem.open(input.inode, flags, request);
  const form = exchange.passthrough?.openedForm(input.inode) ?? openedFileForm;
  exchange.settle(request, file, form);
};

export const create: Run = (exchange, request, input) => {
  const flags = decodeOpenFlags(input.u32(0));
  const mode = input.u32(4) & PERMISSION_BITS;
  const name = input.name(sizes.createIn);
  const file = exchange.fileSystem.create(input.inode, name, mode, flags, request);
  exchange.settle(request, file, exchange.passthrough?.createdForm ?? createdForm);
};

/** `struct fuse_create_in`; the name behind it is "/" and means nothing. */
export const tmpfile: Run = (exchange, request, input) => {
  const { fileSystem } = exchange;
  if (fileSystem.tmpfile === undefined) throw notImplemented;
  const flags = decodeOpenFlags(input.u32(0));
  const mode = input.u32(4) & PERMISSION_BITS;
  const file = fileSystem.tmpfile(input.inode, mode, flags, request);
  exchange.settle(request, file, exchange.passthrough?.createdForm ?? createdForm);
};

export const read: Run = (exchange, request, input) => {
  const bytes = input.u32(16);
  request.payloadBytes = bytes;
  const content = exchange.fileSystem.read(input.handle(0), input.position(8), bytes, request);
  exchange.settle(request, content, payloadForm);
};

/**
 * The bytes of a WRITE are handed over where they lie. When too many are kept already, they are
 * copied and wait, and with them their writer, whose reply is what they wait for.
 */
export const write: Run = (exchange, request, input) => {
  const bytes = input.payload(sizes.writeIn, input.u32(16));
  const handle = input.handle(0);
  const position = input.position(8);
  request.payloadBytes = bytes.length;
  request.keptBytes = bytes.length;
  request.fromPages = (input.u32(20) & WRITE_FROM_PAGES) !== 0;
  if (!exchange.mustWait(bytes.length)) {
    const done = exchange.fileSystem.write(handle, position, bytes, request);
    exchange.settle(request, done, writtenForm);
    return;
  }
  const kept = new Uint8Array(bytes);
  exchange.postpone(request, () =>
    exchange.settle(
      request,
      exchange.fileSystem.write(handle, position, kept, request),
      writtenForm,
    ),
  );
};

export const flush: Run = (exchange, request, input) =>
  exchange.settle(request, exchange.fileSystem.flush(input.handle(0), request), emptyForm);

export const fsync: Run = (exchange, request, input) => {
  const dataOnly = (input.u32(8) & FSYNC_DATA_ONLY) !== 0;
  exchange.settle(
    request,
    exchange.fileSystem.fsync(input.handle(0), dataOnly, request),
    emptyForm,
  );
};

export const release: Run = (exchange, request, input) => {
  const handle = input.handle(0);
  exchange.passthrough?.released(handle);
  exchange.settle(request, exchange.fileSystem.release(handle, request), emptyForm);
};

export const lseek: Run = (exchange, request, input) => {
  const { fileSystem } = exchange;
  if (fileSystem.lseek === undefined) throw notImplemented;
  const whence = decodeWhence(input);
  const found = fileSystem.lseek(input.handle(0), input.position(8), whence, request);
  exchange.settle(request, found, longForm);
};

export const fallocate: Run = (exchange, request, input) => {
  const { fileSystem } = exchange;
  if (fileSystem.fallocate === undefined) throw notImplemented;
  const flags = decodeAllocationFlags(input.u32(24));
  const [offset, bytes] = [input.position(8), input.position(16)];
  const done = fileSystem.fallocate(input.handle(0), offset, bytes, flags, request);
  exchange.settle(request, done, emptyForm);
};

/** Its reply has 32 bits for what was copied: a program that wants more asks again. */
export const copyFileRange: Run = (exchange, request, input) => {
  const copied = copy(exchange, request, input, COPY_BYTES_MAX);
  exchange.settle(request, copied, wordForm);
};

export const copyFileRange64: Run = (exchange, request, input) => {
  const copied = copy(exchange, request, input, Number.MAX_SAFE_INTEGER);
  exchange.settle(request, copied, longForm);
};

function copy(
  { fileSystem }: Exchange,
  request: Parameters<Run>[1],
  input: RequestCursor,
  bytesMax: number,
): number | Promise<number> {
  if (fileSystem.copyFileRange === undefined) throw notImplemented;
  const { from, to, bytes } = decodeCopy(input);
  return fileSystem.copyFileRange(from, to, Math.min(bytes, bytesMax), request);
}

/** A restricted one: the kernel has copied what the number of the command tells. */
export const ioctl: Run = (exchange, request, input) => {
  const { fileSystem } = exchange;
  if (fileSystem.ioctl === undefined) throw new FsError('ENOTTY', 'use ioctl');
  const argument = input.payload(sizes.ioctlIn, input.u32(24));
  const outputBytes = input.u32(28);
  request.payloadBytes = outputBytes;
  const reply = fileSystem.ioctl(input.handle(0), input.u32(12), argument, outputBytes, request);
  exchange.settle(request, reply, ioctlForm);
};

/** Nobody is woken later: what is not ready now is asked again by the program. */
export const poll: Run = (exchange, request, input) => {
  const { fileSystem } = exchange;
  if (fileSystem.poll === undefined) throw notImplemented;
  exchange.settle(request, fileSystem.poll(input.handle(0), input.u32(20), request), wordForm);
};
