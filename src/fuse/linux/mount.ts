/**
 * A mount of this system: attached first, served later. Between the two the kernel holds every
 * access (INIT is not answered yet), so nothing can land in the bare directory while the daemon
 * still checks what it will serve. If the process dies the mount stays, answering ENOTCONN, until
 * somebody unmounts it or the next mount replaces it.
 */
import { readFileSync } from 'node:fs';
import { getSystemErrorName } from 'node:util';
import type { FileSystem } from '../../fs/filesystem.ts';
import { raceAbort } from '../../lib/abort.ts';
import type { Log } from '../../lib/log.ts';
import { WireError } from '../../lib/wire-error.ts';
import { loadNative, type NativeAddon } from '../native.ts';
import { Session } from '../session.ts';
import { DeviceChannel } from './device-channel.ts';
import { errnoNumbers } from './errno.ts';
import { mountByHelper, unmountByHelperNow } from './fusermount.ts';
import {
  kernelFlags,
  kernelOptions,
  MOUNT_TYPE,
  type MountOptions,
  SUBTYPE,
} from './mount-options.ts';
import { chooseMethod, DEVICE_PATH, examineMountPoint, type MountMethod } from './mount-point.ts';
import { MOUNTINFO_PATH, parseMountinfo, readMountinfo, topMount } from './mountinfo.ts';
import { detach, type UnmountMode } from './unmount.ts';

/**
 * Mounts, without serving yet.
 *
 * @throws WireError of kind `mount-point` or `no-fuse`.
 */
export async function attachMount(
  options: MountOptions,
  signal: AbortSignal,
): Promise<AttachedMount> {
  const { mountPoint } = options;
  const found = await examineMountPoint(mountPoint, signal);
  const method = await chooseMethod(options);
  const addon = loadNative();
  signal.throwIfAborted();
  const descriptor =
    method.by === 'kernel'
      ? await mountByKernel(addon, options, found === 'dead')
      : await mountThroughHelper(addon, method, options, found === 'dead');
  // Known by its device: the kernel uses ids of mounts again at once.
  const ours = topMount(await readMountinfo(), mountPoint);
  return new AttachedMount(addon, method, mountPoint, ours?.device, descriptor);
}

async function mountByKernel(
  addon: NativeAddon,
  options: MountOptions,
  replacesDead: boolean,
): Promise<number> {
  const descriptor = addon.openDevice(DEVICE_PATH);
  if (descriptor < 0) throw deviceRefused(descriptor);
  const owner = { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 };
  const call = [
    descriptor,
    options.mountPoint,
    options.fsName,
    SUBTYPE,
    kernelOptions(options, owner),
    kernelFlags(options),
  ] as const;
  // Under the dead mount, which is then taken away: at no time is the bare directory in sight.
  // A kernel that cannot (before 6.5) gets the new mount on top; unmounting removes both.
  const replaced = replacesDead ? await addon.replaceTop(...call) : -1;
  const result = replaced === 0 ? 0 : await addon.mount(...call);
  if (result === 0) return descriptor;
  addon.closeDescriptor(descriptor);
  throw mountRefused(options.mountPoint, getSystemErrorName(result));
}

/**
 * fusermount3 cannot mount over a dead mount, so it goes first: for a moment the directory below
 * is in sight.
 */
async function mountThroughHelper(
  addon: NativeAddon,
  method: MountMethod & { readonly by: 'helper' },
  options: MountOptions,
  replacesDead: boolean,
): Promise<number> {
  if (replacesDead) await detach(addon, method, options.mountPoint, 'lazy');
  const mounted = await mountByHelper(addon, method.program, options);
  if (typeof mounted === 'number') return mounted;
  throw mountRefused(options.mountPoint, mounted.said);
}

function deviceRefused(result: number): WireError {
  return new WireError('no-fuse', {
    tried: `open ${DEVICE_PATH}`,
    answered: getSystemErrorName(result),
    next: 'load the kernel module (modprobe fuse); in a container give it --device /dev/fuse',
  });
}

function mountRefused(mountPoint: string, answered: string): WireError {
  return new WireError('no-fuse', {
    tried: `mount on ${mountPoint}`,
    answered,
    next: 'a container needs --device /dev/fuse and --cap-add SYS_ADMIN to mount',
  });
}

export class AttachedMount implements AsyncDisposable {
  readonly mountPoint: string;
  /** Resolves when the session is over: unmounted by anybody, and every operation settled. */
  readonly ended: Promise<void>;
  readonly #addon: NativeAddon;
  readonly #method: MountMethod;
  /** `major:minor` of our file system: what else is mounted here later is not ours to unmount. */
  readonly #device: string | undefined;
  readonly #channel: DeviceChannel;
  #session: Session | undefined;
  #over = false;

  /** Takes over `descriptor`, the /dev/fuse of the mount. */
  constructor(
    addon: NativeAddon,
    method: MountMethod,
    mountPoint: string,
    device: string | undefined,
    descriptor: number,
  ) {
    this.#addon = addon;
    this.#method = method;
    this.mountPoint = mountPoint;
    this.#device = device;
    this.#channel = new DeviceChannel(addon, descriptor);
    this.ended = this.#channel.ended.then(async () => {
      await this.#session?.ended;
      this.#over = true;
    });
  }

  /** Starts to answer. Once. */
  serve(fileSystem: FileSystem, log: Log): void {
    const session = new Session(this.#channel, fileSystem, errnoNumbers, log);
    session.start();
    this.#session = session;
  }

  /**
   * Unmounts. `wait` ends when the session has; it is refused while a program has a file or its
   * working directory here. `lazy` takes the mount out of sight at once, and `ended` follows when
   * the last program has let go.
   *
   * @throws WireError of kind `mount-point` when it is busy; `signal.reason`.
   */
  async unmount(mode: UnmountMode, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#over) return;
    if (this.#isOnTop(await readMountinfo())) {
      await detach(this.#addon, this.#method, this.mountPoint, mode);
      await this.#removeCovered();
    }
    // Not served: nothing would tell us of the end.
    if (this.#session === undefined) this.#channel.close();
    if (mode === 'wait') await raceAbort(this.ended, signal);
  }

  /**
   * Unmounts before it returns, without asking programs or the event loop: for `process.on('exit')`.
   * The device is closed first, so that nothing the kernel does then can wait for us.
   */
  unmountNow(): void {
    if (this.#over) return;
    this.#channel.close();
    if (!this.#isOnTop(parseMountinfo(readFileSync(MOUNTINFO_PATH, 'utf8')))) return;
    if (this.#method.by === 'kernel') this.#addon.unmountSync(this.mountPoint, 1);
    else unmountByHelperNow(this.#method.program, this.mountPoint);
  }

  /** Unmounts, lazily if it is busy, and ends the session. */
  async [Symbol.asyncDispose](): Promise<void> {
    const { signal } = new AbortController();
    if (!this.#over && this.#isOnTop(await readMountinfo())) {
      await detach(this.#addon, this.#method, this.mountPoint, 'lazy');
      await this.#removeCovered();
    }
    if (this.#session === undefined) this.#channel.close();
    else this.#session.close();
    await raceAbort(this.ended, signal);
  }

  #isOnTop(mounts: Parameters<typeof topMount>[0]): boolean {
    return this.#device !== undefined && topMount(mounts, this.mountPoint)?.device === this.#device;
  }

  /** A dead mount that an old kernel made us cover goes with ours. */
  async #removeCovered(): Promise<void> {
    const below = topMount(await readMountinfo(), this.mountPoint);
    if (this.#method.by !== 'kernel' || below?.type !== MOUNT_TYPE) return;
    const found = await examineMountPoint(this.mountPoint, new AbortController().signal).catch(
      () => 'alive',
    );
    if (found === 'dead') await detach(this.#addon, this.#method, this.mountPoint, 'lazy');
  }
}
