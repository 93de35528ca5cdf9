import type { Command } from 'commander';
import { LinkedAbort } from '../../lib/abort.ts';
import type { Bind, CommandContext } from '../context.ts';

/** What `wire mount --daemon` starts; nobody need type it. */
export const daemonCommand = 'serve-mounts';

export function addDaemon(program: Command, bind: Bind): void {
  program
    .command(daemonCommand, { hidden: true })
    .description('Serve mounts for `wire mount --daemon`, until the last of them has ended.')
    .action(bind(runDaemon));
}

async function runDaemon(context: CommandContext): Promise<void> {
  const { starter, signals, log } = context;
  // Signals are the mounts' own.
  using starting = new LinkedAbort(context.signal);
  starter?.lost.addEventListener('abort', () => starting.abort(starter.lost.reason));
  const daemon = await context.daemonOf();
  context.leaveWorkingDirectory();
  const ready = async (): Promise<void> => {
    starting.signal.throwIfAborted();
    starting[Symbol.dispose]();
    await starter?.report({ outcome: 'ready', lines: [] });
    log.info('daemon ready');
  };
  await daemon.serve(ready, signals, starting.signal);
}
