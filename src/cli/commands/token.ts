import { type Command, InvalidArgumentError } from 'commander';
import { parseSeconds } from '../../config/values.ts';
import { type Bind, type CommandContext, commandSettings } from '../context.ts';
import { addExamples, addSettingFlags, networkOptions, tokenOptions } from '../setting-flags.ts';
import { formatUntil } from '../times.ts';

interface TokenFlags {
  readonly json?: boolean;
  readonly minLife: number;
  readonly scope?: readonly string[];
}

/** A request that begins now should not find it expired. */
const MIN_LIFE_SECONDS = 60;

export function addToken(program: Command, bind: Bind): void {
  const command = program
    .command('token')
    .summary('print an access token, for another program')
    .description(
      'Print an access token, and nothing else, for a program that takes one. Whoever\n' +
        'has it is you until it expires. A refresh token is never printed.',
    )
    .option('--json', 'with its end, as JSON')
    .option(
      '--min-life <time>',
      'seconds (or 20m, 1h) that it shall still live',
      readSeconds,
      MIN_LIFE_SECONDS,
    );
  addSettingFlags(command, ['issuer', 'audience', 'scopes', ...tokenOptions, ...networkOptions]);
  command.action(bind(runToken));
  addExamples(command, [
    'curl -H "Authorization: Bearer $(wire token --audience object)" https://storage.example.org',
    'wire token --scope openid profile',
    'wire token --json --min-life 20m',
  ]);
}

function readSeconds(text: string): number {
  const parsed = parseSeconds(text);
  if (parsed.ok) return parsed.value;
  throw new InvalidArgumentError(`It ${parsed.fault}.`);
}

async function runToken(context: CommandContext, command: Command): Promise<void> {
  const { terminal, clock, signal } = context;
  const flags = command.opts<TokenFlags>();
  const { settings } = await commandSettings(context, command);
  // WIRE_SCOPES, the profile and the fallback say what a login asks for; a token has all of that.
  const scopes = flags.scope === undefined ? undefined : settings.scopes;
  const daemon = await context.daemonOf(settings);
  const minLifeMs = flags.minLife * 1000;
  const request = { settings, minLifeMs, ...(scopes !== undefined && { scopes }) };
  const { token, expiresAtMs, issuer, source, place, notes } = await daemon.token(request, signal);
  for (const note of notes) terminal.say(`note: ${note}`);
  if (terminal.resultWatched) {
    const end = expiresAtMs === undefined ? 'it expires' : formatUntil(expiresAtMs, clock.now());
    const warning = terminal.style('yellow', 'Warning:');
    terminal.say(`${warning} whoever sees this is you until ${end} (from ${place}).`);
  }
  if (flags.json !== true) {
    terminal.result(token.reveal());
    return;
  }
  const end = expiresAtMs === undefined ? {} : { expires_at: new Date(expiresAtMs).toISOString() };
  const document = { access_token: token.reveal(), token_type: 'Bearer', ...end, issuer, source };
  terminal.result(JSON.stringify(document, undefined, 2));
}
