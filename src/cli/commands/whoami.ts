import type { Command } from 'commander';
import type { IdentityFacts, SourceReport, WhoAmI } from '../../daemon/who-am-i.ts';
import { type Bind, type CommandContext, commandSettings } from '../context.ts';
import { addExamples, addSettingFlags, networkOptions, tokenOptions } from '../setting-flags.ts';
import { formatUntil } from '../times.ts';

export function addWhoAmI(program: Command, bind: Bind): void {
  const command = program
    .command('whoami')
    .summary('show who you are to the store, and why')
    .description(
      'Show whose access tokens wire uses, until when, and where they come from.\n' +
        'With --explain also every place where tokens are looked for, in order, and why\n' +
        'each is used or not.',
    )
    .option('--explain', 'list all sources of tokens')
    .option('--json', 'as JSON, for programs');
  addSettingFlags(command, ['issuer', 'audience', ...tokenOptions, ...networkOptions]).action(
    bind(runWhoAmI),
  );
  addExamples(command, ['wire whoami', 'wire whoami --explain', 'wire whoami --json']);
}

async function runWhoAmI(context: CommandContext, command: Command): Promise<void> {
  const { explain, json } = command.opts<{ explain?: boolean; json?: boolean }>();
  const { terminal, clock, signal } = context;
  const { settings } = await commandSettings(context, command);
  const daemon = await context.daemonOf(settings);
  const found = await daemon.whoAmI(settings, signal);
  const lines =
    json === true
      ? [jsonOf(found, explain ?? false)]
      : [
          ...(found.identity === undefined ? [] : identityLines(found.identity, clock.now())),
          ...(explain === true ? chainLines(found.sources) : []),
        ];
  for (const line of lines) terminal.result(printable(line));
  // Told last: what was found out is the answer to why.
  if (found.failure !== undefined) throw found.failure;
}

function jsonOf({ identity, failure, sources }: WhoAmI, explain: boolean): string {
  const document = {
    ...(identity !== undefined && { identity }),
    ...(failure !== undefined && { failure: { kind: failure.kind, message: failure.toLine() } }),
    ...(explain && { sources }),
  };
  return JSON.stringify(document, undefined, 2);
}

/** One line for who, then a word and its value each. */
function identityLines(identity: IdentityFacts, nowMs: number): readonly string[] {
  const { who, subject, groups, issuer, audiences, scopes, place, source, notes } = identity;
  const { accessUntilMs, refreshUntilMs, renewable } = identity;
  const access = accessUntilMs === undefined ? undefined : formatUntil(accessUntilMs, nowMs);
  const renewal = renewable ? 'renewed by itself' : 'not renewed by wire';
  const rows: readonly (readonly [string, string | undefined])[] = [
    ['subject', subject === who ? undefined : subject],
    ['groups', joined(groups, ', ')],
    ['issuer', issuer],
    ['audience', joined(audiences, ', ')],
    ['scopes', joined(scopes, ' ')],
    ['access', access === undefined ? renewal : `until ${access}, ${renewal}`],
    [
      'login',
      refreshUntilMs === undefined ? undefined : `until ${formatUntil(refreshUntilMs, nowMs)}`,
    ],
    ['source', `${source}: ${place}`],
    ...notes.map((note) => ['note', note] as const),
  ];
  return [
    who ?? 'somebody (the token does not say who)',
    ...rows.flatMap(([name, value]) => (value === undefined ? [] : [row(name, value)])),
  ];
}

function joined(words: readonly string[], separator: string): string | undefined {
  return words.length === 0 ? undefined : words.join(separator);
}

function row(name: string, value: string): string {
  return `  ${name.padEnd(8)}  ${value}`;
}

/** What each state is called; the chosen one stands out at the left. */
const stateWords: Readonly<Record<SourceReport['state'], readonly [string, string]>> = {
  used: ['>', 'used'],
  refused: ['!', 'refused'],
  'passed-over': [' ', 'passed over'],
  absent: [' ', 'not there'],
};

function chainLines(sources: readonly SourceReport[]): readonly string[] {
  const lines = sources.map(({ name, state, why }) => {
    const [mark, word] = stateWords[state];
    return `${mark} ${name.padEnd(12)}  ${word.padEnd(11)}  ${why}`;
  });
  return ['Tokens are looked for in this order:', ...lines];
}

/** Names in tokens come from a server: they must not steer the terminal. */
function printable(line: string): string {
  return line.replaceAll(/[\x00-\x09\x0b-\x1f\x7f-\x9f]/g, '?');
}
