/**
 * Tokens of a source that was found by itself, and that may run dry: then a login that the person
 * has made meanwhile, at the same provider, takes its place. Nothing else may: it could be somebody
 * else.
 */
import type { Wanted } from '../auth/sources/source.ts';
import type { AccessToken, TokenSource } from '../auth/token-source.ts';
import { WireError } from '../lib/wire-error.ts';
import type { Surroundings } from './surroundings.ts';
import { lookForLogin } from './token-candidates.ts';

/** Some sources have an answer on its way that must not be lost. */
type Tokens = TokenSource & Partial<AsyncDisposable>;

export class HealingTokens implements TokenSource, AsyncDisposable {
  readonly #issuer: string;
  readonly #wanted: Wanted;
  readonly #surroundings: Surroundings;
  #tokens: Tokens;
  /** The source that ran dry. */
  #spent: Tokens | undefined;

  constructor(tokens: Tokens, issuer: string, wanted: Wanted, surroundings: Surroundings) {
    this.#tokens = tokens;
    this.#issuer = issuer;
    this.#wanted = wanted;
    this.#surroundings = surroundings;
  }

  async accessToken(minLifeMs: number, signal: AbortSignal): Promise<AccessToken> {
    try {
      return await this.#tokens.accessToken(minLifeMs, signal);
    } catch (error) {
      if (!(error instanceof WireError) || error.kind !== 'login-expired') throw error;
      const login = await this.#login(signal);
      if (login === undefined) throw error;
      this.#spent = this.#tokens;
      this.#tokens = login;
      return await login.accessToken(minLifeMs, signal);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#tokens[Symbol.asyncDispose]?.();
    await this.#spent?.[Symbol.asyncDispose]?.();
  }

  async #login(signal: AbortSignal): Promise<Tokens | undefined> {
    if (this.#spent !== undefined) return undefined;
    const { log } = this.#surroundings;
    const wanted = { ...this.#wanted, issuer: this.#issuer };
    try {
      const finding = await lookForLogin(wanted, this.#surroundings, signal);
      if (!finding.there) return undefined;
      log.info('tokens come from the login now', { issuer: this.#issuer });
      return finding.source.tokens;
    } catch (error) {
      signal.throwIfAborted();
      log.debug('no login to take over', { error });
      return undefined;
    }
  }
}
