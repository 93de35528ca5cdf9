/** What `wire config` prints. Pure. */
import type { CheckedConfig } from '../config/check.ts';
import { type OptionName, options } from '../config/options.ts';
import type { Paths } from '../config/paths.ts';
import { flagOf, type OriginatedSetting } from '../config/setting-origins.ts';
import { settingText } from '../config/setting-text.ts';
import type { Environment } from '../config/settings.ts';

export interface ShownConfig {
  /** Of the file. */
  readonly path: string;
  readonly found: boolean;
  /** '' where there is none. */
  readonly profile: string;
  /** By the name of the flag. */
  readonly origins: Readonly<Record<string, OriginatedSetting>>;
}

/** Where wire keeps something, and the variable that says so; '' for the usual place. */
export interface Place {
  readonly name: string;
  readonly path: string;
  readonly said: string;
}

export function placesOf(paths: Paths, environment: Environment): readonly Place[] {
  const place = (name: string, path: string, ...variables: readonly string[]): Place => {
    return { name, path, said: variables.find((each) => Boolean(environment[each])) ?? '' };
  };
  return [
    place('configuration', paths.configFile, 'WIRE_CONFIG', 'XDG_CONFIG_HOME'),
    place('state', paths.stateDir, 'WIRE_STATE_DIR', 'XDG_STATE_HOME'),
    place('sockets', paths.runtimeDir, 'WIRE_RUNTIME_DIR', 'XDG_RUNTIME_DIR'),
  ];
}

/** A line for each setting: its name, its value as it is typed, and what says it. */
export function originLines(shown: ShownConfig, places: readonly Place[]): readonly string[] {
  const settings = Object.entries(shown.origins).map(([flag, setting]): Row => {
    return [flag, textOf(flag, setting.value), originText(setting, shown.path)];
  });
  const kept = places.map(({ name, path, said }): Row => [name, path, said || 'default']);
  return [headLine(shown), ...table(settings), 'Folders and files:', ...table(kept)];
}

function headLine({ path, found, profile }: ShownConfig): string {
  if (!found) return `There is no ${path}:`;
  return profile === '' ? `${path}, no profile:` : `${path}, profile ${profile}:`;
}

/** The same for programs. */
export function shownDocument(shown: ShownConfig, places: readonly Place[]): unknown {
  const { path, found, profile, origins } = shown;
  const settings = Object.entries(origins).map(([flag, setting]) => {
    const { value, origin, said, line } = setting;
    const where = line === undefined ? {} : { file: path, line };
    return [flag, { value, text: textOf(flag, value), origin, said, ...where }];
  });
  return {
    file: path,
    found,
    profile: profile === '' ? null : profile,
    settings: Object.fromEntries(settings) as unknown,
    places: Object.fromEntries(places.map(({ name, ...place }) => [name, place])),
  };
}

function originText({ origin, said, line }: OriginatedSetting, path: string): string {
  if (origin === 'default') return 'default';
  return origin === 'profile' && line !== undefined ? `${path}:${line}` : said;
}

/** What the option of that flag would read again. */
function textOf(flag: string, value: unknown): string {
  const names = Object.keys(options) as OptionName[];
  const name = names.find((each) => flagOf(each) === `--${flag}`);
  return name === undefined ? String(value) : settingText(name, value);
}

type Row = readonly [string, string, string];

/** Longer values push their origin aside, and no other. */
const VALUE_COLUMNS = 36;

function table(rows: readonly Row[]): readonly string[] {
  const widest = (at: 0 | 1, most: number): number =>
    Math.min(most, Math.max(0, ...rows.map((row) => row[at].length)));
  const [names, values] = [widest(0, 40), widest(1, VALUE_COLUMNS)];
  return rows.map(
    ([name, value, origin]) => `  ${name.padEnd(names)}  ${value.padEnd(values)}  ${origin}`,
  );
}

/** `FILE:LINE: KEY FAULT`, as compilers say it, so that editors find the place. */
export function faultLines({ config, faults, variables }: CheckedConfig): readonly string[] {
  return [
    ...faults.map(({ line, key, fault }) => {
      return `${config.path}:${line}: ${key === '' ? '' : `${key} `}${fault}`;
    }),
    ...variables.map(({ variable, fault }) => `${variable} ${fault}`),
  ];
}

/** The same for programs. */
export function checkDocument(
  { config, faults, variables }: CheckedConfig,
  found: boolean,
): string {
  const profiles = [...config.profiles.keys()];
  return JSON.stringify({ file: config.path, found, profiles, faults, variables }, undefined, 2);
}
