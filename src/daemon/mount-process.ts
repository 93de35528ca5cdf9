/**
 * The life of a process that mounts: all mounts ready or none; then until every one of them has
 * ended. What ends them:
 *
 * - `unmount` over the control socket, or umount(8) from outside: that mount;
 * - SIGINT: all, unless one is in use or not saved: then that is told and the mount goes on;
 * - SIGTERM, SIGHUP: all; what is in use is taken away from its users, for more patience would end
 *   in SIGKILL;
 * - a second signal: all, at once.
 *
 * Before all are ready, any signal undoes what was begun.
 */
import { LinkedAbort } from '../lib/abort.ts';
import { WireError } from '../lib/wire-error.ts';
import type { FilesRequest } from './control-protocol.ts';
import type { WatchedMount } from './metrics.ts';
import { type LiveMount, type MountStatus, startMount } from './mount.ts';
import type {
  Attachment,
  FileProgress,
  MountParts,
  MountSpec,
  RightsStatus,
} from './mount-parts.ts';
import type { StopSignal, StopSignals } from './stop-signals.ts';

/** What the one who started the mounts is told. */
export interface MountEvents {
  ready(mounts: readonly MountStatus[]): void;
  /** Something went wrong and the mounts go on. */
  trouble(error: WireError): void;
  /** Something that a person should know, in one line. */
  warn?(line: string): void;
}

/** Runs until every mount has ended. */
export class MountProcess {
  readonly #parts: MountParts;
  readonly #events: MountEvents;
  readonly #mounts: LiveMount[] = [];
  readonly #attached = new Set<Attachment>();
  #ready = false;

  constructor(parts: MountParts, events: MountEvents) {
    this.#parts = parts;
    this.#events = events;
  }

  get status(): readonly MountStatus[] {
    return this.#mounts.map((mount) => mount.status);
  }

  /** What its mounts are seen to do, for metrics. */
  get watched(): readonly WatchedMount[] {
    return this.#mounts.map(({ status, watch }) => ({ status, watch }));
  }

  /**
   * Mounts all of `specs`, serves until they have ended.
   *
   * @throws WireError of the first that could not be mounted; `interrupted` by a signal before
   *   they were ready; `not-saved` when one ended with something unsaved.
   */
  async run(specs: readonly MountSpec[], signals: StopSignals, signal: AbortSignal): Promise<void> {
    using starting = new LinkedAbort(signal);
    const stopper = new Stopper(this.#mounts, this.#events, signal);
    const listening = signals.listen((name) => {
      if (this.#ready) stopper.hear(name);
      else starting.abort(interruption());
    });
    try {
      await this.#startAll(specs, starting);
      this.#ready = true;
      this.#events.ready(this.status);
      this.#tellConcerns();
      for (const mount of this.#mounts) this.#tellRights(mount);
      const problems = await Promise.all(this.#mounts.map(async (mount) => await this.#end(mount)));
      await stopper.done();
      const problem = problems.find((found) => found !== undefined);
      if (problem !== undefined) throw problem;
    } finally {
      listening[Symbol.dispose]();
    }
  }

  /**
   * Unmounts the one at `mountPoint`.
   *
   * @throws WireError `not-found` when there is none; otherwise as `LiveMount.stop`.
   */
  async unmount(mountPoint: string, mode: 'wait' | 'lazy', signal: AbortSignal): Promise<void> {
    await this.#mountAt(mountPoint, 'unmount').stop(mode, signal);
  }

  /** As `MountedFileSystem.tend`, of the mount that the request names. */
  async files(
    { verb, mountPoint, path }: FilesRequest,
    progress: (done: FileProgress) => void,
    signal: AbortSignal,
  ): Promise<FileProgress> {
    return await this.#mountAt(mountPoint, verb).tend(verb, path, progress, signal);
  }

  #mountAt(mountPoint: string, verb: string): LiveMount {
    const mount = this.#mounts.find((candidate) => candidate.mountPoint === mountPoint);
    if (mount !== undefined) return mount;
    const answered = 'this process does not mount it';
    throw new WireError('not-found', { tried: `${verb} ${mountPoint}`, answered });
  }

  /**
   * The process is about to end by itself (a defect, `process.exit`) and still can: everything is
   * unmounted. After SIGKILL nothing can be done, and the mounts stay and answer ENOTCONN.
   */
  crash(): void {
    for (const attached of this.#attached) attached.unmountNow();
  }

  /** Mounts of one login have the same: told once. */
  #tellConcerns(): void {
    const concerns = new Set([...this.#mounts].flatMap((mount) => mount.concerns));
    for (const concern of concerns) this.#events.warn?.(concern);
  }

  /** In the background: ends at the latest with the mount. */
  #tellRights(mount: LiveMount): void {
    const { log } = this.#parts;
    const { mountPoint } = mount;
    const telling = mount.verifyRights().then((rights) => {
      for (const line of rightsWarnings(`the credentials of ${mountPoint}`, rights)) {
        log.warn(line);
        this.#events.warn?.(line);
      }
    });
    telling.catch((error: unknown) => log.error('rights not verified', { mountPoint, error }));
  }

  /** Resolves to what `mount` could not save, when it has ended. */
  async #end(mount: LiveMount): Promise<WireError | undefined> {
    const problem = await mount.ended;
    this.#mounts.splice(this.#mounts.indexOf(mount), 1);
    return problem;
  }

  /** All or none: the first failure stops the others and is thrown. */
  async #startAll(specs: readonly MountSpec[], starting: LinkedAbort): Promise<void> {
    let failure: { readonly error: unknown } | undefined;
    const watch = (attached: Attachment): void => void this.#attached.add(attached);
    await Promise.all(
      specs.map(async (spec) => {
        try {
          this.#mounts.push(await startMount(spec, this.#parts, watch, starting.signal));
        } catch (error) {
          failure ??= { error };
          starting.abort(error);
        }
      }),
    );
    if (failure === undefined) return;
    await Promise.all(
      this.#mounts.map(async (mount) => {
        await mount.leave();
        await mount.ended;
      }),
    );
    throw failure.error;
  }
}

/** What a person must know of credentials that can do more than `whose` need. */
export function rightsWarnings(whose: string, rights: RightsStatus | undefined): readonly string[] {
  const lines: string[] = [];
  if (rights?.coarser === true && rights.limit !== undefined) {
    lines.push(`${whose} can do more than was asked for: ${rights.limit}`);
  }
  if (rights?.enforcement === 'not enforced') {
    const reason = rights.reason ?? 'what the policy forbids was not refused';
    lines.push(
      `the server ignores session policies (${reason}): ${whose} can do all that the role can`,
    );
  }
  return lines;
}

function interruption(): WireError {
  return new WireError('interrupted', {
    tried: 'mount',
    answered: 'interrupted before it was ready',
  });
}

/** Ends mounts as signals ask. */
class Stopper {
  readonly #mounts: readonly LiveMount[];
  readonly #events: MountEvents;
  readonly #signal: AbortSignal;
  #heard = 0;
  #stopping: Promise<void> | undefined;
  #leaving: Promise<unknown> | undefined;

  constructor(mounts: readonly LiveMount[], events: MountEvents, signal: AbortSignal) {
    this.#mounts = mounts;
    this.#events = events;
    this.#signal = signal;
  }

  hear(name: StopSignal): void {
    this.#heard += 1;
    if (this.#heard > 1) this.#leave();
    else this.#stopping = this.#stop(name);
  }

  /** What signals began has come to its end. */
  async done(): Promise<void> {
    await this.#stopping;
    await this.#leaving;
  }

  async #stop(name: StopSignal): Promise<void> {
    const patient = name === 'SIGINT';
    await Promise.all(
      [...this.#mounts].map(async (mount) => {
        try {
          await mount.stop('wait', this.#signal);
        } catch (error) {
          // An end that left something unsaved is told by `ended`; only what goes on is told here.
          if (!this.#mounts.includes(mount) || this.#leaving !== undefined) return;
          if (patient) this.#events.trouble(asWireError(error));
          else await mount.leave();
        }
      }),
    );
  }

  #leave(): void {
    this.#leaving ??= Promise.all([...this.#mounts].map(async (mount) => await mount.leave()));
  }
}

function asWireError(error: unknown): WireError {
  if (error instanceof WireError) return error;
  return new WireError('internal', { tried: 'unmount', answered: String(error) }, { cause: error });
}
