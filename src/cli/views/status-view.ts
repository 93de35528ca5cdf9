/** `wire status` as text. Pure. */
import { stripVTControlCharacters } from 'node:util';
import type { LoginFacts } from '../../daemon/identity.ts';
import type { MountStatus } from '../../daemon/mount.ts';
import type { RightsStatus } from '../../daemon/mount-parts.ts';
import type {
  LiveMountStatus,
  LostMountStatus,
  ServingProcess,
  Status,
} from '../../daemon/status.ts';
import { formatBytes } from '../../lib/bytes.ts';
import type { Style } from '../terminal.ts';
import { formatUntil } from '../times.ts';
import { type Detail, workLines } from './work-view.ts';

export interface StatusView {
  /** How much is told of latencies; default: one line. */
  readonly detail?: Detail;
  /** Puts a text into a style; default: none. */
  readonly paint?: (style: Style, text: string) => string;
  /** Where the facts of a mount go on in the next line; default: nowhere. */
  readonly columns?: number;
}

export function statusLines(
  status: Status,
  nowMs: number,
  {
    detail = 'line',
    paint = (_, text) => text,
    columns = Number.POSITIVE_INFINITY,
  }: StatusView = {},
): readonly string[] {
  const { mounts } = status;
  const view = { detail, paint, columns };
  return [
    ...(mounts.length === 0
      ? ['No mounts.']
      : mounts.flatMap((mount) => mountLines(mount, nowMs, view))),
    ...(status.processes ?? []).flatMap((serving) => processLines(serving, view)),
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

function mountLines(
  mount: Status['mounts'][number],
  nowMs: number,
  view: Required<StatusView>,
): readonly string[] {
  const { paint, detail, columns } = view;
  const place = paint('bold', printable(mount.mountPoint));
  if (!('source' in mount)) return [`${place}: ${lostText(mount, paint)}`];
  const facts = mountFacts(mount, nowMs, view);
  const archived = (mount.reading?.archived ?? []).map((key) =>
    printable(`  in cold storage, to be restored before it can be read: ${key}`),
  );
  return [
    ...broken(`${place}: ${facts[0] ?? ''}`, [...facts.slice(1), `pid ${mount.pid}`], columns),
    ...failureLines(mount, nowMs),
    ...archived,
    ...workLines(mount, detail),
  ];
}

function lostText({ state, was }: LostMountStatus, paint: Required<StatusView>['paint']): string {
  if (state === 'silent') return "its process does not answer, or is another user's";
  const what = was === undefined ? '' : ` (${printable(was)})`;
  const next = was === undefined ? 'wire unmount, or mount again' : 'wire remount, or unmount';
  return `${paint('red', 'dead')}${what}, its process is gone (${next})`;
}

/** Sessions that broke off; nothing where none did. */
function repairFacts(repairs: MountStatus['repairs'], nowMs: number): readonly string[] {
  if (repairs === undefined) return [];
  const { count, latestMs, trouble } = repairs;
  const times = count === 1 ? 'once' : `${count} times`;
  const why = trouble === undefined ? '' : ` (${trouble})`;
  return [printable(`mounted again ${times}, the last time ${formatUntil(latestMs, nowMs)}${why}`)];
}

/** `first` and `facts` with commas between, the last one in brackets, in lines of `columns`. */
function broken(first: string, facts: readonly string[], columns: number): readonly string[] {
  const lines: string[] = [];
  let line = first;
  facts.forEach((fact, at) => {
    const isLast = at === facts.length - 1;
    const longer = isLast ? `${line} (${fact})` : `${line}, ${fact}`;
    if (stripVTControlCharacters(longer).length <= columns) {
      line = longer;
      return;
    }
    lines.push(isLast ? line : `${line},`);
    line = isLast ? `  (${fact})` : `  ${fact}`;
  });
  return [...lines, line];
}

function mountFacts(
  mount: LiveMountStatus,
  nowMs: number,
  { paint }: Required<StatusView>,
): readonly string[] {
  const { credentialsUntilMs: until, unsavedFiles, unsavedBytes } = mount;
  const degraded = `degraded: ${mount.degraded} (${mount.degradedReason ?? 'no reason given'})`;
  return [
    printable(`${mount.state}: ${mount.source} at ${mount.endpoint}`),
    ...(mount.readOnly ? ['read-only'] : []),
    ...(until === undefined ? [] : [`credentials until ${formatUntil(until, nowMs)}`]),
    ...(mount.degraded === undefined ? [] : [paint('yellow', printable(degraded))]),
    ...repairFacts(mount.repairs, nowMs),
    ...rightsFacts(mount.rights),
    ...(unsavedFiles === 0
      ? []
      : [`not saved yet: ${countFiles(unsavedFiles)}, ${formatBytes(unsavedBytes)}`]),
    ...journalFacts(mount.writeBack, nowMs),
  ];
}

/** Of each file the last failure: earlier ones are the same story. */
function failureLines({ failures }: LiveMountStatus, nowMs: number): readonly string[] {
  const latest = new Map(failures.map((failure) => [failure.name, failure]));
  return [...latest.values()].map(({ name, message, atMs, keptAt }) => {
    const place = keptAt === undefined ? '' : `; its bytes are kept in ${keptAt}`;
    return printable(`  ${formatUntil(atMs, nowMs)} not saved: ${name}: ${message}${place}`);
  });
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

/** Without a limit there is nothing to tell: `--session-policy off` was asked for. */
function rightsFacts(rights: RightsStatus | undefined): readonly string[] {
  if (rights?.limit === undefined) return [];
  return [printable(`rights limited to ${rights.limit} (${enforcementWords[rights.enforcement]})`)];
}

/** What a process is asked to tell besides, and what of that did not work. */
function processLines(
  { pid, metricsUrl, accessLog, auditLog, auditFailures = 0, accessDropped = 0 }: ServingProcess,
  { paint }: Required<StatusView>,
): readonly string[] {
  const lines = [
    ...(metricsUrl === undefined ? [] : [`metrics: ${metricsUrl}`]),
    ...(accessLog === undefined ? [] : [`access log: ${accessLog}`]),
    ...(accessDropped === 0
      ? []
      : [paint('yellow', `${accessDropped} operations are not in the access log`)]),
    ...(auditFailures === 0
      ? []
      : [paint('red', `${auditFailures} changes are not in the audit log ${auditLog ?? ''}`)]),
  ];
  return lines.map((line) => `pid ${pid}: ${line}`);
}

/** Names come from whoever writes to the bucket, or names a bucket: they must not steer the terminal. */
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
