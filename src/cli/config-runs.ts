/** What `wire config` does; loaded when it is asked for. */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { type CheckedConfig, checkConfig } from '../config/check.ts';
import { createConfigFile, readConfigText } from '../config/config-file.ts';
import type { OptionName } from '../config/options.ts';
import { flagOf, originsOf } from '../config/setting-origins.ts';
import { resolveSettings } from '../config/settings.ts';
import { starterText } from '../config/starter.ts';
import { parseName } from '../config/values.ts';
import { redactKnown } from '../lib/secret.ts';
import { WireError } from '../lib/wire-error.ts';
import { editConfig } from './config-edit.ts';
import { checkDocument, faultLines, originLines, placesOf, shownDocument } from './config-view.ts';
import { type CommandContext, commandSettings, typedFlags } from './context.ts';

interface ReportFlags {
  readonly json?: boolean;
}

export async function runShow(context: CommandContext, command: Command): Promise<void> {
  const { terminal, paths, environment, signal } = context;
  const { profile, settings, flags } = await commandSettings(context, command);
  const found = (await readConfigText(paths.configFile, signal)) !== undefined;
  const origins = originsOf(settings, flags, environment, profile);
  const shown = { path: paths.configFile, found, profile: profile.name, origins };
  const places = placesOf(paths, environment);
  const lines =
    command.opts<ReportFlags>().json === true
      ? [JSON.stringify(shownDocument(shown, places), undefined, 2)]
      : originLines(shown, places);
  // A secret that was put where none belongs is not shown either.
  for (const line of lines) terminal.result(redactKnown(line));
}

export async function runCheck(context: CommandContext, command: Command): Promise<void> {
  const { terminal, paths, environment, workingDirectory, signal } = context;
  const [word, ...more] = command.args;
  if (more.length > 0) throw tooMany(more);
  const path = word === undefined ? paths.configFile : resolve(workingDirectory, word);
  const text = await readConfigText(path, signal);
  if (text === undefined && (word !== undefined || paths.configFileNamed)) {
    const facts = { tried: `check ${path}`, answered: 'it is not there' };
    throw new WireError('config', { ...facts, next: 'begin one with: wire config init' });
  }
  const checked = checkConfig(text ?? '', path, paths.home, environment);
  const json = command.opts<ReportFlags>().json === true;
  const lines = faultLines(checked);
  if (json) terminal.result(redactKnown(checkDocument(checked, text !== undefined)));
  else for (const line of lines) terminal.result(redactKnown(line));
  if (lines.length > 0) throw faulty(checked, lines.length);
  if (!json) terminal.result(soundLine(checked, text !== undefined));
}

export async function runInit(context: CommandContext, command: Command): Promise<void> {
  const { terminal, paths } = context;
  const flags = command.optsWithGlobals<Record<string, unknown>>();
  const { profile = 'default' } = flags as { readonly profile?: string };
  const named = parseName(profile);
  if (!named.ok) {
    throw new WireError('usage', {
      tried: `begin profile ${profile}`,
      answered: `it ${named.fault}`,
    });
  }
  const typed = typedFlags(flags);
  // What it is to say must be right; the environment is not written down.
  resolveSettings(typed, {}, {});
  await createConfigFile(paths.configFile, starterText(profile, typed));
  terminal.result(`Wrote ${paths.configFile}`);
  const missing = (['issuer', 'endpoint'] satisfies OptionName[]).filter(
    (name) => typed[name] === undefined,
  );
  const said = missing.map(flagOf).join(' and ');
  terminal.say(said === '' ? 'Next: wire login' : `Say ${said} in it with: wire config edit`);
}

export async function runEdit(context: CommandContext, command: Command): Promise<void> {
  const [word, ...more] = command.args;
  if (more.length > 0) throw tooMany(more);
  const from = word === undefined ? undefined : resolve(context.workingDirectory, word);
  await editConfig(context, from);
}

function soundLine({ config }: CheckedConfig, found: boolean): string {
  if (!found) return `There is no ${config.path}; defaults, variables and flags hold`;
  const names = [...config.profiles.keys()];
  if (names.length === 0) return `${config.path} has no profile yet, and nothing wrong`;
  return `Nothing is wrong with ${config.path} (${names.join(', ')})`;
}

function faulty({ config, faults }: CheckedConfig, count: number): WireError {
  const what = faults.length > 0 ? config.path : 'the environment';
  const answered = count === 1 ? 'one thing is wrong' : `${count} things are wrong`;
  return new WireError('config', { tried: `use ${what}`, answered, next: 'correct that' });
}

function tooMany(words: readonly string[]): WireError {
  return new WireError('usage', {
    tried: `use ${words.join(' ')}`,
    answered: 'one FILE is enough',
  });
}
