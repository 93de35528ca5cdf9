import type { Command } from 'commander';
import type { LoginFacts } from '../../daemon/identity.ts';
import type { MountStatus } from '../../daemon/mount.ts';
import type { RightsStatus } from '../../daemon/mount-parts.ts';
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
  const { mounts } = status;
  return [
    ...(mounts.length === 0 ? ['No mounts.'] : mounts.flatMap((mount) => mountLines(mount, nowMs))),
    ...leftLines(status.left),
    ...loginLines(status, nowMs),
  ];
}

function leftLines(left: Status['left']): readonly string[] {
  if (left === undefined || left.files === 0) return [];
  const what = `${countFiles(left.files)}, ${formatBytes(left.bytes)}`;
  return [`Left by mounts that have ended, and not in a bucket: ${what} (wire recover --list)`];
}

function loginLines({ logins, loginsTrouble }: Status, nowMs: number): readonly string[] {
  if (loginsTrouble !== undefined) return [printable(`Logins cannot be shown: ${loginsTrouble}`)];
  if (logins.length === 0) return ['No logins (wire login ISSUER).'];
  return logins.map((login) => loginLine(login, nowMs));
}

function mountLines(mount: Status['mounts'][number], nowMs: number): readonly string[] {
  if (!('source' in mount)) {
    return mount.state === 'dead'
      ? [`${mount.mountPoint}: dead, its process is gone (wire unmount, or mount again)`]
      : [`${mount.mountPoint}: its process does not answer, or is another user's`];
  }
  const { credentialsUntilMs: until, unsavedFiles } = mount;
  const facts = [
    `${mount.state}: ${mount.source} at ${mount.endpoint}`,
    ...(mount.readOnly ? ['read-only'] : []),
    ...(until === undefined ? [] : [`credentials until ${formatUntil(until, nowMs)}`]),
    ...(mount.degraded === undefined
      ? []
      : [printable(`degraded: ${mount.degraded} (${mount.degradedReason ?? 'no reason given'})`)]),
    ...rightsFacts(mount.rights),
    ...(unsavedFiles === 0
      ? []
      : [`not saved yet: ${countFiles(unsavedFiles)}, ${formatBytes(mount.unsavedBytes)}`]),
    ...journalFacts(mount.writeBack, nowMs),
    ...readingFacts(mount.reading),
  ];
  // Of each file the last failure: earlier ones are the same story.
  const latest = new Map(mount.failures.map((failure) => [failure.name, failure]));
  const failures = [...latest.values()].map(({ name, message, atMs, keptAt }) => {
    const place = keptAt === undefined ? '' : `; its bytes are kept in ${keptAt}`;
    return printable(`  ${formatUntil(atMs, nowMs)} not saved: ${name}: ${message}${place}`);
  });
  const archived = (mount.reading?.archived ?? []).map((key) =>
    printable(`  in cold storage, to be restored before it can be read: ${key}`),
  );
  return [`${mount.mountPoint}: ${facts.join(', ')} (pid ${mount.pid})`, ...failures, ...archived];
}

const enforcementWords: Readonly<Record<RightsStatus['enforcement'], string>> = {
  enforced: 'enforced',
  'not enforced': 'NOT enforced by the server',
  'cannot tell': 'no telling whether the server enforces it',
  untested: 'not tested yet',
};

/** What waits in the journal; nothing where nothing does. */
function journalFacts(writeBack: MountStatus['writeBack'], nowMs: number): readonly string[] {
  if (writeBack === undefined || writeBack.files === 0) return [];
  const { files, bytes, oldestMs, trouble } = writeBack;
  const since = oldestMs === undefined ? '' : `, the oldest since ${formatUntil(oldestMs, nowMs)}`;
  const why = trouble === undefined ? '' : ` (${trouble})`;
  return [printable(`in the journal: ${countFiles(files)}, ${formatBytes(bytes)}${since}${why}`)];
}

/** Where what was read came from; nothing before the first read. */
function readingFacts(reading: MountStatus['reading']): readonly string[] {
  if (reading === undefined || reading.readBytes === 0) return [];
  const { readBytes, fetchedBytes, diskBytes } = reading;
  const disk = diskBytes === 0 ? '' : ` and ${formatBytes(diskBytes)} from the disk`;
  return [`read ${formatBytes(readBytes)} with ${formatBytes(fetchedBytes)} from the store${disk}`];
}

/** Without a limit there is nothing to tell: `--session-policy off` was asked for. */
function rightsFacts(rights: RightsStatus | undefined): readonly string[] {
  if (rights?.limit === undefined) return [];
  return [printable(`rights limited to ${rights.limit} (${enforcementWords[rights.enforcement]})`)];
}

/** Names of files come from whoever writes to the bucket: they must not steer the terminal. */
function printable(line: string): string {
  return line.replaceAll(/[\x00-\x1f\x7f-\x9f]/g, '?');
}

function countFiles(count: number): string {
  return count === 1 ? '1 file' : `${count} files`;
}

function loginLine(login: LoginFacts, nowMs: number): string {
  const until = login.untilMs === undefined ? '' : `, until ${formatUntil(login.untilMs, nowMs)}`;
  const soon = login.endsSoon === true ? `; log in again soon: wire login ${login.issuer}` : '';
  return `${login.issuer}: logged in as ${login.who}${until}${soon}`;
}
