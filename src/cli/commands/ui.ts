/** `wire ui`: a page of this machine that shows the same, and logs in and mounts. */
import { type Command, InvalidArgumentError } from 'commander';
import { parseSeconds } from '../../config/values.ts';
import type { PageEnd, ServedPage } from '../../daemon/ui/page.ts';
import { browserCommand, openFile } from '../browser.ts';
import { type Bind, type CommandContext, commandSettings } from '../context.ts';
import { addExamples, addSettingFlags, networkOptions } from '../setting-flags.ts';

interface UiFlags {
  readonly port?: number;
  readonly idle?: number;
  readonly browser: boolean;
  readonly json?: boolean;
}

/** A lunch break; the address is good once, and it takes another `wire ui` to come back. */
const IDLE_S = 3600;

export function addUi(program: Command, bind: Bind): void {
  const command = program
    .command('ui')
    .summary('a page of this machine that shows it, logs in and mounts')
    .description(
      'Serve a page on 127.0.0.1 that shows mounts, logins and what goes where, and logs in, mounts\n' +
        'and unmounts. Its address opens it once, in one browser. It ends with Ctrl-C, on the page, or\n' +
        'when no page was open for an hour; mounts that were made on it stay.',
    )
    .option('--port <port>', 'port of the page (default: a free one)', parsePort)
    .option('--idle <time>', 'end when no page was open for so long (default: 1h)', parseIdle)
    .option('--no-browser', 'do not open the page in a browser')
    .option('--json', 'its address as JSON, for programs');
  addSettingFlags(command, networkOptions).action(bind(runUi));
  addExamples(command, [
    'wire ui',
    'wire ui --profile work',
    'wire ui --port 4711 --no-browser     (with: ssh -L 4711:127.0.0.1:4711 …)',
  ]);
}

async function runUi(context: CommandContext, command: Command): Promise<void> {
  const { port = 0, idle = IDLE_S, ...flags } = command.opts<UiFlags>();
  const { paths, uid, clock, log, signal } = context;
  const { settings, flags: typed } = await commandSettings(context, command);
  const { profile } = command.opts<{ profile?: string }>();
  const [daemon, { createHost }, { servePage }] = await Promise.all([
    context.daemonOf(settings),
    import('../ui-host.ts'),
    import('../../daemon/ui/page.ts'),
  ]);
  const page = {
    ...{ port, idleMs: idle * 1000, host: createHost({ profile, flags: typed }, daemon, context) },
    ...{ runtimeDir: paths.runtimeDir, uid, pid: process.pid, clock, log },
    version: command.parent?.version() ?? '',
  };
  const end = await servePage(page, (served) => tell(served, flags, context), signal);
  sayEnd(end, idle, context);
}

/** Ctrl-C is how it ends, and no failure. */
function sayEnd(end: PageEnd, idle: number, { terminal }: CommandContext): void {
  if (end === 'closed') terminal.say('The page was ended. What was mounted stays.');
  if (end === 'idle') {
    const long = idle % 60 === 0 ? `${idle / 60} min` : `${idle} s`;
    terminal.say(`No page was open for ${long}: ended. What was mounted stays.`);
  }
}

function tell(
  { port, url, file }: ServedPage,
  { browser, json }: UiFlags,
  { terminal, environment, platform }: CommandContext,
): void {
  terminal.result(json === true ? JSON.stringify({ url, port }) : url);
  const opener = browser ? browserCommand(environment, platform) : undefined;
  if (opener !== undefined) openFile(opener, file, environment);
  if (!terminal.watched) return;
  terminal.say('This address opens the page once, in one browser. Ctrl-C ends it; mounts stay.');
}

function parsePort(text: string): number {
  const port = Number(text);
  if (/^\d{1,5}$/.test(text) && port >= 1 && port <= 65_535) return port;
  throw new InvalidArgumentError('A port is a number from 1 to 65535.');
}

function parseIdle(text: string): number {
  const parsed = parseSeconds(text);
  if (parsed.ok) return parsed.value;
  throw new InvalidArgumentError(`A time ${parsed.fault}.`);
}
