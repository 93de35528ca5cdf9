/** Tokens that somebody else makes and renews: read at each need, never renewed by wire. */
import type { Clock } from '../../lib/clock.ts';
import type { Secret } from '../../lib/secret.ts';
import { WireError } from '../../lib/wire-error.ts';
import { decodeJwt } from '../jwt.ts';
import type { AccessToken, TokenSource } from '../token-source.ts';
import type { FoundSource } from './source.ts';

export interface GivenTokenOptions {
  /** As in `FoundSource`. */
  readonly place: string;
  /** The token there is now; undefined when there is none any more. */
  readonly read: (signal: AbortSignal) => Promise<Secret | undefined>;
  /** Who could renew it, as an imperative. */
  readonly renewal: string;
  readonly clock: Clock;
}

export class GivenTokens implements TokenSource {
  readonly #options: GivenTokenOptions;

  constructor(options: GivenTokenOptions) {
    this.#options = options;
  }

  /**
   * How long it lives cannot be helped: whatever has not expired is handed out.
   *
   * @throws WireError `login-expired` when it has expired or is gone.
   */
  async accessToken(_minLifeMs: number, signal: AbortSignal): Promise<AccessToken> {
    const { place, read, clock, renewal } = this.#options;
    signal.throwIfAborted();
    const tried = `use the token in ${place}`;
    const token = await read(signal);
    if (token === undefined) {
      throw new WireError('login-expired', { tried, answered: 'it is gone', next: renewal });
    }
    const expiresAtMs = decodeJwt(token)?.expiresAtMs;
    const agoMs = expiresAtMs === undefined ? -1 : clock.now() - expiresAtMs;
    if (agoMs >= 0) {
      const answered = `it expired ${formatAge(agoMs)} ago by the clock of this machine`;
      throw new WireError('login-expired', { tried, answered, next: renewal });
    }
    return { token, expiresAtMs };
  }
}

/** A source of tokens that are given; `token` is the one found when looking. */
export function givenSource(
  token: Secret,
  options: GivenTokenOptions,
  notes: readonly string[] = [],
): FoundSource {
  const issuer = decodeJwt(token)?.issuer;
  return {
    place: options.place,
    tokens: new GivenTokens(options),
    fixed: true,
    notes,
    ...(issuer !== undefined && { issuer }),
  };
}

function formatAge(ms: number): string {
  const minutes = Math.floor(ms / 60_000);
  if (minutes < 1) return `${Math.ceil(ms / 1000)} s`;
  if (minutes < 120) return `${minutes} min`;
  return minutes < 2880 ? `${Math.floor(minutes / 60)} h` : `${Math.floor(minutes / 1440)} days`;
}
