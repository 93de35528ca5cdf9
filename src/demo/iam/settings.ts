/** What both dialects share: people, keys, lifetimes and time, as they are now. */
import { type Clock, systemClock } from '../../lib/clock.ts';
import { type AccessGrant, accessTokenClaims } from './claims.ts';
import type { SigningKeys } from './keys.ts';
import {
  defaultLifetimes,
  type IamLifetimes,
  type IamOptions,
  type IamProfile,
} from './options.ts';
import { People } from './people.ts';

export class Settings {
  readonly options: IamOptions;
  readonly keys: SigningKeys;
  readonly people: People;
  readonly clock: Clock;
  /** As in discovery and in id_tokens. */
  readonly issuer: string;
  readonly skewSeconds: number;
  #lifetimes: IamLifetimes;

  constructor(options: IamOptions, keys: SigningKeys, origin: string) {
    this.options = options;
    this.keys = keys;
    this.people = new People(options.users);
    this.clock = options.clock ?? systemClock;
    this.issuer = options.dialect === 'indigo' ? `${origin}/` : origin;
    this.skewSeconds = options.clockSkewSeconds ?? 0;
    this.#lifetimes = { ...defaultLifetimes, ...options.lifetimes };
  }

  get lifetimes(): IamLifetimes {
    return this.#lifetimes;
  }

  setLifetimes(lifetimes: Partial<IamLifetimes>): void {
    this.#lifetimes = { ...this.#lifetimes, ...lifetimes };
  }

  get rotates(): boolean {
    return this.options.rotateRefreshTokens ?? this.options.dialect === 'standard';
  }

  /** Seconds since the epoch, without the clock skew. */
  now(): number {
    return Math.floor(this.clock.now() / 1000);
  }

  /** Whether `token` is a living access token of a person. */
  async isPerson(token: string | undefined): Promise<boolean> {
    const claims = token === undefined ? undefined : await this.keys.open(token);
    if (claims?.sub === undefined || claims.exp === undefined) return false;
    return claims.exp > this.now() + this.skewSeconds;
  }

  /** The profile that a client's registered scopes choose (INDIGO IAM looks at no request). */
  profileFor(clientScope: readonly string[]): IamProfile {
    if (clientScope.includes('wlcg')) return 'wlcg';
    if (clientScope.includes('iam')) return 'iam';
    return this.options.profile ?? 'iam';
  }

  async accessToken(grant: AccessGrant): Promise<string> {
    const { dialect, includeAuthnInfo, slashlessTokenIssuer } = this.options;
    const claims = accessTokenClaims(grant, {
      issuer: slashlessTokenIssuer === true ? this.issuer.replace(/\/$/, '') : this.issuer,
      defaultAudience: this.options.audience,
      authnInfo: includeAuthnInfo ?? true,
      skewSeconds: this.skewSeconds,
    });
    // RFC 9068 wants the type; INDIGO IAM writes none.
    return await this.keys.sign(claims, dialect === 'standard' ? 'at+jwt' : undefined);
  }
}
