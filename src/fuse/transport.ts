/**
 * How requests of a kernel reach us and replies go back. `fuse/linux` is the real one;
 * `fuse/memory-channel` a kernel made for tests. Sessions speak the FUSE protocol over a `Channel`
 * and know no system.
 */
import type { ReadBytes } from '../fs/filesystem.ts';

/** What this transport offers, so that nobody above asks which system it is. */
export interface Capabilities {
  /** Largest payload of one READ or WRITE. */
  readonly maxWriteBytes: number;
  /** The kernel can be told to drop what it keeps. */
  readonly notify: boolean;
  readonly readdirplus: boolean;
}

/**
 * Takes one batch of requests: `arena` holds them, `bounds[2i]` and `bounds[2i+1]` are start and
 * end of request i; a start is a multiple of 8. The arena is reused once this returns: decode at
 * once, copy what is kept.
 */
export type ReceiveBatch = (arena: Uint8Array, bounds: Uint32Array, count: number) => void;

/** One connection to a kernel. */
export interface Channel {
  readonly capabilities: Capabilities;
  /** Where the header of a reply, and what is encoded after it, are written. Aligned to 8. */
  readonly head: Uint8Array;
  /** Starts delivery; `ended` resolves when the kernel has let go of the mount. */
  start(receive: ReceiveBatch): void;
  readonly ended: Promise<void>;
  /**
   * Sends the first `headBytes` of `head` and then `payload`, without copying it.
   *
   * @returns false when nobody waits for it: the request was interrupted, the mount is gone.
   * @throws when the kernel takes it for malformed: a defect of the caller.
   */
  reply(headBytes: number, payload?: ReadBytes): boolean;
  /** Sends a notification, never from the loop thread. Resolves when the kernel has taken it. */
  notify(pieces: readonly Uint8Array[]): Promise<void>;
  /** Stops delivery and closes; the mount, if still there, answers ENOTCONN. */
  close(): void;
}
