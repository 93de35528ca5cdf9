/**
 * What several checks need of the servers, each got once: who asks first begins it, and each waits
 * only as long as its own limit lets it.
 */
import { sameIssuer } from '../../auth/issuer.ts';
import { decodeJwt, type JwtClaims } from '../../auth/jwt.ts';
import type { AccessToken } from '../../auth/token-source.ts';
import type { Settings } from '../../config/options.ts';
import type { Source } from '../../config/source.ts';
import { raceAbort } from '../../lib/abort.ts';
import { Closers } from '../../lib/closers.ts';
import { WireError } from '../../lib/wire-error.ts';
import { openCredentials, type RightsKeeper } from '../connection-stores.ts';
import { knownLogins } from '../identity.ts';
import type { Connection } from '../mount-parts.ts';
import { connectionOf } from '../mount-specs.ts';
import { rightsOf } from '../rights.ts';
import type { Surroundings } from '../surroundings.ts';
import { type ChosenTokens, openTokens, surveyTokens } from '../tokens.ts';

/** What a check-up is of. */
export interface CheckupRequest {
  readonly settings: Settings;
  /** What would be mounted; without it no bucket is looked at. */
  readonly source?: Source;
  /** Nothing is written. */
  readonly readOnly: boolean;
  /** Why the configuration file was not used. */
  readonly configTrouble?: WireError;
  /** '' for none. */
  readonly profile: string;
}

/** Tokens and the present one of them. */
export interface Identity {
  readonly chosen: ChosenTokens;
  readonly access: AccessToken;
  /** Undefined for an opaque token. */
  readonly claims: JwtClaims | undefined;
}

/** Enough for what is asked with it here. */
const TOKEN_LIFE_MS = 120_000;

export class Visit implements AsyncDisposable {
  readonly request: CheckupRequest;
  readonly surroundings: Surroundings;
  readonly #signal: AbortSignal;
  readonly #closers = new Closers();
  #identity: Promise<Identity | undefined> | undefined;
  #issuer: Promise<string | undefined> | undefined;
  #keeper: Promise<RightsKeeper> | undefined;

  /** @param signal ends all that was begun. */
  constructor(request: CheckupRequest, surroundings: Surroundings, signal: AbortSignal) {
    this.request = request;
    this.surroundings = surroundings;
    this.#signal = signal;
  }

  /**
   * Undefined when there are no tokens at all.
   *
   * @throws WireError when there are some, and they cannot be used.
   */
  async identity(signal: AbortSignal): Promise<Identity | undefined> {
    this.#identity ??= quiet(this.#openIdentity());
    return await raceAbort(this.#identity, signal);
  }

  /** As `identity`; nothing also when it cannot be used, which another check tells. */
  async identityOrNothing(signal: AbortSignal): Promise<Identity | undefined> {
    try {
      return await this.identity(signal);
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof WireError) return undefined;
      throw error;
    }
  }

  /** The provider that matters here, where one is known. */
  async issuer(signal: AbortSignal): Promise<string | undefined> {
    this.#issuer ??= quiet(this.#findIssuer());
    return await raceAbort(this.#issuer, signal);
  }

  /** Undefined without an endpoint. @throws WireError `usage` for settings that do not fit. */
  connection({ chosen }: Identity): Connection | undefined {
    const { settings, issuer } = chosen;
    if (settings.endpoint === undefined) return undefined;
    // A person waits for the answer: a login that has ended is told at once.
    return { ...connectionOf(settings, issuer, 'look at the store'), expiryWaitMs: 0 };
  }

  /** Credentials as a mount of the source would have them. */
  async keeper(
    identity: Identity,
    connection: Connection,
    signal: AbortSignal,
  ): Promise<RightsKeeper> {
    const { source, readOnly } = this.request;
    const rights = source === undefined ? undefined : rightsOf({ source, readOnly, connection });
    this.#keeper ??= Promise.resolve(
      this.#closers.use(
        openCredentials(connection, rights, identity.chosen.tokens, this.surroundings),
      ),
    );
    return await raceAbort(this.#keeper, signal);
  }

  /** Credentials with all rights of the role; ends with the visit. */
  wideKeeper(identity: Identity, connection: Connection): RightsKeeper {
    return this.#closers.use(
      openCredentials(connection, undefined, identity.chosen.tokens, this.surroundings),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#identity?.catch(() => undefined);
    await this.#closers[Symbol.asyncDispose]();
  }

  async #openIdentity(): Promise<Identity | undefined> {
    const { request, surroundings } = this;
    const { settings } = request;
    const { reports, choice } = await surveyTokens(settings, surroundings, this.#signal);
    await choice?.source.tokens[Symbol.asyncDispose]?.();
    const there = reports.some(({ state }) => state === 'used' || state === 'refused');
    if (!there) return undefined;
    const chosen = this.#closers.use(await openTokens(settings, surroundings, this.#signal));
    const access = await chosen.tokens.accessToken(TOKEN_LIFE_MS, this.#signal);
    return { chosen, access, claims: decodeJwt(access.token) };
  }

  async #findIssuer(): Promise<string | undefined> {
    const { settings } = this.request;
    if (settings.issuer !== undefined) return settings.issuer;
    const { logins } = await knownLogins(this.surroundings, this.#signal);
    const [only, ...others] = logins;
    if (only !== undefined && others.length === 0) return only.issuer;
    const identity = await this.identityOrNothing(this.#signal);
    const issuer = identity?.chosen.issuer;
    return issuer !== undefined && URL.canParse(issuer) ? issuer : undefined;
  }
}

/** Whether a login here is one at `issuer`. */
export function isOf(issuer: string, logins: readonly { readonly issuer: string }[]): boolean {
  return logins.some((login) => sameIssuer(login.issuer, issuer));
}

/** Those who wait are told of a failure; when nobody waits any more, nobody needs to be. */
function quiet<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}
