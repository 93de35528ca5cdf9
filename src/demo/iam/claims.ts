/** The claims of access tokens and of the person: pure. */
import type { JWTPayload } from 'jose';
import type { IamProfile, IamUser } from './options.ts';

/** Default audience of the WLCG token profile 1.0. */
const WLCG_ANY_AUDIENCE = 'https://wlcg.cern.ch/jwt/v1/any';

/** An access token to be written. */
export interface AccessGrant {
  readonly user: IamUser;
  readonly clientId: string;
  readonly scope: readonly string[];
  readonly audience: readonly string[];
  readonly profile: IamProfile;
  readonly jti: string;
  /** Seconds since the epoch, without the clock skew. */
  readonly issuedAt: number;
  /** Seconds since the epoch, without the clock skew. */
  readonly expiresAt: number;
}

export interface ClaimRules {
  readonly issuer: string;
  readonly defaultAudience: string | undefined;
  readonly authnInfo: boolean;
  readonly skewSeconds: number;
}

/** Claims of one access token, in the profile of the grant. */
export function accessTokenClaims(grant: AccessGrant, rules: ClaimRules): JWTPayload {
  const { user, profile } = grant;
  const isWlcg = profile === 'wlcg';
  const iat = grant.issuedAt + rules.skewSeconds;
  const audience = [...grant.audience];
  const fallback = rules.defaultAudience ?? (isWlcg ? WLCG_ANY_AUDIENCE : undefined);
  if (audience.length === 0 && fallback !== undefined) audience.push(fallback);
  return {
    sub: user.sub,
    iss: rules.issuer,
    exp: grant.expiresAt + rules.skewSeconds,
    iat,
    jti: grant.jti,
    client_id: grant.clientId,
    ...(audience.length > 0 && { aud: audience.length === 1 ? audience[0] : audience }),
    ...(isWlcg && {
      'wlcg.ver': '1.0',
      nbf: iat,
      'wlcg.groups': user.groups.map((group) => `/${group}`),
    }),
    ...((isWlcg || rules.authnInfo) && { scope: grant.scope.join(' ') }),
    ...(rules.authnInfo && {
      preferred_username: preferredUsername(user),
      groups: [...user.groups],
    }),
  };
}

export function preferredUsername(user: IamUser): string {
  return user.preferredUsername ?? user.name;
}

/** What userinfo and id_tokens say of a person, beyond `sub`, for the granted scopes. */
export function personClaims(user: IamUser, scope: readonly string[]): JWTPayload {
  return {
    ...(scope.includes('profile') && {
      name: user.name,
      preferred_username: preferredUsername(user),
      groups: [...user.groups],
    }),
    ...(scope.includes('email') && { email: `${user.name}@example.org`, email_verified: true }),
  };
}
