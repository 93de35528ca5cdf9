/** What a mount does, below its line of `wire status`: bytes, rates, errors, latencies. Pure. */

import type { TimedWork, WatchedWork } from '../../daemon/mount-watch.ts';
import type { LiveMountStatus } from '../../daemon/status.ts';
import { formatBytes } from '../../lib/bytes.ts';
import { formatTaken } from '../times.ts';

/** Latencies: of the busiest few in one line, or in a table of those, or in one of all. */
export type Detail = 'line' | 'table' | 'all';

/** The busiest, by the time that went into them. */
const BUSIEST = { line: 3, table: 6, all: Number.POSITIVE_INFINITY } as const;

/** Indented by two; none where nothing has been done. */
export function workLines(mount: LiveMountStatus, detail: Detail): readonly string[] {
  const { work } = mount;
  if (work === undefined) return [];
  const rows: readonly (readonly [string, string])[] = [
    ['reads', readingFacts(mount, work)],
    ['writes', writingFacts(mount, work)],
    ['errors', errorFacts(work)],
    ...(detail === 'line' ? latencyFacts(work) : []),
  ];
  const told = rows.filter(([, text]) => text !== '');
  return [
    ...told.map(([name, text]) => `  ${name.padEnd(8)}${text}`),
    ...(detail === 'line' ? [] : latencyTable(work, detail)),
  ];
}

/** Where what was read came from; nothing before the first read. */
function readingFacts({ reading }: LiveMountStatus, { traffic }: WatchedWork): string {
  if (reading === undefined || reading.readBytes === 0) return '';
  const { readBytes, fetchedBytes, diskBytes, hits, misses } = reading;
  const reads = hits + misses;
  const rate = reads === 0 ? [] : [`${Math.floor((hits / reads) * 100)} % from memory`];
  const disk = diskBytes === 0 ? [] : [`${formatBytes(diskBytes)} from the disk`];
  const store = `${formatBytes(fetchedBytes)} from the store${rateOf(traffic.received)}`;
  return [formatBytes(readBytes), ...rate, ...disk, store].join(', ');
}

function writingFacts({ uploads = 0 }: LiveMountStatus, { traffic }: WatchedWork): string {
  const { writtenBytes, sent } = traffic;
  if (writtenBytes === 0 && sent.bytes === 0 && uploads === 0) return '';
  const way = uploads === 0 ? [] : [uploads === 1 ? '1 upload' : `${uploads} uploads`];
  const store = `${formatBytes(sent.bytes)} to the store${rateOf(sent)}`;
  return [formatBytes(writtenBytes), ...way, store].join(', ');
}

function rateOf({ bytesPerSecond }: WatchedWork['traffic']['sent']): string {
  return bytesPerSecond === 0 ? '' : ` (${formatBytes(bytesPerSecond)}/s)`;
}

/** Refusals that mean trouble: that a name is not there is an answer like any other. */
const troubles = new Set([
  ...['EIO', 'EACCES', 'EKEYEXPIRED', 'ESTALE', 'ENOSPC', 'EDQUOT', 'EFBIG'],
  ...['access-denied', 'credentials-expired', 'login-expired', 'unavailable', 'unreachable'],
  ...['archived', 'over-quota', 'store-full', 'internal'],
]);

function errorFacts({ operations, requests }: WatchedWork): string {
  const told = [...operations.map(lowerCase), ...requests].flatMap(({ name, errors = {} }) => {
    const bad = Object.entries(errors).filter(([kind]) => troubles.has(kind));
    return bad.map(([kind, count]) => `${name} ${kind} ${count}`);
  });
  return told.join(', ');
}

function latencyFacts({
  operations,
  requests,
}: WatchedWork): readonly (readonly [string, string])[] {
  const row = (works: readonly TimedWork[]): string =>
    busiest(works, 'line')
      .map(({ name, p50Ms, p99Ms }) => `${name} ${formatTaken(p50Ms)} / ${formatTaken(p99Ms)}`)
      .join(', ');
  const [files, store] = [row(operations.map(lowerCase)), row(requests)];
  const unit = (text: string): string => (text === '' ? '' : `${text} (p50 / p99)`);
  return [
    ['files', unit(files)],
    ['store', unit(store)],
  ];
}

function latencyTable({ operations, requests }: WatchedWork, detail: Detail): readonly string[] {
  const files = tableRows('files', busiest(operations.map(lowerCase), detail));
  const store = tableRows('store', busiest(requests, detail));
  const rows = [...files, ...store];
  if (rows.length === 0) return [];
  const head = ['', 'count', 'p50', 'p99', 'max'];
  return [head, ...rows].map(
    ([name = '', ...cells]) =>
      `  ${name.padEnd(24)}${cells.map((cell) => cell.padStart(10)).join('')}`,
  );
}

function tableRows(of: string, works: readonly TimedWork[]): readonly (readonly string[])[] {
  return works.map(({ name, count, p50Ms, p99Ms, maxMs }) => [
    `${of} ${name}`,
    count.toLocaleString('en-GB'),
    ...[p50Ms, p99Ms, maxMs].map(formatTaken),
  ]);
}

function busiest(works: readonly TimedWork[], detail: Detail): readonly TimedWork[] {
  return works.toSorted((a, b) => b.sumMs - a.sumMs).slice(0, BUSIEST[detail]);
}

function lowerCase(work: TimedWork): TimedWork {
  return { ...work, name: work.name.toLowerCase() };
}
