/** The buckets of a store, as a mount of all of them would show them. */
import type { Settings } from '../config/options.ts';
import { Closers } from '../lib/closers.ts';
import type { BucketSummary } from '../store/object-store.ts';
import { openStores } from './connection-stores.ts';
import { connectionOf } from './mount-specs.ts';
import { rightsOf } from './rights.ts';
import type { Surroundings } from './surroundings.ts';
import { openTokens } from './tokens.ts';

export interface ListedBuckets {
  readonly endpoint: string;
  /** By name. */
  readonly buckets: readonly BucketSummary[];
}

/** @throws WireError as a mount. */
export async function listBuckets(
  asked: Settings,
  surroundings: Surroundings,
  signal: AbortSignal,
): Promise<ListedBuckets> {
  await using closers = new Closers();
  const { tokens, issuer, settings } = closers.use(await openTokens(asked, surroundings, signal));
  // A person who waits gives up sooner than a login could be made anew.
  const connection = { ...connectionOf(settings, issuer, 'list buckets'), expiryWaitMs: 0 };
  const rights = rightsOf({ source: { kind: 'buckets' }, readOnly: true, connection });
  const opened = closers.use(openStores(connection, rights, tokens, surroundings));
  // The first credentials are not retried as requests are: what is wrong is told at once.
  await opened.check(signal);
  const found = await opened.stores.buckets(signal);
  const buckets = [...found].sort((a, b) => (a.name < b.name ? -1 : 1));
  return { endpoint: connection.endpoint, buckets };
}
