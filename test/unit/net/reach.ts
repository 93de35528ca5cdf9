/** The two ways by which wire reaches servers, alike: an exchange, and a request of a store. */
import { afterEach } from 'vitest';
import { systemClock } from '../../../src/lib/clock.ts';
import { createLog, type Log, silentLog } from '../../../src/lib/log.ts';
import { Secret } from '../../../src/lib/secret.ts';
import { exchange } from '../../../src/net/http.ts';
import {
  type Network,
  type NetworkSettings,
  type NetworkSurroundings,
  openNetwork,
} from '../../../src/net/network.ts';
import { createS3Stores } from '../../../src/s3/s3-object-stores.ts';

export const forever: AbortSignal = new AbortController().signal;

/** Asks `url` for something; throws what wire would tell. */
export type Ask = (network: Network, url: string) => Promise<void>;

async function byExchange(network: Network, url: string): Promise<void> {
  await exchange('ask', { method: 'GET', url }, { fetch: network.fetch }, forever);
}

async function byStore(network: Network, url: string): Promise<void> {
  const credentials = {
    accessKeyId: 'ID',
    secretAccessKey: new Secret('secret'),
    sessionToken: new Secret('token'),
    expiresAtMs: Date.now() + 3_600_000,
  };
  const source = {
    credentials: async () => await Promise.resolve(credentials),
    renew: async () => await Promise.resolve(credentials),
  };
  const stores = createS3Stores({
    endpoint: url,
    region: 'us-east-1',
    credentials: source,
    network,
    clock: systemClock,
    log: silentLog,
    silenceMs: 5000,
  });
  try {
    await stores.open('bucket').list({ prefix: '', maxKeys: 1 }, forever);
  } finally {
    await stores[Symbol.asyncDispose]();
  }
}

export const ways: readonly { readonly way: string; readonly ask: Ask }[] = [
  { way: 'an exchange with a provider or an STS', ask: byExchange },
  { way: 'a request of a store', ask: byStore },
];

/** What every server of these tests answers: good for both ways. */
export const LISTING =
  '<?xml version="1.0"?><ListBucketResult><Name>bucket</Name><KeyCount>0</KeyCount>' +
  '<MaxKeys>1</MaxKeys><IsTruncated>false</IsTruncated></ListBucketResult>';

const opened: Network[] = [];

afterEach(async () => {
  for (const network of opened.splice(0)) await network[Symbol.asyncDispose]();
});

/** A network that is closed after the test; it has no grid folder unless told. */
export async function open(
  settings: NetworkSettings = {},
  more: Partial<NetworkSurroundings> = {},
): Promise<Network> {
  const surroundings = {
    environment: {},
    clock: systemClock,
    log: silentLog,
    gridCertificates: '/nonexistent/grid',
    ...more,
  };
  const network = await openNetwork(settings, surroundings, forever);
  opened.push(network);
  return network;
}

/** The line that a person is shown; fails when nothing is thrown. */
export async function lineOf(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (error instanceof Error && 'toLine' in error) return (error as { toLine(): string }).toLine();
  throw new Error('no error for a person', { cause: error });
}

/** A log whose lines a test reads. */
export function keepLog(): { readonly log: Log; readonly lines: string[] } {
  const lines: string[] = [];
  const log = createLog(
    (line) => void lines.push(line),
    'trace',
    () => 0,
  );
  return { log, lines };
}
