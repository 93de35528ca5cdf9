/**
 * The authorization code grant with a browser of this machine (RFC 6749 §4.1, RFC 8252): PKCE with
 * S256 (RFC 7636), a state that only this login knows, a nonce in the id_token, and the issuer's
 * name in the answer checked where it is sent (RFC 9207). The code is worth nothing without the
 * verifier, which never leaves this process but for the token endpoint.
 */
import * as oidc from 'openid-client';

import { LinkedAbort } from '../lib/abort.ts';
import type { Clock } from '../lib/clock.ts';
import { Secret } from '../lib/secret.ts';
import { WireError } from '../lib/wire-error.ts';
import { callbackPage } from './callback-page.ts';
import type { Tokens } from './device-login.ts';
import type { Asked } from './grant.ts';
import type { Issuer } from './issuer.ts';
import { defined } from './login-codec.ts';
import type { LoginEvents } from './login-events.ts';
import { type Arrival, LoopbackCallback } from './loopback-callback.ts';
import { type Answer, callProvider, missing, type Provider } from './provider-call.ts';
import { presentable } from './refusal.ts';

/**
 * Where browsers come back to. Fixed, since INDIGO IAM compares the port too; four, since one may
 * be taken; below 32768, where the ports begin that Linux gives to outgoing connections
 * (`ip_local_port_range`, ip(7)).
 */
export const redirectUris: readonly string[] = [18_410, 20_410, 22_410, 24_410].map(
  (port) => `http://127.0.0.1:${port}/callback`,
);

/** As long as INDIGO IAM's device codes: time for a second factor and a use policy. */
const PATIENCE_MS = 600_000;

/** What only this login knows. */
interface Checks {
  readonly state: string;
  readonly nonce: string;
  readonly verifier: Secret;
}

/**
 * Shows the provider's page through `events` and waits until the browser has come back.
 *
 * @param uris of `redirectUris`, those registered for the client.
 * @throws WireError `login-denied`, `login-expired`, `identity-refused`, `unreachable`,
 *   `unavailable`, `unsupported`; `signal.reason` at once when aborted.
 */
export async function browserLogin(
  provider: Provider,
  asked: Asked,
  uris: readonly string[],
  events: LoginEvents,
  signal: AbortSignal,
): Promise<Answer<Tokens>> {
  const { issuer, clock } = provider;
  const checks = {
    state: oidc.randomState(),
    nonce: oidc.randomNonce(),
    verifier: new Secret(oidc.randomPKCECodeVerifier()),
  };
  const endpoint = authorizationEndpoint(issuer);
  if (uris.length === 0) throw withoutAddress(issuer);
  await using callback = await LoopbackCallback.listen(uris, checks.state, signal);
  const { redirectUri } = callback;
  const query = await authorizationQuery(provider, asked, redirectUri, checks);
  for (const [name, value] of Object.entries(query)) endpoint.searchParams.set(name, value);
  events.page?.({ url: endpoint.href, redirectUri, expiresAtMs: clock.now() + PATIENCE_MS });
  const arrival = await arrivalInTime(callback, provider, signal);
  try {
    const answer = await redeem(provider, asked, redirectUri, arrival, checks, signal);
    await arrival.reply(callbackPage('Approved', 'You can go back to wire, and close this page.'));
    return answer;
  } catch (error) {
    const text = error instanceof WireError ? error.message : 'The login was given up.';
    await arrival.reply(callbackPage('Not logged in', text));
    throw error;
  }
}

/** @throws WireError `unsupported` when the provider has no page to log in on. */
export function authorizationEndpoint(issuer: Issuer): URL {
  const { authorization_endpoint: endpoint } = issuer.metadata;
  if (endpoint !== undefined) return new URL(endpoint);
  throw missing(`log in at ${issuer.url} with a browser`, issuer, 'authorization_endpoint');
}

function withoutAddress({ url }: Issuer): WireError {
  return new WireError('unsupported', {
    tried: `log in at ${url} with a browser`,
    answered: 'the provider registered no address of this machine to come back to',
    next: `have a client registered by hand with ${redirectUris.join(' ')} and pass it with --client-id`,
  });
}

async function authorizationQuery(
  { client }: Provider,
  asked: Asked,
  redirectUri: string,
  { state, nonce, verifier }: Checks,
): Promise<Readonly<Record<string, string>>> {
  return {
    response_type: 'code',
    client_id: client.id,
    redirect_uri: redirectUri,
    scope: asked.scopes.join(' '),
    state,
    code_challenge: await oidc.calculatePKCECodeChallenge(verifier.reveal()),
    code_challenge_method: 'S256',
    ...(asked.scopes.includes('openid') && { nonce }),
    // OpenID Connect Core §11: else a refresh token need not be granted.
    ...(asked.scopes.includes('offline_access') && { prompt: 'consent' }),
    ...defined({ audience: asked.audience }),
  };
}

async function arrivalInTime(
  callback: LoopbackCallback,
  provider: Provider,
  signal: AbortSignal,
): Promise<Arrival> {
  using waiting = new LinkedAbort(signal);
  const late = lateness(provider.clock, waiting.signal);
  try {
    const first = await Promise.race([callback.arrival, late]);
    if (first !== 'late') return first;
  } finally {
    late.catch(() => undefined);
    waiting.abort();
  }
  throw new WireError('login-expired', {
    tried: `log in at ${provider.issuer.url}`,
    answered: 'the browser did not come back',
    next: unreturned(callback.redirectUri),
  });
}

async function lateness(clock: Clock, signal: AbortSignal): Promise<'late'> {
  await clock.sleep(PATIENCE_MS, signal);
  return 'late';
}

/** A provider that does not like the request tells the person only, and sends nobody back. */
function unreturned(redirectUri: string): string {
  return `if the page showed an error, check that ${redirectUri} is registered for the client; else try again`;
}

/** The tokens for the code of `arrival`. */
async function redeem(
  provider: Provider,
  asked: Asked,
  redirectUri: string,
  { parameters }: Arrival,
  { state, nonce, verifier }: Checks,
  signal: AbortSignal,
): Promise<Answer<Tokens>> {
  const tried = `log in at ${provider.issuer.url}`;
  checkIssuer(tried, provider.issuer, parameters);
  checkError(tried, parameters);
  const code = new Secret(parameters.get('code') ?? '');
  // Nothing else that came along: the library would take it for an answer of another kind.
  const current = new URL(redirectUri);
  for (const name of ['code', 'state', 'iss']) {
    const value = parameters.get(name);
    if (value !== null) current.searchParams.set(name, value);
  }
  const checks = {
    expectedState: state,
    pkceCodeVerifier: verifier.reveal(),
    ...(asked.scopes.includes('openid') && { expectedNonce: nonce }),
  };
  return await callProvider(
    tried,
    provider,
    [code, verifier],
    async (configuration) =>
      await oidc.authorizationCodeGrant(configuration, current, checks, {
        ...defined({ audience: asked.audience }),
      }),
    signal,
  );
}

/** Another provider's answer to a login that began here: RFC 9207, against mix-up. */
function checkIssuer(tried: string, { url, metadata }: Issuer, parameters: URLSearchParams): void {
  const names = parameters.getAll('iss');
  const promised = metadata.authorization_response_iss_parameter_supported === true;
  if (names.length === 0 && !promised) return;
  if (names.length === 1 && names[0] === url) return;
  throw new WireError('identity-refused', {
    tried,
    answered: 'the browser came back from another provider',
    next: 'do not log in there; try again, and tell the administrators of the provider',
  });
}

/** RFC 6749 §4.1.2.1. */
function checkError(tried: string, parameters: URLSearchParams): void {
  const error = parameters.get('error');
  if (error === null) return;
  if (error === 'access_denied') {
    throw new WireError('login-denied', {
      tried,
      answered: 'the request was denied on the web page',
      next: 'if that was a mistake, log in again',
    });
  }
  const description = presentable(parameters.get('error_description') ?? '', []);
  const more = description === '' ? '' : ` (${description})`;
  const answered = `${presentable(error, [])}${more}`;
  throw new WireError('identity-refused', { tried, answered, next: nextFor(error) });
}

function nextFor(error: string): string {
  switch (error) {
    case 'server_error':
    case 'temporarily_unavailable':
      return 'try again later';
    case 'invalid_scope':
      return 'ask for fewer scopes with --scope';
    default:
      return 'ask whoever runs the provider, or log in with --flow device';
  }
}
