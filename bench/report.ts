/**
 * What a suite measures and how it is shown. A ratio says how good wire is against the best of the
 * others; greater is better, also for time and memory.
 */

/** Samples of one quantity, in `unit`, from interleaved rounds. */
export interface Measurement {
  readonly name: string;
  readonly unit: string;
  /** Whether a greater sample is a better one (rates) or a worse one (times, memory). */
  readonly better: 'greater' | 'smaller';
  readonly wire: readonly number[];
  /** By name; `limit` is an absolute goal. */
  readonly others: Readonly<Record<string, readonly number[]>>;
}

export interface Result {
  readonly name: string;
  readonly unit: string;
  readonly wire: number;
  readonly others: Readonly<Record<string, number>>;
  readonly ratio: number;
  /** Smallest and greatest sample of wire's. */
  readonly spread: readonly [number, number];
}

export interface SuiteReport {
  readonly suite: string;
  readonly machine: string;
  readonly results: readonly Result[];
  readonly notes: Readonly<Record<string, string | number>>;
}

/** Middle sample; of an even number, the mean of the two in the middle. NaN of none. */
export function median(samples: readonly number[]): number {
  const sorted = samples.toSorted((a, b) => a - b);
  const upper = sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
  const lower = sorted[Math.ceil(sorted.length / 2) - 1] ?? Number.NaN;
  return (lower + upper) / 2;
}

export function resultOf(measurement: Measurement): Result {
  const { name, unit, better } = measurement;
  const wire = median(measurement.wire);
  const others = Object.fromEntries(
    Object.entries(measurement.others).map(([other, samples]) => [other, median(samples)]),
  );
  const values = Object.values(others);
  const ratio = better === 'greater' ? wire / Math.max(...values) : Math.min(...values) / wire;
  const spread = [Math.min(...measurement.wire), Math.max(...measurement.wire)] as const;
  return { name, unit, wire, others, ratio, spread };
}

/** The report as a table for people. */
export function formatReport(report: SuiteReport): string {
  const round = (value: number): string => (value < 10 ? value.toFixed(2) : value.toFixed(0));
  const rows = report.results.map((result) => {
    const others = Object.entries(result.others).map(([name, value]) => `${name} ${round(value)}`);
    const spread = `${round(result.spread[0])}-${round(result.spread[1])}`;
    const wire = `${round(result.wire)} ${result.unit} (${spread})`;
    return `${result.name.padEnd(18)} ${wire.padEnd(28)} ${others.join(', ').padEnd(24)} ratio ${result.ratio.toFixed(2)}`;
  });
  const notes = Object.entries(report.notes).map(([name, value]) => `  ${name}: ${value}`);
  return [`${report.suite} on ${report.machine}`, ...rows, ...notes].join('\n');
}
