/** Choosing the vault's key, and trying the vault by a write and a read before it is needed. */
import { hkdfSync } from 'node:crypto';
import path from 'node:path';

import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import { WireError } from '../lib/wire-error.ts';
import { withFileLock } from './file-lock.ts';
import { type KernelKeyring, systemKernelKeyring } from './kernel-keyring.ts';
import { type Keychain, systemKeychain } from './keychain.ts';
import { ensurePrivateFolder, removeLeftovers, replacePrivateFile } from './private-file.ts';
import { type KeySource, seal } from './seal.ts';
import { readSealed, SealedVault } from './sealed-vault.ts';
import { type SystemdCreds, systemSystemdCreds } from './systemd-creds.ts';
import type { TokenVault } from './token-vault.ts';
import { type KeyPlaces, LostKey, makeKey, openKey, type VaultKey } from './vault-key.ts';

export interface VaultOptions {
  /** Made with mode 0700 if missing. */
  readonly stateDir: string;
  /** WIRE_KEY_FILE: 32 random bytes, or a passphrase. Decides for a new vault only. */
  readonly keyFile?: string;
  /** May a new vault keep its key in a plain file beside it, if there is nothing better? */
  readonly insecureStorage: boolean;
  /**
   * Begin a new vault where the old one's key is gone for good? For a login, which fills it again.
   * Default: no.
   */
  readonly replaceLost?: boolean;
  /** Default: the system's. `none` for a machine where asking it is unwanted. */
  readonly keychain?: Keychain | 'none';
  /** Default: the system's. */
  readonly systemdCreds?: SystemdCreds | 'none';
  /** Default: the system's. */
  readonly kernelKeyring?: KernelKeyring | 'none';
  readonly log: Log;
  readonly clock: Clock;
}

export interface OpenedVault {
  readonly vault: TokenVault;
  /** For people: `~/…/logins.sealed, its key in the keychain`. */
  readonly storedIn: string;
  /** 32 bytes for another use of this state, made of the vault's key (RFC 5869) and lost with it. */
  readonly deriveKey: (purpose: string) => Buffer;
}

/** Where a new vault's key goes when nobody says: the first of these that keeps it. */
const SAFE_KINDS = ['keychain', 'systemd-creds', 'kernel-keyring'] as const;

const DERIVED_BYTES = 32;

/** The one file of the vault of `stateDir`. */
export function vaultFileOf(stateDir: string): string {
  return path.join(stateDir, 'logins.sealed');
}

/**
 * Opens the vault of `stateDir` with the key source it was made with, or makes one. A vault that
 * this returns has been written and read back once.
 *
 * @throws WireError `config` when there is no safe place for the key, or the vault is damaged;
 * `login-expired` when its key is gone for good.
 */
export async function openVault(options: VaultOptions, signal: AbortSignal): Promise<OpenedVault> {
  const { stateDir, clock } = options;
  const file = vaultFileOf(stateDir);
  const places = keyPlaces(options);
  try {
    await ensurePrivateFolder(stateDir);
    const key = await withFileLock(
      `${file}.lock`,
      clock,
      async (locked) => await openOrMake(file, options, places, locked),
      signal,
    );
    const reopen = async (source: KeySource, during: AbortSignal): Promise<Buffer> =>
      await openKey(source, places, during);
    const vault = new SealedVault(file, key, reopen, clock);
    await vault.list(signal);
    const deriveKey = (purpose: string): Buffer =>
      Buffer.from(hkdfSync('sha256', key.bytes, '', `wire ${purpose}`, DERIVED_BYTES));
    return { vault, storedIn: `${file}, its key in ${placeOf(key.source, options)}`, deriveKey };
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof WireError) throw error;
    throw failed(`keep logins in ${stateDir}`, error, 'check the folder, or set WIRE_STATE_DIR');
  }
}

function keyPlaces(options: VaultOptions): KeyPlaces {
  const { stateDir, keyFile, keychain, systemdCreds, kernelKeyring, clock } = options;
  return {
    stateDir,
    localFile: path.join(stateDir, 'vault.key'),
    keyFile,
    keychain: keychain === 'none' ? undefined : (keychain ?? systemKeychain(clock)),
    systemdCreds: systemdCreds === 'none' ? undefined : (systemdCreds ?? systemSystemdCreds(clock)),
    kernelKeyring: kernelKeyring === 'none' ? undefined : (kernelKeyring ?? systemKernelKeyring()),
  };
}

async function openOrMake(
  file: string,
  options: VaultOptions,
  places: KeyPlaces,
  signal: AbortSignal,
): Promise<VaultKey> {
  await removeLeftovers(file);
  await removeLeftovers(places.localFile);
  const sealed = await readSealed(file);
  if (sealed !== undefined) {
    try {
      return await recordedKey(file, sealed.key, options, places, signal);
    } catch (error) {
      if (options.replaceLost !== true || !(error instanceof LostKey)) throw error;
      options.log.warn('vault begun anew: its key is gone', { file });
    }
  }
  const key = await newKey(options, places, signal);
  await replacePrivateFile(file, seal('[]', key.bytes, key.source));
  return key;
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

/** What is named wins; else the first safe place; a plain file only if that was asked for. */
async function newKey(
  options: VaultOptions,
  places: KeyPlaces,
  signal: AbortSignal,
): Promise<VaultKey> {
  const { keyFile, insecureStorage, log } = options;
  if (keyFile !== undefined) return await makeKey('file', places, signal);
  const refusals: string[] = [];
  const causes: unknown[] = [];
  for (const kind of SAFE_KINDS) {
    try {
      return await makeKey(kind, places, signal);
    } catch (error) {
      signal.throwIfAborted();
      refusals.push(`${kind}: ${reasonOf(error)}`);
      causes.push(error);
    }
  }
  const answered = refusals.join('; ');
  if (insecureStorage) {
    log.warn('vault key kept in a plain file', { answered });
    return await makeKey('local-file', places, signal);
  }
  const next =
    'set WIRE_KEY_FILE to a file of 32 random bytes, or accept a key in a plain file with --insecure-storage';
  const facts = { tried: 'find a safe place for the key of the logins', answered, next };
  throw new WireError('config', facts, { cause: new AggregateError(causes) });
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
    case 'systemd-creds':
      return 'systemd-creds (opens on this machine only)';
    case 'kernel-keyring':
      return 'the kernel keyring (until a reboot, or until your last process ends)';
  }
}

/** Longer reasons are a library's own report. */
const REASON_CHARS = 160;

function reasonOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.replaceAll(/\s+/g, ' ').trim().slice(0, REASON_CHARS);
}

function failed(tried: string, error: unknown, next: string): WireError {
  return new WireError('config', { tried, answered: reasonOf(error), next }, { cause: error });
}
