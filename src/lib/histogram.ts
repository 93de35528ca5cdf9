/**
 * How long something takes, counted in buckets whose width grows with the time: eight to each
 * doubling, from 1 µs to 35 minutes, so that a quantile is told to an eighth. Recording is a few
 * instructions and allocates nothing, whatever comes; memory is 2 KiB.
 *
 * Idea: HdrHistogram (Gil Tene), with base 2 and three bits below the leading one.
 */

/** Bits that tell times of the same power of two apart. */
const STEP_BITS = 3;
const STEPS = 2 ** STEP_BITS;
/** What is longer counts as this: an int32 of µs. */
const MOST_US = 2 ** 31 - 1;
const BUCKETS = bucketOf(MOST_US) + 1;

/** What `Histogram` knows of its times, in ms. */
export interface HistogramSummary {
  readonly count: number;
  readonly sumMs: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

export class Histogram {
  // Float64: an uint32 would go round after half a day of a bucket of busy reads.
  readonly #counts = new Float64Array(BUCKETS);
  #count = 0;
  #sumUs = 0;
  #maxUs = 0;

  get count(): number {
    return this.#count;
  }

  get sumMs(): number {
    return this.#sumUs / 1000;
  }

  get maxMs(): number {
    return this.#maxUs / 1000;
  }

  /** Counts one time: an int32 of µs; what is negative counts as nothing. */
  record(us: number): void {
    const time = us > 0 ? us : 0;
    const bucket = bucketOf(time);
    // In range by construction: `bucketOf` of an int32.
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
    this.#count += 1;
    this.#sumUs += time;
    if (time > this.#maxUs) this.#maxUs = time;
  }

  /** The time that a part `quantile` of all is at or below, to an eighth, in ms; 0 of nothing. */
  quantileMs(quantile: number): number {
    const rank = Math.max(Math.ceil(quantile * this.#count), 1);
    let seen = 0;
    for (let bucket = 0; bucket < BUCKETS; bucket += 1) {
      seen += this.#counts[bucket] ?? 0;
      if (seen >= rank) return Math.min(lastUsOf(bucket), this.#maxUs) / 1000;
    }
    return 0;
  }

  /** How many took less than `us`, a power of two of at least `STEPS`: there the count is exact. */
  countBelow(us: number): number {
    let seen = 0;
    const end = us > MOST_US ? BUCKETS : bucketOf(us);
    for (let bucket = 0; bucket < end; bucket += 1) seen += this.#counts[bucket] ?? 0;
    return seen;
  }

  summary(): HistogramSummary {
    return {
      count: this.#count,
      sumMs: this.sumMs,
      p50Ms: this.quantileMs(0.5),
      p99Ms: this.quantileMs(0.99),
      maxMs: this.maxMs,
    };
  }
}

/** Of a time in µs, an int32 that is not negative: times below `STEPS` have one each. */
function bucketOf(us: number): number {
  if (us < STEPS) return us;
  const power = 31 - Math.clz32(us);
  return ((power - STEP_BITS) << STEP_BITS) + (us >> (power - STEP_BITS));
}

/** The longest time of a bucket, in whole µs. */
function lastUsOf(bucket: number): number {
  if (bucket < 2 * STEPS) return bucket;
  const shift = (bucket >> STEP_BITS) - 1;
  return (STEPS + (bucket & (STEPS - 1)) + 1) * 2 ** shift - 1;
}

/**
 * Now, in µs, as an int32 that goes round every 71 minutes: differences of two are right for times
 * up to 35 minutes, and none of it is kept in the heap.
 */
export function microseconds(ms: number): number {
  return (ms * 1000) | 0;
}

/** µs from `start` to `end`, both of `microseconds`. */
export function elapsed(start: number, end: number): number {
  return (end - start) | 0;
}
