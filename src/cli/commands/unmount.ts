import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { UnsavedRest } from '../../daemon/unmount.ts';
import { formatBytes } from '../../lib/bytes.ts';
import { WireError } from '../../lib/wire-error.ts';
import type { Bind, CommandContext } from '../context.ts';
import { addExamples } from '../setting-flags.ts';

export function addUnmount(program: Command, bind: Bind): void {
  const command = program
    .command('unmount')
    .alias('umount')
    .summary('save everything and unmount')
    .description(
      'Wait until what was written is in the bucket, then unmount. A mount in use, or with something\n' +
        'that cannot be saved, stays; what is in the journal of --write-back is left to the next mount.',
    )
    .argument('<mountpoint...>', 'folders to unmount')
    .option('--lazy', 'take it out of sight now and end when the last program is done with it')
    .option(
      '--force',
      'cut off a mount that does not answer; what is not saved stays with its process',
    )
    .action(bind(runUnmount));
  addExamples(command, [
    'wire unmount ~/data',
    'wire unmount --lazy ~/data ~/scratch',
    'wire unmount --force ~/data',
  ]);
}

/** Tries each; the first failure is thrown, later ones are told before. */
async function runUnmount(context: CommandContext, command: Command): Promise<void> {
  const { lazy, force } = command.opts<{ lazy?: boolean; force?: boolean }>();
  const daemon = await context.daemonOf();
  const failures: WireError[] = [];
  for (const word of command.args) {
    const mountPoint = resolve(context.workingDirectory, word);
    try {
      if (force === true) await daemon.forceUnmount(mountPoint, context.signal);
      else {
        const progress = ({ files, bytes }: UnsavedRest): void =>
          context.terminal.live(
            `Saving ${mountPoint}: ${files} ${files === 1 ? 'file' : 'files'}, ${formatBytes(bytes)} to go`,
          );
        await daemon.unmount(mountPoint, lazy ?? false, progress, context.signal);
      }
      context.terminal.result(`Unmounted ${mountPoint}`);
    } catch (error) {
      if (!(error instanceof WireError) || context.signal.aborted) throw error;
      failures.push(error);
    }
  }
  for (const failure of failures.slice(1)) context.terminal.fail(failure.toLine());
  if (failures[0] !== undefined) throw failures[0];
}
