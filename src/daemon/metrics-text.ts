/**
 * The text format of Prometheus, version 0.0.4. Pure.
 *
 * @see https://prometheus.io/docs/instrumenting/exposition_formats/
 */
import type { Histogram } from '../lib/histogram.ts';

export type Labels = Readonly<Record<string, string>>;

export const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/**
 * Upper bounds of the buckets that are told, in µs: powers of two, where a `Histogram` counts
 * exactly, four times apart, from what memory answers to what a person gives up on (67 s).
 */
const boundsUs = Array.from({ length: 12 }, (_, step) => 2 ** (4 + 2 * step));

/** Families in the order in which they are begun; each has one HELP and one TYPE, however often it is added to. */
export class MetricsText {
  readonly #families = new Map<string, string[]>();

  /** `name` without unit suffix rules being checked: they are a matter of taste; a test looks at them. */
  counter(name: string, help: string, value: number, labels: Labels = {}): void {
    this.#family(name, 'counter', help).push(sample(name, value, labels));
  }

  /** Nothing is told of what is not known. */
  gauge(name: string, help: string, value: number | undefined, labels: Labels = {}): void {
    if (value === undefined) return;
    this.#family(name, 'gauge', help).push(sample(name, value, labels));
  }

  /** In seconds. */
  histogram(name: string, help: string, times: Histogram, labels: Labels): void {
    const lines = this.#family(name, 'histogram', help);
    for (const us of boundsUs) {
      lines.push(
        sample(`${name}_bucket`, times.countBelow(us), { ...labels, le: String(us / 1e6) }),
      );
    }
    lines.push(
      sample(`${name}_bucket`, times.count, { ...labels, le: '+Inf' }),
      sample(`${name}_sum`, times.sumMs / 1000, labels),
      sample(`${name}_count`, times.count, labels),
    );
  }

  toString(): string {
    return `${[...this.#families.values()].flat().join('\n')}\n`;
  }

  #family(name: string, type: string, help: string): string[] {
    const known = this.#families.get(name);
    if (known !== undefined) return known;
    const lines = [`# HELP ${name} ${escaped(help)}`, `# TYPE ${name} ${type}`];
    this.#families.set(name, lines);
    return lines;
  }
}

function sample(name: string, value: number, labels: Labels): string {
  const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escapedLabel(text)}"`);
  const braced = pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
  return `${name}${braced} ${value}`;
}

function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
}

function escapedLabel(text: string): string {
  return escaped(text).replaceAll('"', '\\"');
}
