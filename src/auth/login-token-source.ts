/**
 * Access tokens of a stored login, refreshed before they end: one refresh at a time among all
 * callers of all processes (`login-renewal.ts`). Invariant: a token is handed out only while the
 * vault says that nobody has begun a refresh since it was made, for INDIGO IAM kills it then.
 */
import { Deadline } from '../lib/deadline.ts';
import { settledWithin } from '../lib/patience.ts';
import { SharedWork } from '../lib/shared-work.ts';
import type { AuthContext } from './auth-context.ts';
import { withoutSlash } from './issuer.ts';
import { defined } from './login-codec.ts';
import { LoginRenewal } from './login-renewal.ts';
import { ageOf, endOf, isLivelyEnough, lifeOf } from './token-life.ts';
import type { AccessToken, TokenSource } from './token-source.ts';
import type { StoredAccess, StoredGrant } from './token-vault.ts';

export interface LoginTokenOptions {
  readonly issuer: string;
  /** Default: the login's. */
  readonly audience?: string;
  /** Default: all that the login was granted. More than that is refused. */
  readonly scopes?: readonly string[];
  readonly context: AuthContext;
}

interface Held {
  readonly access: StoredAccess;
  readonly deadline: Deadline;
  /** Of the vault, when it said that this token is the newest. */
  readonly generation: string;
}

/** How often the end of a login is logged. */
const NOTICE_EVERY_MS = 86_400_000;

/**
 * Who ends wire while the provider's answer is on its way waits this long for it: with a refresh
 * token that rotates, the answer is the login.
 */
const PARTING_MS = 5000;

export class LoginTokenSource implements TokenSource, AsyncDisposable {
  readonly #issuerUrl: string;
  readonly #options: LoginTokenOptions;
  readonly #context: AuthContext;
  readonly #renewal: LoginRenewal;
  readonly #sharing: SharedWork<Held>;
  #held: Held | undefined;
  /** What the callers of the next renewal need at most, ms. */
  #wantedLifeMs = 0;
  #quiet: Deadline | undefined;

  constructor(options: LoginTokenOptions) {
    this.#issuerUrl = withoutSlash(options.issuer);
    this.#options = options;
    this.#context = options.context;
    this.#renewal = new LoginRenewal(this.#issuerUrl, options.context);
    this.#sharing = new SharedWork(async (signal) => await this.#renew(signal));
  }

  async accessToken(minLifeMs: number, signal: AbortSignal): Promise<AccessToken> {
    signal.throwIfAborted();
    const held = this.#held;
    if (held !== undefined) {
      const isLively = isLivelyEnough(
        this.#leftMs(held.access) ?? 0,
        lifeOf(held.access),
        minLifeMs,
      );
      if (isLively && (await this.#isNewest(held, signal))) return tokenOf(held);
    }
    this.#wantedLifeMs = Math.max(this.#wantedLifeMs, minLifeMs);
    try {
      return tokenOf(await this.#sharing.run(signal));
    } catch (error) {
      if (signal.aborted) await this.#part();
      throw error;
    }
  }

  async loginMark(): Promise<string> {
    return await this.#context.vault.generation();
  }

  /** Waits for an answer that is on its way, for a few seconds. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#part();
  }

  async #part(): Promise<void> {
    await settledWithin(this.#renewal.settled(), PARTING_MS, this.#context.clock);
  }

  /** A vault that cannot be asked is no reason to refuse what is in memory. */
  async #isNewest(held: Held, signal: AbortSignal): Promise<boolean> {
    const { vault, log } = this.#context;
    const generation = await vault.generation();
    if (generation === held.generation) return true;
    try {
      const grant = (await vault.load(this.#issuerUrl, signal))?.grant;
      if (grant === undefined || grant.pending !== undefined) return false;
      if (grant.access.token.reveal() !== held.access.token.reveal()) return false;
      if (this.#held === held) this.#held = { ...held, generation };
    } catch (error) {
      signal.throwIfAborted();
      log.warn('vault not read', { issuer: this.#issuerUrl, error });
    }
    return true;
  }

  async #renew(signal: AbortSignal): Promise<Held> {
    const { vault } = this.#context;
    const { audience, scopes } = this.#options;
    const work = async (locked: AbortSignal): Promise<Held> => {
      const minLifeMs = this.#wantedLifeMs;
      const leftMs = this.#leftMs.bind(this);
      const wish = { minLifeMs, leftMs, ...defined({ audience, scopes }) };
      const grant = await this.#renewal.run(wish, locked);
      this.#announceEnd(grant);
      return this.#hold(grant, await vault.generation());
    };
    try {
      this.#held = await vault.exclusively(this.#issuerUrl, work, signal);
      return this.#held;
    } finally {
      this.#wantedLifeMs = 0;
    }
  }

  #hold({ access }: StoredGrant, generation: string): Held {
    const deadline = new Deadline(this.#context.clock, this.#leftMs(access) ?? 0);
    return { access, deadline, generation };
  }

  /**
   * By all clocks there are: the wall clock may be set back while the machine sleeps, or while this
   * process watches.
   */
  #leftMs(access: StoredAccess): number | undefined {
    const { clock } = this.#context;
    const ageMs = ageOf(access, clock);
    const byAgeMs = ageMs === undefined ? undefined : lifeOf(access) - ageMs;
    const held = this.#held;
    if (held?.access.token.reveal() !== access.token.reveal()) return byAgeMs;
    return Math.min(held.deadline.leftMs(), byAgeMs ?? Infinity);
  }

  /** Days before, so that the person logs in again before anything fails. */
  #announceEnd(grant: StoredGrant): void {
    const { clock, log } = this.#context;
    const end = endOf(grant);
    if (end === undefined || clock.now() < end.noticeFromMs) return;
    if (this.#quiet !== undefined && this.#quiet.leftMs() > 0) return;
    this.#quiet = new Deadline(clock, NOTICE_EVERY_MS);
    const next = `log in again with: wire login ${this.#issuerUrl}`;
    log.warn('login ends soon', { issuer: this.#issuerUrl, endsAtMs: end.atMs, next });
  }
}

function tokenOf({ access }: Held): AccessToken {
  return { token: access.token, expiresAtMs: access.expiresAtMs };
}
