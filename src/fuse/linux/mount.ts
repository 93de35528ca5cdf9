/**
 * Mounts of this system: attached first, served later. Between the two the kernel holds every
 * access (INIT is not answered yet), so nothing can land in the bare directory while the daemon
 * still checks what it will serve. If the process dies the mount stays, answering ENOTCONN, until
 * somebody unmounts it or the next mount replaces it.
 */
import { getSystemErrorName } from 'node:util';
import { WireError } from '../../lib/wire-error.ts';
import { loadNative, type NativeAddon } from '../native.ts';
import type { MountOptions, Transport } from '../transport.ts';
import { AttachedMount } from './attached-mount.ts';
import { mountByHelper } from './fusermount.ts';
import { whileLocked } from './mount-lock.ts';
import { kernelFlags, kernelOptions, passedDescriptor, SUBTYPE } from './mount-options.ts';
import {
  chooseMethod,
  DEVICE_PATH,
  examineDirectory,
  examineMountPoint,
  type MountMethod,
} from './mount-point.ts';
import { readMountinfo, topMount } from './mountinfo.ts';
import { pinFolder } from './pinned-folder.ts';
import { detach } from './unmount.ts';

export const linuxTransport: Transport = { name: 'linux', attach: attachMount };

/**
 * Mounts, without serving yet; or takes over what `/dev/fd/N` names.
 *
 * @throws WireError of kind `mount-point` or `no-fuse`.
 */
export async function attachMount(
  options: MountOptions,
  signal: AbortSignal,
): Promise<AttachedMount> {
  const passed = passedDescriptor(options.mountPoint);
  if (passed !== undefined) return adoptMount(options.mountPoint, passed);
  const addon = loadNative();
  return await whileLocked(addon, options, async () => await mountHere(addon, options, signal));
}

async function mountHere(
  addon: NativeAddon,
  options: MountOptions,
  signal: AbortSignal,
): Promise<AttachedMount> {
  const { mountPoint } = options;
  const found = await examineMountPoint(mountPoint, signal);
  const method = await chooseMethod(options);
  signal.throwIfAborted();
  const descriptor =
    method.by === 'kernel'
      ? await mountByKernel(addon, options, found === 'dead')
      : await mountThroughHelper(addon, method, options, found === 'dead');
  // Known by its device: the kernel uses ids of mounts again at once.
  const ours = topMount(await readMountinfo(), mountPoint);
  const facts = { method, device: ours?.device, replacesDead: found === 'dead' };
  return new AttachedMount(addon, mountPoint, descriptor, facts);
}

/** @throws WireError of kind `mount-point` when it is not a /dev/fuse. */
function adoptMount(mountPoint: string, descriptor: number): AttachedMount {
  const addon = loadNative();
  const result = addon.adoptDevice(descriptor);
  if (result >= 0) return new AttachedMount(addon, mountPoint, descriptor, undefined);
  const errno = getSystemErrorName(result);
  throw new WireError('mount-point', {
    tried: `serve the mount of ${mountPoint}`,
    answered: errno === 'ENODEV' ? `it is not ${DEVICE_PATH}` : errno,
    next: `open ${DEVICE_PATH}, mount it and pass it on as this descriptor`,
  });
}

async function mountByKernel(
  addon: NativeAddon,
  options: MountOptions,
  replacesDead: boolean,
): Promise<number> {
  if (replacesDead) return await mountByKernelOn(options.mountPoint, addon, options, true);
  // Root mounts wherever a path leads: what is looked at is what is mounted on.
  await using pinned = await pinFolder(options.mountPoint);
  await examineDirectory(pinned.path, options.mountPoint);
  return await mountByKernelOn(pinned.path, addon, options, false);
}

async function mountByKernelOn(
  target: string,
  addon: NativeAddon,
  options: MountOptions,
  replacesDead: boolean,
): Promise<number> {
  const descriptor = addon.openDevice(DEVICE_PATH);
  if (descriptor < 0) throw deviceRefused(descriptor);
  const owner = { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 };
  const call = [
    descriptor,
    target,
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
