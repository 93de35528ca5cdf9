/**
 * What a file that is being changed still has of the version it began as: bytes that nobody has
 * downloaded. They are read as every reader reads them, of that version or not at all.
 */
import type { Extent } from '../lib/bytes.ts';
import { MiB } from '../lib/bytes.ts';
import type { ObjectVersion } from '../store/object-store.ts';
import type { MaybePromise, ReadBytes } from './filesystem.ts';
import type { PinnedVersion, ReadPosition } from './pinned-version.ts';
import { staleFile } from './refusals.ts';

/** What is read of it at once. */
const STEP_BYTES = MiB;

/** Where a version is, wherever a rename puts it, and how it is read: see `Reader`. */
export interface BasePins {
  pin(version: ObjectVersion): PinnedVersion;
  unpin(pinned: PinnedVersion): void;
  read(
    pinned: PinnedVersion,
    extent: Extent,
    position: ReadPosition,
    signal: () => AbortSignal,
  ): MaybePromise<ReadBytes>;
}

export class ContentBase {
  readonly #pins: BasePins;
  #pinned: PinnedVersion | undefined;
  #closed = false;

  constructor(pins: BasePins) {
    this.#pins = pins;
  }

  /** Bytes of `version`, as `Reader.read`. */
  read(
    version: ObjectVersion,
    extent: Extent,
    position: ReadPosition,
    signal: () => AbortSignal,
  ): MaybePromise<ReadBytes> {
    return this.#pins.read(this.#pin(version), extent, position, signal);
  }

  /**
   * Fills `into` with the bytes of `version` from `start` on.
   *
   * @throws FsError ESTALE when the object is another by now.
   */
  async fill(
    version: ObjectVersion,
    start: number,
    into: Uint8Array,
    position: ReadPosition,
    signal: AbortSignal,
  ): Promise<void> {
    for (let done = 0; done < into.byteLength; ) {
      const length = Math.min(STEP_BYTES, into.byteLength - done);
      const extent = { start: start + done, end: start + done + length };
      const read = await this.read(version, extent, position, () => signal);
      // Views are good for this turn only: copied before the next wait.
      const before = done;
      for (const view of read instanceof Uint8Array ? [read] : read) {
        into.set(view, done);
        done += view.byteLength;
      }
      if (done === before) throw staleFile;
    }
  }

  /** The object was moved: the same content is another version now. */
  moved(version: ObjectVersion): void {
    if (this.#pinned !== undefined) this.#pinned.version = version;
  }

  /** Nothing is read of it any more, or of another version from now on. */
  release(): void {
    const pinned = this.#pinned;
    this.#pinned = undefined;
    if (pinned !== undefined) this.#pins.unpin(pinned);
  }

  close(): void {
    this.#closed = true;
    this.release();
  }

  #pin(version: ObjectVersion): PinnedVersion {
    if (this.#closed) throw staleFile;
    this.#pinned ??= this.#pins.pin(version);
    return this.#pinned;
  }
}
