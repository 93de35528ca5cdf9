/** `wire recover`: what mounts that have ended have left on this machine. */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { LeftFile } from '../../daemon/left-behind.ts';
import type { FileProgress } from '../../daemon/mount-parts.ts';
import { formatBytes } from '../../lib/bytes.ts';
import { WireError } from '../../lib/wire-error.ts';
import type { Bind, CommandContext } from '../context.ts';
import { addExamples } from '../setting-flags.ts';
import { formatUntil } from '../times.ts';
import { filesLine } from '../views/progress-bar.ts';

interface RecoverFlags {
  readonly list?: boolean;
  readonly json?: boolean;
  readonly to?: string;
  readonly discard?: readonly string[];
}

export function addRecover(program: Command, bind: Bind): void {
  const command = program
    .command('recover')
    .summary('files that are on this machine and not in their bucket')
    .description(
      'Show what mounts that have ended have left: files whose next mount, of the same source and by\n' +
        'the same person, will save them, and bytes that were put aside. Nothing is deleted unless it\n' +
        'is named.',
    )
    .option('--list', 'show what there is (the default)')
    .option('--json', 'as JSON, for programs')
    .option('--to <folder>', 'copy all of it there')
    .option('--discard <id...>', 'delete these')
    .action(bind(runRecover));
  addExamples(command, [
    'wire recover --list',
    'wire recover --to ~/recovered',
    'wire recover --discard 1f3a9c02',
  ]);
}

async function runRecover(context: CommandContext, command: Command): Promise<void> {
  const { terminal, workingDirectory, clock, signal } = context;
  const { to, json, list, discard } = command.opts<RecoverFlags>();
  if (discard !== undefined && (to !== undefined || list === true)) {
    const tried = 'recover files';
    throw new WireError('usage', { tried, answered: '--discard stands alone' });
  }
  const daemon = await context.daemonOf();
  for (const id of discard ?? []) {
    const { name } = await daemon.discardLeft(id, signal);
    terminal.result(printable(`Discarded ${id}: ${name}`));
  }
  if (discard !== undefined) return;
  if (to !== undefined) {
    const progress = (done: FileProgress): void => terminal.live(filesLine(to, done));
    const copied = await daemon.exportLeft(resolve(workingDirectory, to), progress, signal);
    if (json === true) terminal.result(JSON.stringify(copied, undefined, 2));
    else for (const { file, path } of copied) terminal.result(exportLine(file, path));
    if (copied.length === 0 && json !== true) terminal.result('Nothing is left behind.');
    return;
  }
  const left = await daemon.listLeft(signal);
  if (json === true) terminal.result(JSON.stringify(left, undefined, 2));
  else for (const line of leftLines(left, clock.now())) terminal.result(line);
}

/** Pure: what is printed of it, the oldest first. */
export function leftLines(left: readonly LeftFile[], nowMs: number): readonly string[] {
  if (left.length === 0) return ['Nothing is left behind.'];
  return left.map(({ id, name, bytes, missingBytes, atMs, path, whose }) => {
    const missing = missingBytes === 0 ? '' : `, ${formatBytes(missingBytes)} of it only there`;
    const place =
      whose === undefined
        ? `kept in ${path ?? 'the staging folder'}`
        : `for ${whose.source} at ${whose.endpoint}, by ${whose.subject} of ${whose.issuer}`;
    return printable(
      `${id}  ${formatUntil(atMs, nowMs)}  ${formatBytes(bytes)}${missing}  ${name}: ${place}`,
    );
  });
}

function exportLine({ id, name, missingBytes }: LeftFile, path: string): string {
  const missing =
    missingBytes === 0 ? '' : ` (zeros for ${formatBytes(missingBytes)} that only the object has)`;
  return printable(`${id}  ${name} -> ${path}${missing}`);
}

/** Names come from whoever wrote them: they must not steer the terminal. */
function printable(line: string): string {
  return line.replaceAll(/[\x00-\x1f\x7f-\x9f]/g, '?');
}
