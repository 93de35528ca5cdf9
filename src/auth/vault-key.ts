/** Finding or making the 32-byte key that seals the vault, by each kind of `KeySource`. */
import { randomBytes, scrypt } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';

import { WireError } from '../lib/wire-error.ts';
import type { Keychain } from './keychain.ts';
import { readPrivateFile, replacePrivateFile } from './private-file.ts';
import type { KeySource } from './seal.ts';

const KEY_BYTES = 32;
/** About a quarter of a second and 128 MiB once per command: OWASP's floor for scrypt. */
const SCRYPT = { N: 2 ** 17, r: 8, p: 1, maxmem: 256 * 2 ** 20 } as const;

/** Where keys may come from for one vault. */
export interface KeyPlaces {
  /** The folder of the state: names the key in the keychain, so that two vaults do not share one. */
  readonly stateDir: string;
  /** The key file wire keeps beside the vault with `--insecure-storage`. */
  readonly localFile: string;
  /** What WIRE_KEY_FILE names. */
  readonly keyFile: string | undefined;
  readonly keychain: Keychain | undefined;
}

/** @throws Error or WireError when the source cannot give the key. */
export async function openKey(
  source: KeySource,
  places: KeyPlaces,
  signal: AbortSignal,
): Promise<Buffer> {
  switch (source.kind) {
    case 'keychain':
      return await keychainKey(places, signal);
    case 'local-file':
      return await localKey(places.localFile);
    case 'key-file':
      return await rawKey(places.keyFile);
    case 'passphrase':
      return await passphraseKey(await keyFileContent(places.keyFile), source.salt);
  }
}

/** How a new vault uses the file of WIRE_KEY_FILE: 32 bytes are a key, all else a passphrase. */
export async function keyFileSource(keyFile: string): Promise<KeySource> {
  const content = await keyFileContent(keyFile);
  if (content.length === KEY_BYTES) return { kind: 'key-file' };
  return { kind: 'passphrase', salt: randomBytes(16).toString('base64') };
}

/** Made on first use, read back before it is relied on. */
async function keychainKey(places: KeyPlaces, signal: AbortSignal): Promise<Buffer> {
  const { keychain } = places;
  if (keychain === undefined) throw new Error('there is no keychain');
  const account = `key of ${places.stateDir}`;
  const found = await keychain.get(account, signal);
  if (found !== undefined) return asKey(Buffer.from(found, 'base64'));
  const made = randomBytes(KEY_BYTES).toString('base64');
  await keychain.set(account, made, signal);
  if ((await keychain.get(account, signal)) !== made) throw new Error('it did not keep a value');
  return asKey(Buffer.from(made, 'base64'));
}

async function localKey(file: string): Promise<Buffer> {
  const found = await readPrivateFile(file);
  if (found !== undefined) return asKey(found);
  const made = randomBytes(KEY_BYTES);
  await replacePrivateFile(file, made);
  return made;
}

async function rawKey(keyFile: string | undefined): Promise<Buffer> {
  return asKey(await keyFileContent(keyFile));
}

async function passphraseKey(content: Buffer, salt: string): Promise<Buffer> {
  // An editor leaves a newline at the end; it is not part of a passphrase.
  const passphrase = content.toString('utf8').replace(/[\r\n]+$/, '');
  return await new Promise((resolve, reject) => {
    scrypt(passphrase, Buffer.from(salt, 'base64'), KEY_BYTES, SCRYPT, (error, key) => {
      if (error === null) resolve(key);
      else reject(error);
    });
  });
}

/** The person's own file: a symbolic link (a mounted secret) is fine, readable by all is not. */
async function keyFileContent(keyFile: string | undefined): Promise<Buffer> {
  const tried = `read the vault's key from ${keyFile ?? 'a key file'}`;
  const fail = (answered: string, next: string): WireError =>
    new WireError('config', { tried, answered, next });
  if (keyFile === undefined) throw fail('none is named', 'set WIRE_KEY_FILE as at the login');
  const found = await stat(keyFile).catch((error: unknown) => {
    throw fail(error instanceof Error ? error.message : 'it cannot be read', 'check WIRE_KEY_FILE');
  });
  if (process.geteuid !== undefined && (found.mode & 0o007) !== 0) {
    throw fail('everybody may use that file', `run: chmod o= '${keyFile}'`);
  }
  const content = await readFile(keyFile);
  if (content.toString('utf8').trim() === '')
    throw fail('it is empty', 'put 32 random bytes in it');
  return content;
}

function asKey(bytes: Buffer): Buffer {
  if (bytes.length !== KEY_BYTES) throw new Error(`the key has ${bytes.length} bytes, not 32`);
  return bytes;
}
