import { type Command, InvalidArgumentError } from 'commander';
import type { OptionName, Settings } from '../../config/options.ts';
import type {
  CredentialsLimit,
  IssuedCredentials,
  ServeEvents,
} from '../../daemon/issue-credentials.ts';
import { WireError } from '../../lib/wire-error.ts';
import { type Bind, type CommandContext, commandSettings } from '../context.ts';
import { processCredentials, servedLines } from '../credential-text.ts';
import { type LimitFlags, readLimit } from '../credentials-limit.ts';
import {
  addExamples,
  addSettingFlags,
  credentialOptions,
  networkOptions,
  tokenOptions,
} from '../setting-flags.ts';
import { formatUntil } from '../times.ts';

interface CredentialsFlags extends LimitFlags {
  readonly serve?: boolean;
  readonly port?: number;
}

const options: readonly OptionName[] = [...credentialOptions, ...tokenOptions, ...networkOptions];

export function addCredentials(program: Command, bind: Bind): void {
  const command = program
    .command('credentials')
    .summary('temporary S3 credentials for other programs')
    .description(
      'Print temporary credentials as AWS programs expect them of a `credential_process`; with\n' +
        '--serve, hand them out on 127.0.0.1 and keep them fresh until Ctrl-C. They may do whatever\n' +
        'the role may, unless SOURCE (s3://BUCKET[/PREFIX]), --bucket or --read-only limits them.',
    );
  addLimitFlags(command)
    .option('--serve', 'serve them on 127.0.0.1 and print what programs need to know')
    .option('--port <port>', 'port of --serve (default: a free one)', parsePort)
    .action(bind(runCredentials));
  addExamples(command, [
    'wire credentials s3://data/2024 --read-only --endpoint https://s3.example.org',
    'credential_process = wire credentials --profile work     (a line of ~/.aws/config)',
    'wire credentials --serve --endpoint https://s3.example.org',
  ]);
}

/** What `wire credentials` and `wire env` have in common. */
export function addLimitFlags(command: Command): Command {
  return addSettingFlags(command.argument('[source...]', 'what they are good for at most'), options)
    .option('--bucket <bucket>', 'good for this bucket at most')
    .option('--prefix <prefix>', 'and for keys below this prefix')
    .option('--read-only', 'good for reading only');
}

/** Settings and limit as the command line says them. */
export async function readCredentialsRequest(
  context: CommandContext,
  command: Command,
): Promise<{ readonly settings: Settings; readonly limit?: CredentialsLimit }> {
  const limit = readLimit(command.args, command.opts<LimitFlags>());
  const { settings } = await commandSettings(context, command);
  return { settings, ...(limit !== undefined && { limit }) };
}

/** What is on a screen is in its history, and over one's shoulder. */
export function warnOfScreen(
  { terminal, clock }: CommandContext,
  { expiresAtMs }: IssuedCredentials,
): void {
  if (!terminal.resultWatched) return;
  const end = formatUntil(expiresAtMs, clock.now());
  const warning = terminal.style('yellow', 'Warning:');
  terminal.say(`${warning} whoever sees this may use the store as you until ${end}.`);
}

export function warningsTo({ terminal }: CommandContext): Pick<ServeEvents, 'warn'> {
  return {
    warn: (line) => terminal.say(`${terminal.style('yellow', 'Warning:')} ${line}`),
  };
}

async function runCredentials(context: CommandContext, command: Command): Promise<void> {
  const flags = command.opts<CredentialsFlags>();
  const request = await readCredentialsRequest(context, command);
  if (flags.serve === true) {
    await serve({ ...request, port: flags.port ?? 0 }, context);
    return;
  }
  if (flags.port !== undefined) {
    const facts = { tried: `use --port ${flags.port}`, answered: 'nothing is served' };
    throw new WireError('usage', { ...facts, next: 'add --serve' });
  }
  const daemon = await context.daemonOf(request.settings);
  const credentials = await daemon.credentials(request, warningsTo(context), context.signal);
  warnOfScreen(context, credentials);
  context.terminal.result(processCredentials(credentials));
}

async function serve(
  request: { readonly settings: Settings; readonly port: number },
  context: CommandContext,
): Promise<void> {
  const { terminal, signal } = context;
  const daemon = await context.daemonOf(request.settings);
  const events: ServeEvents = {
    ...warningsTo(context),
    serving: (place) => {
      for (const line of servedLines(place)) terminal.result(line);
      if (terminal.watched) terminal.say('Serving credentials; Ctrl-C ends that.');
    },
  };
  await daemon.serveCredentials(request, events, signal);
}

function parsePort(text: string): number {
  const port = Number(text);
  if (/^\d{1,5}$/.test(text) && port >= 1 && port <= 65_535) return port;
  throw new InvalidArgumentError('A port is a number from 1 to 65535.');
}
