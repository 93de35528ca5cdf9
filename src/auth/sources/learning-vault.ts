/**
 * A vault in front of another, for a login whose granted scopes nobody has told us: the first
 * token that was asked for without naming any tells them. Until then no stored access token is
 * given out, since it may be one that was asked for with fewer.
 */
import type { StoredLogin, TokenVault } from '../token-vault.ts';

export class LearningVault implements TokenVault {
  readonly #vault: TokenVault;
  readonly #whole: boolean;

  /** @param whole whether tokens are asked for without naming scopes. */
  constructor(vault: TokenVault, whole: boolean) {
    this.#vault = vault;
    this.#whole = whole;
  }

  async generation(): Promise<string> {
    return await this.#vault.generation();
  }

  async list(signal: AbortSignal): Promise<readonly StoredLogin[]> {
    return await this.#vault.list(signal);
  }

  async load(issuer: string, signal: AbortSignal): Promise<StoredLogin | undefined> {
    const login = await this.#vault.load(issuer, signal);
    if (login?.grant === undefined || login.grant.scopes.length > 0) return login;
    const { access } = login.grant;
    const spent = { ...access, expiresAtMs: access.issuedAtMs };
    return { ...login, grant: { ...login.grant, access: spent } };
  }

  async save(login: StoredLogin, signal: AbortSignal): Promise<void> {
    const { grant } = login;
    const learnt =
      this.#whole && grant?.scopes.length === 0
        ? { ...login, grant: { ...grant, scopes: grant.access.scopes } }
        : login;
    await this.#vault.save(learnt, signal);
  }

  async delete(issuer: string, signal: AbortSignal): Promise<void> {
    await this.#vault.delete(issuer, signal);
  }

  async exclusively<T>(
    issuer: string,
    work: (signal: AbortSignal) => Promise<T>,
    signal: AbortSignal,
  ): Promise<T> {
    return await this.#vault.exclusively(issuer, work, signal);
  }
}
