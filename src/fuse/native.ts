/**
 * What of the addon in native/ mounting needs: only system calls, typed. Results follow one rule: a
 * value >= 0, or a negative errno.
 */
import { addonTarget, loadAddon } from '../lib/native-addon.ts';
import { WireError } from '../lib/wire-error.ts';

/** `MS_*` of mount(2), Linux `include/uapi/linux/mount.h`. */
export const mountFlags = {
  readOnly: 1,
  noSuid: 2,
  noDev: 4,
  noExec: 8,
  noAtime: 1024,
} as const;

/** An open /dev/fuse on the event loop; see native/linux/channel.h. */
export interface NativeChannel {
  /** Sends `headBytes` of the head buffer and `payload`. Returns 0 or a positive errno. */
  reply(headBytes: number, payload?: Uint8Array | readonly Uint8Array[]): number;
  /** Sends notifications that lie one behind the other, from a thread of its own. */
  notify(messages: Uint8Array): Promise<number>;
  close(): void;
}

type NativeChannelConstructor = new (
  descriptor: number,
  arena: Uint8Array,
  bounds: Uint32Array,
  head: Uint8Array,
  requestBytes: number,
  onBatch: (count: number) => void,
  onEnd: (errno: number) => void,
) => NativeChannel;

/** Arguments of mount(2), without the descriptor in the options. */
type MountCall = (
  descriptor: number,
  target: string,
  source: string,
  subtype: string,
  options: string,
  flags: number,
) => Promise<number>;

export interface NativeAddon {
  /** Opens /dev/fuse non-blocking and close-on-exec. */
  openDevice(path: string): number;
  /** Makes a /dev/fuse of somebody else non-blocking and close-on-exec; ENODEV for another file. */
  adoptDevice(descriptor: number): number;
  closeDescriptor(descriptor: number): void;
  readonly mount: MountCall;
  /** Mounts under what is on top of `target` and takes that away (Linux 6.5). */
  readonly replaceTop: MountCall;
  /** umount2(2) of a path that is not followed; `lazy` 1 is MNT_DETACH. */
  unmount(target: string, lazy: 0 | 1): Promise<number>;
  /** Before it returns; `lazy` also cuts the connection of a FUSE mount off. */
  unmountSync(target: string, lazy: 0 | 1): number;
  socketPair(): readonly [number, number];
  receiveDescriptor(socket: number): number;
  /** FUSE passthrough: the kernel's id of the file at `descriptor`. */
  openBacking(device: number, descriptor: number): number;
  closeBacking(device: number, backingId: number): number;
  /** Cuts a connection off by fusectl, whether that is mounted or not. Root only. */
  abortConnection(minor: number): Promise<number>;
  /** A descriptor that holds the lock on a file until it is closed; EAGAIN when it is taken. */
  lockFile(path: string): number;
  readonly Channel: NativeChannelConstructor;
}

/**
 * The addon for this system.
 *
 * @throws WireError of kind `no-fuse` when there is none that loads.
 */
export function loadNative(): NativeAddon {
  try {
    return loadAddon() as NativeAddon;
  } catch (cause) {
    throw new WireError(
      'no-fuse',
      {
        tried: `load the FUSE addon for ${addonTarget()}`,
        answered: cause instanceof Error ? cause.message : 'there is none',
        next: 'in a checkout run `npm run build` (it needs a C++ compiler); a package that was installed holds it for the systems it was released for',
      },
      { cause },
    );
  }
}
