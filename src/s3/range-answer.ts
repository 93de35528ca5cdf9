/**
 * One answer to a ranged read, on its way into the sink. Where the end of the body tells whether
 * it was right (a checksum, the last chunk), what lies in the sink's room is held back until then.
 */
import { KiB } from '../lib/bytes.ts';
import type { BodySink } from '../net/http1/answer-body.ts';
import type { AnswerHead } from '../net/http1/answer-head.ts';
import { StoreError } from '../store/errors.ts';
import { type ExpectedDigest, expectedDigest } from './body-digest.ts';
import type { PromisedRange, RangeReading } from './range-reading.ts';

/** Bytes that went on turned out to be wrong at the end: asking again does not take them back. */
export class DamagedObjectError extends StoreError {}

/** Held back at most: where a body breaks off, what was held has to come again. */
const MOST_HELD_BYTES = 128 * KiB;

export class RangeAnswer implements BodySink {
  readonly #reading: RangeReading;
  readonly #check: ExpectedDigest | undefined;
  readonly #denied: (value: string) => boolean;
  /** Nothing of the last room goes on before the end has come. */
  readonly #holds: boolean;
  #room: Uint8Array = new Uint8Array(0);
  #held = 0;
  #passedOn = false;

  /** @param denied whether the sum that is not the ETag came before: then it is no checksum. */
  constructor(
    reading: RangeReading,
    head: AnswerHead,
    promised: PromisedRange,
    etagsAreMd5: boolean,
    denied: (value: string) => boolean,
  ) {
    this.#reading = reading;
    this.#denied = denied;
    // A sum that may be none must not fail a read whose bytes have gone on.
    const fits = Math.min(MOST_HELD_BYTES, reading.room().byteLength) >= reading.left;
    this.#check = promised.whole ? expectedDigest(head.headers, etagsAreMd5 && fits) : undefined;
    this.#holds = this.#check !== undefined || head.framing.by !== 'length';
  }

  /** @throws StoreError `unavailable` when there should be no more bytes. */
  room(): Uint8Array {
    const left = this.#reading.left - this.#held;
    if (left <= 0) throw this.#reading.broken('more bytes than promised');
    const room = this.#reading.room();
    this.#room = room;
    const end = Math.min(room.byteLength, this.#held + left);
    return this.#held === 0 && end === room.byteLength ? room : room.subarray(this.#held, end);
  }

  filled(bytes: number): void {
    if (!this.#holds) {
      this.#reading.filled(bytes);
      return;
    }
    this.#check?.digest.update(this.#room.subarray(this.#held, this.#held + bytes));
    this.#held += bytes;
    const more = this.#held < this.#reading.left;
    const full = this.#held >= Math.min(MOST_HELD_BYTES, this.#room.byteLength);
    if (more && full) this.#passOn();
  }

  /** The body has ended. @throws StoreError `unavailable` unless it was all, and right. */
  finish(): void {
    if (this.#held < this.#reading.left) throw this.#reading.broken('fewer bytes than promised');
    this.#verify();
    if (this.#held > 0) this.#passOn();
  }

  #verify(): void {
    if (this.#check === undefined) return;
    const { digest, expected, guessed } = this.#check;
    const value = digest.value();
    if (value === expected || (guessed && this.#denied(value))) return;
    if (!this.#passedOn) throw this.#reading.broken('its checksum does not match');
    const { tried } = this.#reading.target;
    const detail = { code: 'the checksum of the object does not match' };
    throw new DamagedObjectError('unavailable', tried, detail);
  }

  #passOn(): void {
    const held = this.#held;
    this.#held = 0;
    this.#passedOn = true;
    this.#reading.filled(held);
  }
}
