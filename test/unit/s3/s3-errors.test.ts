import { describe, expect, it } from 'vitest';
import { BadAnswerError } from '../../../src/net/http1/answer-head.ts';
import {
  classify,
  failureOf,
  RefusedError,
  retryAfterMs,
  toStoreError,
} from '../../../src/s3/s3-errors.ts';

const usual = { leaseEnded: false, mustBeAbsent: false, tokenInDoubt: false };

function verdict(
  status: number | undefined,
  code: string,
  facts: Partial<typeof usual> = {},
): string {
  const { kind, retry } = classify({ status, code, requestId: undefined }, { ...usual, ...facts });
  return retry ? `${kind}, again` : kind;
}

describe('classify', () => {
  it.each([
    [400, 'ExpiredToken', 'credentials-expired'], // AWS
    [403, 'InvalidAccessKeyId', 'credentials-expired'], // MinIO
    [403, 'InvalidTokenId', 'credentials-expired'],
    [403, 'AccessDenied', 'access-denied'],
    [403, 'HTTP 403', 'access-denied'],
    [401, 'Unauthorized', 'access-denied'],
    [403, 'SignatureDoesNotMatch', 'access-denied'],
    [404, 'NoSuchKey', 'not-found'],
    [404, 'NoSuchBucket', 'not-found'],
    [404, 'NoSuchUpload', 'not-found'],
    [404, 'NotFound', 'not-found'],
    [412, 'PreconditionFailed', 'precondition-failed'],
    [409, 'ConditionalRequestConflict', 'precondition-failed'],
    [409, 'OperationAborted', 'unavailable, again'],
    [403, 'InvalidObjectState', 'archived'], // AWS, Ceph RGW
    [403, 'QuotaExceeded', 'over-quota'], // Ceph RGW
    [400, 'XMinioAdminBucketQuotaExceeded', 'over-quota'],
    [507, 'XMinioStorageFull', 'store-full'],
    [507, 'HTTP 507', 'store-full'],
    [400, 'KeyTooLongError', 'name-too-long'],
    [400, 'XMinioInvalidObjectName', 'name-too-long'], // a directory of 255 bytes
    [400, 'InvalidArgument', 'unsupported'],
    [503, 'SlowDown', 'unavailable, again'],
    [500, 'InternalError', 'unavailable, again'],
    [502, 'HTTP 502', 'unavailable, again'],
    [429, 'TooManyRequests', 'unavailable, again'],
    [408, 'HTTP 408', 'unavailable, again'],
    [400, 'RequestTimeout', 'unavailable, again'],
    [403, 'RequestTimeTooSkewed', 'unavailable, again'],
    [400, 'BadDigest', 'unavailable, again'],
    [200, 'SyntaxError', 'unavailable, again'],
    [501, 'NotImplemented', 'unsupported'],
    [405, 'MethodNotAllowed', 'unsupported'],
    [400, 'EntityTooSmall', 'unsupported'],
    [301, 'PermanentRedirect', 'unsupported'],
    [undefined, 'ECONNREFUSED', 'unreachable, again'],
    [undefined, 'ECONNRESET', 'unreachable, again'],
    [undefined, 'ENOTFOUND', 'unreachable, again'],
    [undefined, 'ETIMEDOUT', 'unavailable, again'],
    [undefined, 'EAI_AGAIN', 'unreachable, again'],
  ])('%s %s means %s', (status, code, meaning) => {
    expect(verdict(status, code)).toBe(meaning);
  });

  it('takes a bare 403 (RGW) or 400 (AWS on HEAD) for expiry only once the lease has ended', () => {
    expect(verdict(403, 'AccessDenied', { leaseEnded: true })).toBe('credentials-expired');
    expect(verdict(400, 'HTTP 400', { leaseEnded: true })).toBe('credentials-expired');
    expect(verdict(400, 'HTTP 400')).toBe('unsupported');
    expect(verdict(404, 'NoSuchKey', { leaseEnded: true })).toBe('not-found');
  });

  it('takes InvalidArgument for an unreadable session token (radosgw) only while that is in doubt', () => {
    expect(verdict(400, 'InvalidArgument', { tokenInDoubt: true })).toBe('credentials-expired');
    expect(verdict(400, 'EntityTooSmall', { tokenInDoubt: true })).toBe('unsupported');
  });

  it('takes a failed condition for existence when the object was to be new', () => {
    expect(verdict(412, 'PreconditionFailed', { mustBeAbsent: true })).toBe('exists');
    expect(verdict(409, 'ConditionalRequestConflict', { mustBeAbsent: true })).toBe('exists');
  });
});

describe('a certificate that is not good', () => {
  it.each(['DEPTH_ZERO_SELF_SIGNED_CERT', 'CERT_HAS_EXPIRED', 'ERR_TLS_CERT_ALTNAME_INVALID'])(
    '(%s) is told in words and not tried again',
    (code) => {
      const failure = failureOf(Object.assign(new Error('tls'), { code }));
      expect(classify(failure, usual)).toEqual({ kind: 'unreachable', retry: false });
      const error = toStoreError('unreachable', 'list s3://data', failure, undefined);
      expect(error.toLine()).toMatch(/^cannot list s3:\/\/data: its certificate [^;]+; \w+ /);
      expect(error.toLine()).not.toContain(code);
    },
  );
});

describe('Retry-After', () => {
  it.each([
    ['2', 2000],
    ['Wed, 21 Oct 2015 07:28:07 GMT', 7000],
    ['Wed, 21 Oct 2015 07:27:00 GMT', undefined],
    ['0', undefined],
    ['soon', undefined],
    [undefined, undefined],
  ])('%s is read as %s ms', (retryAfter, expected) => {
    const failure = { status: 503, code: 'SlowDown', requestId: undefined, retryAfter };
    expect(retryAfterMs(failure, Date.parse('2015-10-21T07:28:00Z'))).toBe(expected);
  });
});

describe('failureOf', () => {
  it('gives what a refusal was read as', () => {
    const failure = { status: 404, code: 'NoSuchKey', requestId: 'r1' };
    expect(failureOf(new RefusedError(failure))).toBe(failure);
  });

  it('takes bytes that are no answer for none', () => {
    expect(failureOf(new BadAnswerError('told'))).toMatchObject({
      status: undefined,
      code: 'NoSensibleAnswer',
    });
  });

  it('reads Node\u2019s code where nothing answered', () => {
    const error = Object.assign(new Error('connect'), { code: 'ECONNREFUSED' });
    expect(failureOf(error)).toMatchObject({ status: undefined, code: 'ECONNREFUSED' });
  });
});
