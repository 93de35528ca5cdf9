/** What an access token says of itself, for people and for messages; nothing here is verified. */
import { decodeJwt } from '../auth/jwt.ts';
import type { Secret } from '../lib/secret.ts';
import { WireError } from '../lib/wire-error.ts';
import { tokenConcerns } from '../sts/preflight.ts';

/** Undefined for an opaque token, and for one that does not say. */
export function issuerOfToken(token: Secret): string | undefined {
  return decodeJwt(token)?.issuer;
}

/** What an STS will have against this token; that it has expired is told elsewhere. */
export function remarksOn(token: Secret, nowMs: number, audience?: string): readonly string[] {
  const expectation = { nowMs, ...(audience !== undefined && { audience }) };
  return tokenConcerns(token, expectation)
    .filter(({ kind }) => kind !== 'expired')
    .map(({ text, next }) => `${text}: ${next}`);
}

/**
 * @param place where the token is from, as in `FoundSource`.
 * @throws WireError `identity-refused` when `token` says that it is for others than `audience`.
 */
export function assertAudience(token: Secret, audience: string, place: string): void {
  const claims = decodeJwt(token);
  if (claims === undefined || claims.audiences.length === 0) return;
  if (claims.audiences.includes(audience)) return;
  throw new WireError('identity-refused', {
    tried: `get a token for ${audience} from ${place}`,
    answered: `it gives one for ${claims.audiences.join(', ')}`,
    next: 'leave --audience out to take that, or ask another source with --token-source',
  });
}
