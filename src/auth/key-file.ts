/** The file that WIRE_KEY_FILE names: 32 random bytes are the vault's key, all else a passphrase. */
import { randomBytes, scrypt } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';

import { WireError } from '../lib/wire-error.ts';
import type { KeySource } from './seal.ts';

const KEY_BYTES = 32;
/** Longer is no passphrase, but a file named by mistake. */
const MAX_BYTES = 64 * 1024;
/** About a quarter of a second and 128 MiB once per command: OWASP's floor for scrypt. */
const SCRYPT = { N: 2 ** 17, r: 8, p: 1, maxmem: 256 * 2 ** 20 } as const;

/** How a new vault uses `keyFile`. @throws WireError `config` when it cannot. */
export async function keyFileSource(keyFile: string | undefined): Promise<KeySource> {
  const content = await keyFileContent(keyFile);
  if (content.length === KEY_BYTES) return { kind: 'key-file' };
  return { kind: 'passphrase', salt: randomBytes(16).toString('base64') };
}

/** @throws WireError `config` when the file cannot be read, or others may. */
export async function keyFileContent(keyFile: string | undefined): Promise<Buffer> {
  const tried = `read the vault's key from ${keyFile ?? 'a key file'}`;
  const fail = (answered: string, next: string): WireError =>
    new WireError('config', { tried, answered, next });
  if (keyFile === undefined) throw fail('none is named', 'set WIRE_KEY_FILE as at the login');
  // A symbolic link (a mounted secret) is fine; O_NONBLOCK: a pipe must not hold us up.
  const handle = await open(keyFile, constants.O_RDONLY | constants.O_NONBLOCK).catch(
    (error: unknown) => {
      throw fail(
        error instanceof Error ? error.message : 'it cannot be read',
        'check WIRE_KEY_FILE',
      );
    },
  );
  try {
    return await checkedContent(handle, keyFile, fail);
  } finally {
    await handle.close();
  }
}

async function checkedContent(
  handle: FileHandle,
  keyFile: string,
  fail: (answered: string, next: string) => WireError,
): Promise<Buffer> {
  const found = await handle.stat();
  if (!found.isFile()) throw fail('it is not a plain file', 'check WIRE_KEY_FILE');
  const own = process.geteuid?.();
  // Root's is fine: a secret that a container was given.
  if (own !== undefined && found.uid !== own && found.uid !== 0) {
    throw fail('that file belongs to another user', 'use a file of your own');
  }
  if (own !== undefined && (found.mode & 0o007) !== 0) {
    throw fail('everybody may use that file', `run: chmod o= '${keyFile}'`);
  }
  // A group may read it, as of secrets in a container; who writes it chooses the key.
  if (own !== undefined && (found.mode & 0o020) !== 0) {
    throw fail('its group may change that file', `run: chmod g-w '${keyFile}'`);
  }
  if (found.size > MAX_BYTES) throw fail('it is too large', 'check WIRE_KEY_FILE');
  const content = await handle.readFile();
  if (content.toString('utf8').trim() === '') {
    throw fail('it is empty', 'put 32 random bytes in it');
  }
  return content;
}

export async function passphraseKey(content: Buffer, salt: string): Promise<Buffer> {
  // An editor leaves a newline at the end; it is not part of a passphrase.
  const passphrase = content.toString('utf8').replace(/[\r\n]+$/, '');
  return await new Promise((resolve, reject) => {
    scrypt(passphrase, Buffer.from(salt, 'base64'), KEY_BYTES, SCRYPT, (error, key) => {
      if (error === null) resolve(key);
      else reject(error);
    });
  });
}
