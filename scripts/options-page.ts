/** The table of options as `docs/CONFIGURATION.md` shows it. */
import { type Option, type OptionName, options } from '../src/config/options.ts';
import { settingText } from '../src/config/setting-text.ts';

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
  const { environment, fallback } = option;
  const shown = fallback === undefined ? '–' : settingText(name, fallback);
  return `| \`${flag}\` | \`${environment}\` | ${key} | ${shown} | ${help} |`;
}
