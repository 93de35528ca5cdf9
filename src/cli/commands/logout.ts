import type { Command } from 'commander';
import type { LogoutOutcome } from '../../daemon/identity.ts';
import { type Bind, type CommandContext, commandSettings } from '../context.ts';
import { addExamples, addSettingFlags, networkOptions } from '../setting-flags.ts';
import { formatUntil } from '../times.ts';

export function addLogout(program: Command, bind: Bind): void {
  const command = program
    .command('logout')
    .summary('end a login')
    .description(
      'Revoke a login at its provider and forget it here. Without ISSUER: that of --profile, else the\n' +
        'only login. Nobody takes back temporary credentials that were given out: mounts keep working\n' +
        'until theirs end, and the note says when.',
    )
    .argument('[issuer]', 'URL of the identity provider')
    .option('--forget', 'also delete the client that wire registered there, now or after a logout');
  addSettingFlags(command, networkOptions).action(bind(runLogout));
  addExamples(command, ['wire logout', 'wire logout https://iam.example.org --forget']);
}

async function runLogout(context: CommandContext, command: Command): Promise<void> {
  const { forget } = command.opts<{ forget?: boolean }>();
  const { settings } = await commandSettings(context, command);
  const issuer = command.args[0] ?? settings.issuer;
  const daemon = await context.daemonOf(settings);
  const done = await daemon.logout(issuer, forget ?? false, context.signal);
  for (const note of logoutNotes(done, context.clock.now())) context.terminal.say(`note: ${note}`);
  context.terminal.result(describeLogout(done));
}

/** Pure: what a person should know of it besides. */
export function logoutNotes({ notes, served }: LogoutOutcome, nowMs: number): readonly string[] {
  const outlives = served.map(
    ({ mountPoint, untilMs }) =>
      `${mountPoint} keeps temporary credentials that stay good until ${formatUntil(untilMs, nowMs)}`,
  );
  return [...notes, ...outlives];
}

export function describeLogout({ issuer }: LogoutOutcome): string {
  return `Logged out at ${issuer}`;
}
