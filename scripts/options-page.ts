/** The table of options as `docs/CONFIGURATION.md` shows it. */
import { type Option, type OptionName, options } from '../src/config/options.ts';
import { formatBytes } from '../src/lib/bytes.ts';

/** What stands around the table on the page. */
export const tableBegin = '<!-- options: begin -->';
export const tableEnd = '<!-- options: end -->';

/** Pure: a row for each option, in the order of the table. */
export function optionsTable(): string {
  const rows = (Object.keys(options) as OptionName[]).map((name) => row(name, options[name]));
  return [
    '| flag | environment | key in a profile | default | what it says |',
    '|---|---|---|---|---|',
    ...rows,
  ].join('\n');
}

function row(name: OptionName, option: Option<unknown>): string {
  const key = option.key === undefined ? '–' : `\`${option.key}\``;
  const help = option.help.replaceAll('|', '\\|');
  const flag = option.flag.replaceAll('|', '\\|');
  return `| \`${flag}\` | \`${option.environment}\` | ${key} | ${shown(name, option.fallback)} | ${help} |`;
}

/** Units follow from names: `memoryBytes`, `listTtlMs`, `expiryWaitSeconds`. */
function shown(name: OptionName, value: unknown): string {
  if (value === undefined) return '–';
  if (typeof value === 'boolean') return value ? 'on' : 'off';
  if (typeof value === 'number' && name.endsWith('Bytes')) return formatBytes(value);
  if (typeof value === 'number' && name.endsWith('Ms')) return `${value / 1000} s`;
  if (typeof value === 'number') return `${value} s`;
  return typeof value === 'string' ? value : (value as readonly string[]).join(' ');
}
