/**
 * How a file system appears to programs, and how requests of a kernel reach us. Entry for those
 * who mount: a `Transport` attaches at a mount point, an `Attachment` serves a `FileSystem` there.
 *
 * - `fuse/linux/` (the default): /dev/fuse through our addon.
 * - `fuse/fuse-native/`: the npm package of that name over libfuse 2, by path; for comparison.
 * - `fuse/memory-transport`: a kernel made for tests.
 *
 * The first and the last speak the FUSE protocol: their `Session` stands over a `Channel` and knows
 * no system.
 */
import type { FileSystem, ReadBytes } from '../fs/filesystem.ts';
import type { KernelCache } from '../fs/kernel-cache.ts';
import type { Log } from '../lib/log.ts';
import type { OperationTimes } from './operation-times.ts';

/** What this transport offers, so that nobody above asks which system it is. */
export interface Capabilities {
  /** Largest payload of one READ or WRITE. */
  readonly maxWriteBytes: number;
  /** The kernel can be told to drop what it keeps. */
  readonly notify: boolean;
  readonly readdirplus: boolean;
  /** The kernel can read and write a file of ours itself (`OpenedFile.backing`). */
  readonly passthrough?: boolean;
}

/** How to mount. What the files look like (owner, mode) is the file system's business. */
export interface MountOptions {
  /**
   * Absolute, without symbolic links. `/dev/fd/N`: descriptor N is a /dev/fuse that somebody else
   * has mounted (a container runtime); it is served, and unmounted by them.
   */
  readonly mountPoint: string;
  readonly readOnly: boolean;
  /** Lets other users in; permissions are checked by the kernel then, unless told otherwise. */
  readonly allowOther: boolean;
  /** First column of mount(8)'s list. */
  readonly fsName: string;
  /** The kernel checks permissions by owner and mode; otherwise nobody does. Default true. */
  readonly defaultPermissions?: boolean;
  /** Reading changes no access times. Default false. Set-user-id and devices never work. */
  readonly noAtime?: boolean;
  /** Nothing can be run from it. Default false. */
  readonly noExec?: boolean;
  /**
   * A private folder shared by all who might mount at the same time: holds the lock on the mount
   * point while it is looked at and mounted. Without it two mounts may come to lie on each other.
   */
  readonly lockFolder?: string;
}

/** `wait` is refused while programs use the mount; `lazy` hides it and lets them finish. */
export type UnmountMode = 'wait' | 'lazy';

/**
 * A mount: from here on every access waits for `serve`, so that nothing lands below it. Disposing
 * unmounts, lazily if need be, and ends every operation.
 */
export interface Attachment extends AsyncDisposable {
  readonly mountPoint: string;
  readonly capabilities: Capabilities;
  /** The session is over: unmounted by anybody, and every operation settled. */
  readonly ended: Promise<void>;
  /** Starts to answer. Once. `times` is told of each reply, where this transport can. */
  serve(fileSystem: FileSystem, log: Log, times?: OperationTimes): KernelCache;
  /** @throws WireError `mount-point` when it is busy and `mode` is 'wait'; `signal.reason`. */
  unmount(mode: UnmountMode, signal: AbortSignal): Promise<void>;
  /** Does not wait: for the way out of a process. */
  unmountNow(): void;
}

/** One way to mount. */
export interface Transport {
  readonly name: string;
  /** @throws WireError of kind `mount-point` or `no-fuse`. */
  attach(options: MountOptions, signal: AbortSignal): Promise<Attachment>;
}

/**
 * Takes one batch of requests: `arena` holds them, `bounds[2i]` and `bounds[2i+1]` are start and
 * end of request i; a start is a multiple of 8. The arena is reused once this returns: decode at
 * once, copy what is kept.
 */
export type ReceiveBatch = (arena: Uint8Array, bounds: Uint32Array, count: number) => void;

/** Files that the kernel reads and writes itself; see `fuse/passthrough`. */
export interface BackingFiles {
  /**
   * Names the file open at `descriptor` to the kernel, which keeps it. Undefined when it is
   * refused: not root, or on a file system that cannot.
   */
  open(descriptor: number): number | undefined;
  /** The name is not needed any more; files opened by it stay open. */
  close(backingId: number): void;
}

/** One connection to a kernel. */
export interface Channel {
  readonly capabilities: Capabilities;
  /** Where the header of a reply, and what is encoded after it, are written. Aligned to 8. */
  readonly head: Uint8Array;
  /** Present when `capabilities.passthrough` is. */
  readonly backing?: BackingFiles;
  /** Starts delivery; `ended` resolves when the kernel has let go of the mount. */
  start(receive: ReceiveBatch): void;
  readonly ended: Promise<void>;
  /**
   * Sends the first `headBytes` of `head` and then `payload`, without copying it.
   *
   * @returns false when nobody waits for it: the request was interrupted, the mount is gone.
   * @throws when the kernel takes it for malformed: a defect of the caller.
   */
  reply(headBytes: number, payload?: ReadBytes): boolean;
  /**
   * Sends the pieces of a notification, or of several one behind the other, never from the loop
   * thread. Resolves when the kernel has taken them, or knows nothing of what they are about.
   *
   * @throws when the kernel refuses one.
   */
  notify(pieces: readonly Uint8Array[]): Promise<void>;
  /** Stops delivery and closes; the mount, if still there, answers ENOTCONN. */
  close(): void;
}
