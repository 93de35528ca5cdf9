/**
 * One renewal of a stored login, while nobody else runs one (RFC 9700 §4.14.2: a refresh token that
 * rotates must never be used twice). The steps, so that a process may be killed between any two:
 *
 * 1. `pending` is stored: the refresh token is about to be sent, by whom and when. A vault that
 *    cannot be written is found out here, while nothing is spent.
 * 2. The token is sent and the answer awaited, whoever stops waiting.
 * 3. The answer is stored, which takes `pending` away. Only then is its access token handed out.
 *
 * Who finds `pending` knows that the token may be spent and tries it once (when the connection broke
 * off, this process does so at once): a provider that reuses tokens or forgives lost answers for a
 * while gives new ones. Where it refuses, that is noted and
 * the token never sent again: there it would only set off the detection of stolen tokens, time
 * and again. Nothing that is stored is ever deleted here.
 */
import { randomUUID } from 'node:crypto';

import { Deadline } from '../lib/deadline.ts';
import { WireError } from '../lib/wire-error.ts';
import type { AuthContext } from './auth-context.ts';
import { ownProcess, stillRuns } from './file-lock.ts';
import type { Asked } from './grant.ts';
import { discoverIssuer, type Issuer, NoDocumentError } from './issuer.ts';
import { defined } from './login-codec.ts';
import { LoginTrouble } from './login-trouble.ts';
import type { Provider } from './provider-call.ts';
import {
  brokeOff,
  isRefused,
  mayBeSpent,
  meaningOf,
  type Refreshed,
  refreshed,
} from './refresh.ts';
import type { Refusal } from './refusal.ts';
import { isLivelyEnough, lifeOf } from './token-life.ts';
import type {
  PendingHolder,
  PendingRefresh,
  StoredAccess,
  StoredGrant,
  StoredLogin,
} from './token-vault.ts';

/** Which access token is wanted. */
export interface Wish {
  /** Default: all that the login was granted. */
  readonly scopes?: readonly string[];
  /** Default: the login's. */
  readonly audience?: string;
  readonly minLifeMs: number;
  /** How long `access` still lives; undefined when nobody can tell. */
  readonly leftMs: (access: StoredAccess) => number | undefined;
}

/** A login with the secrets it lives from. */
interface LiveLogin extends StoredLogin {
  readonly grant: StoredGrant & Required<Pick<StoredGrant, 'refreshToken'>>;
}

/** One that breaks off, one that finds another token stored, and one more. */
const ATTEMPTS = 3;

/** A discovery document changes with the provider's software, not by the minute. */
const DISCOVERY_LIFE_MS = 3_600_000;

export class LoginRenewal {
  readonly #issuerUrl: string;
  readonly #context: AuthContext;
  readonly #holder: PendingHolder = { process: ownProcess(), nonce: randomUUID() };
  #discovered: { readonly issuer: Issuer; readonly deadline: Deadline } | undefined;
  /** An answer that the vault would not take: it must, before anything else happens. */
  #unsaved: { readonly before: LiveLogin; readonly login: StoredLogin } | undefined;
  /** A refresh token that was refused: asked again without noting it first. */
  #refused: string | undefined;
  /** Steps 1 to 3, while they run. */
  #underWay: Promise<unknown> | undefined;

  constructor(issuerUrl: string, context: AuthContext) {
    this.#issuerUrl = issuerUrl;
    this.#context = context;
  }

  /** Resolves when no answer of the provider is awaited or being stored. */
  async settled(): Promise<void> {
    await this.#underWay?.catch(() => undefined);
  }

  /**
   * The grant with an access token as wished. To be called while this issuer is locked in the
   * vault; `signal` is the lock's. Another process may have renewed before: what is stored counts.
   *
   * @throws LoginTrouble; WireError `unreachable`, `unavailable`, `identity-refused`, `config`.
   */
  async run(wish: Wish, signal: AbortSignal): Promise<StoredGrant> {
    await this.#saveUnsaved();
    for (let left = ATTEMPTS; ; left -= 1) {
      const stored = await this.#load(signal);
      if (this.#suits(stored.grant, wish, wish.minLifeMs)) return stored.grant;
      const work = this.#attempt(this.#renewable(stored), wish, left === 1, signal);
      this.#underWay = work;
      try {
        const grant = await work;
        if (grant !== 'again') return grant;
      } finally {
        this.#underWay = undefined;
      }
    }
  }

  /**
   * Steps 1 to 3. `again`, but not if `isLast`: another refresh token is stored meanwhile, or the
   * connection broke off.
   */
  async #attempt(
    login: LiveLogin,
    wish: Wish,
    isLast: boolean,
    signal: AbortSignal,
  ): Promise<StoredGrant | 'again'> {
    const { grant, client } = login;
    let issuer: Issuer;
    let pending: PendingRefresh;
    try {
      issuer = await this.#discover(signal);
      signal.throwIfAborted();
      pending = await this.#note(login);
    } catch (error) {
      return this.#orOld(error, grant, wish);
    }
    const { clock, http = {}, log } = this.#context;
    const provider = { issuer, client, http, clock };
    let outcome: Refreshed;
    try {
      outcome = await refreshed(
        provider,
        grant,
        grant.refreshToken,
        askedOf(grant, wish),
        wish.scopes === undefined,
      );
    } catch (error) {
      if (isRefused(error)) return await this.#refusal(error, login, provider, isLast, signal);
      if (brokeOff(error) && grant.pending === undefined && !isLast) {
        await this.#restore(login, { ...grant, pending: { sentAtMs: pending.sentAtMs } });
        return 'again';
      }
      return await this.#afterFailure(error, login, pending, wish);
    }
    await this.#store({ ...login, grant: outcome.grant }, login, outcome.rotated, signal);
    this.#refused = undefined;
    if (outcome.trouble !== undefined) throw outcome.trouble;
    log.info('login renewed', { issuer: this.#issuerUrl, rotated: outcome.rotated });
    return outcome.grant;
  }

  async #load(signal: AbortSignal): Promise<StoredLogin & { readonly grant: StoredGrant }> {
    const login = await this.#context.vault.load(this.#issuerUrl, signal);
    const grant = login?.grant;
    if (login === undefined || grant === undefined) throw this.#ended('nobody is logged in');
    return { ...login, grant };
  }

  /** Whether the stored access token is for the same use and lives long enough. */
  #suits(grant: StoredGrant, wish: Wish, minLifeMs: number): boolean {
    const { access, pending } = grant;
    // Whoever began a refresh may have killed it (INDIGO IAM).
    if (pending !== undefined) return false;
    const { scopes, audience } = askedOf(grant, wish);
    if (access.audience !== audience) return false;
    const had = [...access.scopes, ...(access.askedScopes ?? [])];
    if (!scopes.every((scope) => had.includes(scope))) return false;
    const leftMs = wish.leftMs(access);
    return leftMs !== undefined && isLivelyEnough(leftMs, lifeOf(access), minLifeMs);
  }

  /** @throws WireError when the refresh token must not be sent. */
  #renewable({ grant, ...login }: StoredLogin & { readonly grant: StoredGrant }): LiveLogin {
    const { refreshToken, pending } = grant;
    if (refreshToken === undefined) {
      throw this.#ended('the login has ended and has no refresh token');
    }
    if (pending?.refusedAtMs !== undefined) throw this.#interrupted(pending);
    const { holder } = pending ?? {};
    if (holder !== undefined && holder.nonce !== this.#holder.nonce && stillRuns(holder.process)) {
      throw this.#heldElsewhere(holder);
    }
    return { ...login, grant: { ...grant, refreshToken } };
  }

  /**
   * Step 1.
   *
   * @throws WireError `unavailable` when the vault takes nothing and the token may rotate.
   */
  async #note(login: LiveLogin): Promise<PendingRefresh> {
    const { grant } = login;
    const sentAtMs = grant.pending?.sentAtMs ?? this.#context.clock.now();
    const pending = { sentAtMs, holder: this.#holder };
    // Refused before: most likely nothing comes of it, and whoever watches the vault for a new
    // login shall not be woken.
    const isRepeated = this.#refused === grant.refreshToken.reveal();
    if (isRepeated && grant.pending === undefined) return pending;
    try {
      await this.#save({ ...login, grant: { ...grant, pending } });
    } catch (error) {
      if (grant.rotates !== false) throw error;
      this.#context.log.warn('renewal not noted', { issuer: this.#issuerUrl, error });
    }
    return pending;
  }

  /** No answer, or one that says nothing about the token. */
  async #afterFailure(
    error: unknown,
    login: LiveLogin,
    { sentAtMs }: PendingRefresh,
    wish: Wish,
  ): Promise<StoredGrant> {
    const { grant } = login;
    if (mayBeSpent(error)) {
      await this.#restore(login, { ...grant, pending: { sentAtMs } });
      throw error;
    }
    await this.#restore(login, released(grant));
    return this.#orOld(error, grant, wish);
  }

  /** The provider refuses the token. */
  async #refusal(
    refusal: Refusal,
    login: LiveLogin,
    provider: Provider,
    isLast: boolean,
    signal: AbortSignal,
  ): Promise<'again'> {
    const { grant } = login;
    // Perhaps it is not the one any more: a lock that was lost, another machine.
    if (!isLast && !(await this.#isStored(login))) return 'again';
    const meaning = await meaningOf(refusal, provider, signal);
    const { pending } = grant;
    if (pending !== undefined && meaning.reason === 'ended') {
      const refused = { sentAtMs: pending.sentAtMs, refusedAtMs: this.#context.clock.now() };
      await this.#restore(login, { ...grant, pending: refused });
      throw this.#interrupted(refused, meaning);
    }
    const token = grant.refreshToken.reveal();
    if (this.#refused !== token || pending !== undefined) {
      await this.#restore(login, released(grant));
    }
    this.#refused = token;
    throw meaning;
  }

  /** The tokens there are, while they last: nothing was spent. */
  #orOld(error: unknown, grant: StoredGrant, wish: Wish): StoredGrant {
    const isPassing =
      error instanceof WireError && (error.kind === 'unreachable' || error.kind === 'unavailable');
    if (!isPassing || !this.#suits(grant, wish, 0)) throw error;
    this.#context.log.warn('login not renewed', { issuer: this.#issuerUrl, error });
    return grant;
  }

  /** Step 3. Only a rotated token makes it a matter of life and death: the old one is spent. */
  async #store(
    login: StoredLogin,
    before: LiveLogin,
    rotated: boolean,
    signal: AbortSignal,
  ): Promise<void> {
    if (rotated) this.#unsaved = { before, login };
    try {
      // Without the lock somebody may have logged in anew.
      if (signal.aborted && !(await this.#isStored(before))) throw this.#overtaken();
      await this.#save(login);
      this.#unsaved = undefined;
    } catch (error) {
      if (rotated) throw error;
      this.#context.log.warn('renewed login not saved', { issuer: this.#issuerUrl, error });
    }
  }

  /** An answer that could not be stored when it came, unless somebody has logged in or out since. */
  async #saveUnsaved(): Promise<void> {
    if (this.#unsaved === undefined) return;
    const { login, before } = this.#unsaved;
    if (await this.#isStored(before)) await this.#save(login);
    this.#unsaved = undefined;
  }

  /** Leaves word of how an attempt ended: of use to others, not needed by anybody. */
  async #restore(login: LiveLogin, grant: StoredGrant): Promise<void> {
    try {
      if (await this.#isStored(login)) await this.#save({ ...login, grant });
    } catch (error) {
      this.#context.log.warn('end of a renewal not noted', { issuer: this.#issuerUrl, error });
    }
  }

  /** Whether the login in the vault is still this one, with this refresh token. */
  async #isStored({ grant }: LiveLogin): Promise<boolean> {
    const { vault } = this.#context;
    const now = await vault.load(this.#issuerUrl, new AbortController().signal);
    return now?.grant?.refreshToken?.reveal() === grant.refreshToken.reveal();
  }

  async #save(login: StoredLogin): Promise<void> {
    try {
      // Interrupting this would lose a login.
      await this.#context.vault.save(login, new AbortController().signal);
    } catch (error) {
      const tried = `keep the renewed login at ${this.#issuerUrl}`;
      const answered = error instanceof Error ? error.message : 'the vault failed';
      const next = 'make room or rights there; wire tries again';
      throw new WireError('unavailable', { tried, answered, next }, { cause: error });
    }
  }

  async #discover(signal: AbortSignal): Promise<Issuer> {
    const known = this.#discovered;
    if (known !== undefined && known.deadline.leftMs() > 0) return known.issuer;
    const { clock, http = {} } = this.#context;
    const issuer = await discoverIssuer(this.#issuerUrl, http, signal).catch(raiseAsPassing);
    this.#discovered = { issuer, deadline: new Deadline(clock, DISCOVERY_LIFE_MS) };
    return issuer;
  }

  #ended(answered: string): LoginTrouble {
    const tried = `get an access token of ${this.#issuerUrl}`;
    const next = `log in with: wire login ${this.#issuerUrl}`;
    return new LoginTrouble('ended', { tried, answered, next });
  }

  #interrupted({ sentAtMs }: PendingRefresh, cause?: unknown): LoginTrouble {
    const when = new Date(sentAtMs).toISOString();
    const facts = {
      tried: `renew the login at ${this.#issuerUrl}`,
      answered: `the renewal of ${when} was interrupted before its answer could be stored, and the provider takes the old refresh token no more`,
      next: `log in again with: wire login ${this.#issuerUrl}`,
    };
    return new LoginTrouble('interrupted', facts, { cause });
  }

  #heldElsewhere({ process: name }: PendingHolder): WireError {
    return new WireError('unavailable', {
      tried: `renew the login at ${this.#issuerUrl}`,
      answered: `process ${name.split(' ')[0] ?? ''} has renewed it and cannot store the answer`,
      next: 'make room or rights for the vault; that process tries again',
    });
  }

  #overtaken(): WireError {
    return new WireError('unavailable', {
      tried: `keep the renewed login at ${this.#issuerUrl}`,
      answered: 'another process has changed it meanwhile',
      next: 'try again',
    });
  }
}

/** Nobody holds an answer any more. */
function released(grant: StoredGrant): StoredGrant {
  const { pending } = grant;
  return pending === undefined ? grant : { ...grant, pending: { sentAtMs: pending.sentAtMs } };
}

function askedOf(grant: StoredGrant, wish: Wish): Asked {
  const { scopes = grant.scopes, audience = grant.audience } = wish;
  return { scopes, ...defined({ audience }) };
}

/** It was an issuer when somebody logged in: without a document something else answers for it. */
function raiseAsPassing(error: unknown): never {
  if (!(error instanceof NoDocumentError)) throw error;
  const next = 'check the network: something else answers in its place';
  throw new WireError('unavailable', { ...error.facts, next }, { cause: error });
}
