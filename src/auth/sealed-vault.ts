/** The vault as one sealed file, shared by processes. */
import { createHash } from 'node:crypto';
import path from 'node:path';

import type { Clock } from '../lib/clock.ts';
import { WireError } from '../lib/wire-error.ts';
import { withFileLock } from './file-lock.ts';
import { sameIssuer, withoutSlash } from './issuer.ts';
import { decodeLogins, encodeLogins } from './login-codec.ts';
import { readPrivateFile, replacePrivateFile } from './private-file.ts';
import { type KeySource, parseSealed, type Sealed, seal, unseal } from './seal.ts';
import type { StoredLogin, TokenVault } from './token-vault.ts';

export interface VaultKey {
  readonly source: KeySource;
  readonly bytes: Buffer;
}

/**
 * Every change reads, edits and replaces the whole file under a lock of its own. Lock order: an
 * issuer's lock, then the file's.
 */
export class SealedVault implements TokenVault {
  readonly #file: string;
  readonly #key: VaultKey;
  readonly #clock: Clock;

  constructor(file: string, key: VaultKey, clock: Clock) {
    this.#file = file;
    this.#key = key;
    this.#clock = clock;
  }

  async list(signal: AbortSignal): Promise<readonly StoredLogin[]> {
    signal.throwIfAborted();
    const sealed = await readSealed(this.#file);
    if (sealed === undefined) return [];
    try {
      return decodeLogins(unseal(sealed, this.#key.bytes));
    } catch (error) {
      // The cause may quote what was unsealed.
      const reason = error instanceof SyntaxError ? 'its content is damaged' : 'it does not open';
      throw damaged(this.#file, `${reason}: another key sealed it, or it was changed`);
    }
  }

  async load(issuer: string, signal: AbortSignal): Promise<StoredLogin | undefined> {
    const logins = await this.list(signal);
    return logins.find((login) => sameIssuer(login.issuer, issuer));
  }

  async save(login: StoredLogin, signal: AbortSignal): Promise<void> {
    const named = { ...login, issuer: withoutSlash(login.issuer) };
    await this.#edit((others) => [...others, named], login.issuer, signal);
  }

  async delete(issuer: string, signal: AbortSignal): Promise<void> {
    await this.#edit((others) => others, issuer, signal);
  }

  async exclusively<T>(
    issuer: string,
    work: (signal: AbortSignal) => Promise<T>,
    signal: AbortSignal,
  ): Promise<T> {
    const name = createHash('sha256').update(withoutSlash(issuer)).digest('hex').slice(0, 16);
    const lock = path.join(path.dirname(this.#file), `login-${name}.lock`);
    return await withFileLock(lock, this.#clock, work, signal);
  }

  /** Replaces what is stored for `issuer` by what `change` makes of the other logins. */
  async #edit(
    change: (others: readonly StoredLogin[]) => readonly StoredLogin[],
    issuer: string,
    signal: AbortSignal,
  ): Promise<void> {
    const edit = async (locked: AbortSignal): Promise<void> => {
      const logins = await this.list(locked);
      const others = logins.filter((login) => !sameIssuer(login.issuer, issuer));
      const sealed = seal(encodeLogins(change(others)), this.#key.bytes, this.#key.source);
      locked.throwIfAborted();
      await replacePrivateFile(this.#file, sealed);
    };
    await withFileLock(`${this.#file}.lock`, this.#clock, edit, signal);
  }
}

/** The sealed state in `file`, still closed; undefined when there is none. */
export async function readSealed(file: string): Promise<Sealed | undefined> {
  const content = await readPrivateFile(file);
  if (content === undefined) return undefined;
  try {
    return parseSealed(content.toString('utf8'));
  } catch (error) {
    const reason = error instanceof Error ? error.message : 'unreadable';
    throw damaged(file, `it is not a vault of this wire (${reason})`);
  }
}

function damaged(file: string, answered: string): WireError {
  const next = `use the key of the login, or remove ${file} and log in again`;
  return new WireError('config', { tried: `open the vault ${file}`, answered, next });
}
