/**
 * The life of one mount.
 *
 * Start: folder → kernel mount → login → store → serve → stat of the root → ready. The kernel
 * mount comes first, so that nothing can be written into the bare folder while the rest is under
 * way: the kernel holds every access until it is served. If any step fails, what was acquired is
 * given back, last first, and the step's error is the answer.
 *
 * End: however it is brought about (asked for, or by umount(8) from outside), the kernel lets go
 * first; then what is left is saved, and everything is given back. A process that breaks
 * down and still can unmounts on its way out; after SIGKILL the mount stays and answers ENOTCONN
 * until it is replaced.
 */
import { formatSource } from '../config/source.ts';
import { raceAbort } from '../lib/abort.ts';
import { Closers } from '../lib/closers.ts';
import type { Log } from '../lib/log.ts';
import { WireError } from '../lib/wire-error.ts';
import type {
  Attachment,
  FailedSave,
  FilesInHand,
  MountedFileSystem,
  MountParts,
  MountSpec,
  RightsStatus,
  StoreLease,
} from './mount-parts.ts';
import { type MountPoint, removeMade } from './mount-point.ts';
import { answersAtRoot, rootOf } from './mount-root.ts';
import {
  cannotSave,
  inUse,
  LeftInJournal,
  leftInJournal,
  noMoreTime,
  notSaved,
  withPlace,
} from './mount-trouble.ts';
import { MountWatch, type WatchedWork } from './mount-watch.ts';
import { checkStore } from './store-check.ts';
import { watchedRoot } from './store-watch.ts';

/** Between the two steps of who takes a mount away by force. */
const FORCED_MS = 500;

/** What `wire status` tells about a mount. */
export interface MountStatus {
  readonly mountPoint: string;
  readonly source: string;
  readonly readOnly: boolean;
  /** `repairing`: its session broke off, and it is being mounted again. */
  readonly state: 'ready' | 'stopping' | 'repairing';
  readonly readySinceMs: number;
  readonly endpoint: string;
  readonly issuer: string;
  readonly role: string | undefined;
  readonly credentialsUntilMs: number | undefined;
  readonly degraded: string | undefined;
  /** What its credentials may do; absent in the status of an older wire. */
  readonly rights?: RightsStatus | undefined;
  readonly openHandles: number;
  readonly unsavedFiles: number;
  readonly unsavedBytes: number;
  /** The latest saves that failed, oldest first. */
  readonly failures: readonly FailedSave[];
  readonly writeBack?: FilesInHand['writeBack'];
  readonly reading?: FilesInHand['reading'];
  /** Files on their way to the bucket just now. */
  readonly uploads?: number | undefined;
  /** How long its work takes; absent in the status of an older wire. */
  readonly work?: WatchedWork;
  /** How often it broke off and was mounted again; absent where it never did. */
  readonly repairs?: Repairs;
}

/** Sessions of a mount that broke off: cut off by fusectl, or by a defect of wire. */
export interface Repairs {
  readonly count: number;
  /** Ms since the epoch. */
  readonly latestMs: number;
  /** Why it cannot be mounted again, so far. */
  readonly trouble?: string;
}

/** Longest wait until all is saved of a mount that broke off: it cannot be used for so long. */
const REPAIR_SAVE_MS = 10_000;

/** Longest wait for whoever uses a mount and is gone before he is found. */
const BUSY_MS = 1_000;
/** Between two attempts of that. */
const BUSY_LOOK_MS = 50;

/** What a mount holds while it lives. */
interface Held {
  readonly point: MountPoint;
  readonly attached: Attachment;
  readonly lease: StoreLease;
  readonly fileSystem: MountedFileSystem;
  readonly watch: MountWatch;
  /** As `MountParts.mountAt` named it when it was made. */
  readonly kernelMount: string | undefined;
}

/**
 * Mounts `spec` and returns when a stat of its root has answered.
 *
 * @param attachedTo told of the kernel mount as soon as it exists, so that a dying process can undo it.
 * @throws WireError of the step that failed; nothing is left behind then.
 */
export async function startMount(
  spec: MountSpec,
  parts: MountParts,
  attachedTo: (attached: Attachment) => void,
  signal: AbortSignal,
): Promise<LiveMount> {
  const log = parts.log.with({ mountPoint: spec.mountPoint });
  const closers = new Closers();
  try {
    const point = await parts.prepare(spec, signal);
    closers.defer(async () => await removeMade(point));
    const attached = await parts.attach(spec, point, signal);
    attachedTo(attached);
    closers.defer(async () => await letGo(attached, log));
    log.info('attached');
    const lease = closers.use(await parts.connect(spec, signal));
    await checkStore(spec, lease.stores, signal);
    const watch = new MountWatch(parts.clock);
    const root = watchedRoot(rootOf(spec, lease), watch.requests, parts.changes?.(point.path));
    const fileSystem = closers.use(await parts.fileSystem(root, spec, point, signal));
    // Before the file system is closed: nobody may be served by a closed one.
    closers.defer(async () => await letGo(attached, log));
    const served = parts.noted?.(fileSystem, point.path) ?? fileSystem;
    fileSystem.keptBy(attached.serve(served, log, watch.operations));
    await answersAtRoot(point, parts, signal);
    log.info('ready');
    const kernelMount = await parts.mountAt?.(point.path);
    const held = { point, attached, lease, fileSystem, watch, kernelMount };
    return new LiveMount(spec, parts, held, closers.move());
  } catch (error) {
    await closers[Symbol.asyncDispose]().catch((cause: unknown) => {
      log.error('clean-up failed', { error: cause });
    });
    throw error;
  }
}

/** Unmounts without waiting for programs that use it; harmless when it is unmounted already. */
async function letGo(attached: Attachment, log: Log): Promise<void> {
  try {
    await attached[Symbol.asyncDispose]();
  } catch (error) {
    log.warn('unmount refused', { error });
    attached.unmountNow();
  }
}

/** A mount that is ready, until `ended`. */
export class LiveMount {
  /** Everything is given back. Resolves to what could not be saved, if anything. */
  readonly ended: Promise<WireError | undefined>;
  /**
   * Settles when the kernel has let go, before the rest is saved: whether nobody wanted that. Then
   * the kernel still has the mount, and answers for it that it is dead.
   */
  readonly broken: Promise<boolean>;
  readonly #spec: MountSpec;
  readonly #parts: MountParts;
  readonly #held: Held;
  readonly #closers: Closers;
  readonly #readySinceMs: number;
  /** Aborts the saving of what is left. */
  readonly #hurry = new AbortController();
  #state: 'ready' | 'stopping' = 'ready';
  #brokeOff = false;

  constructor(spec: MountSpec, parts: MountParts, held: Held, closers: Closers) {
    this.#spec = spec;
    this.#parts = parts;
    this.#held = held;
    this.#closers = closers;
    this.#readySinceMs = parts.clock.now();
    this.broken = held.attached.ended
      .then(
        async () => await this.#staysDead(),
        (error: unknown) => {
          parts.log.error('mount broke off', { mountPoint: this.mountPoint, error });
          return true;
        },
      )
      .then((broken) => broken && this.#state === 'ready');
    this.ended = this.broken.then(async (broken) => {
      this.#brokeOff = broken;
      return broken ? await this.#finishSoon() : await this.#finish();
    });
  }

  /** Its session is over, and nobody wanted that: the kernel still has the mount, dead. */
  get brokeOff(): boolean {
    return this.#brokeOff;
  }

  get mountPoint(): string {
    return this.#held.point.path;
  }

  get status(): MountStatus {
    const { source, readOnly, connection } = this.#spec;
    const { fileSystem, watch } = this.#held;
    const { openHandles, unsavedFiles, unsavedBytes, failures, writeBack, reading, uploads } =
      fileSystem.state;
    return {
      mountPoint: this.mountPoint,
      source: formatSource(source),
      readOnly,
      state: this.#state,
      readySinceMs: this.#readySinceMs,
      endpoint: connection.endpoint,
      issuer: connection.issuer,
      role: connection.role,
      credentialsUntilMs: this.#held.lease.credentialsUntilMs,
      degraded: this.#held.lease.degraded,
      rights: this.#held.lease.rights,
      openHandles,
      unsavedFiles,
      unsavedBytes,
      failures,
      ...(writeBack !== undefined && { writeBack }),
      ...(reading !== undefined && { reading }),
      ...(uploads !== undefined && { uploads }),
      work: watch.figures,
    };
  }

  /** What it is seen to do, for metrics. */
  get watch(): MountWatch {
    return this.#held.watch;
  }

  /** What a stricter STS would have refused the token for, each as one line. */
  get concerns(): readonly string[] {
    return this.#held.lease.concerns ?? [];
  }

  /** Whether the server holds the credentials to what they were asked for, as far as that shows. */
  async verifyRights(): Promise<RightsStatus | undefined> {
    return await this.#held.lease.verifyRights?.();
  }

  /** As `MountedFileSystem.tend`. */
  async tend(
    ...args: Parameters<MountedFileSystem['tend']>
  ): ReturnType<MountedFileSystem['tend']> {
    return await this.#held.fileSystem.tend(...args);
  }

  /**
   * Saves everything, unmounts and gives everything back.
   *
   * @param mode 'wait' refuses while programs use the mount; 'lazy' takes it out of sight and
   *   ends when the last of them is done.
   * @throws WireError `not-saved`, or `mount-point` when it is in use; the mount then goes on.
   */
  async stop(mode: 'wait' | 'lazy', signal: AbortSignal): Promise<void> {
    this.#state = 'stopping';
    try {
      await this.#syncOrLeave(signal);
      await this.#unmount(mode, signal);
    } catch (error) {
      this.#state = 'ready';
      throw await this.#explain(error);
    }
    if (mode === 'lazy') return;
    const problem = await raceAbort(this.ended, signal);
    if (problem !== undefined) throw problem;
  }

  /**
   * Busy although nobody is found who uses it: somebody was, for a moment. A look at whether a mount
   * answers (`wire status` of another process) keeps it busy for as long as it takes.
   */
  async #unmount(mode: 'wait' | 'lazy', signal: AbortSignal): Promise<void> {
    const { clock } = this.#parts;
    const startMs = clock.monotonic();
    for (;;) {
      try {
        await this.#held.attached.unmount(mode, signal);
        return;
      } catch (error) {
        if (!(error instanceof WireError) || error.kind !== 'mount-point') throw error;
        if (mode === 'lazy' || clock.monotonic() - startMs >= BUSY_MS) throw error;
        if ((await this.#parts.usersOf(this.mountPoint)).length > 0) throw error;
        await clock.sleep(BUSY_LOOK_MS, signal);
      }
    }
  }

  /** Saves everything; what cannot be saved now and lies in a journal need not keep the mount. */
  async #syncOrLeave(signal: AbortSignal): Promise<void> {
    try {
      await this.#held.fileSystem.sync(signal);
    } catch (error) {
      const { unsavedFiles, writeBack } = this.#held.fileSystem.state;
      if (signal.aborted || unsavedFiles === 0) throw error;
      if (writeBack?.files !== unsavedFiles) throw error;
      this.#hurry.abort(this.#leftInJournal(error));
    }
  }

  #leftInJournal(cause: unknown): LeftInJournal {
    const source = formatSource(this.#spec.source);
    return leftInJournal(this.mountPoint, source, this.#held.fileSystem.state, cause);
  }

  /** Ends at once, whoever uses it and whatever is not saved: `ended` tells what that was. */
  async leave(): Promise<void> {
    this.#state = 'stopping';
    this.#hurry.abort(noMoreTime(this.mountPoint));
    await letGo(this.#held.attached, this.#parts.log);
  }

  /** Says who keeps the mount busy, or what cannot be saved. */
  async #explain(error: unknown): Promise<unknown> {
    if (!(error instanceof WireError)) return error;
    if (error.kind === 'not-saved') {
      return cannotSave(this.mountPoint, this.#held.fileSystem.state, error);
    }
    if (error.kind !== 'mount-point') return error;
    return inUse(this.mountPoint, await this.#parts.usersOf(this.mountPoint), error);
  }

  /** `wire unmount --force` cuts the connection off and then takes the mount away. */
  async #staysDead(): Promise<boolean> {
    if (this.#state !== 'ready' || !(await this.#stillMounted())) return false;
    await this.#parts.clock.sleep(FORCED_MS, new AbortController().signal);
    return await this.#stillMounted();
  }

  async #stillMounted(): Promise<boolean> {
    const { kernelMount, point } = this.#held;
    if (kernelMount === undefined) return false;
    return (await this.#parts.mountAt?.(point.path).catch(() => undefined)) === kernelMount;
  }

  /** Programs wait for the mount to come back. */
  async #finishSoon(): Promise<WireError | undefined> {
    const finished = new AbortController();
    this.#parts.clock.sleep(REPAIR_SAVE_MS, finished.signal).then(
      () => this.#hurry.abort(noMoreTime(this.mountPoint)),
      () => undefined,
    );
    try {
      return await this.#finish();
    } finally {
      finished.abort();
    }
  }

  async #finish(): Promise<WireError | undefined> {
    const { log } = this.#parts;
    this.#state = 'stopping';
    const problem = await this.#saveRest();
    try {
      await this.#closers[Symbol.asyncDispose]();
    } catch (error) {
      log.error('clean-up failed', { mountPoint: this.mountPoint, error });
    }
    log.info('unmounted', { mountPoint: this.mountPoint });
    return withPlace(this.mountPoint, this.#held.fileSystem.state, problem);
  }

  /** Resolves to what could not be saved, if anything. */
  async #saveRest(): Promise<WireError | undefined> {
    const { fileSystem } = this.#held;
    try {
      await fileSystem.sync(this.#hurry.signal);
      return undefined;
    } catch (error) {
      // In a hurry nothing was waited for; perhaps nothing had to be.
      const { unsavedFiles, writeBack } = fileSystem.state;
      if (this.#hurry.signal.aborted && unsavedFiles === 0) return undefined;
      if (error instanceof LeftInJournal) return error;
      if (unsavedFiles > 0 && writeBack?.files === unsavedFiles) return this.#leftInJournal(error);
      this.#parts.log.error('not saved', { mountPoint: this.mountPoint, error });
      return error instanceof WireError ? error : notSaved(this.mountPoint, error);
    }
  }
}
