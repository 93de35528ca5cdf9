/** The vault as one sealed file, shared by processes. */
import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import path from 'node:path';

import type { Clock } from '../lib/clock.ts';
import { WireError } from '../lib/wire-error.ts';
import { withFileLock } from './file-lock.ts';
import { sameIssuer, withoutSlash } from './issuer.ts';
import { decodeLogins, encodeLogins } from './login-codec.ts';
import { readPrivateFile, removeLeftovers, replacePrivateFile } from './private-file.ts';
import { type KeySource, parseSealed, type Sealed, seal, unseal } from './seal.ts';
import type { StoredLogin, TokenVault } from './token-vault.ts';
import type { VaultKey } from './vault-key.ts';

/** Finds the key of `source` again. */
export type Reopen = (source: KeySource, signal: AbortSignal) => Promise<Buffer>;

/**
 * Every change reads, edits and replaces the whole file under a lock of its own. Lock order: an
 * issuer's lock, then the file's.
 */
export class SealedVault implements TokenVault {
  readonly #file: string;
  #key: VaultKey;
  readonly #reopen: Reopen;
  readonly #clock: Clock;

  constructor(file: string, key: VaultKey, reopen: Reopen, clock: Clock) {
    this.#file = file;
    this.#key = key;
    this.#reopen = reopen;
    this.#clock = clock;
  }

  async generation(): Promise<string> {
    // Each change is another file renamed into place: its inode or its times differ.
    const found = await stat(this.#file, { bigint: true }).catch(() => undefined);
    return found === undefined
      ? ''
      : `${found.ino} ${found.size} ${found.ctimeNs} ${found.mtimeNs}`;
  }

  async list(signal: AbortSignal): Promise<readonly StoredLogin[]> {
    signal.throwIfAborted();
    const sealed = await readSealed(this.#file);
    if (sealed === undefined) return [];
    const text = tryUnseal(sealed, this.#key) ?? (await this.#unsealAnew(sealed, signal));
    if (text === undefined) {
      throw damaged(this.#file, 'it does not open: another key sealed it, or it was changed');
    }
    try {
      return decodeLogins(text);
    } catch {
      // Without its cause, which may quote what was unsealed.
      throw damaged(this.#file, 'its content is damaged');
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
      await this.#replace(sealed);
      // Of a process that was killed within its own: vaults that are never opened anew have them too.
      if (!locked.aborted) await removeLeftovers(this.#file).catch(() => undefined);
    };
    await withFileLock(`${this.#file}.lock`, this.#clock, edit, signal);
  }

  /** For a mount that outlives its vault: a later login may have begun another, with its own key. */
  async #unsealAnew(sealed: Sealed, signal: AbortSignal): Promise<string | undefined> {
    const source = sealed.key;
    const bytes = await this.#reopen(source, signal).catch((error: unknown) => {
      signal.throwIfAborted();
      throw error instanceof WireError ? error : damaged(this.#file, 'its key is not to be had');
    });
    const text = tryUnseal(sealed, { source, bytes });
    if (text !== undefined) this.#key = { source, bytes };
    return text;
  }

  async #replace(sealed: string): Promise<void> {
    try {
      await replacePrivateFile(this.#file, sealed);
    } catch (error) {
      if (error instanceof WireError) throw error;
      const answered = (error as NodeJS.ErrnoException).code ?? String(error);
      const facts = { tried: `save the login in ${this.#file}`, answered };
      const next = 'make room there; what was stored before is untouched';
      throw new WireError('config', { ...facts, next }, { cause: error });
    }
  }
}

function tryUnseal(sealed: Sealed, key: VaultKey): string | undefined {
  try {
    return unseal(sealed, key.bytes);
  } catch {
    return undefined;
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
