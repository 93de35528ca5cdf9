/** Where access tokens come from. STS asks for nothing else. */
import type { Secret } from '../lib/secret.ts';

export interface AccessToken {
  readonly token: Secret;
  /** Ms since the epoch, by our clock; undefined when neither the reply nor the token says. */
  readonly expiresAtMs: number | undefined;
}

export interface TokenSource {
  /**
   * An access token that lives for at least `minLifeMs` more, refreshed if need be. Concurrent
   * callers share one refresh.
   *
   * @throws WireError `login-expired` when only a new login helps; `unreachable` or `unavailable`
   *   when trying again may.
   */
  accessToken(minLifeMs: number, signal: AbortSignal): Promise<AccessToken>;

  /**
   * A mark of what is stored of logins, another one after each change: looked at each second while
   * the login has ended. Local and cheap, and never fails. Absent where logins come from elsewhere:
   * `accessToken` is then asked each second while somebody waits.
   */
  loginMark?(): Promise<string>;
}
