/** Choosing the vault's key, and trying the vault by a write and a read before it is needed. */
import path from 'node:path';

import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import { WireError } from '../lib/wire-error.ts';
import { withFileLock } from './file-lock.ts';
import { type Keychain, systemKeychain } from './keychain.ts';
import { ensurePrivateFolder, replacePrivateFile } from './private-file.ts';
import { type KeySource, seal } from './seal.ts';
import { readSealed, SealedVault, type VaultKey } from './sealed-vault.ts';
import type { TokenVault } from './token-vault.ts';
import { type KeyPlaces, keyFileSource, openKey } from './vault-key.ts';

export interface VaultOptions {
  /** Made with mode 0700 if missing. */
  readonly stateDir: string;
  /** WIRE_KEY_FILE: 32 random bytes, or a passphrase. Decides for a new vault only. */
  readonly keyFile?: string;
  /** May a new vault keep its key in a plain file beside it, if there is nothing better? */
  readonly insecureStorage: boolean;
  /** Default: the system's. `none` for a machine where asking it is unwanted. */
  readonly keychain?: Keychain | 'none';
  readonly log: Log;
  readonly clock: Clock;
}

export interface OpenedVault {
  readonly vault: TokenVault;
  /** For people: `~/…/logins.sealed, its key in the keychain`. */
  readonly storedIn: string;
}

/**
 * Opens the vault of `stateDir` with the key source it was made with, or makes one. A vault that
 * this returns has been written and read back once.
 *
 * @throws WireError `config` when there is no safe place for the key, or the vault is damaged.
 */
export async function openVault(options: VaultOptions, signal: AbortSignal): Promise<OpenedVault> {
  const { stateDir, clock } = options;
  const file = path.join(stateDir, 'logins.sealed');
  try {
    await ensurePrivateFolder(stateDir);
    const key = await withFileLock(
      `${file}.lock`,
      clock,
      async (locked) => await openOrMake(file, options, locked),
      signal,
    );
    const vault = new SealedVault(file, key, clock);
    await vault.list(signal);
    return { vault, storedIn: `${file}, its key in ${placeOf(key.source, options)}` };
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof WireError) throw error;
    throw failed(`keep logins in ${stateDir}`, error, 'check the folder, or set WIRE_STATE_DIR');
  }
}

async function openOrMake(
  file: string,
  options: VaultOptions,
  signal: AbortSignal,
): Promise<VaultKey> {
  const places = keyPlaces(options);
  const sealed = await readSealed(file);
  if (sealed !== undefined) return await recordedKey(file, sealed.key, options, places, signal);
  const key = await newKey(options, places, signal);
  await replacePrivateFile(file, seal('[]', key.bytes, key.source));
  return key;
}

function keyPlaces(options: VaultOptions): KeyPlaces {
  const { stateDir, keyFile, keychain, clock } = options;
  return {
    stateDir,
    localFile: path.join(stateDir, 'vault.key'),
    keyFile,
    keychain: keychain === 'none' ? undefined : (keychain ?? systemKeychain(clock)),
  };
}

async function recordedKey(
  file: string,
  source: KeySource,
  options: VaultOptions,
  places: KeyPlaces,
  signal: AbortSignal,
): Promise<VaultKey> {
  try {
    return { source, bytes: await openKey(source, places, signal) };
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof WireError) throw error;
    const tried = `get the key of ${file} from ${placeOf(source, options)}`;
    throw failed(tried, error, `unlock it, or remove ${file} and log in again`);
  }
}

async function newKey(
  options: VaultOptions,
  places: KeyPlaces,
  signal: AbortSignal,
): Promise<VaultKey> {
  const { keyFile, insecureStorage, log } = options;
  const open = async (source: KeySource): Promise<VaultKey> => {
    return { source, bytes: await openKey(source, places, signal) };
  };
  if (keyFile !== undefined) return await open(await keyFileSource(keyFile));
  try {
    return await open({ kind: 'keychain' });
  } catch (error) {
    signal.throwIfAborted();
    if (!insecureStorage) {
      const next =
        'set WIRE_KEY_FILE to a file of 32 random bytes, or accept a key in a plain file with --insecure-storage';
      throw failed('keep logins safe in the keychain', error, next);
    }
    log.warn('vault key kept in a plain file', { keychain: error });
    return await open({ kind: 'local-file' });
  }
}

function placeOf(source: KeySource, { stateDir, keyFile }: VaultOptions): string {
  switch (source.kind) {
    case 'keychain':
      return 'the keychain';
    case 'local-file':
      return `the plain file ${path.join(stateDir, 'vault.key')}`;
    case 'key-file':
    case 'passphrase':
      return keyFile ?? 'a key file';
  }
}

function failed(tried: string, error: unknown, next: string): WireError {
  const answered = error instanceof Error ? error.message : String(error);
  return new WireError('config', { tried, answered, next }, { cause: error });
}
