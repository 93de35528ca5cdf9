/** A span of time that neither a suspended laptop nor a corrected clock can stretch. */
import type { Clock } from './clock.ts';

/**
 * Counts from its making. The time passed is the larger of what the two clocks say: the monotonic
 * one stands still while a laptop sleeps (CLOCK_MONOTONIC, `clock_gettime(2)`), the wall clock
 * may be set back. So it may end early, never late.
 */
export class Deadline {
  readonly #clock: Clock;
  readonly #lifeMs: number;
  readonly #startMonotonicMs: number;
  readonly #startWallMs: number;

  constructor(clock: Clock, lifeMs: number) {
    this.#clock = clock;
    this.#lifeMs = lifeMs;
    this.#startMonotonicMs = clock.monotonic();
    this.#startWallMs = clock.now();
  }

  /** The whole span in ms. */
  get lifeMs(): number {
    return this.#lifeMs;
  }

  /** Milliseconds left; zero or less once it has passed. */
  leftMs(): number {
    const monotonic = this.#clock.monotonic() - this.#startMonotonicMs;
    return this.#lifeMs - Math.max(monotonic, this.#clock.now() - this.#startWallMs);
  }
}
