/** A page for `wire` and one for each of its commands, read from the program itself. */
import type { Command, Option } from 'commander';
import { exitCodeOf } from '../../src/lib/wire-error.ts';
import { bold, head, italic, item, line, paragraphs, section, seeAlso, verbatim } from './roff.ts';

export interface Page {
  /** `wire-mount.1` */
  readonly file: string;
  readonly text: string;
}

/** What is the same on all pages. */
export interface Edition {
  readonly version: string;
  readonly date: string;
}

/** Pages beside those of the commands, which these refer to. */
export const otherPages = [
  ['wire-config', 5],
  ['mount.wire', 8],
] as const;

export function commandPages(program: Command, edition: Edition): readonly Page[] {
  const commands = visibleCommands(program);
  const names = commands.map((command) => `wire-${command.name()}`);
  return [
    mainPage(program, names, edition),
    ...commands.map((command) => commandPage(command, edition)),
  ];
}

function mainPage(program: Command, names: readonly string[], edition: Edition): Page {
  const commands = visibleCommands(program).flatMap((command) =>
    item(`.BR wire\\-${command.name()} (1)`, command.summary() || command.description()),
  );
  const codes = Object.entries(exitCodeOf).flatMap(([kind, code]) =>
    item(bold(String(code)), kind),
  );
  const lines = [
    ...head({ name: 'wire', section: 1, summary: lower(program.description()), ...edition }),
    ...section('SYNOPSIS', [`${bold('wire')} [${italic('options')}] ${italic('command')} …`]),
    ...section('COMMANDS', commands),
    ...section('OPTIONS', program.createHelp().visibleOptions(program).flatMap(optionItem)),
    ...section('EXIT STATUS', [...item(bold('0'), 'all went well'), ...codes]),
    ...examplesOf(program),
    ...section('SEE ALSO', seeAlso([...names.map((name) => [name, 1] as const), ...otherPages])),
  ];
  return { file: 'wire.1', text: `${lines.join('\n')}\n` };
}

function commandPage(command: Command, edition: Edition): Page {
  const name = `wire-${command.name()}`;
  const nested = visibleCommands(command);
  const lines = [
    ...head({ name, section: 1, summary: lower(command.summary()), ...edition }),
    ...section('SYNOPSIS', [synopsis(command)]),
    ...section('DESCRIPTION', paragraphs(command.description())),
    ...section(
      'COMMANDS',
      nested.flatMap((each) => subcommand(each)),
    ),
    ...section('OPTIONS', command.createHelp().visibleOptions(command).flatMap(optionItem)),
    ...examplesOf(command),
    ...section('SEE ALSO', seeAlso([['wire', 1], ...otherPages])),
  ];
  return { file: `${name}.1`, text: `${lines.join('\n')}\n` };
}

function subcommand(command: Command): readonly string[] {
  const options = command.createHelp().visibleOptions(command);
  return [
    ...item(synopsis(command), command.description()),
    ...(options.length > 1 ? ['.RS', ...options.flatMap(optionItem), '.RE'] : []),
  ];
}

/** `wire config show [options]`, with the names of those above. */
function synopsis(command: Command): string {
  const names: string[] = [];
  for (let at: Command | null = command; at !== null; at = at.parent) names.unshift(at.name());
  const usage = command.usage();
  return `${bold(names.join(' '))} ${italic(usage)}`;
}

function optionItem(option: Option): readonly string[] {
  return item(bold(option.flags), option.description);
}

/** What stands below the options in the help of a command: its examples and the like. */
function examplesOf(command: Command): readonly string[] {
  return helpAfter(command).flatMap((block) => {
    const [title = '', ...lines] = block.split('\n');
    if (title === 'Examples:')
      return section('EXAMPLES', verbatim(lines.map((each) => each.trim())));
    return section('NOTES', [line(title), ...verbatim(lines)]);
  });
}

function helpAfter(command: Command): readonly string[] {
  let help = '';
  const before = command.configureOutput();
  command.configureOutput({ ...before, writeOut: (text) => (help += text) });
  command.outputHelp();
  command.configureOutput(before);
  const after = help.slice(
    help.indexOf(command.helpInformation()) + command.helpInformation().length,
  );
  return after
    .split(/\n{2,}/)
    .map((block) => block.trim())
    .filter((block) => block !== '');
}

function visibleCommands(command: Command): readonly Command[] {
  const shown = command.createHelp().visibleCommands(command);
  return shown.filter((each) => each.name() !== 'help');
}

/** As the line after a name wants it: no capital, no full stop. */
function lower(text: string): string {
  const first = text.split('\n')[0] ?? '';
  return `${first.charAt(0).toLowerCase()}${first.slice(1)}`.replace(/\.$/, '');
}
