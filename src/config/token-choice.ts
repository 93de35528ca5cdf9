/** Which token source the options name: pure. */
import type { OptionName, Settings } from './options.ts';
import type { TokenSourceName } from './values.ts';

/** Options that only one source takes: who sets one means that source. */
const sourceOfOption = {
  tokenFile: 'file',
  oidcAgent: 'oidc-agent',
  mytokenServer: 'mytoken',
  mytokenFile: 'mytoken',
} as const satisfies Partial<Record<OptionName, TokenSourceName>>;

/** What the options say by themselves, without `--token-source`; several contradict each other. */
export function impliedSources(isSet: (name: OptionName) => boolean): readonly TokenSourceName[] {
  const names = Object.keys(sourceOfOption) as (keyof typeof sourceOfOption)[];
  return [...new Set(names.filter(isSet).map((name) => sourceOfOption[name]))];
}

/** The sources that `settings` name: none, one, or several that contradict each other. */
export function namedSources(settings: Settings): readonly TokenSourceName[] {
  const { tokenSource } = settings;
  if (tokenSource !== undefined) return [tokenSource];
  return impliedSources((name) => settings[name] !== undefined);
}

/**
 * The sources that the strongest place names. A flag that names a file overrides a profile that
 * names another source, and its `token-source` with it; options of weaker places still count for
 * the source that is named, such as the server of a mytoken.
 *
 * @param places strongest first, each telling whether it sets an option.
 * @returns undefined when the value of `tokenSource` holds, or nothing is named.
 */
export function overridingSources(
  places: readonly ((name: OptionName) => boolean)[],
): readonly TokenSourceName[] | undefined {
  for (const isSet of places) {
    if (isSet('tokenSource')) return undefined;
    const implied = impliedSources(isSet);
    if (implied.length > 0) return implied;
  }
  return undefined;
}
