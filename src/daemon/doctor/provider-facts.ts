/** What the identity provider says of itself and of our client, and what time servers have. */
import { clientIsKnown } from '../../auth/client-check.ts';
import { discoverIssuer, type Issuer } from '../../auth/issuer.ts';
import { isObject } from '../../auth/jwt.ts';
import { clientIsGone } from '../../auth/registration.ts';
import type { StoredClient } from '../../auth/token-vault.ts';
import { WireError } from '../../lib/wire-error.ts';
import { exchange, type HttpReply } from '../../net/http.ts';
import { knownLogins, requireIssuer } from '../identity.ts';
import type { Surroundings } from '../surroundings.ts';
import type { ClockReading } from './clock-findings.ts';
import type { ClientFacts, ProviderFacts, ProviderOffers } from './provider-findings.ts';
import { isOf } from './visit.ts';

export async function providerFacts(
  url: string,
  surroundings: Surroundings,
  signal: AbortSignal,
): Promise<ProviderFacts> {
  const { logins } = await knownLogins(surroundings, signal);
  const hasClient = isOf(url, logins);
  try {
    const issuer = await discoverIssuer(url, surroundings.http, signal);
    const offers = offersOf(issuer);
    return { url, hasClient, offers, ...(await keysOf(issuer, surroundings, signal)) };
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof WireError)) throw error;
    return { url, hasClient, trouble: error };
  }
}

function offersOf({ metadata }: Issuer): ProviderOffers {
  const { scopes_supported: scopes } = metadata;
  return {
    device: metadata.device_authorization_endpoint !== undefined,
    browser: metadata.authorization_endpoint !== undefined,
    registration: metadata.registration_endpoint !== undefined,
    revocation: metadata.revocation_endpoint !== undefined,
    offline: Array.isArray(scopes) ? scopes.includes('offline_access') : undefined,
  };
}

async function keysOf(
  { url, metadata }: Issuer,
  { http }: Surroundings,
  signal: AbortSignal,
): Promise<Pick<ProviderFacts, 'keys' | 'keysTrouble'>> {
  const { jwks_uri: keysUrl } = metadata;
  if (keysUrl === undefined) return { keysTrouble: 'it does not say where they are (jwks_uri)' };
  try {
    const tried = `read the keys of ${url}`;
    const { status, text } = await exchange(tried, { method: 'GET', url: keysUrl }, http, signal);
    const keys = status === 200 ? readKeys(text) : undefined;
    if (keys === undefined) return { keysTrouble: `${keysUrl} answers ${status} and no keys` };
    const withCertificates = keys.filter((key) => isObject(key) && Array.isArray(key['x5c']));
    return { keys: { count: keys.length, withCertificates: withCertificates.length } };
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof WireError)) throw error;
    return { keysTrouble: error.facts.answered };
  }
}

/** RFC 7517 §5; undefined for anything else. */
function readKeys(text: string): readonly unknown[] | undefined {
  try {
    const json: unknown = JSON.parse(text);
    const keys: unknown = isObject(json) ? json['keys'] : undefined;
    return Array.isArray(keys) ? keys : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Undefined when nobody is logged in there.
 *
 * @throws WireError when the vault does not open, or the provider does not answer.
 */
export async function clientFacts(
  url: string,
  surroundings: Surroundings,
  signal: AbortSignal,
): Promise<ClientFacts | undefined> {
  const { logins } = await knownLogins(surroundings, signal);
  if (!isOf(url, logins)) return undefined;
  const { issuer, context } = await requireIssuer(url, surroundings, signal);
  const client = (await context.vault.load(issuer, signal))?.client;
  if (client === undefined) return undefined;
  const { id, registration } = client;
  const { asked = [], scopes } = registration ?? {};
  return {
    id,
    registered: registration !== undefined,
    known: await isKnown(client, issuer, surroundings, signal),
    missingScopes: scopes === undefined ? [] : asked.filter((scope) => !scopes.includes(scope)),
  };
}

/** By its registration (RFC 7592), which changes nothing; else by a code that is not used. */
async function isKnown(
  client: StoredClient,
  url: string,
  { http, clock }: Surroundings,
  signal: AbortSignal,
): Promise<boolean | undefined> {
  const { uri, token } = client.registration ?? {};
  if (uri !== undefined && token !== undefined) return !(await clientIsGone(client, http, signal));
  const issuer = await discoverIssuer(url, http, signal);
  return await clientIsKnown({ issuer, client, http, clock }, signal);
}

export interface ClockQuestion {
  readonly whose: ClockReading['whose'];
  readonly url: string;
}

/** Of those that answer; that one does not is told by another check. */
export async function clockReadings(
  questions: readonly ClockQuestion[],
  surroundings: Surroundings,
  signal: AbortSignal,
): Promise<readonly ClockReading[]> {
  const readings: ClockReading[] = [];
  for (const { whose, url } of questions) {
    const reading = await clockReading(whose, url, surroundings, signal);
    if (reading !== undefined) readings.push(reading);
  }
  return readings;
}

/** `Date` is cut to the second (RFC 9110 §5.6.7): on average it is half a second behind. */
const CUT_MS = 500;

async function clockReading(
  whose: ClockReading['whose'],
  url: string,
  { http, clock }: Surroundings,
  signal: AbortSignal,
): Promise<ClockReading | undefined> {
  const { host } = new URL(url);
  const startedMs = clock.monotonic();
  try {
    const reply: HttpReply = await exchange(
      `ask ${host} for the time`,
      { method: 'GET', url },
      http,
      signal,
    );
    const roundTripMs = clock.monotonic() - startedMs;
    if (reply.serverTimeMs === undefined) return undefined;
    const aheadMs = reply.serverTimeMs + CUT_MS - (clock.now() - roundTripMs / 2);
    return { whose, host, aheadMs, roundTripMs };
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof WireError) return undefined;
    throw error;
  }
}
