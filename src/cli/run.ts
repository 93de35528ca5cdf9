/** One run of the command: arguments → command; errors → one line and an exit code. */
import type { Command } from 'commander';
import { WireError } from '../lib/wire-error.ts';
import type { CliSurroundings, CommandContext, LogFlags } from './context.ts';
import { type Ending, endingOf, ReportedFailure } from './failure.ts';
import { buildProgram } from './program.ts';
import { withLeftOutValues } from './setting-flags.ts';

/** What `runCli` needs beyond the surroundings of a command. */
export interface RunOptions {
  /** Without `node` and the script. */
  readonly words: readonly string[];
  readonly version: string;
  /** Where the log of this run is, once it is open. */
  readonly logFile: () => string | undefined;
}

/** Never rejects. @returns the exit code. */
export async function runCli(options: RunOptions, surroundings: CliSurroundings): Promise<number> {
  const bind = (action: (context: CommandContext, command: Command) => Promise<void>) => {
    return async (...args: unknown[]): Promise<void> => {
      // commander passes the command itself last
      const command = args.at(-1) as Command;
      await runAction(action, command, surroundings);
    };
  };
  try {
    const { words, version } = options;
    const program = await buildProgram(version, surroundings.terminal, bind, words);
    await program.parseAsync([...withLeftOutValues(words)], { from: 'user' });
    return 0;
  } catch (error) {
    const ending = endingOf(error, options.logFile());
    await tell(ending, surroundings);
    return ending.exitCode;
  }
}

async function runAction(
  action: (context: CommandContext, command: Command) => Promise<void>,
  command: Command,
  surroundings: CliSurroundings,
): Promise<void> {
  const flags = command.optsWithGlobals<Partial<LogFlags>>();
  const logFlags = { logLevel: flags.logLevel, logFile: flags.logFile };
  const log = await surroundings.openLog(logFlags);
  const interrupted = new AbortController();
  const listening = surroundings.signals.listen((name) => {
    const facts = { tried: `finish \`wire ${command.name()}\``, answered: `stopped by ${name}` };
    interrupted.abort(new WireError('interrupted', facts));
  });
  try {
    await action(
      {
        ...surroundings,
        log,
        logFlags,
        daemonOf: async (settings = {}) => await surroundings.daemon(log, settings),
        signal: interrupted.signal,
      },
      command,
    );
  } catch (error) {
    // What has been put into words is no defect.
    const told = error instanceof WireError || error instanceof ReportedFailure;
    if (!told) log.error('failed', { error, stack: stackOf(error) });
    throw error;
  } finally {
    listening[Symbol.dispose]();
  }
}

async function tell(ending: Ending, { terminal, starter }: CliSurroundings): Promise<void> {
  const { line, exitCode } = ending;
  if (line === undefined) return;
  if (starter === undefined) terminal.fail(line);
  else await starter.report({ outcome: 'failed', line, exitCode });
}

function stackOf(error: unknown): string | undefined {
  return error instanceof Error ? error.stack : undefined;
}
