/** One access token for another program. Refresh tokens never leave wire. */
import type { Settings } from '../config/options.ts';
import type { TokenSourceName } from '../config/values.ts';
import type { Secret } from '../lib/secret.ts';
import { WireError } from '../lib/wire-error.ts';
import type { Surroundings } from './surroundings.ts';
import { assertAudience, remarksOn } from './token-facts.ts';
import { openTokens } from './tokens.ts';

export interface TokenRequest {
  readonly settings: Settings;
  /** Fewer than were granted; absent: all. */
  readonly scopes?: readonly string[];
  /** How much longer it shall live, where its source can help that. */
  readonly minLifeMs: number;
}

export interface PrintedToken {
  readonly token: Secret;
  /** Ms since the epoch by our clock; absent when nobody says. */
  readonly expiresAtMs?: number;
  readonly issuer: string;
  readonly source: TokenSourceName;
  readonly place: string;
  readonly notes: readonly string[];
}

/**
 * @throws WireError as `openTokens`; `unsupported` for scopes of a token that is made already;
 *   `identity-refused` when the token is not for the audience that was asked for.
 */
export async function getToken(
  request: TokenRequest,
  surroundings: Surroundings,
  signal: AbortSignal,
): Promise<PrintedToken> {
  const { settings, scopes, minLifeMs } = request;
  const wishes = scopes === undefined ? {} : { scopes };
  await using chosen = await openTokens(settings, surroundings, signal, wishes);
  const { tokens, issuer, source, place, fixed } = chosen;
  if (fixed && scopes !== undefined) throw notNarrowable(place);
  const { token, expiresAtMs } = await tokens.accessToken(minLifeMs, signal);
  if (settings.audience !== undefined) assertAudience(token, settings.audience, place);
  const notes = [...chosen.notes, ...remarksOn(token, surroundings.clock.now())];
  return { token, issuer, source, place, notes, ...(expiresAtMs !== undefined && { expiresAtMs }) };
}

function notNarrowable(place: string): WireError {
  return new WireError('unsupported', {
    tried: `narrow the token in ${place} with --scope`,
    answered: 'somebody else made it, and wire cannot have it changed',
    next: 'leave --scope out, or take a source that makes tokens with --token-source',
  });
}
