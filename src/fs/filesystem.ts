/**
 * The file system as the kernel asks for it: by inode and handle, never by path. `fuse/` calls it
 * and knows nothing else; `ObjectFileSystem` answers it from a bucket, a memory one in tests.
 *
 * An operation that has its answer returns it at once; one that must wait returns a promise
 * (four awaits cost a quarter of the rate of a single client: docs/decisions). Refusals are
 * thrown, or rejected, as any error: `toErrno` in `fs/errno.ts` names them for the kernel.
 *
 * Lookup counts: each `Entry` returned by `lookup`, `create`, `mkdir`, and each dirent that
 * `readdirplus` hands to `fill` and `fill` takes, is one reference that the kernel gives back
 * through `forget`. An inode with references or open handles stays known.
 *
 * The kernel leaves clearing of set-uid and set-gid to the file system (HANDLE_KILLPRIV_V2): write,
 * truncate and a change of owner clear them.
 */
import type { HandleId, InodeNumber } from './ids.ts';

export type MaybePromise<T> = T | Promise<T>;

/** Who asks, and how to tell that nobody waits any more. */
export interface RequestContext {
  readonly uid: number;
  readonly gid: number;
  readonly pid: number;
  /**
   * Aborts when the kernel interrupts this request. Made on first use, since most requests are
   * answered without waiting: this is the `signal` that the style asks for as last parameter.
   */
  readonly signal: AbortSignal;
}

export type FileType = 'file' | 'directory' | 'symlink';

/** `struct stat`, in the units of JavaScript. */
export interface Attributes {
  /** st_ino: the same for a name across mounts; not the `InodeNumber`. */
  readonly ino: number;
  readonly type: FileType;
  /** Permission bits, 0o7777 at most. */
  readonly mode: number;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  readonly bytes: number;
  /** Times in ms since the epoch; fractions are kept to the nanosecond where they fit. */
  readonly atimeMs: number;
  readonly mtimeMs: number;
  readonly ctimeMs: number;
}

/** A name's answer: what the kernel may remember, and for how long. */
export interface Entry {
  readonly inode: InodeNumber;
  readonly attributes: Attributes;
  /** How long the kernel may keep the name and the attributes. */
  readonly ttlMs: number;
}

export interface AttributesReply {
  readonly attributes: Attributes;
  readonly ttlMs: number;
}

/** What `setattr` changes; absent fields stay. 'now' is the file system's clock. */
export interface AttributeChanges {
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  /** truncate(2) or ftruncate(2). */
  readonly bytes?: number;
  readonly atimeMs?: number | 'now';
  readonly mtimeMs?: number | 'now';
}

/** The part of open(2)'s flags that matters here. */
export interface OpenFlags {
  readonly access: 'read' | 'write' | 'read-write';
  readonly truncate: boolean;
  readonly append: boolean;
  /** O_EXCL, for `create`. */
  readonly exclusive: boolean;
}

export interface OpenedFile {
  readonly handle: HandleId;
  /** The kernel's pages of an earlier open are still right. */
  readonly keepCache: boolean;
  /** Reads and writes pass the page cache by. */
  readonly directIo: boolean;
}

export interface CreatedFile extends OpenedFile {
  readonly entry: Entry;
}

/** One name in a directory. `cookie` continues the listing after it; cookies grow. */
export interface Dirent {
  readonly name: Uint8Array;
  readonly ino: number;
  readonly type: FileType;
  readonly cookie: number;
}

/** Takes a dirent; false when there is no more room, and it was not taken. */
export type FillDirents = (dirent: Dirent) => boolean;

/** Takes a dirent with its attributes; false when there is no more room. '.' and '..' have no entry. */
export type FillEntries = (dirent: Dirent, entry: Entry | undefined) => boolean;

export interface FileSystemStatistics {
  readonly blockBytes: number;
  readonly blocks: number;
  readonly freeBlocks: number;
  readonly files: number;
  readonly freeFiles: number;
  readonly nameBytes: number;
}

/** Bits of renameat2(2). */
export interface RenameFlags {
  /** RENAME_NOREPLACE */
  readonly noReplace: boolean;
  /** RENAME_EXCHANGE */
  readonly exchange: boolean;
}

/** Bytes of a read, to be written out in order without a copy. */
export type ReadBytes = Uint8Array | readonly Uint8Array[];

/** Names are bytes as the kernel gave them, without '/' or NUL. */
export interface FileSystem {
  lookup(parent: InodeNumber, name: Uint8Array, context: RequestContext): MaybePromise<Entry>;
  /** Gives `count` references back. Never fails: unknown inodes are ignored. */
  forget(inode: InodeNumber, count: number): void;

  getattr(
    inode: InodeNumber,
    handle: HandleId | undefined,
    context: RequestContext,
  ): MaybePromise<AttributesReply>;
  setattr(
    inode: InodeNumber,
    handle: HandleId | undefined,
    changes: AttributeChanges,
    context: RequestContext,
  ): MaybePromise<AttributesReply>;

  mkdir(
    parent: InodeNumber,
    name: Uint8Array,
    mode: number,
    context: RequestContext,
  ): MaybePromise<Entry>;
  unlink(parent: InodeNumber, name: Uint8Array, context: RequestContext): MaybePromise<void>;
  rmdir(parent: InodeNumber, name: Uint8Array, context: RequestContext): MaybePromise<void>;
  rename(
    parent: InodeNumber,
    name: Uint8Array,
    newParent: InodeNumber,
    newName: Uint8Array,
    flags: RenameFlags,
    context: RequestContext,
  ): MaybePromise<void>;

  open(inode: InodeNumber, flags: OpenFlags, context: RequestContext): MaybePromise<OpenedFile>;
  create(
    parent: InodeNumber,
    name: Uint8Array,
    mode: number,
    flags: OpenFlags,
    context: RequestContext,
  ): MaybePromise<CreatedFile>;
  /** Fewer bytes than asked for only at the end of the file. */
  read(
    handle: HandleId,
    offset: number,
    bytes: number,
    context: RequestContext,
  ): MaybePromise<ReadBytes>;
  /**
   * Takes all of `bytes`. The view is the transport's again after the first await: what is kept
   * must be copied before that.
   */
  write(
    handle: HandleId,
    offset: number,
    bytes: Uint8Array,
    context: RequestContext,
  ): MaybePromise<void>;
  /** Once for each close(2) of a duplicate: its error is close's. */
  flush(handle: HandleId, context: RequestContext): MaybePromise<void>;
  fsync(handle: HandleId, dataOnly: boolean, context: RequestContext): MaybePromise<void>;
  /** The last close is done; nobody sees an error. The handle is gone afterwards. */
  release(handle: HandleId, context: RequestContext): MaybePromise<void>;

  opendir(inode: InodeNumber, context: RequestContext): MaybePromise<OpenedFile>;
  /** Hands dirents after `cookie` (0: from the start) to `fill` until it is full or all are told. */
  readdir(
    handle: HandleId,
    cookie: number,
    fill: FillDirents,
    context: RequestContext,
  ): MaybePromise<void>;
  readdirplus(
    handle: HandleId,
    cookie: number,
    fill: FillEntries,
    context: RequestContext,
  ): MaybePromise<void>;
  releasedir(handle: HandleId, context: RequestContext): MaybePromise<void>;
  fsyncdir(handle: HandleId, dataOnly: boolean, context: RequestContext): MaybePromise<void>;

  statfs(inode: InodeNumber, context: RequestContext): MaybePromise<FileSystemStatistics>;
}
