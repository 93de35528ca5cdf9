/** Whose the access tokens are that go by, for the audit log. */
import { decodeJwt } from '../auth/jwt.ts';
import type { TokenSource } from '../auth/token-source.ts';
import type { Secret } from '../lib/secret.ts';

export interface OwnedTokens {
  /** As the source they were made of. */
  readonly tokens: TokenSource;
  /** `sub` of the latest token; undefined before the first, and where tokens do not tell. */
  readonly subject: string | undefined;
}

/** Looks at each token once. */
export function withOwner(source: TokenSource): OwnedTokens {
  let latest: Secret | undefined;
  let subject: string | undefined;
  const tokens: TokenSource = {
    accessToken: async (minLifeMs, signal) => {
      const given = await source.accessToken(minLifeMs, signal);
      if (given.token !== latest) subject = decodeJwt(given.token)?.subject;
      latest = given.token;
      return given;
    },
    ...(source.loginMark !== undefined && {
      loginMark: async () => (await source.loginMark?.()) ?? '',
    }),
  };
  return {
    tokens,
    get subject() {
      return subject;
    },
  };
}
