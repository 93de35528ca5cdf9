/**
 * The device authorization grant (RFC 8628) with a loop of our own: it ends at once on an abort,
 * and lives through dropped connections and 5xx until the code expires.
 */
import * as oidc from 'openid-client';
import { Deadline } from '../lib/deadline.ts';
import { Secret } from '../lib/secret.ts';
import { WireError } from '../lib/wire-error.ts';
import { firstPace, nextPace, type PollAnswer, waitMs } from './device-poll.ts';
import type { Asked } from './grant.ts';
import type { Issuer } from './issuer.ts';
import { defined } from './login-codec.ts';
import type { DeviceCode, LoginEvents } from './login-events.ts';
import {
  type Answer,
  callProvider,
  MalformedReplyError,
  missing,
  type Provider,
} from './provider-call.ts';
import { presentable, Refusal } from './refusal.ts';

export type Tokens = oidc.TokenEndpointResponse & oidc.TokenEndpointResponseHelpers;

const DEVICE_GRANT = 'urn:ietf:params:oauth:grant-type:device_code';

/** A person who comes late gets one more code, not codes for ever. */
const RESTARTS = 1;

/** A code that ran out while a laptop slept: its network is back within this, or the person is. */
const RESTART_PATIENCE_MS = 60_000;
const RESTART_RETRY_MS = 5000;

/** Nobody waits longer for a person; some providers mean "no end" by a number no calendar has. */
const MAX_CODE_LIFE_S = 86_400;

/** More than a person could copy, or a QR code hold (ISO/IEC 18004: 2953 bytes). */
const MAX_ADDRESS_CHARS = 2000;

/** A code that was requested, as only this file knows it. */
interface Pending {
  readonly shown: DeviceCode;
  readonly deviceCode: Secret;
  readonly deadline: Deadline;
  readonly intervalS: number | undefined;
}

/**
 * Requests a code, shows it and waits until the person has approved.
 *
 * @throws WireError `login-denied`, `login-expired`, `identity-refused`, `unsupported`;
 *   `unreachable` and `unavailable` when no code can be had.
 */
export async function deviceLogin(
  provider: Provider,
  asked: Asked,
  events: LoginEvents,
  signal: AbortSignal,
): Promise<Answer<Tokens>> {
  for (let restarts = 0; ; restarts += 1) {
    const pending =
      restarts === 0
        ? await requestCode(provider, asked, signal)
        : await requestAnother(provider, asked, events, signal);
    if (restarts > 0) events.restarted?.();
    events.code(pending.shown);
    const answer = await awaitApproval(provider, asked, pending, events, signal);
    if (answer !== 'expired') return answer;
    if (restarts === RESTARTS) throw expired(provider);
  }
}

/** @throws WireError `unsupported` when the provider gives no codes. */
export function deviceEndpoint(issuer: Issuer): string {
  const { device_authorization_endpoint: device, authorization_endpoint: page } = issuer.metadata;
  if (device !== undefined) return device;
  const tried = `get a login code from ${issuer.url}`;
  const lacking = missing(tried, issuer, 'device_authorization_endpoint');
  if (page === undefined) throw lacking;
  const next = 'log in with a browser on this machine: add --flow browser';
  throw new WireError(lacking.kind, { ...lacking.facts, next });
}

async function requestCode(
  provider: Provider,
  asked: Asked,
  signal: AbortSignal,
): Promise<Pending> {
  const { issuer, clock } = provider;
  const tried = `get a login code from ${issuer.url}`;
  const parameters = { scope: asked.scopes.join(' '), ...defined({ audience: asked.audience }) };
  const { value, sentAtMs } = await callProvider(
    tried,
    provider,
    [],
    async (configuration) => await oidc.initiateDeviceAuthorization(configuration, parameters),
    signal,
  ).catch((error: unknown) => {
    throw isUnknownClient(error) ? unknownClient(tried, error) : error;
  });
  const lifeMs = Math.min(value.expires_in, MAX_CODE_LIFE_S) * 1000;
  return {
    deviceCode: new Secret(value.device_code),
    deadline: new Deadline(clock, lifeMs),
    intervalS: value.interval,
    shown: {
      // As it came: INDIGO IAM's codes may hold `-` and `_`.
      userCode: presentable(value.user_code, []),
      verificationUri: webAddress(tried, value.verification_uri),
      expiresAtMs: sentAtMs + lifeMs,
      ...(value.verification_uri_complete === undefined
        ? {}
        : { verificationUriComplete: webAddress(tried, value.verification_uri_complete) }),
    },
  };
}

/** Nobody watches a second beginning: it outlasts a network that is just coming back. */
async function requestAnother(
  provider: Provider,
  asked: Asked,
  events: LoginEvents,
  signal: AbortSignal,
): Promise<Pending> {
  const patience = new Deadline(provider.clock, RESTART_PATIENCE_MS);
  for (;;) {
    try {
      return await requestCode(provider, asked, signal);
    } catch (error) {
      signal.throwIfAborted();
      const passing = error instanceof WireError && meaningOf(error) === 'trouble';
      if (!passing || patience.leftMs() <= RESTART_RETRY_MS) throw error;
      events.trouble?.(error);
    }
    await provider.clock.sleep(RESTART_RETRY_MS, signal);
  }
}

/** A person opens it, perhaps by a click: nothing but a web page. */
function webAddress(tried: string, text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isPage = url?.protocol === 'https:' || url?.protocol === 'http:';
  if (isPage && url.href.length <= MAX_ADDRESS_CHARS) return url.href;
  throw new MalformedReplyError(
    tried,
    'its verification_uri is no web address that could be shown',
    false,
  );
}

async function awaitApproval(
  provider: Provider,
  asked: Asked,
  pending: Pending,
  events: LoginEvents,
  signal: AbortSignal,
): Promise<Answer<Tokens> | 'expired'> {
  const { deadline } = pending;
  let pace = firstPace(pending.intervalS);
  for (;;) {
    await provider.clock.sleep(Math.min(waitMs(pace), Math.max(deadline.leftMs(), 0)), signal);
    if (deadline.leftMs() <= 0) return 'expired';
    const answer = await poll(provider, asked, pending.deviceCode, events, signal);
    if (answer === 'expired' || typeof answer === 'object') return answer;
    pace = nextPace(pace, answer);
    events.pending?.(Math.max(deadline.leftMs(), 0));
  }
}

async function poll(
  provider: Provider,
  asked: Asked,
  deviceCode: Secret,
  events: LoginEvents,
  signal: AbortSignal,
): Promise<Answer<Tokens> | PollAnswer | 'expired'> {
  const tried = `log in at ${provider.issuer.url}`;
  // INDIGO IAM heeds the audience here, not where the code is requested.
  const audience = defined({ audience: asked.audience });
  const parameters = { device_code: deviceCode.reveal(), ...audience };
  try {
    return await callProvider(
      tried,
      provider,
      [deviceCode],
      async (configuration) =>
        await oidc.genericGrantRequest(configuration, DEVICE_GRANT, parameters),
      signal,
    );
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof WireError)) throw error;
    const meaning = meaningOf(error);
    if (meaning === 'denied') throw denied(provider, error);
    if (meaning === 'final') throw error;
    if (meaning === 'trouble') events.trouble?.(error);
    return meaning;
  }
}

/** RFC 8628 §3.5, and what INDIGO IAM makes of it. */
function meaningOf(error: WireError): PollAnswer | 'expired' | 'denied' | 'final' {
  if (error.kind === 'unreachable' || error.kind === 'unavailable') return 'trouble';
  if (error instanceof MalformedReplyError) return error.foreign ? 'trouble' : 'final';
  if (!(error instanceof Refusal)) return 'final';
  switch (error.code) {
    case 'authorization_pending':
      return 'pending';
    case 'slow_down':
      return 'slow-down';
    case 'access_denied':
      return 'denied';
    case 'expired_token':
    // INDIGO IAM's answer to every poll of an expired code but the first.
    case 'invalid_grant':
      return 'expired';
    case undefined:
    default:
      return 'final';
  }
}

function denied(provider: Provider, error: WireError): WireError {
  return new WireError('login-denied', {
    tried: error.facts.tried,
    answered: 'the request was denied on the web page',
    next: `if that was a mistake, run: wire login ${provider.issuer.url}`,
  });
}

function expired(provider: Provider): WireError {
  return new WireError('login-expired', {
    tried: `log in at ${provider.issuer.url}`,
    answered: 'nobody approved the code before it expired',
    next: `run: wire login ${provider.issuer.url} (INDIGO IAM does not tell when Deny was pressed)`,
  });
}

/** RFC 6749 section 5.2 has 401; INDIGO IAM answers a bare 404. */
function isUnknownClient(error: unknown): error is Refusal {
  return error instanceof Refusal && (error.status === 401 || error.status === 404);
}

function unknownClient(tried: string, refusal: Refusal): Refusal {
  const { status, code, description } = refusal;
  const next = 'the client is unknown there: check --client-id and its secret, or leave both out';
  return new Refusal(tried, status, { code, description }, next);
}
