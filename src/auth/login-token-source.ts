/**
 * Access tokens of a stored login. Refreshed before they end, by one caller of one process at a
 * time: a refresh token that rotates must never be used twice (RFC 9700 §4.14.2). Invariant: a
 * rotated refresh token is in the vault before the access token that came with it is handed out.
 */

import { Deadline } from '../lib/deadline.ts';
import { SharedWork } from '../lib/shared-work.ts';
import { WireError } from '../lib/wire-error.ts';
import type { AuthContext } from './auth-context.ts';
import { discoverIssuer, type Issuer, withoutSlash } from './issuer.ts';
import { defined } from './login-codec.ts';
import { refreshed } from './refresh.ts';
import { isLivelyEnough, UNKNOWN_LIFE_MS } from './token-life.ts';
import type { AccessToken, TokenSource } from './token-source.ts';
import type { StoredAccess, StoredGrant, StoredLogin } from './token-vault.ts';

export interface LoginTokenOptions {
  readonly issuer: string;
  /** Default: the login's. */
  readonly audience?: string;
  /** Default: all that the login was granted. More than that is refused. */
  readonly scopes?: readonly string[];
  readonly context: AuthContext;
}

interface Held {
  readonly token: AccessToken;
  readonly deadline: Deadline;
}

/** A discovery document changes with the provider's software, not by the minute. */
const DISCOVERY_LIFE_MS = 3_600_000;

export class LoginTokenSource implements TokenSource {
  readonly #issuerUrl: string;
  readonly #options: LoginTokenOptions;
  readonly #context: AuthContext;
  readonly #renewal: SharedWork<Held>;
  #held: Held | undefined;
  /** What the callers of the next renewal need at most, ms. */
  #wantedLifeMs = 0;
  #discovered: { readonly issuer: Issuer; readonly deadline: Deadline } | undefined;
  /** A rotated login that the vault would not take: it must, before anything else happens. */
  #unsaved: StoredLogin | undefined;

  constructor(options: LoginTokenOptions) {
    this.#issuerUrl = withoutSlash(options.issuer);
    this.#options = options;
    this.#context = options.context;
    this.#renewal = new SharedWork(async (signal) => await this.#renew(signal));
  }

  async accessToken(minLifeMs: number, signal: AbortSignal): Promise<AccessToken> {
    signal.throwIfAborted();
    const held = this.#held;
    if (held !== undefined) {
      const { deadline } = held;
      if (isLivelyEnough(deadline.leftMs(), deadline.lifeMs, minLifeMs)) return held.token;
    }
    this.#wantedLifeMs = Math.max(this.#wantedLifeMs, minLifeMs);
    return (await this.#renewal.run(signal)).token;
  }

  async #renew(signal: AbortSignal): Promise<Held> {
    const { vault } = this.#context;
    const work = async (locked: AbortSignal): Promise<Held> => await this.#renewLocked(locked);
    try {
      this.#held = await vault.exclusively(this.#issuerUrl, work, signal);
      return this.#held;
    } finally {
      this.#wantedLifeMs = 0;
    }
  }

  /** Another process may have refreshed since: what is stored now counts. */
  async #renewLocked(signal: AbortSignal): Promise<Held> {
    const { vault, log } = this.#context;
    if (this.#unsaved !== undefined) await this.#save(this.#unsaved);
    const login = await vault.load(this.#issuerUrl, signal);
    const grant = login?.grant;
    if (login === undefined || grant === undefined) throw this.#nobody('nobody is logged in');
    const stored = this.#adoptable(grant);
    if (stored !== undefined) return stored;
    const { refreshToken } = grant;
    if (refreshToken === undefined)
      throw this.#nobody('the login has ended and has no refresh token');
    const issuer = await this.#discover(signal);
    signal.throwIfAborted();
    const { clock, http = {} } = this.#context;
    const provider = { issuer, client: login.client, http, clock };
    const renewed = await refreshed(provider, grant, refreshToken, this.#asked(grant));
    const rotated = renewed.refreshToken?.reveal() !== refreshToken.reveal();
    await this.#store({ ...login, grant: renewed }, rotated);
    log.info('login renewed', { issuer: this.#issuerUrl, rotated });
    return this.#hold(renewed.access);
  }

  #asked(grant: StoredGrant): { scopes: readonly string[]; audience?: string } {
    const { scopes = grant.scopes, audience = grant.audience } = this.#options;
    return { scopes, ...defined({ audience }) };
  }

  /** The stored access token, if it is for the same use and will do for all who wait. */
  #adoptable(grant: StoredGrant): Held | undefined {
    const { scopes, audience } = this.#asked(grant);
    const { access } = grant;
    if (access.audience !== audience) return undefined;
    if (!scopes.every((scope) => access.scopes.includes(scope))) return undefined;
    // A clock that was set back behind the token's making says nothing about its age.
    if (this.#context.clock.now() < access.issuedAtMs) return undefined;
    const held = this.#hold(access);
    const lifeMs = lifeOf(access);
    return isLivelyEnough(held.deadline.leftMs(), lifeMs, this.#wantedLifeMs) ? held : undefined;
  }

  #hold(access: StoredAccess): Held {
    const { clock } = this.#context;
    const leftMs = access.issuedAtMs + lifeOf(access) - clock.now();
    const token = { token: access.token, expiresAtMs: access.expiresAtMs };
    return { token, deadline: new Deadline(clock, leftMs) };
  }

  /** Only a rotated token makes saving a matter of life and death: the old one is spent. */
  async #store(login: StoredLogin, rotated: boolean): Promise<void> {
    if (rotated) {
      this.#unsaved = login;
      await this.#save(login);
      return;
    }
    try {
      await this.#save(login);
    } catch (error) {
      this.#context.log.warn('renewed login not saved', { issuer: this.#issuerUrl, error });
    }
  }

  async #save(login: StoredLogin): Promise<void> {
    try {
      // Interrupting this would lose a login.
      await this.#context.vault.save(login, new AbortController().signal);
      this.#unsaved = undefined;
    } catch (error) {
      const tried = `keep the renewed login at ${this.#issuerUrl}`;
      const answered = error instanceof Error ? error.message : 'the vault failed';
      const next = 'make room or rights there; wire keeps it in memory and tries again';
      throw new WireError('unavailable', { tried, answered, next }, { cause: error });
    }
  }

  async #discover(signal: AbortSignal): Promise<Issuer> {
    const known = this.#discovered;
    if (known !== undefined && known.deadline.leftMs() > 0) return known.issuer;
    const { clock, http = {} } = this.#context;
    const issuer = await discoverIssuer(this.#issuerUrl, http, signal);
    this.#discovered = { issuer, deadline: new Deadline(clock, DISCOVERY_LIFE_MS) };
    return issuer;
  }

  #nobody(answered: string): WireError {
    const tried = `get an access token of ${this.#issuerUrl}`;
    const next = `log in with: wire login ${this.#issuerUrl}`;
    return new WireError('login-expired', { tried, answered, next });
  }
}

function lifeOf({ expiresAtMs, issuedAtMs }: StoredAccess): number {
  return expiresAtMs === undefined ? UNKNOWN_LIFE_MS : expiresAtMs - issuedAtMs;
}
