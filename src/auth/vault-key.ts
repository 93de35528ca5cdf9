/** Finding or making the 32-byte key that seals the vault, by each kind of `KeySource`. */
import { randomBytes } from 'node:crypto';

import { WireError } from '../lib/wire-error.ts';
import type { KernelKeyring } from './kernel-keyring.ts';
import { keyFileContent, keyFileSource, passphraseKey } from './key-file.ts';
import type { Keychain } from './keychain.ts';
import { readPrivateFile, replacePrivateFile } from './private-file.ts';
import type { KeySource } from './seal.ts';
import type { SystemdCreds } from './systemd-creds.ts';

const KEY_BYTES = 32;

export interface VaultKey {
  readonly source: KeySource;
  readonly bytes: Buffer;
}

/** Where keys may come from for one vault; undefined: not to be asked here. */
export interface KeyPlaces {
  /** The folder of the state: names the key in the keychain, so that two vaults do not share one. */
  readonly stateDir: string;
  /** The key file wire keeps beside the vault with `--insecure-storage`. */
  readonly localFile: string;
  /** What WIRE_KEY_FILE names. */
  readonly keyFile: string | undefined;
  readonly keychain: Keychain | undefined;
  readonly systemdCreds: SystemdCreds | undefined;
  readonly kernelKeyring: KernelKeyring | undefined;
}

/** The key is gone for good, and with it what it sealed. */
export class LostKey extends WireError {
  override readonly name = 'LostKey';

  constructor() {
    super('login-expired', {
      tried: 'open the stored logins',
      answered: 'their key was in the kernel keyring and went with the session or a reboot',
      next: 'log in again: wire login ISSUER',
    });
  }
}

/**
 * The key that a vault was sealed with.
 *
 * @throws LostKey; Error or WireError when the source cannot give the key now.
 */
export async function openKey(
  source: KeySource,
  places: KeyPlaces,
  signal: AbortSignal,
): Promise<Buffer> {
  switch (source.kind) {
    case 'keychain':
      return asKey(await kept(places, signal), 'it has no key of this vault');
    case 'local-file':
      return asKey(await readPrivateFile(places.localFile), 'the file is gone');
    case 'key-file':
      return asKey(await keyFileContent(places.keyFile), 'it is empty');
    case 'passphrase':
      return await passphraseKey(await keyFileContent(places.keyFile), source.salt);
    case 'systemd-creds':
      return asKey(await present(places.systemdCreds).decrypt(source.credential, signal), '');
    case 'kernel-keyring': {
      const found = present(places.kernelKeyring).read(source.name);
      if (found === undefined) throw new LostKey();
      return asKey(found, '');
    }
  }
}

/** A place that can keep the key of a new vault. */
export type NewKeyKind = 'keychain' | 'systemd-creds' | 'kernel-keyring' | 'local-file' | 'file';

/**
 * The key of a new vault, kept in a place of `kind` (`file`: derived from WIRE_KEY_FILE) and read
 * back from there.
 *
 * @throws Error or WireError when that place does not keep it.
 */
export async function makeKey(
  kind: NewKeyKind,
  places: KeyPlaces,
  signal: AbortSignal,
): Promise<VaultKey> {
  const source = await keepNewKey(kind, places, signal);
  return { source, bytes: await openKey(source, places, signal) };
}

async function keepNewKey(
  kind: NewKeyKind,
  places: KeyPlaces,
  signal: AbortSignal,
): Promise<KeySource> {
  const made = randomBytes(KEY_BYTES);
  switch (kind) {
    case 'file':
      return await keyFileSource(places.keyFile);
    case 'keychain': {
      // One that an earlier vault of this folder left is as good: nobody else knows it.
      if ((await kept(places, signal)) === undefined) {
        await present(places.keychain).set(accountOf(places), made.toString('base64'), signal);
        if ((await kept(places, signal))?.equals(made) !== true) {
          throw new Error('it did not keep a value');
        }
      }
      return { kind };
    }
    case 'systemd-creds':
      return { kind, credential: await present(places.systemdCreds).encrypt(made, signal) };
    case 'kernel-keyring': {
      const name = `wire-vault-${randomBytes(8).toString('hex')}`;
      present(places.kernelKeyring).add(name, made);
      return { kind, name };
    }
    case 'local-file':
      if ((await readPrivateFile(places.localFile)) === undefined) {
        await replacePrivateFile(places.localFile, made);
      }
      return { kind };
  }
}

/** What the keychain has for this vault. */
async function kept(places: KeyPlaces, signal: AbortSignal): Promise<Buffer | undefined> {
  const found = await present(places.keychain).get(accountOf(places), signal);
  return found === undefined ? undefined : Buffer.from(found, 'base64');
}

function accountOf({ stateDir }: KeyPlaces): string {
  return `key of ${stateDir}`;
}

function present<T>(place: T | undefined): T {
  if (place === undefined) throw new Error('not to be asked');
  return place;
}

function asKey(bytes: Buffer | undefined, missing: string): Buffer {
  if (bytes === undefined) throw new Error(missing);
  if (bytes.length !== KEY_BYTES) throw new Error(`the key has ${bytes.length} bytes, not 32`);
  return bytes;
}
