/**
 * AssumeRoleWithWebIdentity: an access token for temporary credentials, at AWS, MinIO and Ceph RGW.
 * The token travels in the body of an unsigned POST, never in a URL that proxies write down.
 * https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html
 */

import { decodeJwt } from '../auth/jwt.ts';
import { presentable } from '../auth/refusal.ts';
import { type Clock, systemClock } from '../lib/clock.ts';
import { redactKnown, type Secret } from '../lib/secret.ts';
import { WireError, type WireErrorFacts } from '../lib/wire-error.ts';
import { exchange, type HttpOptions, type HttpReply } from '../net/http.ts';
import type { Credentials } from './credential-source.ts';
import { providerConcerns, type TokenConcern, tokenConcerns } from './preflight.ts';
import { PolicyRefused } from './session-policy.ts';
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
  /** What was asked of the provider for this STS: explains a refusal, and is not sent. */
  readonly audience?: string;
  /** Whose token it is: looked at to explain a refusal, and not sent. */
  readonly issuer?: string;
}

export interface StsOptions extends HttpOptions {
  /** Default: the system's. */
  readonly clock?: Clock;
}

/** Credentials and how long they live from now: the two clocks need not agree. */
export interface Lease {
  readonly credentials: Credentials;
  readonly lifeMs: number;
  /** What a stricter server would have refused the token for. */
  readonly concerns: readonly TokenConcern[];
}

/** A server without any clock leeway (MinIO) takes a token only from the second after its making. */
const TOO_YOUNG_MS = 2000;
/** At least so long, and until the token is good by the server's clock, which tells whole seconds. */
const TOO_YOUNG_WAIT_MS = 1500;
const CLOCK_MARGIN_MS = 250;

/** A refusal of the token, or of the role for it, with the code that the STS gave. */
export class TokenRefused extends WireError {
  override readonly name = 'TokenRefused';
  readonly code: string;
  /** Its facts say more than the STS did: what the token or its provider gave away. */
  readonly explained: boolean;

  constructor(code: string, explained: boolean, facts: WireErrorFacts) {
    super('identity-refused', facts);
    this.code = code;
    this.explained = explained;
  }
}

/** Clocks closer than this count as equal: `Date` has whole seconds. */
const CLOCK_RESOLUTION_MS = 2000;

/** Codes that ask to try again although the status says 4xx. */
const passing = new Set(['IDPCommunicationError', 'Throttling', 'ThrottlingException', 'SlowDown']);

/** Codes that speak of the session policy, not of the token. */
const policyCodes = new Set(['MalformedPolicyDocument', 'PackedPolicyTooLarge']);

/**
 * Trades `request.token` for credentials.
 *
 * @throws PolicyRefused when the session policy is not taken; WireError `identity-refused`, `unavailable` or `unreachable`.
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
  const waitMs = waitForAge(request.token, reply, clock.now());
  if (waitMs !== undefined) {
    await clock.sleep(waitMs, signal);
    reply = await send(request, http, signal);
  }
  const credentials = reply.status === 200 ? parseCredentials(reply.text) : undefined;
  const there = reply.serverTimeMs ?? clock.now();
  const concerns = tokenConcerns(request.token, { ...request, nowMs: there });
  if (credentials === undefined) {
    const said = readRefusal(request, reply);
    if (said.kind !== 'token') throw said.error;
    throw explained(request, said, concerns[0] ?? (await providerConcern(request, http, signal)));
  }
  return {
    credentials,
    lifeMs: lifeOf(credentials, reply, clock.now()),
    // Of clocks this server thinks otherwise.
    concerns: concerns.filter(({ kind }) => kind !== 'expired' && kind !== 'not-yet-valid'),
  };
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

/**
 * How long until a token that was refused for its age is old enough; undefined for any other
 * refusal. By the token's own times and the server's clock; the servers say it only in words, and
 * Ceph RGW (403) not at all.
 */
function waitForAge(token: Secret, reply: HttpReply, nowMs: number): number | undefined {
  const { status, serverTimeMs = nowMs } = reply;
  if (status !== 400 && status !== 403) return undefined;
  if (policyCodes.has(parseStsError(reply.text).code ?? '')) return undefined;
  const claims = decodeJwt(token);
  const startMs = Math.max(claims?.issuedAtMs ?? 0, claims?.notBeforeMs ?? 0);
  // A 403 has many reasons: only a token of this second, or of the next, may be refused for its age.
  const oldestMs = status === 403 ? 0 : TOO_YOUNG_MS;
  const ageMs = serverTimeMs - startMs;
  if (ageMs > oldestMs || ageMs < -TOO_YOUNG_MS) return undefined;
  return Math.max(TOO_YOUNG_WAIT_MS, CLOCK_MARGIN_MS - ageMs);
}

function lifeOf({ expiresAtMs }: Credentials, reply: HttpReply, nowMs: number): number {
  const { serverTimeMs = nowMs } = reply;
  if (Math.abs(serverTimeMs - nowMs) < CLOCK_RESOLUTION_MS) return expiresAtMs - nowMs;
  // `Date` is cut to the second: the server may be almost one later.
  return expiresAtMs - serverTimeMs - 1000;
}

/** A reply without credentials: about the token, where more can be told, or about something else. */
type RefusalReading =
  | {
      readonly kind: 'token';
      readonly code: string;
      readonly tried: string;
      readonly answered: string;
    }
  | { readonly kind: 'other'; readonly error: WireError };

function readRefusal(request: AssumeRoleRequest, reply: HttpReply): RefusalReading {
  // Before anything is cut: half a secret would not be known again.
  const { code, message } = parseStsError(redactKnown(reply.text));
  const words = presentable(message, [request.token]);
  const said = [`${reply.status}`, code && presentable(code, []), words && `(${words})`];
  const answered = said.filter(Boolean).join(' ');
  const tried = triedOf(request);
  const other = (error: WireError): RefusalReading => ({ kind: 'other', error });
  const { status } = reply;
  if (status >= 500 || status === 429 || (code !== undefined && passing.has(code))) {
    return other(new WireError('unavailable', { tried, answered, next: 'try again in a while' }));
  }
  if (code === undefined) {
    const next = 'check --endpoint: that does not look like an STS';
    const kind = status === 200 ? 'unavailable' : 'identity-refused';
    return other(new WireError(kind, { tried, answered, next }));
  }
  if (request.policy !== undefined && policyCodes.has(code)) {
    const next = 'with --session-policy off wire asks for all rights of the role';
    return other(new PolicyRefused('identity-refused', { tried, answered, next }));
  }
  return { kind: 'token', code, tried, answered };
}

async function providerConcern(
  request: AssumeRoleRequest,
  http: HttpOptions,
  signal: AbortSignal,
): Promise<TokenConcern | undefined> {
  const { token, issuer } = request;
  if (issuer === undefined) return undefined;
  return (await providerConcerns(token, issuer, http, signal))[0];
}

function explained(
  request: AssumeRoleRequest,
  { code, tried, answered }: Extract<RefusalReading, { readonly kind: 'token' }>,
  concern: TokenConcern | undefined,
): TokenRefused {
  const facts =
    concern === undefined
      ? { tried, answered, next: nextOf(request) }
      : { tried, answered: `${answered}: ${concern.text}`, next: concern.next };
  return new TokenRefused(code, concern !== undefined, facts);
}

function nextOf({ token, roleArn, durationSeconds }: AssumeRoleRequest): string {
  const audiences = decodeJwt(token)?.audiences ?? [];
  const audience = `--audience (the token is for ${presentable(audiences.join(', '), [token])})`;
  // 900 is the least at AWS, MinIO and Ceph RGW, which say no more than that something is invalid.
  const duration =
    durationSeconds === undefined ? '' : '--duration (900s or more, as the role allows), ';
  if (roleArn === undefined) {
    return `check ${duration}${audience}, or name a role with --role if the server has roles`;
  }
  return `check ${duration}${audience} and --role, and that ${roleArn} trusts the provider`;
}

function triedOf({ endpoint, roleArn }: AssumeRoleRequest): string {
  const host = URL.canParse(endpoint) ? new URL(endpoint).host : endpoint;
  const role = roleArn === undefined ? '' : ` for ${roleArn}`;
  return `get temporary credentials${role} from ${host}`;
}
