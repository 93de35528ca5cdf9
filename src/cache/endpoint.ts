/**
 * What is known of one endpoint by the answers it gave, and the line of requests to it: shared by
 * all mounts that use it.
 */
import { LoadQueue } from './load-queue.ts';
import {
  askedAtRandom,
  type GrainState,
  grainAfter,
  initialGrain,
  nextGrain,
} from './range-grain.ts';
import { initialTuner, type TransferSample, type TunerState, tunerAfter } from './tuner.ts';

/**
 * Requests that somebody waits for go beyond what reading ahead has found best, up to this: most
 * are short, and a program that reads at random with 32 threads wants 32 answers.
 */
const MAX_URGENT = 32;

/**
 * Long ones hardly do: a hundred readers of a hundred files have no more from more at once, and
 * each would have less memory.
 */
const LONG_URGENT = 1.25;

export class Endpoint {
  /** `https://host[:port]`: part of the names of blocks. */
  readonly name: string;
  readonly queue: LoadQueue = new LoadQueue({
    aheadLimit: () => this.#tuner.loads,
    longLimit: () => Math.ceil(this.#tuner.loads * LONG_URGENT),
    limit: () => Math.max(this.#tuner.loads, MAX_URGENT),
  });
  #tuner: TunerState = initialTuner;
  #grain: GrainState = initialGrain;

  constructor(name: string) {
    this.name = name;
  }

  /** Requests at once for what nobody waits for yet. */
  get loads(): number {
    return this.#tuner.loads;
  }

  /** Length of one request of many. */
  get partBytes(): number {
    return this.#tuner.partBytes;
  }

  /** How much to ask for, at least, for the next read at random. */
  get grainBytes(): number {
    return nextGrain(this.#grain);
  }

  /** A read at random has asked for so much. */
  askedAtRandom(): void {
    this.#grain = askedAtRandom(this.#grain);
  }

  /** Learns from a request that has ended. */
  note(sample: TransferSample): void {
    this.#tuner = tunerAfter(this.#tuner, sample);
    if (!sample.slowDown) this.#grain = grainAfter(this.#grain, sample.bytes, sample.durationMs);
  }
}
