/** Whether a figure stays flat: the slope that half of all pairs of samples exceed (Theil-Sen). */

export interface Sample {
  readonly atMs: number;
  readonly value: number;
}

/** The first part of a run fills pools and caches, and is no leak. */
const WARM_UP = 0.25;

export interface Trend {
  /** Growth from the end of the warm-up to the last sample, as the slope has it. */
  readonly growth: number;
  readonly median: number;
  readonly peak: number;
}

/** Undefined for fewer samples than tell anything. */
export function trendOf(samples: readonly Sample[]): Trend | undefined {
  const [first, last] = [samples[0], samples.at(-1)];
  if (first === undefined || last === undefined) return undefined;
  const fromMs = first.atMs + WARM_UP * (last.atMs - first.atMs);
  const later = samples.filter(({ atMs }) => atMs >= fromMs);
  if (later.length < 5) return undefined;
  const slopes = later.flatMap((a, nth) =>
    later.slice(nth + 1).map((b) => (b.value - a.value) / (b.atMs - a.atMs)),
  );
  return {
    growth: middle(slopes) * (last.atMs - fromMs),
    median: middle(later.map(({ value }) => value)),
    peak: Math.max(...samples.map(({ value }) => value)),
  };
}

function middle(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}
