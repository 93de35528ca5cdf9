/** Where each setting comes from. Pure. */
import { type Option, type OptionName, options, type Settings } from './options.ts';
import type { Environment, Flags } from './settings.ts';
import { impliedSources } from './token-choice.ts';

export type SettingOrigin = 'flag' | 'environment' | 'profile' | 'default';

export interface OriginatedSetting {
  readonly value: unknown;
  readonly origin: SettingOrigin;
  /** What says it: `--endpoint`, `WIRE_ENDPOINT`, `endpoint:`. */
  readonly said: string;
  /** Of the configuration file, where a profile says it. */
  readonly line?: number;
}

/** A profile, as far as it says settings. */
export interface SettingLines {
  readonly settings: Settings;
  readonly lines: ReadonlyMap<OptionName, number>;
}

/** What is set, by the name of its flag; as `resolveSettings` decides it. */
export function originsOf(
  settings: Settings,
  flags: Flags,
  environment: Environment,
  profile: SettingLines,
): Readonly<Record<string, OriginatedSetting>> {
  const named = Object.keys(options) as OptionName[];
  const entries = named.flatMap((name): [string, OriginatedSetting][] => {
    const value: unknown = settings[name];
    if (value === undefined) return [];
    return [[flagOf(name).slice(2), { value, ...originOf(name, flags, environment, profile) }]];
  });
  return Object.fromEntries(entries);
}

/** `--endpoint` */
export function flagOf(name: OptionName): string {
  const option: Option<unknown> = options[name];
  return option.flag.split(' ')[0] ?? '';
}

/** The strongest place that says it, or from which it follows: `--token-file` means that source. */
function originOf(
  name: OptionName,
  flags: Flags,
  environment: Environment,
  profile: SettingLines,
): Omit<OriginatedSetting, 'value'> {
  const typed = sayingOption(name, (each) => flags[each] !== undefined);
  if (typed !== undefined) return { origin: 'flag', said: flagOf(typed) };
  const variable = sayingOption(name, (each) => Boolean(environment[options[each].environment]));
  if (variable !== undefined) {
    return { origin: 'environment', said: options[variable].environment };
  }
  const written = sayingOption(name, (each) => profile.settings[each] !== undefined);
  if (written === undefined) return { origin: 'default', said: '' };
  const option: Option<unknown> = options[written];
  const said = `${option.key ?? written}:`;
  const line = profile.lines.get(written);
  return { origin: 'profile', said, ...(line !== undefined && { line }) };
}

/** Of one place: the option in it that decides `name`. */
function sayingOption(
  name: OptionName,
  isSet: (name: OptionName) => boolean,
): OptionName | undefined {
  if (isSet(name)) return name;
  if (name !== 'tokenSource') return undefined;
  const all = Object.keys(options) as OptionName[];
  return all.find((each) => isSet(each) && impliedSources((one) => one === each).length > 0);
}
