/**
 * fuse-native, the FUSE binding on npm, as a transport: kept so that it can be run and compared.
 * It needs libfuse 2, carries 128 KiB at a time, keeps one thread of its own waiting for each
 * operation, and cannot tell the kernel anything; docs/decisions say what follows from that.
 */
import type Fuse from 'fuse-native';
import type { Options } from 'fuse-native';
import { FsError } from '../../fs/errno.ts';
import type { FileSystem, RequestContext } from '../../fs/filesystem.ts';
import { type KernelCache, noKernelCache } from '../../fs/kernel-cache.ts';
import { raceAbort } from '../../lib/abort.ts';
import { type Clock, systemClock } from '../../lib/clock.ts';
import type { Log } from '../../lib/log.ts';
import { WireError } from '../../lib/wire-error.ts';
import { whileLocked } from '../linux/mount-lock.ts';
import { SUBTYPE } from '../linux/mount-options.ts';
import { chooseMethod, examineMountPoint, type MountMethod } from '../linux/mount-point.ts';
import { readMountinfo, topMount } from '../linux/mountinfo.ts';
import { detach, detachNow } from '../linux/unmount.ts';
import { loadNative, type NativeAddon } from '../native.ts';
import { PathWalker } from '../path-walker.ts';
import type {
  Attachment,
  Capabilities,
  MountOptions,
  Transport,
  UnmountMode,
} from '../transport.ts';
import { pathOperations } from './path-operations.ts';

/** Nothing tells that somebody unmounted it: the list of mounts is read this often. */
const LOOK_MS = 500;
const IO_BYTES = 128 * 1024;

export const fuseNativeTransport: Transport = { name: 'fuse-native', attach };

async function attach(options: MountOptions, signal: AbortSignal): Promise<Attachment> {
  const FuseClass = await load();
  const addon = loadNative();
  return await whileLocked(addon, options, async () => {
    const { mountPoint } = options;
    const found = await examineMountPoint(mountPoint, signal);
    const method = await chooseMethod(options);
    if (found === 'dead') await detach(addon, method, mountPoint, 'lazy');
    signal.throwIfAborted();
    const attached = new NativeAttachment(addon, method, mountPoint);
    await mountBy(new FuseClass(mountPoint, attached.operations, packageOptions(options)), options);
    const device = topMount(await readMountinfo(), mountPoint)?.device;
    attached.mounted(device, systemClock);
    return attached;
  });
}

async function mountBy(fuse: Fuse, { mountPoint }: MountOptions): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    fuse.mount((error) => {
      if (error === null) resolve();
      else reject(refused(mountPoint, error));
    });
  });
}

/** @throws WireError of kind `no-fuse` when the package or libfuse 2 is not there. */
async function load(): Promise<typeof Fuse> {
  try {
    const { default: FuseClass } = await import('fuse-native');
    return FuseClass;
  } catch (error) {
    throw new WireError(
      'no-fuse',
      {
        tried: 'load fuse-native',
        answered: error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error),
        next: 'install it (npm install fuse-native) and libfuse 2 (Debian, Ubuntu: apt-get install libfuse2), or leave --transport out',
      },
      { cause: error },
    );
  }
}

/**
 * `big_writes` and the flags of the mount have no option of their own; what is joined to another
 * one reaches libfuse all the same.
 */
function packageOptions(options: MountOptions): Options {
  const { readOnly, allowOther, fsName, noAtime, noExec, defaultPermissions } = options;
  const words = [
    SUBTYPE,
    'big_writes',
    readOnly ? 'ro' : 'rw',
    'nosuid',
    'nodev',
    ...(noAtime === true ? ['noatime'] : []),
    ...(noExec === true ? ['noexec'] : []),
  ];
  return {
    timeout: false,
    allowOther,
    defaultPermissions: defaultPermissions !== false,
    // A comma would start another option.
    fsname: fsName.replaceAll(',', ' '),
    subtype: words.join(','),
  };
}

function refused(mountPoint: string, error: Error): WireError {
  return new WireError(
    'no-fuse',
    {
      tried: `mount on ${mountPoint} by fuse-native`,
      answered: error.message,
      next: 'leave --transport out',
    },
    { cause: error },
  );
}

class NativeAttachment implements Attachment {
  readonly mountPoint: string;
  readonly capabilities: Capabilities = {
    maxWriteBytes: IO_BYTES,
    notify: false,
    readdirplus: false,
  };
  readonly ended: Promise<void>;
  readonly operations: ReturnType<typeof pathOperations>;
  readonly #addon: NativeAddon;
  readonly #method: MountMethod;
  /** Aborts when the mount is gone: nobody waits for what is still under way. */
  readonly #gone = new AbortController();
  #device: string | undefined;
  #log: Log | undefined;
  #serve: (walker: PathWalker) => void = () => undefined;
  #refuse: (error: Error) => void = () => undefined;
  #end: () => void = () => undefined;

  constructor(addon: NativeAddon, method: MountMethod, mountPoint: string) {
    this.#addon = addon;
    this.#method = method;
    this.mountPoint = mountPoint;
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
    const walker = new Promise<PathWalker>((resolve, reject) => {
      this.#serve = resolve;
      this.#refuse = reject;
    });
    walker.catch(() => undefined);
    this.operations = pathOperations({
      walker,
      context: this.#context(),
      failed: (operation, error) => this.#log?.warn('fuse.failed', { operation, error }),
    });
  }

  /** Starts to look whether it still is. */
  mounted(device: string | undefined, clock: Clock): void {
    this.#device = device;
    this.#watch(clock)
      .catch((error: unknown) => this.#log?.error('fuse.failed', { operation: 'watch', error }))
      .finally(() => this.#over())
      .catch(() => undefined);
  }

  serve(fileSystem: FileSystem, log: Log): KernelCache {
    this.#log = log;
    this.#serve(new PathWalker(fileSystem));
    return noKernelCache;
  }

  async unmount(mode: UnmountMode, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#gone.signal.aborted) return;
    if (await this.#isThere()) {
      await detach(this.#addon, this.#method, this.mountPoint, mode);
    }
    // Out of sight; what is in use goes on, unheard of, until the process ends.
    if (mode === 'wait' || !(await this.#isThere())) this.#over();
    await raceAbort(this.ended, signal);
  }

  unmountNow(): void {
    if (this.#gone.signal.aborted) return;
    detachNow(this.#addon, this.#method, this.mountPoint);
    this.#over();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.unmount('lazy', new AbortController().signal);
  }

  #over(): void {
    this.#gone.abort();
    this.#refuse(new FsError('EIO', 'answer for a mount that is gone'));
    this.#end();
  }

  async #watch(clock: Clock): Promise<void> {
    while (await this.#isThere()) {
      await clock.sleep(LOOK_MS, this.#gone.signal).catch(() => undefined);
      if (this.#gone.signal.aborted) return;
    }
  }

  async #isThere(): Promise<boolean> {
    const mounts = await readMountinfo();
    return mounts.some(
      ({ mountPoint, device }) => mountPoint === this.mountPoint && device === this.#device,
    );
  }

  /** The package does not tell who asks; the kernel has checked the permissions. */
  #context(): RequestContext {
    const { signal } = this.#gone;
    return { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0, pid: 0, signal };
  }
}
