import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { Daemon } from '../../daemon/daemon.ts';
import type { UnsavedRest } from '../../daemon/unmount.ts';
import { formatBytes } from '../../lib/bytes.ts';
import { WireError } from '../../lib/wire-error.ts';
import type { Bind, CommandContext } from '../context.ts';
import { tellAll } from '../failures.ts';
import { addExamples } from '../setting-flags.ts';
import { countFiles, Remaining } from '../views/progress-bar.ts';

interface UnmountFlags {
  readonly lazy?: boolean;
  readonly force?: boolean;
  readonly wait?: boolean;
  readonly all?: boolean;
}

/** Between two attempts of --wait. */
const LOOK_MS = 500;

export function addUnmount(program: Command, bind: Bind): void {
  const command = program
    .command('unmount')
    .alias('umount')
    .summary('save everything and unmount')
    .description(
      'Wait until what was written is in the bucket, then unmount. A mount in use, or with something\n' +
        'that cannot be saved, stays; what is in the journal of --write-back is left to the next mount.',
    )
    .argument('[mountpoint...]', 'folders to unmount')
    .option('--all', 'every mount of yours')
    .option('--wait', 'wait until nobody uses it any more and all is saved')
    .option('--lazy', 'take it out of sight now and end when the last program is done with it')
    .option(
      '--force',
      'cut off a mount that does not answer; what is not saved stays with its process',
    )
    .action(bind(runUnmount));
  addExamples(command, [
    'wire unmount ~/data',
    'wire unmount --all --wait',
    'wire unmount --lazy ~/data ~/scratch',
    'wire unmount --force ~/data',
  ]);
}

/** Tries each; the first failure is thrown, later ones are told before. */
async function runUnmount(context: CommandContext, command: Command): Promise<void> {
  const flags = command.opts<UnmountFlags>();
  const daemon = await context.daemonOf();
  const places = await placesOf(command.args, flags, daemon, context);
  const failures: WireError[] = [];
  for (const mountPoint of places) {
    try {
      await unmountOne(mountPoint, flags, daemon, context);
      context.terminal.result(`Unmounted ${mountPoint}`);
    } catch (error) {
      if (!(error instanceof WireError) || context.signal.aborted) throw error;
      failures.push(error);
    }
  }
  tellAll(failures, context.terminal);
}

/** @throws WireError `usage` when nothing was named, or a place besides --all. */
async function placesOf(
  words: readonly string[],
  { all = false }: UnmountFlags,
  daemon: Daemon,
  { workingDirectory, terminal, signal }: CommandContext,
): Promise<readonly string[]> {
  if (all !== (words.length === 0)) {
    const answered = all ? 'folders are named besides --all' : 'nothing was named';
    const next = 'name the folders, or write: wire unmount --all';
    throw new WireError('usage', { tried: 'unmount', answered, next });
  }
  if (!all) return words.map((word) => resolve(workingDirectory, word));
  const places = await daemon.ownMounts(signal);
  if (places.length === 0) terminal.say('No mounts.');
  return places;
}

async function unmountOne(
  mountPoint: string,
  { lazy = false, force = false, wait = false }: UnmountFlags,
  daemon: Daemon,
  { terminal, clock, signal }: CommandContext,
): Promise<void> {
  if (force) {
    await daemon.forceUnmount(mountPoint, signal);
    return;
  }
  const show = savingLine(mountPoint);
  const progress = (rest: UnsavedRest): void => terminal.live(show(rest));
  let told = '';
  for (;;) {
    try {
      await daemon.unmount(mountPoint, lazy, progress, signal);
      return;
    } catch (error) {
      if (!wait || signal.aborted || !mayPass(error)) throw error;
      if (error.message !== told) terminal.say(`Waiting: ${error.message}`);
      told = error.message;
      await clock.sleep(LOOK_MS, signal);
    }
  }
}

/** In use, or not saved yet. */
function mayPass(error: unknown): error is WireError {
  return error instanceof WireError && (error.kind === 'mount-point' || error.kind === 'not-saved');
}

/** A bar of what is saved, and what is left. */
function savingLine(mountPoint: string): (rest: UnsavedRest) => string {
  const remaining = new Remaining();
  return ({ files, bytes }) => {
    const rest = `${countFiles(files)}, ${formatBytes(bytes)} to go`;
    return `${remaining.bar(bytes)} Saving ${mountPoint}: ${rest}`;
  };
}
