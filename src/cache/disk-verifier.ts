/**
 * Checks whole objects in the background, so that a later open may hand them to the kernel. It
 * takes its time: programs read from the same disk.
 */
import { MiB } from '../lib/bytes.ts';
import type { Clock } from '../lib/clock.ts';
import type { ObjectIdentity } from './block-disk.ts';
import type { DiskLease } from './disk-object.ts';
import type { DiskVersion } from './disk-version.ts';

const BYTES_PER_SECOND = 64 * MiB;
/** Read in one go. */
const BATCH_BLOCKS = 8;
/** Objects that wait to be checked; of more, the latest. */
const MAX_WAITING = 100;

export class DiskVerifier {
  readonly #clock: Clock;
  readonly #borrow: (object: ObjectIdentity) => Promise<DiskLease | undefined>;
  readonly #waiting: ObjectIdentity[] = [];
  #wake: () => void = () => undefined;

  constructor(clock: Clock, borrow: (object: ObjectIdentity) => Promise<DiskLease | undefined>) {
    this.#clock = clock;
    this.#borrow = borrow;
  }

  add(object: ObjectIdentity): void {
    this.#waiting.push(object);
    if (this.#waiting.length > MAX_WAITING) this.#waiting.shift();
    this.#wake();
  }

  /** Until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const object = this.#waiting.pop();
      if (object === undefined) await this.#more(signal);
      else await this.#check(object, signal);
    }
  }

  async #more(signal: AbortSignal): Promise<void> {
    const { promise, resolve } = newWait();
    signal.addEventListener('abort', resolve, { once: true });
    this.#wake = resolve;
    await promise;
    signal.removeEventListener('abort', resolve);
  }

  async #check(object: ObjectIdentity, signal: AbortSignal): Promise<void> {
    const lease = await this.#borrow(object);
    if (lease === undefined) return;
    try {
      if (lease.version.needsChecks) await this.#checkBlocks(lease.version, signal);
    } catch (error) {
      // The pauses end with `signal`; a read does not fail.
      if (!signal.aborted) throw error;
    } finally {
      await lease.end();
    }
  }

  async #checkBlocks(version: DiskVersion, signal: AbortSignal): Promise<void> {
    const { blockBytes, place } = version;
    const rooms = Array.from({ length: BATCH_BLOCKS }, () => new Uint8Array(blockBytes));
    for (let first = version.unchecked(0); first !== undefined && !signal.aborted; ) {
      const startMs = this.#clock.monotonic();
      const batch = rooms.slice(0, place.blocks - first);
      const last = batch.length - 1;
      const tail = place.object.bytes - (first + last) * blockBytes;
      batch[last] = (batch[last] ?? new Uint8Array()).subarray(0, Math.min(tail, blockBytes));
      await version.read(first, batch);
      const dueMs = startMs + (batch.length * blockBytes * 1000) / BYTES_PER_SECOND;
      await this.#clock.sleep(Math.max(0, dueMs - this.#clock.monotonic()), signal);
      first = version.unchecked(first + batch.length);
    }
  }
}

function newWait(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve = (): void => undefined;
  const promise = new Promise<void>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
