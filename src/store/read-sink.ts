/** Sinks for the bytes of a read, see `ReadSink`. */
import type { ReadSink } from './object-store.ts';

/** Fills one buffer from its start. */
export class BufferSink implements ReadSink {
  readonly #buffer: Uint8Array;
  #filled = 0;

  constructor(buffer: Uint8Array) {
    this.#buffer = buffer;
  }

  /** What has come so far. */
  get bytes(): Uint8Array {
    return this.#buffer.subarray(0, this.#filled);
  }

  /** @throws Error when more comes than the buffer holds. */
  room(): Uint8Array {
    if (this.#filled === this.#buffer.byteLength)
      throw new Error('a read gave more than asked for');
    return this.#buffer.subarray(this.#filled);
  }

  filled(bytes: number): void {
    this.#filled += bytes;
  }
}
