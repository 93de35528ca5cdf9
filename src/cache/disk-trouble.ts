/**
 * What goes wrong with the disk, told once: the cache does without for a while and tries again.
 */
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import { codeOf } from './disk-files.ts';

/** A disk that was full or gone is looked at again after this. */
const PAUSE_MS = 30_000;

export class DiskTrouble {
  readonly #log: Log;
  readonly #clock: Clock;
  /** What was told and is not over; by name of the error. */
  readonly #told = new Set<string>();
  #pausedUntilMs = Number.NEGATIVE_INFINITY;

  constructor(log: Log, clock: Clock) {
    this.#log = log;
    this.#clock = clock;
  }

  /** While it lasts, nothing new is kept. */
  get paused(): boolean {
    return this.#clock.monotonic() < this.#pausedUntilMs;
  }

  /** Something could not be kept: nothing is, for a while. */
  pause(error: unknown): void {
    this.#pausedUntilMs = this.#clock.monotonic() + PAUSE_MS;
    this.note(error);
  }

  /** Something could not be read, or be removed. */
  note(error: unknown): void {
    const code = codeOf(error) ?? 'unknown';
    if (this.#told.has(code)) return;
    this.#told.add(code);
    this.#log.warn('disk-cache-trouble', { error });
  }

  damaged(object: string): void {
    if (this.#told.has('damaged')) return;
    this.#told.add('damaged');
    this.#log.warn('disk-cache-damaged', { object });
  }

  /** Something was kept again. */
  over(): void {
    if (this.#told.size === 0 || this.paused) return;
    this.#told.clear();
    this.#log.info('disk-cache-again');
  }
}
