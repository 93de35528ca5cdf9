/** Settings as a person types them: what an option's own `parse` reads again. Pure. */
import type { OptionName } from './options.ts';

/** As `parseBytes` reads them. */
const sizes = ['', 'K', 'M', 'G', 'T'] as const;

/** `value` of the option `name`; units follow from names: `memoryBytes`, `listTtlMs`. */
export function settingText(name: OptionName, value: unknown): string {
  if (typeof value === 'boolean') return value ? 'on' : 'off';
  if (Array.isArray(value)) return value.join(' ');
  if (typeof value !== 'number') return String(value);
  if (name.endsWith('Bytes')) return sizeText(value);
  if (name.endsWith('Seconds')) return timeText(value * 1000);
  if (name.endsWith('Ms')) return timeText(value);
  // A port; 0 is any.
  return value === 0 ? 'on' : String(value);
}

/** In the largest unit, a power of 1024, that leaves no fraction. */
function sizeText(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && value % 1024 === 0 && unit < sizes.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${value}${sizes[unit] ?? ''}`;
}

function timeText(ms: number): string {
  if (ms % 1000 !== 0) return `${ms}ms`;
  if (ms === 0 || ms % 60_000 !== 0) return `${ms / 1000}s`;
  return ms % 3_600_000 === 0 ? `${ms / 3_600_000}h` : `${ms / 60_000}m`;
}
