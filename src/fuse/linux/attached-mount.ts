/** One mount of /dev/fuse, ours to unmount or somebody else's. */
import { readFileSync } from 'node:fs';
import type { FileSystem } from '../../fs/filesystem.ts';
import type { KernelCache } from '../../fs/kernel-cache.ts';
import { raceAbort } from '../../lib/abort.ts';
import { systemClock } from '../../lib/clock.ts';
import type { Log } from '../../lib/log.ts';
import { WireError } from '../../lib/wire-error.ts';
import type { NativeAddon } from '../native.ts';
import { Notifications } from '../notifications.ts';
import type { OperationTimes } from '../operation-times.ts';
import { Session } from '../session.ts';
import type { Attachment, Capabilities, UnmountMode } from '../transport.ts';
import { DeviceChannel } from './device-channel.ts';
import { errnoNumbers } from './errno.ts';
import { MOUNT_TYPE } from './mount-options.ts';
import { examineMountPoint, type MountMethod } from './mount-point.ts';
import {
  MOUNTINFO_PATH,
  type MountedFileSystem,
  parseMountinfo,
  readMountinfo,
  topMount,
} from './mountinfo.ts';
import { detach, detachNow } from './unmount.ts';

/** Of a mount that is gone from here the kernel lets go within this, unless another namespace has it. */
const ELSEWHERE_MS = 2000;

/** How we mounted. */
interface OurMount {
  readonly method: MountMethod;
  /** `major:minor` of our file system: what else is mounted here later is not ours to unmount. */
  readonly device: string | undefined;
  /** It took the place of a dead one. */
  readonly replacesDead: boolean;
}

export class AttachedMount implements Attachment {
  readonly mountPoint: string;
  /** Resolves when the session is over: unmounted by anybody, and every operation settled. */
  readonly ended: Promise<void>;
  readonly #addon: NativeAddon;
  readonly #channel: DeviceChannel;
  readonly #ours: OurMount | undefined;
  #session: Session | undefined;
  #over = false;

  /** Takes over `descriptor`, the /dev/fuse of the mount; `ours` is undefined for a passed one. */
  constructor(
    addon: NativeAddon,
    mountPoint: string,
    descriptor: number,
    ours: OurMount | undefined,
  ) {
    this.#addon = addon;
    this.mountPoint = mountPoint;
    this.#ours = ours;
    this.#channel = new DeviceChannel(addon, descriptor);
    this.ended = this.#channel.ended.then(async () => {
      await this.#session?.ended;
      this.#over = true;
    });
  }

  get capabilities(): Capabilities {
    return this.#channel.capabilities;
  }

  serve(fileSystem: FileSystem, log: Log, times?: OperationTimes): KernelCache {
    const session = new Session(this.#channel, fileSystem, errnoNumbers, log, times);
    session.start();
    this.#session = session;
    return new Notifications(this.#channel, log);
  }

  /**
   * Unmounts. `wait` ends when the session has; it is refused while a program has a file or its
   * working directory here. A mount namespace that was made meanwhile (unshare(1), a container) may
   * have a copy of the mount, which answers ENOTCONN two seconds later. `lazy` takes the mount out of sight at once, and `ended` follows when
   * the last program has let go. Both are refused while another mount lies on this one. What
   * somebody else mounted is no longer served, and that is all.
   */
  async unmount(mode: UnmountMode, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#over) return;
    await this.#refuseIfCovered();
    await this.#detach(mode);
    if (this.#ours === undefined) this.#stop();
    // Not served: nothing would tell us of the end.
    else if (this.#session === undefined) this.#channel.close();
    if (mode === 'wait') await this.#endSoon(signal);
  }

  /** Waits for the end, which we bring about ourselves where the kernel does not. */
  async #endSoon(signal: AbortSignal): Promise<void> {
    const patience = new AbortController();
    const cut = systemClock.sleep(ELSEWHERE_MS, patience.signal).then(
      () => this.#stop(),
      () => undefined,
    );
    try {
      await raceAbort(this.ended, signal);
    } finally {
      patience.abort();
      await cut;
    }
  }

  /**
   * Without asking programs or the event loop. What waits is answered and the device closed first,
   * so that nothing the kernel does then can wait for us: a notification that it holds until a READ
   * is answered would keep the device open, and this process from ending.
   */
  unmountNow(): void {
    if (this.#over) return;
    this.#stop();
    if (this.#ours === undefined || this.#staysDead) return;
    if (!this.#isOnTop(parseMountinfo(readFileSync(MOUNTINFO_PATH, 'utf8')))) return;
    detachNow(this.#addon, this.#ours.method, this.mountPoint);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { signal } = new AbortController();
    if (!this.#over) await this.#detach('lazy');
    this.#stop();
    await raceAbort(this.ended, signal);
  }

  #stop(): void {
    if (this.#session === undefined) this.#channel.close();
    else this.#session.close();
  }

  /**
   * Where a dead mount was and nobody was served yet, a dead mount stays: taking it away would show
   * the bare folder to programs that the ENOTCONN has kept from writing there.
   */
  get #staysDead(): boolean {
    return this.#session === undefined && this.#ours?.replacesDead === true;
  }

  async #detach(mode: UnmountMode): Promise<void> {
    if (this.#staysDead) return;
    if (this.#ours === undefined || !this.#isOnTop(await readMountinfo())) return;
    const { method } = this.#ours;
    await detach(this.#addon, method, this.mountPoint, mode);
    if (method.by === 'kernel') await this.#removeCovered(method);
  }

  async #refuseIfCovered(): Promise<void> {
    const mounts = await readMountinfo();
    const isOurs = ({ mountPoint, device }: MountedFileSystem): boolean =>
      mountPoint === this.mountPoint && device === this.#ours?.device;
    if (!mounts.some(isOurs) || this.#isOnTop(mounts)) return;
    const type = topMount(mounts, this.mountPoint)?.type ?? 'something else';
    throw new WireError('mount-point', {
      tried: `unmount ${this.mountPoint}`,
      answered: `another mount (${type}) lies on it`,
      next: `unmount that first: umount ${this.mountPoint}`,
    });
  }

  #isOnTop(mounts: Parameters<typeof topMount>[0]): boolean {
    const device = this.#ours?.device;
    return device !== undefined && topMount(mounts, this.mountPoint)?.device === device;
  }

  /** A dead mount that an old kernel made us cover goes with ours. */
  async #removeCovered(method: MountMethod): Promise<void> {
    const below = topMount(await readMountinfo(), this.mountPoint);
    if (below?.type !== MOUNT_TYPE) return;
    const found = await examineMountPoint(this.mountPoint, new AbortController().signal).catch(
      () => 'alive',
    );
    if (found === 'dead') await detach(this.#addon, method, this.mountPoint, 'lazy');
  }
}
