/** `wire logs`: what the processes of this person have noted. */
import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { type LogLevel, logLevels } from '../../lib/log.ts';
import { redactKnown } from '../../lib/secret.ts';
import { WireError } from '../../lib/wire-error.ts';
import type { Bind, CommandContext } from '../context.ts';
import { logFileOf } from '../log-place.ts';
import { addExamples } from '../setting-flags.ts';

interface LogsFlags {
  readonly follow?: boolean;
  readonly lines: number;
  readonly file?: string;
  readonly mount?: string;
  readonly level?: LogLevel;
  readonly json?: boolean;
}

/** A screen or two. */
const USUAL_LINES = 50;

export function addLogs(program: Command, bind: Bind): void {
  const command = program
    .command('logs')
    .summary('show what was logged')
    .description(
      'Show the last lines of the log that commands and mounts of yours share, with times of this ' +
        'machine.',
    )
    .option('-f, --follow', 'go on with new lines until Ctrl-C')
    .option('-n, --lines <count>', 'how many lines to begin with', readCount, USUAL_LINES)
    .option('--file <file>', 'another log: what a mount was given as --log-file')
    .option('--mount <mountpoint>', 'only what the processes of this mount have noted')
    .addOption(
      new Option('--level <level>', 'only what is at least as important').choices(logLevels),
    )
    .option('--json', 'the lines as they are, JSON each');
  command.action(bind(runLogs));
  addExamples(command, [
    'wire logs',
    'wire logs -f --mount ~/data',
    'wire logs --level warn -n 200',
    'wire logs --json -n 1000 > lines.json',
  ]);
}

function readCount(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('It is no count.');
}

async function runLogs(context: CommandContext, command: Command): Promise<void> {
  const { terminal, clock, signal, workingDirectory } = context;
  const { follow, lines: count, file, mount, level, json } = command.opts<LogsFlags>();
  const path = file === undefined ? logFileOf(context, command) : resolve(workingDirectory, file);
  if (file !== undefined) await requireFile(path);
  const [{ readLogTail, followLog }, { LogView }] = await Promise.all([
    import('../../daemon/log-reader.ts'),
    import('../log-view.ts'),
  ]);
  const view = new LogView({
    ...(mount !== undefined && { mountPoint: resolve(workingDirectory, mount) }),
    ...(level !== undefined && { level }),
    json: json === true,
    paint: (style, text) => terminal.resultStyle(style, text),
  });
  const show = (lines: readonly string[]): void => {
    for (const line of lines) terminal.result(redactKnown(line));
  };
  // Of a mount all is read: who serves it may have been said long before.
  const most = mount === undefined ? count : Number.POSITIVE_INFINITY;
  const tail = await readLogTail(path, most, (line) => view.wants(line)).catch((error: unknown) => {
    throw unreadable(path, error);
  });
  const first = view.last(tail.lines, count);
  show(first);
  if (follow !== true) {
    if (first.length === 0 && json !== true) terminal.say(`Nothing of that is in ${path}.`);
    return;
  }
  for await (const lines of followLog(path, tail.end, clock, signal)) {
    show(lines.flatMap((line) => view.next(line)));
    // Nobody reads on: `wire logs -f | head`.
    if (terminal.resultLost) return;
  }
}

/** A log that is named is there; the usual one comes to be with its first line. */
async function requireFile(path: string): Promise<void> {
  const tried = `read ${path}`;
  const found = await stat(path).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw unreadable(path, error);
    const next = 'check --file; without it the usual log is shown';
    throw new WireError('not-found', { tried, answered: 'there is no such file', next });
  });
  if (found.isFile()) return;
  throw new WireError('config', { tried, answered: 'it is no file', next: 'check --file' });
}

function unreadable(path: string, error: unknown): WireError {
  const answered = (error as NodeJS.ErrnoException).code ?? String(error);
  const next = 'see who owns it: ls -l';
  return new WireError('config', { tried: `read ${path}`, answered, next }, { cause: error });
}
