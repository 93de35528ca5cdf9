/** The keychain of the desktop: Secret Service, macOS Keychain, Windows Credential Manager. */
import { LinkedAbort, raceAbort } from '../lib/abort.ts';
import type { Clock } from '../lib/clock.ts';

export interface Keychain {
  get(account: string, signal: AbortSignal): Promise<string | undefined>;
  set(account: string, value: string, signal: AbortSignal): Promise<void>;
}

const SERVICE = 'wire';

/** A locked keychain on a desktop asks the person and may wait for ever. */
const PATIENCE_MS = 15_000;

/**
 * The system's keychain. Its library is native: loaded at the first use, so that a system
 * without a prebuilt one can still use the other key sources.
 */
export function systemKeychain(clock: Clock): Keychain {
  return {
    get: async (account, signal) =>
      await limited(clock, signal, async (limit) => {
        const { AsyncEntry } = await import('@napi-rs/keyring');
        return (await new AsyncEntry(SERVICE, account).getPassword(limit)) ?? undefined;
      }),
    set: async (account, value, signal) =>
      await limited(clock, signal, async (limit) => {
        const { AsyncEntry } = await import('@napi-rs/keyring');
        await new AsyncEntry(SERVICE, account).setPassword(value, limit);
      }),
  };
}

/** The library need not heed its signal: nobody waits for it beyond the limit. */
async function limited<T>(
  clock: Clock,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  using limit = new LinkedAbort(signal);
  const expiry = clock.sleep(PATIENCE_MS, limit.signal).then(
    () => limit.abort(new Error(`no answer within ${PATIENCE_MS / 1000} s`)),
    () => undefined,
  );
  try {
    return await raceAbort(work(limit.signal), limit.signal);
  } finally {
    limit.abort();
    await expiry;
  }
}
