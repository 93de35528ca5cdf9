import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { MountsAnswer } from '../../daemon/control-protocol.ts';
import type { MountsRequest } from '../../daemon/mounts-request.ts';
import type { Remountable, RemountServer } from '../../daemon/remount.ts';
import { WireError } from '../../lib/wire-error.ts';
import { type Bind, type CommandContext, settingsOf } from '../context.ts';
import { tellAll } from '../failures.ts';
import { addExamples } from '../setting-flags.ts';
import { describeMount } from './mount.ts';

export function addRemount(program: Command, bind: Bind): void {
  const command = program
    .command('remount')
    .summary('mount again what is dead, or with other settings')
    .description(
      'A mount that is dead, since its process was killed, is mounted again as it was; what was in its\n' +
        'journal is saved. One that is alive is saved, unmounted and mounted again with the flags it was\n' +
        'mounted with and the present configuration; in use, it stays as it is.',
    )
    .argument('[mountpoint...]', 'what to mount again')
    .option('--all', 'every mount of yours')
    .action(bind(runRemount));
  addExamples(command, ['wire remount ~/data', 'wire remount --all']);
}

/** Tries each; the first failure is thrown, later ones are told before. */
async function runRemount(context: CommandContext, command: Command): Promise<void> {
  const { all = false } = command.opts<{ all?: boolean }>();
  const { terminal, signal } = context;
  const daemon = await context.daemonOf();
  const chosen = await choose(await daemon.remountable(signal), command.args, all, context);
  if (chosen.length === 0) terminal.say('There is nothing to mount again.');
  const failures: WireError[] = [];
  // A daemon of another version ends with its last mount: only then can ours take over.
  const strange = chosen.filter(
    ({ server }) => server !== undefined && server.version !== context.version,
  );
  for (const { note } of strange) {
    await attempt(failures, context, async () => {
      await daemon.unmount(note.mountPoint, false, () => undefined, signal);
    });
  }
  for (const each of chosen) {
    await attempt(failures, context, async () => {
      const answer = await remount(each, strange.includes(each), context);
      for (const line of answer.warnings) {
        terminal.say(`${terminal.style('yellow', 'Warning:')} ${line}`);
      }
      for (const mount of answer.mounts) terminal.result(`${describeMount(mount)}, again`);
    });
  }
  tellAll(failures, terminal);
}

async function attempt(
  failures: WireError[],
  { signal }: CommandContext,
  work: () => Promise<void>,
): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof WireError) || signal.aborted) throw error;
    failures.push(error);
  }
}

/** @throws WireError `usage` for nothing named, `not-found` for what nothing is known of. */
async function choose(
  known: readonly Remountable[],
  words: readonly string[],
  all: boolean,
  { workingDirectory }: CommandContext,
): Promise<readonly Remountable[]> {
  if (all) return known.filter(({ server, isDead }) => server !== undefined || isDead);
  if (words.length === 0) {
    const next = 'name the mounts, or add --all';
    throw new WireError('usage', { tried: 'remount', answered: 'nothing was named', next });
  }
  const { remountableAt } = await import('../../daemon/remount.ts');
  const chosen: Remountable[] = [];
  for (const word of words) {
    const found = await remountableAt(known, resolve(workingDirectory, word));
    if (found === undefined) {
      const next = 'mount it: wire mount SOURCE MOUNTPOINT';
      const answered = 'nothing is known of a mount there';
      throw new WireError('not-found', { tried: `remount ${word}`, answered, next });
    }
    chosen.push(found);
  }
  return chosen;
}

async function remount(
  { note, server }: Remountable,
  isGone: boolean,
  context: CommandContext,
): Promise<MountsAnswer> {
  const { logFlags, signal } = context;
  const request = server === undefined ? note.request : await asConfigured(note.request, context);
  if (server === undefined || isGone) {
    return await context.mountInDaemon({ request, replace: false }, logFlags, signal);
  }
  return await remountBy(server, request, context);
}

async function remountBy(
  server: RemountServer,
  request: MountsRequest,
  { environment, paths, signal }: CommandContext,
): Promise<MountsAnswer> {
  const { remountThere } = await import('../../daemon/remount.ts');
  return await remountThere(
    server,
    { request, caller: { environment, paths }, replace: true },
    signal,
  );
}

/** The same flags with the present configuration. */
async function asConfigured(
  request: MountsRequest,
  context: CommandContext,
): Promise<MountsRequest> {
  const { origin } = request;
  if (origin === undefined) return request;
  const { settings } = await settingsOf(origin.profile, origin.flags, context);
  return { ...request, settings };
}
