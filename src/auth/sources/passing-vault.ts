/** A vault that forgets with the process: where there is no folder to keep anything in. */
import { withoutSlash } from '../issuer.ts';
import type { StoredLogin, TokenVault } from '../token-vault.ts';

export class PassingVault implements TokenVault {
  readonly #logins = new Map<string, StoredLogin>();
  #changes = 0;
  #last: Promise<unknown> = Promise.resolve();

  async generation(): Promise<string> {
    return await Promise.resolve(String(this.#changes));
  }

  async list(signal: AbortSignal): Promise<readonly StoredLogin[]> {
    signal.throwIfAborted();
    return await Promise.resolve([...this.#logins.values()]);
  }

  async load(issuer: string, signal: AbortSignal): Promise<StoredLogin | undefined> {
    signal.throwIfAborted();
    return await Promise.resolve(this.#logins.get(withoutSlash(issuer)));
  }

  async save(login: StoredLogin, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    this.#changes += 1;
    await Promise.resolve(this.#logins.set(withoutSlash(login.issuer), login));
  }

  async delete(issuer: string, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    this.#changes += 1;
    await Promise.resolve(this.#logins.delete(withoutSlash(issuer)));
  }

  /** One at a time, whatever the issuer: there is but one. */
  async exclusively<T>(
    _issuer: string,
    work: (signal: AbortSignal) => Promise<T>,
    signal: AbortSignal,
  ): Promise<T> {
    const turn = this.#last.then(async () => {
      signal.throwIfAborted();
      return await work(signal);
    });
    this.#last = turn.catch(() => undefined);
    return await turn;
  }
}
