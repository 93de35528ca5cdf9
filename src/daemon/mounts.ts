/**
 * The mounts of one process. Those that are added together come together: all of them are ready or
 * none is there. Each ends by itself, or is asked to.
 */
import { resolveMountPoint } from '../fuse/linux/mount-point.ts';
import { LinkedAbort } from '../lib/abort.ts';
import type { Log } from '../lib/log.ts';
import { WireError } from '../lib/wire-error.ts';
import type { FilesRequest } from './control-protocol.ts';
import { KeptMount, leaveAll, type MountOrder } from './kept-mount.ts';
import type { WatchedMount } from './metrics.ts';
import type { MountStatus } from './mount.ts';
import type { Attachment, FileProgress, RightsStatus } from './mount-parts.ts';

export class Mounts {
  readonly #log: Log;
  readonly #living = new Set<KeptMount>();
  /** Where something is on its way to be mounted. */
  readonly #starting = new Set<string>();
  readonly #attached = new Set<Attachment>();

  constructor(log: Log) {
    this.#log = log;
  }

  get living(): readonly KeptMount[] {
    return [...this.#living];
  }

  get status(): readonly MountStatus[] {
    return this.living.map((mount) => mount.status);
  }

  /** What they are seen to do, for metrics. */
  get watched(): readonly WatchedMount[] {
    return this.living.map(({ status, watch }) => ({ status, watch }));
  }

  /**
   * Mounts all of `orders`; the first failure stops the others.
   *
   * @throws WireError of the first that could not be mounted: then none of them is there.
   */
  async add(orders: readonly MountOrder[], signal: AbortSignal): Promise<readonly KeptMount[]> {
    using starting = new LinkedAbort(signal);
    let failure: { readonly error: unknown } | undefined;
    const started = await Promise.all(
      orders.map(async (order) => {
        try {
          return await this.#start(order, starting.signal);
        } catch (error) {
          failure ??= { error };
          starting.abort(error);
          return undefined;
        }
      }),
    );
    const added = started.filter((mount) => mount !== undefined);
    if (failure === undefined) return added;
    await leaveAll(added);
    throw failure.error;
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

  /**
   * What a person should know of `mounts`, a line each: of the login now, and of rights as soon as
   * that is known, at the latest when they end.
   */
  tell(mounts: readonly KeptMount[], warn: (line: string) => void): void {
    // Mounts of one login have the same.
    for (const concern of new Set(mounts.flatMap((mount) => mount.concerns))) warn(concern);
    for (const mount of mounts) {
      const { mountPoint } = mount;
      const telling = mount.verifyRights().then((rights) => {
        for (const line of rightsWarnings(`the credentials of ${mountPoint}`, rights)) {
          this.#log.warn(line);
          warn(line);
        }
      });
      telling.catch((error: unknown) => {
        this.#log.error('rights not verified', { mountPoint, error });
      });
    }
  }

  at(mountPoint: string): KeptMount | undefined {
    return this.living.find((candidate) => candidate.mountPoint === mountPoint);
  }

  /**
   * The process is about to end by itself (a defect, `process.exit`) and still can: everything is
   * unmounted. After SIGKILL nothing can be done, and the mounts stay and answer ENOTCONN.
   */
  crash(): void {
    for (const attached of this.#attached) attached.unmountNow();
  }

  #mountAt(mountPoint: string, verb: string): KeptMount {
    const mount = this.at(mountPoint);
    if (mount !== undefined) return mount;
    const answered = 'this process does not mount it';
    throw new WireError('not-found', { tried: `${verb} ${mountPoint}`, answered });
  }

  async #start(order: MountOrder, signal: AbortSignal): Promise<KeptMount> {
    const place = await resolveMountPoint(order.spec.mountPoint);
    const there = this.at(place);
    // Two that come at once would both find the folder bare, and one would hide the other.
    if (this.#starting.has(place) || (there !== undefined && there.status.state !== 'stopping')) {
      throw taken(place);
    }
    this.#starting.add(place);
    try {
      const mount = await KeptMount.start(order, (attached) => this.#watch(attached), signal);
      this.#living.add(mount);
      const over = (): boolean => this.#living.delete(mount);
      mount.ended.then(over, over);
      return mount;
    } finally {
      this.#starting.delete(place);
    }
  }

  #watch(attached: Attachment): void {
    this.#attached.add(attached);
    const over = (): boolean => this.#attached.delete(attached);
    attached.ended.then(over, over);
  }
}

function taken(place: string): WireError {
  return new WireError('mount-point', {
    tried: `mount on ${place}`,
    answered: 'something is mounted there already (busy)',
    next: `unmount it first: wire unmount ${place}`,
  });
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
