/** The real `Channel`: /dev/fuse on Node's loop, through the addon. */
import { getSystemErrorName } from 'node:util';
import type { ReadBytes } from '../../fs/filesystem.ts';
import { MiB } from '../../lib/bytes.ts';
import type { NativeAddon, NativeChannel } from '../native.ts';
import type { BackingFiles, Capabilities, Channel, ReceiveBatch } from '../transport.ts';
import { errnoNumbers } from './errno.ts';

/** Requests of one call into JavaScript; `kBatchRequests` of native/linux/channel.cc. */
const BATCH_REQUESTS = 16;
const MAX_WRITE_BYTES = MiB;
/** Room for one request: read(2) gives EINVAL to less than the largest WRITE with its header. */
const REQUEST_BYTES = MAX_WRITE_BYTES + 4096;
/** Four large writes fit in a batch, or 16 small requests. */
const ARENA_BYTES = 4 * REQUEST_BYTES;
/** A header with the longest fixed body. Listings and contents follow it as payload. */
const FIXED_BYTES = 4096;
/** A payload up to here is copied behind the head: one piece costs the kernel and the addon less than two. */
const COPIED_BYTES_MAX = 8192;
/** writev(2) takes 1,024 pieces with the head; more are joined. */
const PIECES_MAX = 1023;
/** Ends of a connection: unmounted (ENODEV), aborted by fusectl (ECONNABORTED), not there (ENOTCONN). */
const ENODEV = 19;
const ECONNABORTED = 103;
const ENOTCONN = 107;
/** A notification that was still waiting when the channel was closed. */
const ECANCELED = 125;

export class DeviceChannel implements Channel {
  readonly capabilities: Capabilities;
  readonly backing?: BackingFiles;
  readonly head: Uint8Array = new Uint8Array(FIXED_BYTES + COPIED_BYTES_MAX);
  readonly ended: Promise<void>;
  readonly #addon: NativeAddon;
  readonly #descriptor: number;
  #native: NativeChannel | undefined;
  #closed = false;
  #resolveEnded: () => void = () => undefined;

  /** Takes over `descriptor`, an open /dev/fuse of a mount. */
  constructor(addon: NativeAddon, descriptor: number) {
    this.#addon = addon;
    this.#descriptor = descriptor;
    // The kernel lets nobody else name backing files (CAP_SYS_ADMIN).
    const passthrough = process.geteuid?.() === 0;
    this.capabilities = {
      maxWriteBytes: MAX_WRITE_BYTES,
      notify: true,
      readdirplus: true,
      passthrough,
    };
    if (passthrough) {
      this.backing = { open: (file) => this.#openBacking(file), close: (id) => this.#forget(id) };
    }
    this.ended = new Promise((resolve) => {
      this.#resolveEnded = resolve;
    });
  }

  start(receive: ReceiveBatch): void {
    if (this.#closed || this.#native !== undefined) throw new Error('a channel starts once');
    const arena = new Uint8Array(ARENA_BYTES);
    const bounds = new Uint32Array(2 * BATCH_REQUESTS);
    this.#native = new this.#addon.Channel(
      this.#descriptor,
      arena,
      bounds,
      this.head,
      REQUEST_BYTES,
      (count) => receive(arena, bounds, count),
      () => this.close(),
    );
  }

  reply(headBytes: number, payload?: ReadBytes): boolean {
    if (this.#native === undefined || this.#closed) return false;
    const errno = this.#send(this.#native, headBytes, payload);
    if (errno === 0) return true;
    if (isGone(errno)) return false;
    throw new Error(`the kernel refused a reply: ${getSystemErrorName(-errno)}`);
  }

  #send(native: NativeChannel, headBytes: number, payload: ReadBytes | undefined): number {
    if (!(payload instanceof Uint8Array))
      return native.reply(headBytes, payload && joined(payload));
    if (payload.length > COPIED_BYTES_MAX) return native.reply(headBytes, payload);
    this.head.set(payload, headBytes);
    return native.reply(headBytes + payload.length);
  }

  async notify(pieces: readonly Uint8Array[]): Promise<void> {
    if (this.#native === undefined || this.#closed) return;
    const result = await this.#native.notify(Buffer.concat(pieces));
    // What the kernel does not know it cannot keep: nothing was left to do.
    if (result >= 0 || isGone(-result)) return;
    throw new Error(`the kernel refused a notification: ${getSystemErrorName(result)}`);
  }

  /** A refusal is for all files (no privilege) or for one kind (stacked): it is asked each time. */
  #openBacking(file: number): number | undefined {
    if (this.#closed) return undefined;
    const id = this.#addon.openBacking(this.#descriptor, file);
    return id > 0 ? id : undefined;
  }

  /** The kernel forgets all of them with the connection. */
  #forget(backingId: number): void {
    if (!this.#closed) this.#addon.closeBacking(this.#descriptor, backingId);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#native === undefined) this.#addon.closeDescriptor(this.#descriptor);
    else this.#native.close();
    this.#resolveEnded();
  }
}

function isGone(errno: number): boolean {
  return (
    errno === errnoNumbers.ENOENT ||
    errno === ENODEV ||
    errno === ECONNABORTED ||
    errno === ENOTCONN ||
    errno === ECANCELED
  );
}

function joined(pieces: readonly Uint8Array[]): Uint8Array | readonly Uint8Array[] {
  return pieces.length > PIECES_MAX ? Buffer.concat(pieces) : pieces;
}
