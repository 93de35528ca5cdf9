/**
 * What a failed S3 request means: one classification by HTTP status and error code, for the three
 * dialects spoken by AWS, MinIO and Ceph RGW. HEAD has no body, so MinIO's code comes in a header
 * and the others' not at all.
 */
import { type Trouble, troubleIn } from '../net/connection-trouble.ts';
import { BadAnswerError } from '../net/http1/answer-head.ts';
import { StoreError, type StoreErrorKind } from '../store/errors.ts';

/** The facts of a failed request. */
export interface S3Failure {
  /** HTTP status; undefined when there was no answer. */
  readonly status: number | undefined;
  /** S3's code, or Node's (`ECONNRESET`) without an answer. */
  readonly code: string;
  readonly requestId: string | undefined;
  /** The answer's `Retry-After`, as it came. */
  readonly retryAfter?: string | undefined;
  /** Where the bucket is, by the answer. */
  readonly region?: string | undefined;
  /** The request was sent twice: the first time may have been its doing. */
  readonly sentAgain?: boolean;
  /** What kept the server from being asked: a certificate, a proxy. */
  readonly trouble?: Trouble;
}

export interface Verdict {
  readonly kind: StoreErrorKind;
  /** Whether the same request may succeed a moment later. */
  readonly retry: boolean;
}

/** What the verdict depends on besides the answer. */
export interface RequestFacts {
  /** The lease that signed the request had ended by our clock when the answer came. */
  readonly leaseEnded: boolean;
  /** The request was to be done only while nothing is there (If-None-Match). */
  readonly mustBeAbsent: boolean;
  /**
   * The request carried a session token that may be one the server cannot read: nothing speaks
   * against it yet.
   */
  readonly tokenInDoubt: boolean;
}

/** Codes that mean: these temporary credentials are no longer known. */
const expiredCodes = new Set([
  'ExpiredToken', // AWS, 400
  'ExpiredTokenException',
  'TokenRefreshRequired',
  'InvalidAccessKeyId', // MinIO, 403, once the credentials have ended
  'InvalidTokenId', // MinIO, 403, when they were withdrawn
]);

/** Codes of a moment: busy, starting, or a body that was damaged or cut on its way. */
const passingCodes = new Set([
  'SlowDown',
  'SlowDownRead',
  'SlowDownWrite',
  'Throttling',
  'ThrottlingException',
  'RequestLimitExceeded',
  'TooManyRequests',
  'InternalError',
  'ServiceUnavailable',
  'RequestTimeout', // 400 by AWS: the body came too slowly
  'RequestTimeTooSkewed', // our clock is corrected by the answer's Date
  'OperationAborted', // 409: another change of this key is under way
  'BadDigest',
  'IncompleteBody',
  'XAmzContentChecksumMismatch',
  'XAmzContentSHA256Mismatch',
]);

/** Codes that mean: a quota of the bucket's or of its owner's is used up. */
const quotaCodes = new Set([
  'QuotaExceeded', // Ceph RGW, 403
  'XMinioAdminBucketQuotaExceeded', // MinIO, 400
]);
/** MinIO's disks are full: 507, as WebDAV has it (RFC 4918 §11.5). */
const FULL = 'XMinioStorageFull';
const INSUFFICIENT_STORAGE = 507;

/**
 * Codes that mean: the key, or a part of it, is too long. MinIO keeps the parts as file names, one
 * byte longer for directories, and has one code for all it refuses; of the keys of file names,
 * which have no empty parts and no NUL, only those too long.
 */
const nameCodes = new Set(['KeyTooLongError', 'XMinioInvalidObjectName']);

/** Of archived objects: AWS and Ceph RGW, 403. */
const ARCHIVED = 'InvalidObjectState';
/** Ceph RGW, 400, to a session token sealed with a key that it has no more: it was restarted. */
export const UNREADABLE_TOKEN = 'InvalidArgument';
/** Bytes that are no answer, or not the one that was asked for. */
export const SENSELESS = 'NoSensibleAnswer';

const passing: Verdict = { kind: 'unavailable', retry: true };

function final(kind: StoreErrorKind): Verdict {
  return { kind, retry: false };
}

/** What `failure` means for a request of these facts. */
export function classify(failure: S3Failure, facts: RequestFacts): Verdict {
  const { status, code } = failure;
  if (expiredCodes.has(code)) return final('credentials-expired');
  if (passingCodes.has(code)) return passing;
  if (quotaCodes.has(code)) return final('over-quota');
  if (code === FULL || status === INSUFFICIENT_STORAGE) return final('store-full');
  if (nameCodes.has(code)) return final('name-too-long');
  if (code === ARCHIVED) return final('archived');
  if (status === undefined) return classifySilence(failure);
  if (code === UNREADABLE_TOKEN && facts.tokenInDoubt) return final('credentials-expired');
  // To credentials that have ended RGW says AccessDenied, AWS a bare 400 on HEAD: our clock tells.
  if ((status === 400 || status === 403) && facts.leaseEnded) return final('credentials-expired');
  if (status === 401 || status === 403) return final('access-denied');
  if (status === 404) return final('not-found');
  if (status === 409 || status === 412) {
    return final(facts.mustBeAbsent ? 'exists' : 'precondition-failed');
  }
  if (status === 501) return final('unsupported');
  if (status === 408 || status === 429 || status >= 500) return passing;
  // An answer that reads as success, but is none: cut short, or not XML.
  if (status < 300) return passing;
  return final('unsupported');
}

function classifySilence({ code, trouble }: S3Failure): Verdict {
  if (code === SENSELESS || code === 'ETIMEDOUT') return passing;
  return { kind: 'unreachable', retry: trouble?.lasting !== true };
}

/**
 * How long the server asked to wait, by its `Retry-After`: seconds or a date (RFC 9110 §10.2.3).
 * Undefined when it did not, or made no sense.
 */
export function retryAfterMs({ retryAfter }: S3Failure, nowMs: number): number | undefined {
  if (retryAfter === undefined) return undefined;
  const askedMs = /^\d+$/.test(retryAfter)
    ? Number(retryAfter) * 1000
    : Date.parse(retryAfter) - nowMs;
  return askedMs > 0 ? askedMs : undefined;
}

/** A refusal whose facts were read already. */
export class RefusedError extends Error {
  override readonly name = 'RefusedError';
  readonly failure: S3Failure;

  constructor(failure: S3Failure) {
    super(failure.code);
    this.failure = failure;
  }
}

/** What `error` tells: a refusal, bytes that are no answer, or what Node has met. */
export function failureOf(error: unknown): S3Failure {
  if (error instanceof RefusedError) return error.failure;
  if (error instanceof BadAnswerError) {
    return { status: undefined, code: SENSELESS, requestId: undefined };
  }
  if (!(error instanceof Error)) {
    return { status: undefined, code: 'UnknownError', requestId: undefined };
  }
  const trouble = troubleIn(error);
  return {
    status: undefined,
    code: (error as NodeJS.ErrnoException).code ?? 'NoAnswer',
    requestId: undefined,
    ...(trouble === undefined ? {} : { trouble }),
  };
}

const nextOf: Partial<Record<StoreErrorKind, string>> = {
  'access-denied': 'check what this login may do there',
  unreachable: 'check --endpoint and the network',
  archived: 'have it restored first, with the tools of its store',
};

/** `failure` as the rest of wire knows it. `tried` is a clause for people. */
export function toStoreError(
  kind: StoreErrorKind,
  tried: string,
  failure: S3Failure,
  cause: unknown,
): StoreError {
  const { status, code, requestId, trouble } = failure;
  const next = trouble?.next ?? nextOf[kind];
  const detail = {
    code: trouble?.answered ?? (kind === 'archived' ? 'the object is archived' : code),
    ...(status === undefined ? {} : { status }),
    ...(requestId === undefined ? {} : { requestId }),
    ...(next === undefined ? {} : { next }),
  };
  return new StoreError(kind, tried, detail, { cause });
}
