import type { Command } from 'commander';
import type { LoginFacts } from '../../daemon/identity.ts';
import type { Status } from '../../daemon/status.ts';
import { formatBytes } from '../../lib/bytes.ts';
import type { Bind, CommandContext } from '../context.ts';
import { addExamples } from '../setting-flags.ts';
import { formatUntil } from '../times.ts';

export function addStatus(program: Command, bind: Bind): void {
  const command = program
    .command('status')
    .summary('show mounts and logins')
    .description('Show every mount of yours, and the logins that are kept.')
    .option('--json', 'as JSON, for programs')
    .action(bind(runStatus));
  addExamples(command, ['wire status', 'wire status --json']);
}

async function runStatus(context: CommandContext, command: Command): Promise<void> {
  const { json } = command.opts<{ json?: boolean }>();
  const daemon = await context.daemonOf();
  const status = await daemon.status(context.signal);
  if (json === true) {
    context.terminal.result(JSON.stringify(status, undefined, 2));
    return;
  }
  for (const line of statusLines(status, context.clock.now())) context.terminal.result(line);
}

export function statusLines(status: Status, nowMs: number): readonly string[] {
  const { mounts, logins } = status;
  return [
    ...(mounts.length === 0 ? ['No mounts.'] : mounts.map((mount) => mountLine(mount, nowMs))),
    ...(logins.length === 0
      ? ['No logins (wire login ISSUER).']
      : logins.map((login) => loginLine(login, nowMs))),
  ];
}

function mountLine(mount: Status['mounts'][number], nowMs: number): string {
  if (!('source' in mount)) {
    return mount.state === 'dead'
      ? `${mount.mountPoint}: dead, its process is gone (wire unmount, or mount again)`
      : `${mount.mountPoint}: its process does not answer, or is another user's`;
  }
  const { credentialsUntilMs: until, unsavedFiles } = mount;
  const facts = [
    `${mount.state}: ${mount.source} at ${mount.endpoint}`,
    ...(mount.readOnly ? ['read-only'] : []),
    ...(until === undefined ? [] : [`credentials until ${formatUntil(until, nowMs)}`]),
    ...(mount.degraded === undefined ? [] : [`not renewed: ${mount.degraded}`]),
    ...(unsavedFiles === 0
      ? []
      : [`not saved yet: ${unsavedFiles} files, ${formatBytes(mount.unsavedBytes)}`]),
  ];
  return `${mount.mountPoint}: ${facts.join(', ')} (pid ${mount.pid})`;
}

function loginLine(login: LoginFacts, nowMs: number): string {
  const until = login.untilMs === undefined ? '' : `, until ${formatUntil(login.untilMs, nowMs)}`;
  return `${login.issuer}: logged in as ${login.who}${until}`;
}
