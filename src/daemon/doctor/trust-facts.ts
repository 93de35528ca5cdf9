/** What an STS makes of the token there is. */
import { raceAbort } from '../../lib/abort.ts';
import { WireError } from '../../lib/wire-error.ts';
import type { RightsKeeper } from '../connection-stores.ts';
import { roleRequestOf } from '../credentials.ts';
import type { Connection } from '../mount-parts.ts';
import type { TrustFacts } from './identity-findings.ts';
import type { Identity, Visit } from './visit.ts';

export async function trustFacts(
  visit: Visit,
  identity: Identity,
  connection: Connection,
  signal: AbortSignal,
): Promise<TrustFacts> {
  const { stsEndpoint } = connection;
  const facts = {
    stsEndpoint,
    role: roleRequestOf(connection).roleArn,
    claims: identity.claims,
    concerns: [],
  };
  const keeper = await visit.keeper(identity, connection, signal);
  try {
    const { expiresAtMs } = await keeper.credentials.credentials(signal);
    const { concerns } = keeper.credentials.state;
    const lifeMs = expiresAtMs - visit.surroundings.clock.now();
    return { ...facts, concerns, lifeMs, ...(await enforcementOf(keeper, signal)) };
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof WireError)) throw error;
    return { ...facts, refusal: error };
  }
}

/** Only a mount has limits that could be kept. */
async function enforcementOf(
  { check }: RightsKeeper,
  signal: AbortSignal,
): Promise<Pick<TrustFacts, 'enforcement' | 'enforcementReason'>> {
  if (check === undefined) return {};
  const { enforcement, reason } = await raceAbort(check.run(), signal);
  return { enforcement, enforcementReason: reason };
}
