/**
 * The file system as the kernel asks for it: by inode and handle, never by path. `fuse/` calls it
 * and knows nothing else; `ObjectFileSystem` answers it from a bucket, a memory one in tests.
 *
 * An operation that has its answer returns it at once; one that must wait returns a promise
 * (four awaits cost a quarter of the rate of a single client: docs/decisions). Refusals are
 * thrown, or rejected, as any error: `toErrno` in `fs/errno.ts` names them for the kernel.
 *
 * Lookup counts: each `Entry` returned by `lookup`, `create`, `mkdir`, `symlink`, `mknod`, `link`,
 * `tmpfile`, and each dirent that `readdirplus` hands to `fill` and `fill` takes, is one reference
 * that the kernel gives back through `forget`. An inode with references or open handles stays known.
 *
 * Operations with a `?` are for file systems that have such a thing. Without one the kernel makes
 * do (copies by reading and writing, takes a file for one without holes), or programs are told that
 * it is not supported, as the comment at each says.
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
  /**
   * Of a write: the bytes are pages of a shared mapping. They belong at their offset also when the
   * descriptor appends, and never make the file longer.
   */
  readonly fromPages?: boolean;
}

export type FileType =
  | 'file'
  | 'directory'
  | 'symlink'
  | 'fifo'
  | 'socket'
  | 'character-device'
  | 'block-device';

/** Which device a device node stands for. */
export interface DeviceNumber {
  /** 12 bits */
  readonly major: number;
  /** 20 bits */
  readonly minor: number;
}

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
  /** When it was made, for statx(2); absent where nobody knows. */
  readonly birthMs?: number | undefined;
  /** What a file with holes takes up (`st_blocks`); absent when that is `bytes`. */
  readonly allocatedBytes?: number | undefined;
  /** Of a device node. */
  readonly device?: DeviceNumber | undefined;
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
  /** A directory's listing may be kept by the kernel; with `keepCache`, an earlier one still holds. */
  readonly cacheDirectory?: boolean;
  /**
   * A descriptor open on a file that holds all of the content: the kernel may read and write that
   * itself instead of asking. It stays the file system's; after this answer it may be closed.
   */
  readonly backing?: number;
}

export interface CreatedFile extends OpenedFile {
  readonly entry: Entry;
}

/** One name in a directory. `cookie` continues the listing after it; cookies grow. */
export interface Dirent {
  readonly name: Uint8Array;
  readonly ino: number;
  /** 'unknown': who wants to know must ask for its attributes (DT_UNKNOWN of readdir(3)). */
  readonly type: FileType | 'unknown';
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

/** What mknod(2) makes. */
export interface NewNode {
  readonly type: Exclude<FileType, 'directory' | 'symlink'>;
  /** Permission bits. */
  readonly mode: number;
  /** Of a device node; zeros for others. */
  readonly device: DeviceNumber;
}

/** Flags of setxattr(2). */
export interface XattrFlags {
  /** XATTR_CREATE: EEXIST if there is one. */
  readonly create: boolean;
  /** XATTR_REPLACE: ENODATA if there is none. */
  readonly replace: boolean;
}

/** Flags of fallocate(2); none of them: the bytes are there afterwards, and the file is that long. */
export interface AllocationFlags {
  /** FALLOC_FL_KEEP_SIZE */
  readonly keepSize: boolean;
  /** FALLOC_FL_PUNCH_HOLE; comes with `keepSize`. */
  readonly punchHole: boolean;
  /** FALLOC_FL_ZERO_RANGE */
  readonly zeroRange: boolean;
}

/** A place in an open file. */
export interface FilePosition {
  readonly handle: HandleId;
  readonly offset: number;
}

/** What access(2) asks for; none of them: whether the name is there. */
export interface AccessMask {
  readonly read: boolean;
  readonly write: boolean;
  readonly execute: boolean;
}

export interface IoctlReply {
  /** What ioctl(2) returns: >= 0. */
  readonly result: number;
  /** At most as many bytes as were asked for. */
  readonly output: Uint8Array;
}

/** Bytes of a read, to be written out in order without a copy. */
export type ReadBytes = Uint8Array | readonly Uint8Array[];

/** Names are bytes as the kernel gave them, without '/' or NUL. */
export interface FileSystem {
  /** `OpenedFile.backing` may come; counting what is open for it costs a little. */
  readonly offersBacking?: boolean;

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

  /** The target of a symbolic link, 4,095 bytes at most. Absent: EINVAL, there are none. */
  readlink?(inode: InodeNumber, context: RequestContext): MaybePromise<Uint8Array>;
  /** Absent: EPERM, as symlink(2) says it. */
  symlink?(
    parent: InodeNumber,
    name: Uint8Array,
    target: Uint8Array,
    context: RequestContext,
  ): MaybePromise<Entry>;
  /** A further name for `inode`. Absent: EPERM, as link(2) says it. */
  link?(
    inode: InodeNumber,
    newParent: InodeNumber,
    newName: Uint8Array,
    context: RequestContext,
  ): MaybePromise<Entry>;
  /** Absent: EPERM, as mknod(2) says it. */
  mknod?(
    parent: InodeNumber,
    name: Uint8Array,
    node: NewNode,
    context: RequestContext,
  ): MaybePromise<Entry>;
  /**
   * An open file without a name (O_TMPFILE), on the file system of `parent`. `link` may give it a
   * name unless it is `exclusive`. Absent: EOPNOTSUPP.
   */
  tmpfile?(
    parent: InodeNumber,
    mode: number,
    flags: OpenFlags,
    context: RequestContext,
  ): MaybePromise<CreatedFile>;

  /**
   * Start of the next data (SEEK_DATA) or hole (SEEK_HOLE) at or after `offset`; the end of a file
   * is a hole. ENXIO when there is none. Absent: a file is all data.
   */
  lseek?(
    handle: HandleId,
    offset: number,
    whence: 'data' | 'hole',
    context: RequestContext,
  ): MaybePromise<number>;
  /** Absent: EOPNOTSUPP. */
  fallocate?(
    handle: HandleId,
    offset: number,
    bytes: number,
    flags: AllocationFlags,
    context: RequestContext,
  ): MaybePromise<void>;
  /** Returns the bytes copied: fewer only at the end of the source. Absent: read and written. */
  copyFileRange?(
    from: FilePosition,
    to: FilePosition,
    bytes: number,
    context: RequestContext,
  ): MaybePromise<number>;

  /** ENODATA when there is none of that name. Absent, like the next three: EOPNOTSUPP. */
  getxattr?(
    inode: InodeNumber,
    name: Uint8Array,
    context: RequestContext,
  ): MaybePromise<Uint8Array>;
  /** `value` is the transport's again after the first await, as with `write`. */
  setxattr?(
    inode: InodeNumber,
    name: Uint8Array,
    value: Uint8Array,
    flags: XattrFlags,
    context: RequestContext,
  ): MaybePromise<void>;
  listxattr?(inode: InodeNumber, context: RequestContext): MaybePromise<readonly Uint8Array[]>;
  removexattr?(inode: InodeNumber, name: Uint8Array, context: RequestContext): MaybePromise<void>;

  /** Asked only of a mount without default_permissions. EACCES refuses. Absent: allowed. */
  access?(inode: InodeNumber, mask: AccessMask, context: RequestContext): MaybePromise<void>;
  /** `command` tells the sizes; see ioctl(2). ENOTTY to what is not known. Absent: ENOTTY. */
  ioctl?(
    handle: HandleId,
    command: number,
    input: Uint8Array,
    outputBytes: number,
    context: RequestContext,
  ): MaybePromise<IoctlReply>;
  /** Which of `events` (POLLIN and so on) are ready now. Absent: always ready. */
  poll?(handle: HandleId, events: number, context: RequestContext): MaybePromise<number>;
  /** syncfs(2) and sync(2). Absent: nothing to do. */
  syncfs?(inode: InodeNumber, context: RequestContext): MaybePromise<void>;
}
