/**
 * The requests that go to the `FileSystem`, as a table: opcode → how its body is read, which
 * operation it calls and how the answer is told. What is absent gets ENOSYS, which the kernel
 * remembers: extended attributes, access, locks, ioctl, poll, lseek, fallocate, copy_file_range.
 */
import { FsError } from '../fs/errno.ts';
import type { FileSystem, MaybePromise } from '../fs/filesystem.ts';
import type { PendingRequest } from './pending-request.ts';
import { FSYNC_DATA_ONLY, opcodes, sizes } from './protocol/abi.ts';
import type { RequestCursor } from './protocol/cursor.ts';
import { Listing } from './protocol/listing.ts';
import {
  decodeGetattrHandle,
  decodeOpenFlags,
  decodeRename,
  decodeSetattr,
  PERMISSION_BITS,
} from './protocol/request.ts';
import {
  attributesForm,
  createdForm,
  emptyForm,
  entryForm,
  listingForm,
  openedDirectoryForm,
  openedFileForm,
  type ReplyForm,
  readForm,
  statisticsForm,
  writtenForm,
} from './reply-form.ts';

/** What an operation needs of the session. */
export interface Exchange {
  readonly fileSystem: FileSystem;
  /** Answers `request` with `result`, now or when it settles. */
  settle<T>(request: PendingRequest, result: MaybePromise<T>, form: ReplyForm<T>): void;
}

export interface Operation {
  readonly name: string;
  /** Size of the fixed part of the body: a shorter request is answered EINVAL. */
  readonly fixedBytes: number;
  /**
   * Whether an interrupt is answered with EINTR at once, and what the operation still does is
   * given back. Only where nothing it did can be seen: otherwise the file system decides, warned
   * by the signal, whether the change happened.
   */
  readonly prompt: boolean;
  /** Reads all it needs of `input` before it returns. */
  run(exchange: Exchange, request: PendingRequest, input: RequestCursor): void;
}

type Run = Operation['run'];

/** A listing's reply at most; getdents buffers of the kernel are 4 to 32 KiB. */
const LISTING_BYTES_MAX = 128 * 1024;

const lookup: Run = (exchange, request, input) =>
  exchange.settle(
    request,
    exchange.fileSystem.lookup(input.inode, input.name(0), request),
    entryForm,
  );

const getattr: Run = (exchange, request, input) => {
  const handle = decodeGetattrHandle(input);
  const reply = exchange.fileSystem.getattr(input.inode, handle, request);
  exchange.settle(request, reply, attributesForm);
};

const setattr: Run = (exchange, request, input) => {
  const { handle, changes } = decodeSetattr(input);
  const reply = exchange.fileSystem.setattr(input.inode, handle, changes, request);
  exchange.settle(request, reply, attributesForm);
};

const mkdir: Run = (exchange, request, input) => {
  const mode = input.u32(0) & PERMISSION_BITS;
  const name = input.name(sizes.mkdirIn);
  exchange.settle(request, exchange.fileSystem.mkdir(input.inode, name, mode, request), entryForm);
};

const unlink: Run = (exchange, request, input) =>
  exchange.settle(
    request,
    exchange.fileSystem.unlink(input.inode, input.name(0), request),
    emptyForm,
  );

const rmdir: Run = (exchange, request, input) =>
  exchange.settle(
    request,
    exchange.fileSystem.rmdir(input.inode, input.name(0), request),
    emptyForm,
  );

function renameOf(fixedBytes: number): Run {
  return (exchange, request, input) => {
    const { name, newName, flags } = decodeRename(input, fixedBytes);
    const newParent = input.inodeAt(0);
    const done = exchange.fileSystem.rename(input.inode, name, newParent, newName, flags, request);
    exchange.settle(request, done, emptyForm);
  };
}

const open: Run = (exchange, request, input) => {
  const flags = decodeOpenFlags(input.u32(0));
  const file = exchange.fileSystem.open(input.inode, flags, request);
  exchange.settle(request, file, openedFileForm);
};

const create: Run = (exchange, request, input) => {
  const flags = decodeOpenFlags(input.u32(0));
  const mode = input.u32(4) & PERMISSION_BITS;
  const name = input.name(sizes.createIn);
  const file = exchange.fileSystem.create(input.inode, name, mode, flags, request);
  exchange.settle(request, file, createdForm);
};

const read: Run = (exchange, request, input) => {
  const bytes = input.u32(16);
  request.payloadBytes = bytes;
  const content = exchange.fileSystem.read(input.handle(0), input.position(8), bytes, request);
  exchange.settle(request, content, readForm);
};

const write: Run = (exchange, request, input) => {
  const bytes = input.payload(sizes.writeIn, input.u32(16));
  request.payloadBytes = bytes.length;
  const done = exchange.fileSystem.write(input.handle(0), input.position(8), bytes, request);
  exchange.settle(request, done, writtenForm);
};

const flush: Run = (exchange, request, input) =>
  exchange.settle(request, exchange.fileSystem.flush(input.handle(0), request), emptyForm);

const fsync: Run = (exchange, request, input) => {
  const dataOnly = (input.u32(8) & FSYNC_DATA_ONLY) !== 0;
  exchange.settle(
    request,
    exchange.fileSystem.fsync(input.handle(0), dataOnly, request),
    emptyForm,
  );
};

const release: Run = (exchange, request, input) =>
  exchange.settle(request, exchange.fileSystem.release(input.handle(0), request), emptyForm);

const opendir: Run = (exchange, request, input) => {
  const directory = exchange.fileSystem.opendir(input.inode, request);
  exchange.settle(request, directory, openedDirectoryForm);
};

function listingOf(input: RequestCursor): Listing {
  const bytes = Math.min(input.u32(16), LISTING_BYTES_MAX);
  // Not zeroed: every byte of a listing is written before it is sent.
  return new Listing(Buffer.allocUnsafeSlow(bytes), bytes);
}

const readdir: Run = (exchange, request, input) => {
  const listing = listingOf(input);
  request.payloadBytes = LISTING_BYTES_MAX;
  const done = exchange.fileSystem.readdir(
    input.handle(0),
    input.position(8),
    listing.fill,
    request,
  );
  exchange.settle(request, done, listingForm(listing));
};

const readdirplus: Run = (exchange, request, input) => {
  const listing = listingOf(input);
  request.payloadBytes = LISTING_BYTES_MAX;
  const done = exchange.fileSystem.readdirplus(
    input.handle(0),
    input.position(8),
    listing.fillPlus,
    request,
  );
  exchange.settle(request, done, listingForm(listing));
};

const releasedir: Run = (exchange, request, input) =>
  exchange.settle(request, exchange.fileSystem.releasedir(input.handle(0), request), emptyForm);

const fsyncdir: Run = (exchange, request, input) => {
  const dataOnly = (input.u32(8) & FSYNC_DATA_ONLY) !== 0;
  const done = exchange.fileSystem.fsyncdir(input.handle(0), dataOnly, request);
  exchange.settle(request, done, emptyForm);
};

const statfs: Run = (exchange, request, input) =>
  exchange.settle(request, exchange.fileSystem.statfs(input.inode, request), statisticsForm);

/** symlink(2), link(2) and mknod(2) say EPERM on a file system without such things. */
const refuse: Run = () => {
  throw new FsError('EPERM', 'make a link or a special file');
};

/** Operations by opcode. A request of no effect that is interrupted is answered promptly. */
export const operations: ReadonlyMap<number, Operation> = new Map<number, Operation>(
  (
    [
      ['LOOKUP', 0, 'prompt', lookup],
      ['GETATTR', sizes.getattrIn, 'prompt', getattr],
      ['SETATTR', sizes.setattrIn, 'patient', setattr],
      ['SYMLINK', 0, 'patient', refuse],
      ['MKNOD', 0, 'patient', refuse],
      ['LINK', 0, 'patient', refuse],
      ['MKDIR', sizes.mkdirIn, 'patient', mkdir],
      ['UNLINK', 0, 'patient', unlink],
      ['RMDIR', 0, 'patient', rmdir],
      ['RENAME', sizes.renameIn, 'patient', renameOf(sizes.renameIn)],
      ['RENAME2', sizes.rename2In, 'patient', renameOf(sizes.rename2In)],
      ['OPEN', sizes.openIn, 'patient', open],
      ['CREATE', sizes.createIn, 'patient', create],
      ['READ', sizes.readIn, 'prompt', read],
      ['WRITE', sizes.writeIn, 'patient', write],
      ['FLUSH', sizes.flushIn, 'patient', flush],
      ['FSYNC', sizes.fsyncIn, 'patient', fsync],
      ['RELEASE', sizes.releaseIn, 'patient', release],
      ['OPENDIR', sizes.openIn, 'prompt', opendir],
      ['READDIR', sizes.readIn, 'prompt', readdir],
      ['READDIRPLUS', sizes.readIn, 'prompt', readdirplus],
      ['RELEASEDIR', sizes.releaseIn, 'patient', releasedir],
      ['FSYNCDIR', sizes.fsyncIn, 'patient', fsyncdir],
      ['STATFS', 0, 'prompt', statfs],
    ] as const
  ).map(([name, fixedBytes, interrupt, run]) => [
    opcodes[name],
    { name, fixedBytes, prompt: interrupt === 'prompt', run },
  ]),
);
