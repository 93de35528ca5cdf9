/** `wire report`: an archive for those who maintain wire. */
import { stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import type { Report } from '../../daemon/report/report.ts';
import { formatBytes } from '../../lib/bytes.ts';
import type { Bind, CommandContext } from '../context.ts';
import { logFileOf } from '../log-place.ts';
import {
  addExamples,
  addSettingFlags,
  credentialOptions,
  networkOptions,
  tokenOptions,
} from '../setting-flags.ts';

interface ReportFlags {
  readonly output?: string;
  readonly json?: boolean;
}

export function addReport(program: Command, bind: Bind): void {
  const command = program
    .command('report')
    .summary('make an archive that tells what is wrong')
    .description(
      'Put what `wire doctor` finds, the status, versions, settings with where they come from, the ' +
        "kernel's lines of your mounts and the end of the log into one archive, for those who " +
        'maintain wire. No secret is in it; names of hosts, buckets and files are: look through it ' +
        'before you send it. SOURCE is looked at as by `wire doctor`.',
    )
    .argument('[source]', 's3://BUCKET[/PREFIX], s3://, or the name of a mount in the profile')
    .option('-o, --output <path>', 'a new file, or a folder (default: here, named by the time)')
    .option('--read-only', 'write nothing to SOURCE')
    .option('--json', 'say where it is as JSON');
  addSettingFlags(command, [...credentialOptions, ...tokenOptions, ...networkOptions]).action(
    bind(runReport),
  );
  addExamples(command, [
    'wire report',
    'wire report s3://data --profile work -o ~/report.tar.gz',
    'wire report --json',
  ]);
}

async function runReport(context: CommandContext, command: Command): Promise<void> {
  const { terminal, signal } = context;
  const { json, output } = command.opts<ReportFlags>();
  const { readCheckup } = await import('../checkup-request.ts');
  const { request, origins } = await readCheckup(context, command);
  const path = await placeFor(output, context);
  const logFile = logFileOf(context, command);
  const daemon = await context.daemonOf(request.settings);
  terminal.live('Looking …');
  const events = { found: () => terminal.live('Looking …') };
  const asked = { checkup: request, settings: origins, path, logFile };
  const report = await daemon.report(asked, events, signal);
  terminal.live('');
  if (json === true) {
    terminal.result(JSON.stringify(report, undefined, 2));
    return;
  }
  for (const line of reportLines(report)) terminal.result(line);
}

/** Where the archive goes: a folder gets a file named by the time. */
async function placeFor(
  output: string | undefined,
  { workingDirectory, clock }: CommandContext,
): Promise<string> {
  const place = resolve(workingDirectory, output ?? '.');
  const found = await stat(place).catch(() => undefined);
  if (found?.isDirectory() !== true) return place;
  const time = new Date(clock.now())
    .toISOString()
    .replaceAll(/[-:]|\.\d+Z$/g, '')
    .replace('T', '-');
  return join(place, `wire-report-${time}.tar.gz`);
}

/** Pure: where it is, what is in it, and what to do with it. */
export function reportLines({ path, bytes, files }: Report): readonly string[] {
  const widest = Math.max(0, ...files.map(({ name }) => name.length));
  return [
    `${path} (${formatBytes(bytes)}, readable by you alone) has:`,
    ...files.map(({ name, about }) => `  ${name.padEnd(widest)}  ${about}`),
    'Secrets are blanked. Names of hosts, buckets, people and files are not: look through it first:',
    `  tar -xzOf ${quoted(path)} | less`,
  ];
}

/** For a POSIX shell, where that needs it. */
function quoted(path: string): string {
  return /^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}
