/**
 * Where object stores differ, as data: one column a dialect. `minio` and `rgw` were measured on
 * MinIO of 2026-02 and Ceph RGW 16.2.15; `aws` follows the S3 API reference.
 */
import type { StoreDialect } from '../dialect.ts';
import type { S3ErrorCode } from './errors.ts';

/** What each fault of a request's identity is answered with. */
export interface IdentityAnswers {
  readonly expired: S3ErrorCode;
  readonly unknownKey: S3ErrorCode;
  /** Permanent keys. */
  readonly wrongSecret: S3ErrorCode;
  readonly wrongTemporarySecret: S3ErrorCode;
  /** Temporary key, token is not the one that was issued. */
  readonly tamperedToken: S3ErrorCode;
  /** Temporary key, no token. */
  readonly missingToken: S3ErrorCode;
  /** Permanent key with some token. */
  readonly strayToken: S3ErrorCode;
}

export interface Quirks {
  readonly serverHeader: string;
  readonly identity: IdentityAnswers;
  /** Errors on HEAD carry `x-minio-error-code` and `-desc`. */
  readonly errorHeaders: boolean;
  /** `<Message>` is filled. */
  readonly errorMessages: boolean;
  /** ListBuckets needs no permission of its own and shows what one may list. */
  readonly filtersBuckets: boolean;
  /** A missing key is 404 only to those who may list the bucket; otherwise 403. */
  readonly missingKeyNeedsList: boolean;
  /** An object `a` hides `a/b` from every listing. */
  readonly objectsHideBelow: boolean;
  /** Keys are paths on a disk: parts over 255 bytes, `.`, `..`, `//` and NUL are refused. */
  readonly keysArePaths: boolean;
  /** A full page always says that there is more. */
  readonly fullPageIsTruncated: boolean;
  /** A space under `encoding-type=url`. */
  readonly urlSpace: '+' | '%20';
  /** LastModified in listings has milliseconds. */
  readonly listsMilliseconds: boolean;
  /** ListObjectsV2 takes `metadata=true`. */
  readonly listsMetadata: boolean;
  /** V1 listings give NextMarker without a delimiter too. */
  readonly alwaysNextMarker: boolean;
  /** Which requests look at If-Match and If-None-Match. */
  readonly conditions: {
    readonly complete: boolean;
    readonly copySource: boolean;
    readonly copyTarget: boolean;
    readonly remove: boolean;
  };
  /** If-Match of a write is compared to the letter with an ETag that has no quotes. */
  readonly writesMatchBareEtags: boolean;
  /** PUT with If-Match on a key that is not there. */
  readonly ifMatchOnMissing: S3ErrorCode;
  /** x-amz-checksum-* are verified, kept and echoed. */
  readonly checksums: boolean;
  readonly wrongChecksum: S3ErrorCode;
  readonly wrongSha256: S3ErrorCode;
  /** CompleteMultipartUpload tells the ETag. */
  readonly completeTellsEtag: boolean;
  /** With an algorithm named at creation, Complete must repeat every part's checksum. */
  readonly completeRepeatsChecksums: boolean;
  /** Complete looks at its conditions before it looks for the upload. */
  readonly completeChecksConditionFirst: boolean;
  /** Complete of an upload that never was. */
  readonly completeUnknownUpload: S3ErrorCode;
  /** UploadPartCopy into an upload that was created with a checksum algorithm is done. */
  readonly copiesIntoChecksums: boolean;
  /** aws-chunked bodies need Content-Length. */
  readonly chunkedNeedsLength: boolean;
  /** ListParts of an aborted upload. */
  readonly goneUpload: S3ErrorCode;
  /** ListMultipartUploads: `prefix` finds only the key that equals it, `delimiter` does nothing. */
  readonly uploadPrefixIsKey: boolean;
  /** `bytes=5-2` is 416; elsewhere an unreadable Range is ignored. */
  readonly refusesBadRange: boolean;
  /** A suffix range of an empty object is 206 with `bytes 0--1/0`. */
  readonly emptySuffixIs206: boolean;
  /** `PUT ?renameObject` is taken for a PutObject: the target becomes empty. */
  readonly renameTruncates: boolean;
  /** `GET ?session` is taken for a listing. */
  readonly sessionLists: boolean;
}

const aws: Quirks = {
  serverHeader: 'AmazonS3',
  identity: {
    expired: 'ExpiredToken',
    unknownKey: 'InvalidAccessKeyId',
    wrongSecret: 'SignatureDoesNotMatch',
    wrongTemporarySecret: 'SignatureDoesNotMatch',
    tamperedToken: 'InvalidToken',
    missingToken: 'InvalidAccessKeyId',
    strayToken: 'InvalidToken',
  },
  errorHeaders: false,
  errorMessages: true,
  filtersBuckets: false,
  missingKeyNeedsList: true,
  objectsHideBelow: false,
  keysArePaths: false,
  fullPageIsTruncated: false,
  urlSpace: '+',
  listsMilliseconds: false,
  listsMetadata: false,
  alwaysNextMarker: false,
  conditions: { complete: true, copySource: true, copyTarget: true, remove: true },
  writesMatchBareEtags: false,
  ifMatchOnMissing: 'NoSuchKey',
  checksums: true,
  wrongChecksum: 'BadDigest',
  wrongSha256: 'XAmzContentSHA256Mismatch',
  completeTellsEtag: true,
  completeRepeatsChecksums: false,
  completeChecksConditionFirst: false,
  completeUnknownUpload: 'NoSuchUpload',
  copiesIntoChecksums: true,
  chunkedNeedsLength: false,
  goneUpload: 'NoSuchUpload',
  uploadPrefixIsKey: false,
  refusesBadRange: false,
  emptySuffixIs206: false,
  renameTruncates: false,
  sessionLists: false,
};

const minio: Quirks = {
  ...aws,
  serverHeader: 'MinIO',
  identity: {
    ...aws.identity,
    expired: 'InvalidAccessKeyId',
    tamperedToken: 'InvalidTokenId',
    missingToken: 'InvalidTokenId',
    strayToken: 'InvalidTokenId',
  },
  errorHeaders: true,
  filtersBuckets: true,
  missingKeyNeedsList: false,
  objectsHideBelow: true,
  keysArePaths: true,
  fullPageIsTruncated: true,
  listsMilliseconds: true,
  listsMetadata: true,
  alwaysNextMarker: true,
  conditions: { complete: true, copySource: true, copyTarget: false, remove: false },
  wrongChecksum: 'XAmzContentChecksumMismatch',
  completeRepeatsChecksums: true,
  completeChecksConditionFirst: true,
  copiesIntoChecksums: false,
  uploadPrefixIsKey: true,
  refusesBadRange: true,
  emptySuffixIs206: true,
  renameTruncates: true,
  sessionLists: true,
};

const rgw: Quirks = {
  ...aws,
  serverHeader: 'Ceph Object Gateway (pacific)',
  identity: {
    expired: 'AccessDenied',
    unknownKey: 'AccessDenied',
    wrongSecret: 'AccessDenied',
    wrongTemporarySecret: 'SignatureDoesNotMatch',
    tamperedToken: 'AccessDenied',
    missingToken: 'AccessDenied',
    strayToken: 'InvalidArgument',
  },
  errorMessages: false,
  urlSpace: '%20',
  listsMilliseconds: true,
  conditions: { complete: false, copySource: false, copyTarget: false, remove: false },
  writesMatchBareEtags: true,
  ifMatchOnMissing: 'PreconditionFailed',
  checksums: false,
  completeTellsEtag: false,
  completeUnknownUpload: 'InternalError',
  chunkedNeedsLength: true,
  goneUpload: 'NoSuchKey',
};

export const quirksOf: Readonly<Record<StoreDialect, Quirks>> = { aws, minio, rgw };
