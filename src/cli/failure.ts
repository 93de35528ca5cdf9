/** What becomes of an error: one line on stderr and an exit code. */
import { CommanderError } from 'commander';
import { isAbort } from '../lib/abort.ts';
import { exitCodeOf, WireError } from '../lib/wire-error.ts';

/** A failure that another process has already put into words. */
export class ReportedFailure extends Error {
  override readonly name = 'ReportedFailure';
  readonly exitCode: number;

  constructor(line: string, exitCode: number) {
    super(line);
    this.exitCode = exitCode;
  }
}

export interface Ending {
  readonly exitCode: number;
  /** Absent when there is nothing to say, or it has been said. */
  readonly line?: string;
  /** A defect of wire: its stack belongs in the log. */
  readonly defect?: unknown;
}

/** @param logFile where the details of a defect are, if anywhere. */
export function endingOf(error: unknown, logFile: string | undefined): Ending {
  if (error instanceof CommanderError) {
    // Help that was asked for is no failure; commander has printed everything.
    return { exitCode: error.exitCode === 0 ? 0 : exitCodeOf.usage };
  }
  if (error instanceof ReportedFailure) return { exitCode: error.exitCode, line: error.message };
  if (error instanceof WireError) return { exitCode: error.exitCode, line: error.toLine() };
  if (isAbort(error)) return { exitCode: exitCodeOf.interrupted, line: 'interrupted' };
  const answered = error instanceof Error ? error.message : String(error);
  const where = logFile === undefined ? 'add --log-file FILE' : `see ${logFile}`;
  const facts = { tried: 'do that', answered, next: `this is a defect of wire: ${where}` };
  const defect = new WireError('internal', facts, { cause: error });
  return { exitCode: defect.exitCode, line: defect.toLine(), defect: error };
}
