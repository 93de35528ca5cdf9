/** How an operation's answer is told to the kernel, and taken back when it does not arrive. */
import { FsError } from '../fs/errno.ts';
import type {
  AttributesReply,
  CreatedFile,
  Entry,
  FileSystem,
  FileSystemStatistics,
  IoctlReply,
  MaybePromise,
  OpenedFile,
  ReadBytes,
} from '../fs/filesystem.ts';
import type { PendingRequest } from './pending-request.ts';
import type { Listing } from './protocol/listing.ts';
import type { ReplyWriter } from './protocol/reply.ts';

export interface ReplyForm<T> {
  /** Writes the body at `at` and returns its bytes. */
  encode(writer: ReplyWriter, at: number, value: T, request: PendingRequest): number;
  /** What follows the encoded part without being copied. */
  payload?(value: T): ReadBytes;
  /**
   * The answer never reached the kernel: gives back the references and handles in it, since no
   * FORGET and no RELEASE will come for them.
   */
  takeBack?(fileSystem: FileSystem, value: T, request: PendingRequest): MaybePromise<void>;
}

/** Nothing but success. */
export const emptyForm: ReplyForm<void> = { encode: () => 0 };

export const attributesForm: ReplyForm<AttributesReply> = {
  encode: (writer, at, reply) => writer.attributesReply(at, reply),
};

export const statxForm: ReplyForm<AttributesReply> = {
  encode: (writer, at, reply) => writer.statx(at, reply),
};

export const entryForm: ReplyForm<Entry> = {
  encode: (writer, at, entry) => writer.entry(at, entry),
  takeBack: (fileSystem, entry) => fileSystem.forget(entry.inode, 1),
};

export const openedFileForm: ReplyForm<OpenedFile> = {
  encode: (writer, at, file) => writer.opened(at, file),
  takeBack: (fileSystem, file, request) => fileSystem.release(file.handle, request),
};

export const openedDirectoryForm: ReplyForm<OpenedFile> = {
  encode: (writer, at, directory) => writer.opened(at, directory),
  takeBack: (fileSystem, directory, request) => fileSystem.releasedir(directory.handle, request),
};

export const createdForm: ReplyForm<CreatedFile> = {
  encode: (writer, at, file) => writer.created(at, file),
  takeBack(fileSystem, file, request) {
    fileSystem.forget(file.entry.inode, 1);
    return fileSystem.release(file.handle, request);
  },
};

/** Bytes alone: of a READ, a READLINK. */
export const payloadForm: ReplyForm<ReadBytes> = {
  encode: () => 0,
  payload: (bytes) => bytes,
};

/** A value, or a list of names, for a caller with a buffer of `payloadBytes`. */
export const xattrForm: ReplyForm<Uint8Array> = {
  encode(_writer, _at, value, request) {
    if (value.length > request.payloadBytes) throw tooSmall;
    return 0;
  },
  payload: (value) => value,
};

/** For a caller who asks how large a buffer must be. */
export const xattrSizeForm: ReplyForm<Uint8Array> = {
  encode: (writer, at, value) => writer.word(at, value.length),
};

const tooSmall = new FsError('ERANGE', 'read an attribute into a buffer that is too small');

/** A number below 2^32: bytes copied, events of poll. */
export const wordForm: ReplyForm<number> = {
  encode: (writer, at, value) => writer.word(at, value),
};

/** A position in a file, or bytes copied. */
export const longForm: ReplyForm<number> = {
  encode: (writer, at, value) => writer.long(at, value),
};

export const ioctlForm: ReplyForm<IoctlReply> = {
  encode: (writer, at, { result }) => writer.ioctlResult(at, result),
  payload: ({ output }) => output,
};

export const writtenForm: ReplyForm<void> = {
  encode: (writer, at, _, request) => writer.written(at, request.payloadBytes),
};

export const statisticsForm: ReplyForm<FileSystemStatistics> = {
  encode: (writer, at, statistics) => writer.statistics(at, statistics),
};

export function listingForm(listing: Listing): ReplyForm<void> {
  return {
    encode: () => 0,
    payload: () => listing.bytes,
    takeBack(fileSystem) {
      for (const inode of listing.referenced) fileSystem.forget(inode, 1);
    },
  };
}
