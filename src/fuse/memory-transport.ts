/** Mounts nowhere: each mount is a `MemoryChannel`, the kernel made for tests, at a name. */
import type { FileSystem } from '../fs/filesystem.ts';
import type { KernelCache } from '../fs/kernel-cache.ts';
import { raceAbort } from '../lib/abort.ts';
import type { Log } from '../lib/log.ts';
import { WireError } from '../lib/wire-error.ts';
import { errnoNumbers } from './linux/errno.ts';
import { MemoryChannel } from './memory-channel.ts';
import { Notifications } from './notifications.ts';
import { Session } from './session.ts';
import type {
  Attachment,
  Capabilities,
  MountOptions,
  Transport,
  UnmountMode,
} from './transport.ts';

export class MemoryTransport implements Transport {
  readonly name: string = 'memory';
  readonly #mounts = new Map<string, MemoryMount>();

  /** What is mounted, by mount point. */
  get mounts(): ReadonlyMap<string, MemoryMount> {
    return this.#mounts;
  }

  async attach({ mountPoint }: MountOptions, signal: AbortSignal): Promise<MemoryMount> {
    signal.throwIfAborted();
    if (this.#mounts.has(mountPoint)) {
      throw new WireError('mount-point', {
        tried: `mount on ${mountPoint}`,
        answered: 'something is mounted there already (busy)',
      });
    }
    const mount = new MemoryMount(mountPoint, () => this.#mounts.delete(mountPoint));
    this.#mounts.set(mountPoint, mount);
    return await Promise.resolve(mount);
  }
}

export class MemoryMount implements Attachment {
  readonly mountPoint: string;
  readonly ended: Promise<void>;
  /** The kernel's side: sends requests, keeps replies. */
  readonly channel: MemoryChannel = new MemoryChannel();
  readonly #gone: () => void;
  #session: Session | undefined;

  constructor(mountPoint: string, gone: () => void) {
    this.mountPoint = mountPoint;
    this.#gone = gone;
    this.ended = this.channel.ended.then(async () => await this.#session?.ended);
  }

  get capabilities(): Capabilities {
    return this.channel.capabilities;
  }

  serve(fileSystem: FileSystem, log: Log): KernelCache {
    this.#session = new Session(this.channel, fileSystem, errnoNumbers, log);
    this.#session.start();
    return new Notifications(this.channel, log);
  }

  async unmount(mode: UnmountMode, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    this.unmountNow();
    if (mode === 'wait') await raceAbort(this.ended, signal);
  }

  unmountNow(): void {
    this.#gone();
    this.channel.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#gone();
    if (this.#session === undefined) this.channel.close();
    else this.#session.close();
    await this.ended;
  }
}
