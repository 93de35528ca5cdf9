import type { Clock } from './clock.ts';

/** Resolves when `work` has settled, however it did, or after `ms`. */
export async function settledWithin(
  work: Promise<unknown>,
  ms: number,
  clock: Clock,
): Promise<void> {
  const limit = new AbortController();
  const patience = clock.sleep(ms, limit.signal);
  await Promise.allSettled([Promise.race([work, patience])]);
  limit.abort();
  // Cut short by then, or over.
  await patience.catch(() => undefined);
}
