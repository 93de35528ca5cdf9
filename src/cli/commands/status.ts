import { type Command, InvalidArgumentError } from 'commander';
import type { Status } from '../../daemon/status.ts';
import type { Bind, CommandContext } from '../context.ts';
import { addExamples } from '../setting-flags.ts';

interface StatusFlags {
  readonly json?: boolean;
  readonly watch?: boolean;
  readonly interval?: number;
  readonly latency?: boolean;
}

/** Between two looks, in seconds. */
const INTERVAL_S = 1;
/** Logins, and what is left behind, are looked at anew after so many looks: it may take a keychain. */
const LOOKS_A_LOGIN = 30;

export function addStatus(program: Command, bind: Bind): void {
  const command = program
    .command('status')
    .summary('show mounts and logins')
    .description(
      'Show every mount of yours, what it does and how long that takes, and the logins that are\n' +
        'kept. With --watch again and again, in place on a terminal, until Ctrl-C.',
    )
    .option('--latency', 'how long each operation and request takes, in a table')
    .option('--watch', 'show it again and again')
    .option('--interval <seconds>', 'time between two looks of --watch (default: 1)', parseSeconds)
    .option('--json', 'as JSON, for programs; with --watch a line for each look')
    .action(bind(runStatus));
  addExamples(command, [
    'wire status',
    'wire status --watch',
    'wire status --latency',
    'wire status --json',
  ]);
}

async function runStatus(context: CommandContext, command: Command): Promise<void> {
  const { json = false, watch = false, latency = false } = command.opts<StatusFlags>();
  const { interval = INTERVAL_S } = command.opts<StatusFlags>();
  if (watch) {
    await watchStatus(context, { json, latency, interval });
    return;
  }
  const { terminal, clock, signal } = context;
  const daemon = await context.daemonOf();
  const status = await daemon.status(signal);
  if (json) {
    terminal.result(JSON.stringify(status, undefined, 2));
    return;
  }
  const { statusLines } = await import('../views/status-view.ts');
  const paint = terminal.resultStyle.bind(terminal);
  const detail = latency ? 'all' : 'line';
  for (const line of statusLines(status, clock.now(), { detail, paint })) terminal.result(line);
}

/** Ctrl-C is how it ends, and no failure. */
async function watchStatus(
  context: CommandContext,
  flags: { readonly json: boolean; readonly latency: boolean; readonly interval: number },
): Promise<void> {
  const { terminal, clock, signal } = context;
  const daemon = await context.daemonOf();
  const show = await shower(context, flags);
  let status: Status | undefined;
  try {
    for (let looks = 0; !signal.aborted && !terminal.resultLost; looks += 1) {
      const isNew = status === undefined || looks % LOOKS_A_LOGIN === 0;
      status =
        isNew || status === undefined
          ? await daemon.status(signal)
          : await daemon.statusAgain(status, signal);
      show(status);
      await clock.sleep(flags.interval * 1000, signal);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    terminal.restore();
  }
}

/** Draws in place where there is a terminal; else one block after the other, or a line of JSON. */
async function shower(
  { terminal, clock }: CommandContext,
  { json, latency, interval }: Parameters<typeof watchStatus>[1],
): Promise<(status: Status) => void> {
  if (json) return (status) => terminal.result(JSON.stringify(status));
  const { statusLines } = await import('../views/status-view.ts');
  const paint = terminal.resultStyle.bind(terminal);
  const screen = terminal.screen();
  const detail = latency ? 'all' : 'table';
  return (status) => {
    const width = screen === undefined ? {} : { columns: screen.size.columns };
    const lines = statusLines(status, clock.now(), { detail, paint, ...width });
    const time = new Date(clock.now()).toLocaleTimeString('en-GB');
    if (screen === undefined) {
      for (const line of [time, ...lines, '']) terminal.result(line);
      return;
    }
    const often = interval === 1 ? 'every second' : `every ${interval} s`;
    const head = `wire status, ${time}, ${often}; Ctrl-C ends`;
    screen.show([paint('dim', head), '', ...lines]);
  };
}

function parseSeconds(text: string): number {
  const seconds = Number(text);
  if (/^\d+(?:\.\d+)?$/.test(text) && seconds >= 0.1 && seconds <= 3600) return seconds;
  throw new InvalidArgumentError('Seconds between two looks are a number from 0.1 to 3600.');
}
