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

/** keytar is no dependency: only the part of it that is used, typed here. */
interface Keytar {
  getPassword(service: string, account: string): Promise<string | null>;
  setPassword(service: string, account: string, password: string): Promise<void>;
}

/**
 * The system's keychain: by @napi-rs/keyring, or by keytar where somebody installed that and the
 * other has no build for the system. Both are native: loaded at the first use, so that a system
 * without either can still use the other key sources.
 */
export function systemKeychain(clock: Clock): Keychain {
  return {
    get: async (account, signal) => {
      return await limited(
        clock,
        signal,
        async (limit) => await (await load()).get(account, limit),
      );
    },
    set: async (account, value, signal) => {
      const set = async (limit: AbortSignal): Promise<void> =>
        await (await load()).set(account, value, limit);
      await limited(clock, signal, set);
    },
  };
}

async function load(): Promise<Keychain> {
  const keyring = await attempt(async () => await import('@napi-rs/keyring'));
  if (!(keyring instanceof Error)) return napiKeychain(keyring);
  const keytar = await attempt(async () => await importKeytar());
  if (!(keytar instanceof Error)) return keytarKeychain(keytar.default ?? keytar);
  throw new Error(`neither @napi-rs/keyring nor keytar loads (${firstLine(keyring)})`, {
    cause: new AggregateError([keyring, keytar]),
  });
}

/** By a name that is no literal: the package is not there when this is compiled. */
async function importKeytar(name = 'keytar'): Promise<Keytar & { readonly default?: Keytar }> {
  return (await import(name)) as Keytar & { readonly default?: Keytar };
}

function napiKeychain({ AsyncEntry }: typeof import('@napi-rs/keyring')): Keychain {
  // Left to itself it falls back to the kernel's session keyring, which loses the key at a logout
  // while the vault stays.
  const store = { linux: { store: 'secret-service' as const } };
  return {
    get: async (account, signal) => {
      return (await new AsyncEntry(SERVICE, account, store).getPassword(signal)) ?? undefined;
    },
    set: async (account, value, signal) => {
      await new AsyncEntry(SERVICE, account, store).setPassword(value, signal);
    },
  };
}

function keytarKeychain(keytar: Keytar): Keychain {
  return {
    get: async (account) => (await keytar.getPassword(SERVICE, account)) ?? undefined,
    set: async (account, value) => await keytar.setPassword(SERVICE, account, value),
  };
}

async function attempt<T>(work: () => Promise<T>): Promise<T | Error> {
  try {
    return await work();
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

function firstLine(error: Error): string {
  return error.message.split('\n', 1)[0] ?? '';
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
