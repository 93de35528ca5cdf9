/**
 * Who sent a request: AWS Signature Version 4 in the Authorization header or in the query, with
 * the session token of temporary credentials. What a fault is answered with is the dialect's.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { hashRequest, type SignedParts } from './canonical-request.ts';
import type { ChunkSeal } from './chunked-body.ts';
import { S3Error } from './errors.ts';
import type { Principal, PrincipalBook } from './principal.ts';
import type { IdentityAnswers } from './quirks.ts';

/** What the signature says about the body. */
export type Payload =
  | { readonly kind: 'unsigned' }
  | { readonly kind: 'sha256'; readonly hex: string }
  | { readonly kind: 'chunked'; readonly seal?: ChunkSeal };

export interface Identity {
  readonly principal: Principal;
  readonly payload: Payload;
}

/** S3 refuses requests further off than this. */
const MAX_SKEW_MS = 15 * 60 * 1000;
/** Longest life of a presigned URL: seven days. */
const MAX_PRESIGNED_SECONDS = 7 * 24 * 3600;
/** Keys live a day; more than this many are not in use at once. */
const MAX_SIGNING_KEYS = 1024;

const algorithm = 'AWS4-HMAC-SHA256';
const emptySha256 = createHash('sha256').digest('hex');

/** The claims of a signature, from header or query. */
interface Claim {
  readonly accessKeyId: string;
  /** `date/region/service/aws4_request`. */
  readonly scope: string;
  readonly signedHeaders: readonly string[];
  readonly signature: string;
  /** `YYYYMMDDTHHMMSSZ`. */
  readonly date: string;
  readonly token?: string;
  readonly payload: string;
  /** Presigned only. */
  readonly expiresSeconds?: number;
}

export class SignatureVerifier {
  readonly #book: PrincipalBook;
  readonly #answers: IdentityAnswers;
  readonly #isExpired: (principal: Principal) => boolean;
  readonly #signingKeys = new Map<string, Buffer>();

  constructor(
    book: PrincipalBook,
    answers: IdentityAnswers,
    isExpired: (principal: Principal) => boolean,
  ) {
    this.#book = book;
    this.#answers = answers;
    this.#isExpired = isExpired;
  }

  /** @throws S3Error when the request is not signed as it should be */
  verify(parts: SignedParts, nowMs: number): Identity {
    const claim = readClaim(parts);
    const principal = this.#book.find(claim.accessKeyId);
    if (principal === undefined) throw new S3Error(this.#answers.unknownKey);
    if (this.#isExpired(principal)) throw new S3Error(this.#answers.expired);
    this.#checkToken(principal, claim.token);
    checkTime(claim, nowMs);
    const key = this.#signingKey(principal, claim.scope);
    const hash = hashRequest(parts, claim.signedHeaders, claim.payload);
    const text = `${algorithm}\n${claim.date}\n${claim.scope}\n${hash}`;
    const wrongSecret =
      principal.sessionToken === undefined
        ? this.#answers.wrongSecret
        : this.#answers.wrongTemporarySecret;
    if (!sameText(hmac(key, text).toString('hex'), claim.signature)) throw new S3Error(wrongSecret);
    return { principal, payload: readPayload(claim, key) };
  }

  #checkToken(principal: Principal, token: string | undefined): void {
    const { sessionToken } = principal;
    if (sessionToken === undefined) {
      if (token !== undefined) throw new S3Error(this.#answers.strayToken);
      return;
    }
    if (token === undefined) throw new S3Error(this.#answers.missingToken);
    if (!sameText(token, sessionToken)) throw new S3Error(this.#answers.tamperedToken);
  }

  #signingKey(principal: Principal, scope: string): Buffer {
    const name = `${principal.secretAccessKey}/${scope}`;
    const known = this.#signingKeys.get(name);
    if (known !== undefined) return known;
    let key: Buffer = Buffer.from(`AWS4${principal.secretAccessKey}`);
    for (const part of scope.split('/')) key = hmac(key, part);
    if (this.#signingKeys.size >= MAX_SIGNING_KEYS) this.#signingKeys.clear();
    this.#signingKeys.set(name, key);
    return key;
  }
}

function readClaim(parts: SignedParts): Claim {
  const authorization = parts.header('authorization')?.[0];
  if (authorization !== undefined) return readHeaderClaim(parts, authorization);
  const query = new Map(parts.query);
  if (!query.has('X-Amz-Signature')) throw new S3Error('AccessDenied');
  return readQueryClaim(parts, query);
}

function readHeaderClaim(parts: SignedParts, authorization: string): Claim {
  const match =
    /^AWS4-HMAC-SHA256 +Credential=([^,]+), *SignedHeaders=([^,]+), *Signature=([0-9a-f]{64})$/.exec(
      authorization,
    );
  const date = parts.header('x-amz-date')?.[0] ?? '';
  if (match?.[1] === undefined || match[2] === undefined || match[3] === undefined) {
    throw new S3Error('AuthorizationHeaderMalformed');
  }
  const credential = readCredential(match[1], date, 'AuthorizationHeaderMalformed');
  const signedHeaders = match[2].split(';');
  if (!signedHeaders.includes('host')) throw new S3Error('SignatureDoesNotMatch');
  const token = parts.header('x-amz-security-token')?.[0];
  return {
    ...credential,
    date,
    signedHeaders,
    signature: match[3],
    payload: parts.header('x-amz-content-sha256')?.[0] ?? emptySha256,
    ...(token !== undefined && { token }),
  };
}

function readQueryClaim(parts: SignedParts, query: ReadonlyMap<string, string>): Claim {
  const code = 'AuthorizationQueryParametersError';
  const date = query.get('X-Amz-Date') ?? '';
  const expiresSeconds = Number(query.get('X-Amz-Expires') ?? Number.NaN);
  const fits = expiresSeconds >= 0 && expiresSeconds <= MAX_PRESIGNED_SECONDS;
  if (query.get('X-Amz-Algorithm') !== algorithm || !fits) throw new S3Error(code);
  const token = query.get('X-Amz-Security-Token');
  return {
    ...readCredential(query.get('X-Amz-Credential') ?? '', date, code),
    date,
    expiresSeconds,
    signedHeaders: (query.get('X-Amz-SignedHeaders') ?? '').split(';'),
    signature: query.get('X-Amz-Signature') ?? '',
    payload:
      parts.header('x-amz-content-sha256')?.[0] ??
      query.get('X-Amz-Content-Sha256') ??
      'UNSIGNED-PAYLOAD',
    ...(token !== undefined && { token }),
  };
}

function readCredential(
  credential: string,
  date: string,
  code: 'AuthorizationHeaderMalformed' | 'AuthorizationQueryParametersError',
): { accessKeyId: string; scope: string } {
  const [accessKeyId = '', day, region, service, end, ...more] = credential.split('/');
  const whole = region !== undefined && service === 's3' && end === 'aws4_request';
  if (!whole || more.length > 0 || day !== date.slice(0, 8)) throw new S3Error(code);
  return { accessKeyId, scope: `${day}/${region}/${service}/${end}` };
}

function checkTime(claim: Claim, nowMs: number): void {
  const signedMs = parseAmzDate(claim.date);
  if (signedMs === undefined)
    throw new S3Error('AccessDenied', 'The date is missing or malformed.');
  if (signedMs - nowMs > MAX_SKEW_MS) throw new S3Error('RequestTimeTooSkewed');
  if (claim.expiresSeconds === undefined) {
    if (nowMs - signedMs > MAX_SKEW_MS) throw new S3Error('RequestTimeTooSkewed');
  } else if (nowMs > signedMs + claim.expiresSeconds * 1000) {
    throw new S3Error('AccessDenied', 'Request has expired');
  }
}

/** Ms since the epoch of `20261122T010203Z`. */
function parseAmzDate(text: string): number | undefined {
  const match = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(text);
  if (match === null) return undefined;
  const [, year, month, day, hour, minute, second] = match.map(Number);
  return Date.UTC(year ?? 0, (month ?? 0) - 1, day, hour, minute, second);
}

function readPayload(claim: Claim, key: Buffer): Payload {
  const { payload } = claim;
  switch (payload) {
    case 'UNSIGNED-PAYLOAD':
      return { kind: 'unsigned' };
    case 'STREAMING-UNSIGNED-PAYLOAD-TRAILER':
      return { kind: 'chunked' };
    case 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD':
    case 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER':
      return { kind: 'chunked', seal: sealAfter(claim, key) };
    default:
      if (!/^[0-9a-f]{64}$/.test(payload)) {
        throw new S3Error('InvalidArgument', 'x-amz-content-sha256 is not valid.');
      }
      return { kind: 'sha256', hex: payload };
  }
}

/** Each signature covers the one before; the first covers the request's. */
function sealAfter(claim: Claim, key: Buffer): ChunkSeal {
  let previous = claim.signature;
  const check = (kind: string, hashes: string, signature: string): void => {
    const text = `${algorithm}-${kind}\n${claim.date}\n${claim.scope}\n${previous}\n${hashes}`;
    const expected = hmac(key, text).toString('hex');
    if (!sameText(expected, signature)) throw new S3Error('SignatureDoesNotMatch');
    previous = expected;
  };
  return {
    checkChunk: (sha256Hex, signature) =>
      check('PAYLOAD', `${emptySha256}\n${sha256Hex}`, signature),
    checkTrailer: (sha256Hex, signature) => check('TRAILER', sha256Hex, signature),
  };
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

/** Takes the same time wherever the texts differ. */
function sameText(a: string, b: string): boolean {
  const left = createHash('sha256').update(a).digest();
  const right = createHash('sha256').update(b).digest();
  return timingSafeEqual(left, right);
}
