/** What there is to complete, read from the program itself, so that no script can drift from it. */
import type { Argument, Command, Option } from 'commander';
import { type OptionName, options as settings } from '../../config/options.ts';
import { flagOf } from '../../config/setting-origins.ts';
import { logLevels } from '../../lib/log.ts';

/** What a value can be. */
export type Value =
  | { readonly kind: 'words'; readonly words: readonly string[] }
  | { readonly kind: 'files' | 'folders' | 'profiles' | 'mounts' | 'any' };

export interface FlagNode {
  /** `--json`, `-o`: at least one. */
  readonly names: readonly string[];
  readonly help: string;
  /** Absent for a switch. */
  readonly value?: Value;
  /** Whether the value may be left out. */
  readonly mayLack: boolean;
}

export interface CommandNode {
  /** `/config/show`; '' for the program. */
  readonly path: string;
  /** Its name, then its other names. */
  readonly names: readonly string[];
  readonly help: string;
  readonly commands: readonly CommandNode[];
  /** Its own, and those of the commands above it. */
  readonly flags: readonly FlagNode[];
  /** Absent for a command without arguments. */
  readonly argument?: Value;
}

export function commandTree(program: Command): CommandNode {
  return nodeOf(program, '', []);
}

/** `node` and everything below it. */
export function allNodes(node: CommandNode): readonly CommandNode[] {
  return [node, ...node.commands.flatMap(allNodes)];
}

function nodeOf(command: Command, path: string, above: readonly FlagNode[]): CommandNode {
  const help = command.createHelp();
  const own = help.visibleOptions(command).map(flagNode);
  const isNew = ({ names }: FlagNode): boolean => {
    return !own.some((flag) => flag.names.some((name) => names.includes(name)));
  };
  const flags = [...own, ...above.filter(isNew)];
  const handedDown = flags.filter(({ names }) => !names.includes('--version'));
  const commands = help
    .visibleCommands(command)
    .map((each) => nodeOf(each, `${path}/${each.name()}`, handedDown));
  const argument = command.registeredArguments.at(-1);
  return {
    path,
    names: [command.name(), ...command.aliases()],
    help: oneLine(command.summary() || command.description()),
    commands,
    flags,
    ...(argument !== undefined && { argument: argumentValue(argument) }),
  };
}

function flagNode(option: Option): FlagNode {
  const names = [option.long, option.short].filter((name) => name != null);
  const takes = option.required || option.optional;
  return {
    names,
    help: oneLine(option.description),
    ...(takes && { value: flagValue(option) }),
    mayLack: option.optional,
  };
}

function flagValue({ long, flags, argChoices }: Option): Value {
  if (long === '--profile') return { kind: 'profiles' };
  const words = argChoices ?? (long === '--log-level' ? logLevels : wordsOfSetting(long ?? ''));
  if (words !== undefined) return { kind: 'words', words };
  const [, placeholder = ''] = /[<[]([^>\].]*)/.exec(flags) ?? [];
  if (placeholder.includes('|')) return { kind: 'words', words: placeholder.split('|') };
  if (placeholder === 'folder') return { kind: 'folders' };
  return { kind: ['file', 'path'].includes(placeholder) ? 'files' : 'any' };
}

/** Of a flag of the table of options that takes one of a few words. */
function wordsOfSetting(flag: string): readonly string[] | undefined {
  const name = (Object.keys(settings) as OptionName[]).find((each) => flagOf(each) === flag);
  return name === undefined ? undefined : settings[name].parse.words;
}

function argumentValue(argument: Argument): Value {
  if (argument.argChoices !== undefined) return { kind: 'words', words: argument.argChoices };
  switch (argument.name()) {
    case 'mountpoint':
      return { kind: 'mounts' };
    case 'name':
      return { kind: 'profiles' };
    case 'source mountpoint':
    case 'folder':
      return { kind: 'folders' };
    case 'path':
    case 'file':
      return { kind: 'files' };
    default:
      return { kind: 'any' };
  }
}

function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, ' ').trim();
}
