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
import { dirname } from 'node:path';
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
  MountRoot,
  MountSpec,
  RightsStatus,
  StoreLease,
} from './mount-parts.ts';
import { type MountPoint, removeMade } from './mount-point.ts';
import { MountWatch, type WatchedWork } from './mount-watch.ts';
import { checkStore } from './store-check.ts';
import { watchedRoot } from './store-watch.ts';

/** Longest wait for the first answer of our own mount; it needs one listing at most. */
const ROOT_STAT_MS = 30_000;
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

/** Something is not in its bucket, and in the journal, for the next mount to save. */
export class LeftInJournal extends WireError {
  override readonly name = 'LeftInJournal';
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

function rootOf(spec: MountSpec, { stores }: StoreLease): MountRoot {
  const { source } = spec;
  if (source.kind === 'buckets') return { kind: 'buckets', stores };
  return { kind: 'bucket', store: stores.open(source.bucket), prefix: source.prefix };
}

/** The mount is there for this process, and answers. */
async function answersAtRoot(
  point: MountPoint,
  parts: MountParts,
  signal: AbortSignal,
): Promise<void> {
  const tried = `reach the mount at ${point.path}`;
  const answer = parts.deviceOf(point.path);
  const limit = new AbortController();
  const late = parts.clock.sleep(ROOT_STAT_MS, limit.signal).then(() => {
    throw new WireError('internal', { tried, answered: `nothing within ${ROOT_STAT_MS / 1000} s` });
  });
  try {
    const device = await raceAbort(Promise.race([answer, late]), signal);
    if (device === point.deviceBefore) {
      throw new WireError('mount-point', { tried, answered: 'the folder below it' });
    }
  } catch (error) {
    if (error instanceof WireError || signal.aborted) throw error;
    throw new WireError('internal', { tried, answered: String(error) }, { cause: error });
  } finally {
    limit.abort();
    late.catch(() => undefined);
    answer.catch(() => undefined);
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
    const { unsavedFiles: files, writeBack, failures } = this.#held.fileSystem.state;
    const answer = cause instanceof WireError ? cause.facts.answered : String(cause);
    const reason = writeBack?.trouble ?? failures.at(-1)?.message ?? answer;
    const many = files === 1 ? '1 file is' : `${files} files are`;
    const facts = {
      tried: `save all that was written to ${this.mountPoint}`,
      answered: reason,
      next: `${many} in the journal, for the next mount of ${formatSource(this.#spec.source)} to save; see: wire recover --list`,
    };
    return new LeftInJournal('not-saved', facts, { cause });
  }

  /** Ends at once, whoever uses it and whatever is not saved: `ended` tells what that was. */
  async leave(): Promise<void> {
    this.#state = 'stopping';
    this.#hurry.abort(this.#noMoreTime());
    await letGo(this.#held.attached, this.#parts.log);
  }

  #noMoreTime(): WireError {
    return new WireError('not-saved', {
      tried: `save what was written to ${this.mountPoint}`,
      answered: 'there was no more time',
    });
  }

  /** Says who keeps the mount busy, or what cannot be saved. */
  async #explain(error: unknown): Promise<unknown> {
    if (!(error instanceof WireError)) return error;
    if (error.kind === 'not-saved') return this.#explainUnsaved(error);
    if (error.kind !== 'mount-point') return error;
    const users = await this.#parts.usersOf(this.mountPoint);
    const who = users.length === 0 ? 'a program' : users.join(', ');
    return new WireError(
      'mount-point',
      {
        tried: `unmount ${this.mountPoint}`,
        answered: `it is in use by ${who}`,
        next: 'close its files or leave the folder and try again, or run: wire unmount --lazy',
      },
      { cause: error },
    );
  }

  #explainUnsaved(error: WireError): WireError {
    const { unsavedFiles, failures } = this.#held.fileSystem.state;
    const last = failures.at(-1);
    const reason = last === undefined ? error.facts.answered : `${last.name}: ${last.message}`;
    return new WireError(
      'not-saved',
      {
        tried: `unmount ${this.mountPoint}`,
        answered: `${unsavedFiles} of its files cannot be saved (${reason})`,
        next: 'the mount goes on and holds the bytes; try again when the store takes them',
      },
      { cause: error },
    );
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
      () => this.#hurry.abort(this.#noMoreTime()),
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
    return this.#withPlace(problem);
  }

  /** Says where the bytes are that did not reach the bucket: of `problem`, and of earlier failures. */
  #withPlace(problem: WireError | undefined): WireError | undefined {
    const kept = this.#kept;
    const last = kept.at(-1);
    if (last === undefined) return problem;
    const tried = `save all that was written to ${this.mountPoint}`;
    const reason = problem?.facts.answered ?? last.message;
    const facts =
      kept.length === 1
        ? { answered: `${last.name}: ${reason}`, next: `its bytes are kept in ${last.keptAt}` }
        : {
            answered: `${kept.map(({ name }) => name).join(', ')}: ${reason}`,
            next: `their bytes are kept in ${dirname(last.keptAt)}`,
          };
    return new WireError('not-saved', { tried, ...facts }, { cause: problem });
  }

  get #kept(): readonly Required<FailedSave>[] {
    const { failures } = this.#held.fileSystem.state;
    return failures.filter((failure) => failure.keptAt !== undefined) as Required<FailedSave>[];
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
      return error instanceof WireError ? error : this.#unsaved(error);
    }
  }

  #unsaved(cause: unknown): WireError {
    const tried = `save what was written to ${this.mountPoint}`;
    return new WireError('not-saved', { tried, answered: String(cause) }, { cause });
  }
}
