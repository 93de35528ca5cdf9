/**
 * The addon of native/: only system calls, typed. Results follow one rule: a value >= 0, or a
 * negative errno.
 */
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
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
  /** Sends a notification from a thread of its own. */
  notify(message: Uint8Array): Promise<number>;
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

const PACKAGE_NAME = 'wire-mount';

/**
 * Loads the addon for this system: what `npm run build` made, else the published one.
 *
 * @throws WireError of kind `no-fuse` when there is none that loads.
 */
export function loadNative(): NativeAddon {
  const target = `${process.platform}-${process.arch}`;
  const root = findPackageRoot(dirname(fileURLToPath(import.meta.url)));
  const paths = ['build', 'prebuilds'].map((kind) =>
    join(root, 'native', kind, target, 'wire.node'),
  );
  const present = paths.filter((path) => existsSync(path));
  let cause: unknown;
  for (const path of present) {
    try {
      return createRequire(import.meta.url)(path) as NativeAddon;
    } catch (error) {
      cause = error;
    }
  }
  throw new WireError(
    'no-fuse',
    {
      tried: `load the FUSE addon for ${target}`,
      answered: cause instanceof Error ? cause.message : 'there is none',
      next: 'in a checkout run `npm run build` (it needs a C++ compiler); a package that was installed holds it for the systems it was released for',
    },
    { cause },
  );
}

/** This code runs from dist/, build/src/ and src/: the package is the first one of our name above. */
function findPackageRoot(from: string): string {
  for (let folder = from; ; folder = dirname(folder)) {
    const manifest = join(folder, 'package.json');
    if (existsSync(manifest) && nameOf(manifest) === PACKAGE_NAME) return folder;
    if (folder === dirname(folder)) return from;
  }
}

function nameOf(manifest: string): unknown {
  const content: unknown = JSON.parse(readFileSync(manifest, 'utf8'));
  return typeof content === 'object' && content !== null && 'name' in content
    ? content.name
    : undefined;
}
