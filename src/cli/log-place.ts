/** Which file `wire logs` and `wire report` read. */
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { WireError } from '../lib/wire-error.ts';
import type { CommandContext, LogFlags } from './context.ts';

/**
 * The file that commands log to unless they are told otherwise, or the one that is named.
 *
 * @throws WireError `usage` for "-", which is stderr.
 */
export function logFileOf(
  { environment, paths, workingDirectory }: CommandContext,
  command: Command,
): string {
  const { logFile } = command.optsWithGlobals<Partial<LogFlags>>();
  const named = logFile ?? environment['WIRE_LOG_FILE'] ?? '';
  if (named === '-') {
    const next = 'leave --log-file out, or name the file that the mount logs to';
    throw new WireError('usage', { tried: 'read the log', answered: '"-" is no file', next });
  }
  return named === '' ? join(paths.stateDir, 'wire.log') : resolve(workingDirectory, named);
}
