/**
 * The command line. Only the commands whose names are among the words are there in full: the others
 * are their row of the table, which is all that the help of the program shows of them.
 */
import { Command, Help } from 'commander';
import { logLevels } from '../lib/log.ts';
import { commandTable, hiddenCommands } from './command-table.ts';
import type { Bind } from './context.ts';
import { addExamples } from './setting-flags.ts';
import type { Terminal } from './terminal.ts';

/** Makes its script of the whole program. */
const NEEDS_ALL = 'completion';

/** @param words of the command line, or 'all' for every command in full. */
export async function buildProgram(
  version: string,
  terminal: Terminal,
  bind: Bind,
  words: readonly string[] | 'all',
): Promise<Command> {
  const program = emptyProgram(version, terminal);
  const all = words === 'all' || words.includes(NEEDS_ALL);
  const rows = [...commandTable, ...hiddenCommands.filter(({ name }) => words.includes(name))];
  for (const { name, alias, summary, load } of rows) {
    if (all || words.includes(name) || (alias !== undefined && words.includes(alias))) {
      (await load())(program, bind, version);
    } else {
      const row = program.command(name).summary(summary);
      if (alias !== undefined) row.alias(alias);
    }
  }
  addExamples(program, [
    'wire login https://iam.example.org',
    'wire mount s3://data ~/data --endpoint https://s3.example.org',
    'wire status',
    'wire unmount ~/data',
  ]);
  return program;
}

function emptyProgram(version: string, terminal: Terminal): Command {
  return new Command('wire')
    .description('Log in once with a code; buckets are folders until you say stop.')
    .version(version, '--version', 'show the version')
    .option('--log-level <level>', `one of ${logLevels.join(', ')} (default: info) [WIRE_LOG]`)
    .option('--log-file <file>', 'log there, "-" for stderr [WIRE_LOG_FILE]')
    .exitOverride()
    .configureHelp({ subcommandTerm })
    .configureOutput({
      writeOut: (text) => terminal.result(text.replace(/\n$/, '')),
      writeErr: (text) => {
        for (const line of text.replace(/\n$/, '').split('\n')) terminal.say(line);
      },
      outputError: (text) =>
        terminal.fail(`${text.replace(/^error: /, '').trim()}; see: wire --help`),
    });
}

/** The commands of the program by their names, those of a command with their arguments as well. */
function subcommandTerm(command: Command): string {
  if (command.parent?.parent != null) return new Help().subcommandTerm(command);
  return [command.name(), ...command.aliases()].join('|');
}
