/** What `wire profile` does; loaded when it is asked for. */
import type { Command } from 'commander';
import type { Config, MountEntry, Profile } from '../config/config.ts';
import { loadConfig } from '../config/load.ts';
import { type OptionName, options } from '../config/options.ts';
import { chooseProfile } from '../config/profile.ts';
import { flagOf } from '../config/setting-origins.ts';
import { settingText } from '../config/setting-text.ts';
import { formatSource } from '../config/source.ts';
import { WireError } from '../lib/wire-error.ts';
import type { CommandContext } from './context.ts';

export async function runList(context: CommandContext, command: Command): Promise<void> {
  const { terminal } = context;
  const { names, json } = command.opts<{ names?: boolean; json?: boolean }>();
  const config = await readConfig(context);
  const used = usedProfile(config, context, command);
  const profiles = [...config.profiles.values()];
  if (json === true) {
    const described = profiles.map((profile) => profileDocument(profile, profile.name === used));
    terminal.result(JSON.stringify({ file: config.path, profiles: described }, undefined, 2));
    return;
  }
  if (profiles.length === 0)
    terminal.say(`${config.path} has no profiles; begin: wire config init`);
  const lines = names === true ? [...config.profiles.keys()] : listLines(profiles, used);
  for (const line of lines) terminal.result(line);
}

export async function runShow(context: CommandContext, command: Command): Promise<void> {
  const { terminal, environment } = context;
  const [named, ...more] = command.args;
  if (more.length > 0) {
    const tried = `show ${command.args.join(' ')}`;
    throw new WireError('usage', { tried, answered: 'one NAME is enough' });
  }
  const config = await readConfig(context);
  const profile = chooseProfile(config, named ?? environment['WIRE_PROFILE']);
  if (profile.name === '') throw noneChosen(config);
  const isUsed = profile.name === usedProfile(config, context, command);
  if (command.opts<{ json?: boolean }>().json === true) {
    const document = { file: config.path, ...profileDocument(profile, isUsed) };
    terminal.result(JSON.stringify(document, undefined, 2));
  } else for (const line of showLines(profile, config.path)) terminal.result(line);
}

async function readConfig({ paths, signal }: CommandContext): Promise<Config> {
  return await loadConfig(paths.configFile, paths.configFileNamed, paths.home, signal);
}

/** The name of the profile that a command uses that names none. */
function usedProfile(config: Config, { environment }: CommandContext, command: Command): string {
  try {
    return chooseProfile(config, environment['WIRE_PROFILE']).name;
  } catch (error) {
    // The one that is wanted is not among those that are listed.
    if (error instanceof WireError && command.name() === 'list') return '';
    throw error;
  }
}

function noneChosen({ path, profiles }: Config): WireError {
  const names = [...profiles.keys()];
  return new WireError('config', {
    tried: 'show the profile that is used',
    answered: names.length === 0 ? `${path} has no profiles` : 'none is named default',
    next:
      names.length === 0 ? 'begin one with: wire config init' : `name one of ${names.join(', ')}`,
  });
}

/** Pure: a mark, the name, and what tells profiles apart. */
function listLines(profiles: readonly Profile[], used: string): readonly string[] {
  const widest = Math.max(0, ...profiles.map(({ name }) => name.length));
  return profiles.map(({ name, settings, mounts }) => {
    const { issuer, endpoint } = settings;
    const many = mounts.size === 1 ? '1 mount' : `${mounts.size} mounts`;
    const facts = [issuer, endpoint, many].filter((fact) => fact !== undefined).join('  ');
    return `${name === used ? '*' : ' '} ${name.padEnd(widest)}  ${facts}`;
  });
}

/** Pure: the settings it says, with their lines, and its mounts. */
function showLines(profile: Profile, path: string): readonly string[] {
  const said = [...profile.lines].map(([name, line]) => {
    return [keyOf(name), settingText(name, profile.settings[name]), `${path}:${line}`] as const;
  });
  const widest = (at: 0 | 1): number => Math.max(0, ...said.map((row) => row[at].length));
  return [
    `${profile.name}:`,
    ...said.map(([key, value, where]) => {
      return `  ${key.padEnd(widest(0))}  ${value.padEnd(widest(1))}  ${where}`;
    }),
    ...(profile.mounts.size === 0 ? [] : ['  mounts:']),
    ...[...profile.mounts.values()].map((entry) => `    ${mountLine(entry)}`),
  ];
}

function mountLine({ name, source, mountPoint, readOnly }: MountEntry): string {
  const where = mountPoint === undefined ? '' : ` at ${mountPoint}`;
  return `${name}: ${formatSource(source)}${where}${readOnly ? ', read-only' : ''}`;
}

function keyOf(name: OptionName): string {
  return options[name].key ?? flagOf(name).slice(2);
}

function profileDocument(profile: Profile, used: boolean): Readonly<Record<string, unknown>> {
  const { name, settings, lines, mounts } = profile;
  const said = [...lines].map(([option, line]) => {
    const value = settings[option];
    return [keyOf(option), { value, text: settingText(option, value), line }];
  });
  return {
    name,
    used,
    settings: Object.fromEntries(said) as unknown,
    mounts: [...mounts.values()].map(({ source, ...entry }) => {
      return { ...entry, source: formatSource(source) };
    }),
  };
}
