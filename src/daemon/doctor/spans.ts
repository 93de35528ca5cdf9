/** Spans of time in words. Pure. */

const units = [
  { ms: 86_400_000, name: 'days' },
  { ms: 3_600_000, name: 'h' },
  { ms: 60_000, name: 'min' },
  { ms: 1_000, name: 's' },
] as const;

/** `3 days`, `2 h`, `90 s`: in the largest unit of which there are two; under a second in ms. */
export function spanOf(ms: number): string {
  const size = Math.abs(ms);
  const unit = units.find((each) => size >= 2 * each.ms) ?? units.at(-1);
  if (unit === undefined || size < 1000) return `${Math.round(size)} ms`;
  return `${Math.round(size / unit.ms)} ${unit.name}`;
}
