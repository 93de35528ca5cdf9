/** Gives a command the flags of the settings table that it understands. */
import type { Command } from 'commander';
import { type Option, type OptionName, options } from '../config/options.ts';

export function addSettingFlags(command: Command, names: readonly OptionName[]): Command {
  for (const name of names) {
    const option: Option<unknown> = options[name];
    command.option(option.flag, `${option.help} [${option.environment}]`);
  }
  return command.option('--profile <name>', 'profile of the configuration file [WIRE_PROFILE]');
}

/** Examples below a command's help, one a line. */
export function addExamples(command: Command, examples: readonly string[]): Command {
  return command.addHelpText(
    'after',
    `\nExamples:\n${examples.map((line) => `  ${line}\n`).join('')}`,
  );
}
