/**
 * What the life of a mount needs of the layers below. `composition.ts` makes the real parts; a
 * test hands in its own.
 */
import type { Source } from '../config/source.ts';
import type { Addressing } from '../config/values.ts';
import type { FileSystem } from '../fs/filesystem.ts';
import type { KernelCache } from '../fs/kernel-cache.ts';
import type { ReaderFigures } from '../fs/reader.ts';
import type { FileProgress, FileVerb } from '../fs/tending.ts';
import type { WriteBackFigures } from '../fs/write-back.ts';

export { type FileProgress, type FileVerb, fileVerbs } from '../fs/tending.ts';

import type { OperationTimes } from '../fuse/operation-times.ts';
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import type { KeepOptions } from '../s3/write-headers.ts';
import type { ObjectStore, ObjectStores } from '../store/object-store.ts';
import type { Places } from './access-watch.ts';
import type { Enforcement } from './canary.ts';
import type { ChangeListener } from './changes.ts';
import type { MountPoint, MountPointRequest } from './mount-point.ts';

/** Whose credentials are used where. Mounts that agree in all of it share one login and lease. */
export interface Connection {
  readonly issuer: string;
  readonly endpoint: string;
  readonly stsEndpoint: string;
  readonly region: string;
  readonly role?: string;
  readonly audience?: string;
  readonly durationSeconds?: number;
  /** RoleSessionName: how the server's logs call this session. */
  readonly sessionName: string;
  /** How long operations wait for a new login when the login has ended. */
  readonly expiryWaitMs: number;
  /** Ask for no more rights than a mount needs. */
  readonly narrowed: boolean;
  /** Where the name of a bucket stands in URLs; default: found out. */
  readonly addressing?: Addressing;
  readonly requesterPays?: boolean;
  /** How objects are kept that are made here; default: as their bucket says. */
  readonly keep?: KeepOptions;
}

/** How files look and what the kernel does with them; what is absent is as usual. */
export interface MountOptions {
  /** Owner of what nobody has chowned: otherwise who mounts. */
  readonly uid?: number;
  readonly gid?: number;
  /** Permission bits that files and folders do not have: otherwise 0o022. */
  readonly umask?: number;
  /** The kernel checks permissions: otherwise true. */
  readonly defaultPermissions?: boolean;
  readonly noAtime?: boolean;
  readonly noExec?: boolean;
  /** The kernel reads files itself that are whole on the disk: otherwise true, where it can. */
  readonly passthrough?: boolean;
  /** First column of mount(8)'s list: otherwise the source. */
  readonly fsName?: string;
}

/** Ways to mount: our own, and the npm package, kept for comparison. */
export const transportNames = ['linux', 'fuse-native'] as const;
export type TransportName = (typeof transportNames)[number];

/** One mount, as asked for. */
export interface MountSpec extends MountPointRequest {
  readonly source: Source;
  readonly connection: Connection;
  readonly readOnly: boolean;
  /** Other users may enter (needs user_allow_other in /etc/fuse.conf). */
  readonly allowOther: boolean;
  readonly options?: MountOptions;
  readonly transport?: TransportName;
  /** How long SIGTERM waits until all is saved; see `--stop-timeout`. */
  readonly stopTimeoutMs?: number;
}

/** What the temporary credentials of a mount may do, and whether the server holds them to it. */
export interface RightsStatus {
  /** As asked of the server: `s3://b/p/, read-only`; absent: whatever the role may do. */
  readonly limit?: string;
  /** `limit` is wider than the mount needs. */
  readonly coarser?: true;
  /** `untested` until something that the limit forbids was asked for. */
  readonly enforcement: Enforcement | 'untested';
  /** Why `enforcement` is what it is, as a clause. */
  readonly reason?: string;
}

/** The stores of one connection, shared; give it back by disposing. */
export interface StoreLease extends AsyncDisposable {
  readonly stores: ObjectStores;
  /** When the present temporary credentials end, ms since the epoch. */
  readonly credentialsUntilMs: number | undefined;
  /** Why they cannot be renewed just now. */
  readonly degraded: string | undefined;
  /** What a stricter STS would have refused the token for, each as one line. */
  readonly concerns?: readonly string[];
  readonly rights?: RightsStatus | undefined;
  /** Finds `rights.enforcement` out, once for all who share the lease; ends with the lease. */
  readonly verifyRights?: () => Promise<RightsStatus | undefined>;
}

/**
 * A kernel mount: from here on every access waits for `serve`. Disposing unmounts, lazily if need
 * be, and ends every operation.
 */
export interface Attachment extends AsyncDisposable {
  /** `times` is told of each reply. */
  serve(fileSystem: FileSystem, log: Log, times?: OperationTimes): KernelCache;
  /** The kernel has let go of the mount. */
  readonly ended: Promise<void>;
  /** @throws WireError `mount-point` when it is in use and `mode` is 'wait'. */
  unmount(mode: 'wait' | 'lazy', signal: AbortSignal): Promise<void>;
  /** Does not wait: for the way out of a process. */
  unmountNow(): void;
}

/** What a file system still has in hand. */
export interface FilesInHand {
  readonly openHandles: number;
  /** Files with changes that are not in the store yet, and their length. */
  readonly unsavedFiles: number;
  readonly unsavedBytes: number;
  /** The latest saves that failed, oldest first. */
  readonly failures: readonly FailedSave[];
  /** What of it is in a journal, safe but for the disk; absent where nobody counts. */
  readonly writeBack?: WriteBackFigures;
  /** What was read, and from where; absent where nobody counts. */
  readonly reading?: ReaderFigures;
  /** Files on their way to the store. */
  readonly uploads?: number;
}

export interface FailedSave {
  readonly name: string;
  readonly message: string;
  /** Ms since the epoch. */
  readonly atMs: number;
  /** Where the bytes are, when they were put aside. */
  readonly keptAt?: string;
}

/** The file system of a mount, with what its owner does besides serving it. */
export interface MountedFileSystem extends FileSystem, Places, AsyncDisposable {
  readonly state: FilesInHand;
  /** What the kernel keeps of it can be told from now on. */
  keptBy(kernel: KernelCache): void;
  /** As `Tender.tend`. */
  tend(
    verb: FileVerb,
    path: readonly string[],
    progress: (done: FileProgress) => void,
    signal: AbortSignal,
  ): Promise<FileProgress>;
  /** @throws WireError `not-saved` when something written is not in the store. */
  sync(signal: AbortSignal): Promise<void>;
}

export type MountRoot =
  | { readonly kind: 'bucket'; readonly store: ObjectStore; readonly prefix: string }
  | { readonly kind: 'buckets'; readonly stores: ObjectStores };

export interface MountParts {
  readonly clock: Clock;
  readonly log: Log;
  prepare(request: MountPointRequest, signal: AbortSignal): Promise<MountPoint>;
  attach(spec: MountSpec, point: MountPoint, signal: AbortSignal): Promise<Attachment>;
  /**
   * Logs in at the store with the stored login: token and temporary credentials are good now, and
   * no more than `spec` needs where its connection is narrowed.
   */
  connect(spec: MountSpec, signal: AbortSignal): Promise<StoreLease>;
  fileSystem(
    root: MountRoot,
    spec: MountSpec,
    point: MountPoint,
    signal: AbortSignal,
  ): Promise<MountedFileSystem>;
  /** Device number of the folder: a mount's differs from the one below. */
  deviceOf(path: string): Promise<number>;
  /** Processes that keep `mountPoint` busy, as `name (pid)`, as far as one may see them. */
  usersOf(mountPoint: string): Promise<readonly string[]>;
  /**
   * What names the kernel's mount on top of `path`; undefined where nothing is mounted. Absent
   * where nobody can say: then no mount counts as broken off while the kernel still has it.
   */
  mountAt?(path: string): Promise<string | undefined>;
  /** Takes a dead mount away that nobody serves any more. */
  takeAway?(path: string, signal: AbortSignal): Promise<void>;
  /** Hears of each change of a bucket that a mount makes; absent where nobody keeps account. */
  changes?(mountPoint: string): ChangeListener | undefined;
  /** `fileSystem`, its operations noted one by one; absent where nobody asked for that. */
  noted?(fileSystem: MountedFileSystem, mountPoint: string): FileSystem | undefined;
}
