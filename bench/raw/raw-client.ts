/**
 * The same bytes from the same server without a mount, in the fastest simple ways there are: what
 * wire is measured against. Credentials are temporary ones of the same person.
 */

import { fileURLToPath } from 'node:url';
import { presign } from '../../scripts/conformance/presign.ts';
import type { ConformanceCredentials } from '../../scripts/conformance/target.ts';
import { run } from '../../scripts/demo/programs.ts';
import type { Extent } from '../../src/lib/bytes.ts';
import { checkStamp, STAMP_EVERY_BYTES } from '../stores/contents.ts';
import { RawConnection } from './connection.ts';

export interface RawStore {
  readonly endpoint: URL;
  readonly bucket: string;
  readonly credentials: ConformanceCredentials;
}

/** How long something took, and what it cost the client. */
export interface RawCost {
  readonly seconds: number;
  readonly cpuSeconds: number;
}

const MS_PER_SECOND = 1000;
const US_PER_SECOND = 1_000_000;

/** A request of the key that needs no other signature. */
export function urlOf(
  { endpoint: url, bucket, credentials }: RawStore,
  key: string,
  query: Readonly<Record<string, string>> = {},
  method: 'GET' | 'HEAD' | 'PUT' | 'POST' = 'GET',
): URL {
  const signer = { url, region: 'us-east-1', bucket, credentials };
  return presign(signer, { method, key, query }, new Date());
}

/** Into a pipe to another process, as a mount hands bytes to a reader. */
const CURL = 'curl --silent --show-error --fail "$1"';
const RANGES = 'echo "$1" | "$2" "$3" "$4" "$5"';

/** The whole object in one request of curl's. */
export async function streamByCurl(
  store: RawStore,
  key: string,
  signal: AbortSignal,
): Promise<RawCost> {
  return await streamBy(CURL, [urlOf(store, key).href], signal);
}

/** The object in ranges over several connections, by a small program of ours. */
export async function streamByRanges(
  store: RawStore,
  key: string,
  { bytes, connections }: { readonly bytes: number; readonly connections: number },
  signal: AbortSignal,
): Promise<RawCost> {
  const script = fileURLToPath(new URL('./stream-process.js', import.meta.url));
  const program = [process.execPath, script, String(bytes), String(connections)];
  return await streamBy(RANGES, [urlOf(store, key).href, ...program], signal);
}

async function streamBy(
  command: string,
  args: readonly string[],
  signal: AbortSignal,
): Promise<RawCost> {
  return await costOf(`${costed(command)} | cat > /dev/null`, args, signal);
}

/** The shell's `times` tells what its children, of which there is no other, have used. */
export function costed(command: string): string {
  return `{ { ${command} || echo failed >&2; }; times >&2; }`;
}

/** What a shell's script with one command `costed` took. */
export async function costOf(
  script: string,
  args: readonly string[],
  signal: AbortSignal,
): Promise<RawCost> {
  const started = performance.now();
  const { stderr } = await run('sh', ['-c', script, 'sh', ...args], signal);
  const seconds = (performance.now() - started) / MS_PER_SECOND;
  if (stderr.includes('failed')) throw new Error(`the raw client: ${stderr}`);
  const used = stderr.trim().split('\n').at(-1) ?? '';
  const times = [...used.matchAll(/(\d+)m([\d.]+)s/g)];
  const cpuSeconds = times.reduce((sum, [, m, s]) => sum + Number(m) * 60 + Number(s), 0);
  return { seconds, cpuSeconds };
}

/** These 4 KiB of the object, each asked for by itself. */
export async function readRandomly(
  store: RawStore,
  key: string,
  offsets: readonly number[],
  connections: number,
  signal: AbortSignal,
): Promise<RawCost> {
  const url = urlOf(store, key);
  const waiting = offsets.values();
  const readRest = async (connection: RawConnection): Promise<void> => {
    for (const start of waiting) {
      const extent = { start, end: start + STAMP_EVERY_BYTES };
      const { body } = await connection.get(url, extent, signal);
      checkStamp(body, start);
    }
  };
  const most = { connections, bodyBytes: STAMP_EVERY_BYTES };
  return await onConnections(store.endpoint, most, readRest, signal);
}

/** The same `work` on each of some connections, which are open when the time begins. */
export async function onConnections(
  endpoint: URL,
  { connections, bodyBytes }: { readonly connections: number; readonly bodyBytes: number },
  work: (connection: RawConnection) => Promise<void>,
  signal: AbortSignal,
): Promise<RawCost> {
  const opened = await Promise.all(
    Array.from(
      { length: connections },
      async () => await RawConnection.open(endpoint, bodyBytes, signal),
    ),
  );
  const cpu = process.cpuUsage();
  const started = performance.now();
  try {
    await Promise.all(opened.map(work));
  } finally {
    for (const connection of opened) connection[Symbol.dispose]();
  }
  const seconds = (performance.now() - started) / MS_PER_SECOND;
  const { user, system } = process.cpuUsage(cpu);
  return { seconds, cpuSeconds: (user + system) / US_PER_SECOND };
}

/** Until the first byte of each of `keys`, in ms, on a connection that has been used before. */
export async function firstBytes(
  store: RawStore,
  keys: readonly string[],
  extent: Extent,
  signal: AbortSignal,
): Promise<number[]> {
  using connection = await RawConnection.open(store.endpoint, extent.end - extent.start, signal);
  const times: number[] = [];
  for (const key of [keys[0] ?? '', ...keys]) {
    const { firstByteMs } = await connection.get(urlOf(store, key), extent, signal);
    times.push(firstByteMs);
  }
  return times.slice(1);
}

/** Seconds for the heads of `keys`, one after the other on one connection. */
export async function headAll(
  store: RawStore,
  keys: readonly string[],
  signal: AbortSignal,
): Promise<number> {
  using connection = await RawConnection.open(store.endpoint, 0, signal);
  const started = performance.now();
  for (const key of keys) await connection.head(urlOf(store, key, {}, 'HEAD'), signal);
  return (performance.now() - started) / MS_PER_SECOND;
}

/** All keys below `prefix`, page after page. */
export async function listKeys(
  store: RawStore,
  prefix: string,
  signal: AbortSignal,
): Promise<{ readonly keys: number; readonly seconds: number }> {
  const started = performance.now();
  let keys = 0;
  let token: string | undefined;
  do {
    const page = { 'list-type': '2', prefix, ...(token && { 'continuation-token': token }) };
    const response = await fetch(urlOf(store, '', page), { signal });
    const text = await response.text();
    if (!response.ok) throw new Error(`a listing was answered with ${response.status}: ${text}`);
    keys += text.split('<Key>').length - 1;
    token = /<NextContinuationToken>([^<]+)</.exec(text)?.[1];
  } while (token !== undefined);
  return { keys, seconds: (performance.now() - started) / MS_PER_SECOND };
}
