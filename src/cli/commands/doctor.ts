/** `wire doctor`: what would keep a mount from working, and what to do about it. */
import type { Command } from 'commander';
import type { CheckName, Finding, Level } from '../../daemon/doctor/finding.ts';
import type { CheckupRequest } from '../../daemon/doctor/visit.ts';
import type { Bind, CommandContext } from '../context.ts';
import {
  addExamples,
  addSettingFlags,
  credentialOptions,
  networkOptions,
  tokenOptions,
} from '../setting-flags.ts';
import type { Style } from '../terminal.ts';

export function addDoctor(program: Command, bind: Bind): void {
  const command = program
    .command('doctor')
    .summary('find what is wrong, and say how to mend it')
    .description(
      'Look at FUSE, disks, logins, the identity provider, clocks and the STS; with SOURCE also at ' +
        'your rights in that bucket, at what its server promises, and at how soon it answers. For ' +
        'that an object of 4 KiB with an unmistakable name is written below SOURCE, and deleted ' +
        'again; --read-only leaves that out. Works without a login, and says what that keeps it from.\n\n' +
        'The exit code is 0 when nothing is wrong, 22 when there are warnings, and otherwise that of ' +
        'the first failure: what a mount would end with.',
    )
    .argument('[source]', 's3://BUCKET[/PREFIX], s3://, or the name of a mount in the profile')
    .option('--read-only', 'write nothing')
    .option('--json', 'as JSON, for programs');
  addSettingFlags(command, [
    ...credentialOptions,
    'cacheMode',
    'cacheDir',
    'cacheBytes',
    ...tokenOptions,
    ...networkOptions,
  ]).action(bind(runDoctor));
  addExamples(command, [
    'wire doctor',
    'wire doctor s3://data --profile work',
    'wire doctor s3://data/2024 --read-only --endpoint https://s3.example.org',
    'wire doctor --json',
  ]);
}

async function runDoctor(context: CommandContext, command: Command): Promise<void> {
  const { terminal, signal, clock } = context;
  const { json } = command.opts<{ json?: boolean }>();
  const [{ readCheckup }, { exitCodeFor, tallyOf }] = await Promise.all([
    import('../checkup-request.ts'),
    import('../../daemon/doctor/finding.ts'),
  ]);
  const { request } = await readCheckup(context, command);
  const daemon = await context.daemonOf(request.settings);
  const look = new FindingsView(context, json === true);
  look.begin();
  const findings = await daemon.checkUp(request, look, signal);
  look.end();
  const tally = tallyOf(findings);
  if (json === true) {
    const at = new Date(clock.now()).toISOString();
    terminal.result(JSON.stringify({ at, tally, findings }, undefined, 2));
  }
  const exitCode = exitCodeFor(findings);
  const line = summaryLine(request, findings, tally);
  if (exitCode === 0) {
    if (json !== true) terminal.result(line);
    return;
  }
  const { ReportedFailure } = await import('../failure.ts');
  throw new ReportedFailure(line, exitCode);
}

/** Shows findings as they come. */
class FindingsView {
  readonly #context: CommandContext;
  readonly #silent: boolean;

  constructor(context: CommandContext, silent: boolean) {
    this.#context = context;
    this.#silent = silent;
  }

  begin(): void {
    this.#context.terminal.live('Looking …');
  }

  end(): void {
    this.#context.terminal.live('');
  }

  found(findings: readonly Finding[]): void {
    if (this.#silent) return;
    const { terminal } = this.#context;
    const columns = terminal.resultWatched ? terminal.size.columns : Number.POSITIVE_INFINITY;
    const paint = (style: Style, text: string): string => terminal.resultStyle(style, text);
    this.end();
    for (const finding of findings) {
      for (const line of findingLines(finding, columns, paint)) terminal.result(line);
    }
    this.begin();
  }
}

const styles: Readonly<Record<Level, Style>> = {
  ok: 'green',
  note: 'bold',
  warning: 'yellow',
  failure: 'red',
};

/** How checks are called, where another word is plainer. */
const titles: Partial<Readonly<Record<CheckName, string>>> = { fuse: 'FUSE', sts: 'STS' };

const LEVEL_CHARS = 9;
const TITLE_CHARS = 12;
const INDENT = ' '.repeat(LEVEL_CHARS + TITLE_CHARS);
/** With less room lines are left to the terminal. */
const LEAST_TEXT_CHARS = 40;

/** Pure: `level check what was seen`, and below it what to do. */
export function findingLines(
  { check, level, seen, fix }: Finding,
  columns: number,
  paint: (style: Style, text: string) => string,
): readonly string[] {
  const room = Math.max(columns - INDENT.length - 1, LEAST_TEXT_CHARS);
  const [first = '', ...rest] = wrapped(seen, room);
  const title = titles[check] ?? check;
  const head = `${paint(styles[level], level.padEnd(LEVEL_CHARS))}${title.padEnd(TITLE_CHARS)}`;
  const advice = fix === undefined ? [] : wrapped(`-> ${fix}`, room);
  return [`${head}${first}`, ...[...rest, ...advice].map((line) => INDENT + line)];
}

/** In lines of at most `room` characters, broken between words. */
function wrapped(text: string, room: number): readonly string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > room) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}

function summaryLine(
  { source }: CheckupRequest,
  findings: readonly Finding[],
  tally: Readonly<Record<Level, number>>,
): string {
  const { warning, failure } = tally;
  const parts = [
    ...(failure === 0 ? [] : [failure === 1 ? '1 failure' : `${failure} failures`]),
    ...(warning === 0 ? [] : [warning === 1 ? '1 warning' : `${warning} warnings`]),
  ];
  if (parts.length > 0) return `doctor found ${parts.join(' and ')}`;
  const blind = findings.some(({ check, level }) => check === 'identity' && level === 'note');
  if (blind) return 'Nothing is wrong, as far as can be seen without a login.';
  return source === undefined
    ? 'Nothing is wrong, as far as can be seen without a SOURCE.'
    : 'Nothing is wrong.';
}
