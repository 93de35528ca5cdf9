/**
 * How long the sending of a body will take, by how it went with others: so that it is signed with
 * credentials that outlive it. Servers look at them when a request begins, and some once more at
 * its end.
 */
import { MiB } from '../lib/bytes.ts';

/** What is expected of a line that has not been tried: a poor one. */
const FIRST_BYTES_A_MS = MiB / 1000;
/** Weight of the newest body: a line that changes is known after a few. */
const NEWEST = 0.3;
/** Shorter ones say more about the server than about the line. */
const LEAST_BYTES = MiB;
/** Times what is expected, and so much besides: pauses and a second try belong to it. */
const CAUTION = 2;
const MARGIN_MS = 5_000;

export class UploadPace {
  #bytesAMs = FIRST_BYTES_A_MS;

  /** A body of `bytes` took `ms` from its signing to its answer. */
  note(bytes: number, ms: number): void {
    if (bytes < LEAST_BYTES) return;
    const paceNow = bytes / Math.max(1, ms);
    this.#bytesAMs = NEWEST * paceNow + (1 - NEWEST) * this.#bytesAMs;
  }

  /** How long credentials for a body of `bytes` should be good; undefined: as any request's. */
  wantedMs(bytes: number): number | undefined {
    if (bytes < LEAST_BYTES) return undefined;
    return CAUTION * (bytes / this.#bytesAMs) + MARGIN_MS;
  }
}
