/** What a playground IAM can be told at its start. */
import type { Clock } from '../../lib/clock.ts';
import type { IamDialect } from '../dialect.ts';
import type { SigningKeys } from './keys.ts';

export interface IamUser {
  /** Login name. */
  readonly name: string;
  readonly sub: string;
  /** Claim `preferred_username`; default: `name`. */
  readonly preferredUsername?: string;
  /** Without a leading slash. */
  readonly groups: readonly string[];
  /** Asked for on the login page when given; any password does otherwise. */
  readonly password?: string;
  readonly disabled?: boolean;
  /** Whether the acceptable use policy is signed; default true. */
  readonly aupSigned?: boolean;
}

/** Lifetimes, in seconds. */
export interface IamLifetimes {
  /** Default 3600. */
  readonly accessToken: number;
  /** Default 2592000 (30 days). */
  readonly refreshToken: number;
  /** Default 600. */
  readonly deviceCode: number;
  /** Default 600. */
  readonly idToken: number;
}

export interface IamClient {
  readonly clientId: string;
  /** Absent: a public client. */
  readonly clientSecret?: string;
  readonly name?: string;
  readonly redirectUris?: readonly string[];
  /** Default: every scope that the server knows. */
  readonly scope?: string;
}

export interface IamOptions {
  readonly dialect: IamDialect;
  readonly users: readonly IamUser[];
  /** On 127.0.0.1; default 0, any free one. */
  readonly port?: number;
  /** How others reach it, when something stands in front: `https://HOST:PORT`. Default: its own. */
  readonly origin?: string;
  readonly clients?: readonly IamClient[];
  readonly lifetimes?: Partial<IamLifetimes>;
  /** Default: true in `standard`, false in `indigo`. */
  readonly rotateRefreshTokens?: boolean;
  /** `aud` of access tokens when nobody asks for one; default none (wlcg: its `any`). */
  readonly audience?: string;
  /** Shape of access tokens for clients whose scope names no profile; default `iam`. */
  readonly profile?: IamProfile;
  /**
   * `preferred_username`, `groups` and `scope` in access tokens; default true. INDIGO IAM's own
   * default is false: a store with claim policies then knows nothing of the person.
   */
  readonly includeAuthnInfo?: boolean;
  /** Certificates in the JWKS, without which Ceph RGW refuses the provider; default true. */
  readonly x5c?: boolean;
  /** Default: new ones. To be shared by tests: making a key takes a tenth of a second. */
  readonly keys?: SigningKeys;
  /** Who may register clients; default `anyone`. */
  readonly registration?: 'anyone' | 'registered-users' | 'disabled';
  /** By how much this server's clock is ahead, in seconds; default 0. */
  readonly clockSkewSeconds?: number;
  /** `interval` in the reply of the device endpoint (`standard` only), in seconds; default: absent. */
  readonly pollIntervalSeconds?: number;
  /**
   * Access tokens without the issuer's last slash (`indigo` only), as INDIGO IAM writes them when it
   * was configured so; default false.
   */
  readonly slashlessTokenIssuer?: boolean;
  /** Time of the `indigo` dialect and of delays. oidc-provider reads `Date` itself. */
  readonly clock?: Clock;
}

/** Claim layouts that INDIGO IAM offers. */
export type IamProfile = 'iam' | 'wlcg';

export const defaultLifetimes: IamLifetimes = {
  accessToken: 3600,
  refreshToken: 2_592_000,
  deviceCode: 600,
  idToken: 600,
};
