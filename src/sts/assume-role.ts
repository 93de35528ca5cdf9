/**
 * AssumeRoleWithWebIdentity: an access token for temporary credentials, at AWS, MinIO and Ceph RGW.
 * The token travels in the body of an unsigned POST, never in a URL that proxies write down.
 * https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html
 */

import { decodeJwt } from '../auth/jwt.ts';
import { presentable } from '../auth/refusal.ts';
import { type Clock, systemClock } from '../lib/clock.ts';
import type { Secret } from '../lib/secret.ts';
import { WireError } from '../lib/wire-error.ts';
import { exchange, type HttpOptions, type HttpReply } from '../net/http.ts';
import type { Credentials } from './credential-source.ts';
import { tokenConcerns } from './preflight.ts';
import { parseCredentials, parseStsError } from './sts-reply.ts';

export interface AssumeRoleRequest {
  /** The STS; for MinIO and Ceph RGW the S3 endpoint itself. */
  readonly endpoint: string;
  readonly token: Secret;
  /** Required by AWS and Ceph RGW; MinIO needs one only with a role policy. */
  readonly roleArn?: string;
  /** Shows up in the server's logs; characters that may not be in it are replaced. */
  readonly sessionName: string;
  /** Absent: the server's default; at MinIO the life of the token. */
  readonly durationSeconds?: number;
  /** A session policy (JSON, at most 2,048 characters) that narrows the role. */
  readonly policy?: string;
}

export interface StsOptions extends HttpOptions {
  /** Default: the system's. */
  readonly clock?: Clock;
}

/** Credentials and how long they live from now: the two clocks need not agree. */
export interface Lease {
  readonly credentials: Credentials;
  readonly lifeMs: number;
}

/** A server without any clock leeway (MinIO) takes a token only from the second after its making. */
const TOO_YOUNG_MS = 2000;
const TOO_YOUNG_WAIT_MS = 1500;

/** Clocks closer than this count as equal: `Date` has whole seconds. */
const CLOCK_RESOLUTION_MS = 2000;

/** Codes that ask to try again although the status says 4xx. */
const passing = new Set(['IDPCommunicationError', 'Throttling', 'ThrottlingException', 'SlowDown']);

/**
 * Trades `request.token` for credentials.
 *
 * @throws WireError `identity-refused`, `unavailable` or `unreachable`.
 */
export async function assumeRoleWithWebIdentity(
  request: AssumeRoleRequest,
  http: StsOptions,
  signal: AbortSignal,
): Promise<Credentials> {
  return (await requestLease(request, http, signal)).credentials;
}

/** As `assumeRoleWithWebIdentity`, with the lease's life by our clock. */
export async function requestLease(
  request: AssumeRoleRequest,
  http: StsOptions,
  signal: AbortSignal,
): Promise<Lease> {
  const clock = http.clock ?? systemClock;
  let reply = await send(request, http, signal);
  if (isTooYoung(request.token, reply, clock.now())) {
    await clock.sleep(TOO_YOUNG_WAIT_MS, signal);
    reply = await send(request, http, signal);
  }
  const credentials = reply.status === 200 ? parseCredentials(reply.text) : undefined;
  if (credentials === undefined) throw refusal(request, reply, clock.now());
  return { credentials, lifeMs: lifeOf(credentials, reply, clock.now()) };
}

async function send(
  request: AssumeRoleRequest,
  http: HttpOptions,
  signal: AbortSignal,
): Promise<HttpReply> {
  const headers = {
    'content-type': 'application/x-www-form-urlencoded',
    // AWS answers in JSON to those who say they take it.
    accept: 'application/xml, text/xml',
  };
  const { endpoint: url } = request;
  return await exchange(
    triedOf(request),
    { method: 'POST', url, headers, body: formOf(request) },
    http,
    signal,
  );
}

function formOf(request: AssumeRoleRequest): string {
  const fields: readonly (readonly [string, string | undefined])[] = [
    ['Action', 'AssumeRoleWithWebIdentity'],
    ['Version', '2011-06-15'],
    ['RoleArn', request.roleArn],
    ['RoleSessionName', sessionNameOf(request.sessionName)],
    ['DurationSeconds', request.durationSeconds?.toString()],
    ['Policy', request.policy],
    ['WebIdentityToken', request.token.reveal()],
  ];
  return (
    fields
      .filter((field): field is readonly [string, string] => field[1] !== undefined)
      // A space as %20: Ceph RGW splits the body by hand and may leave a `+` as it is.
      .map(([name, value]) => `${name}=${encodeURIComponent(value)}`)
      .join('&')
  );
}

/** 2 to 64 of these characters, by the API's reference. */
function sessionNameOf(name: string): string {
  return name
    .replace(/[^\w+=,.@-]/g, '-')
    .padEnd(2, '-')
    .slice(0, 64);
}

/** By the token's own times and the server's clock; the servers say it only in words. */
function isTooYoung(token: Secret, reply: HttpReply, nowMs: number): boolean {
  if (reply.status !== 400) return false;
  const claims = decodeJwt(token);
  const startMs = Math.max(claims?.issuedAtMs ?? 0, claims?.notBeforeMs ?? 0);
  const ageMs = (reply.serverTimeMs ?? nowMs) - startMs;
  return Math.abs(ageMs) <= TOO_YOUNG_MS;
}

function lifeOf({ expiresAtMs }: Credentials, reply: HttpReply, nowMs: number): number {
  const { serverTimeMs = nowMs } = reply;
  if (Math.abs(serverTimeMs - nowMs) < CLOCK_RESOLUTION_MS) return expiresAtMs - nowMs;
  // `Date` is cut to the second: the server may be almost one later.
  return expiresAtMs - serverTimeMs - 1000;
}

function refusal(request: AssumeRoleRequest, reply: HttpReply, nowMs: number): WireError {
  const { code, message } = parseStsError(reply.text);
  const words = presentable(message, [request.token]);
  const said = [`${reply.status}`, code && presentable(code, []), words && `(${words})`];
  const answered = said.filter(Boolean).join(' ');
  const tried = triedOf(request);
  const { status } = reply;
  if (status >= 500 || status === 429 || (code !== undefined && passing.has(code))) {
    return new WireError('unavailable', { tried, answered, next: 'try again in a while' });
  }
  if (code === undefined) {
    const next = 'check --endpoint: that does not look like an STS';
    return new WireError(status === 200 ? 'unavailable' : 'identity-refused', {
      tried,
      answered,
      next,
    });
  }
  const nowThere = reply.serverTimeMs ?? nowMs;
  const [concern] = tokenConcerns(request.token, { nowMs: nowThere });
  if (concern !== undefined) {
    const facts = { tried, answered: `${answered}: ${concern.text}`, next: concern.next };
    return new WireError('identity-refused', facts);
  }
  return new WireError('identity-refused', { tried, answered, next: nextOf(code, request) });
}

function nextOf(code: string, request: AssumeRoleRequest): string {
  if (code === 'MalformedPolicyDocument' || code === 'PackedPolicyTooLarge') {
    return 'shorten the prefix or mount the whole bucket';
  }
  if (request.roleArn === undefined) {
    return 'check --audience, or name a role with --role if the server has roles';
  }
  return `check --audience and --role, and that ${request.roleArn} trusts the provider`;
}

function triedOf({ endpoint, roleArn }: AssumeRoleRequest): string {
  const host = URL.canParse(endpoint) ? new URL(endpoint).host : endpoint;
  const role = roleArn === undefined ? '' : ` for ${roleArn}`;
  return `get temporary credentials${role} from ${host}`;
}
