/** What a write says of the object it makes: conditions, type, metadata, and how it is to be kept. */
import type { ContentHeaders, Precondition, WriteOptions } from '../store/object-store.ts';
import { contentTypeOf } from './content-types.ts';
import type { Header } from './request-signature.ts';
import { bareEtag } from './s3-encoding.ts';

/** How objects are kept; sent with everything that makes one. Absent: as the bucket has it. */
export interface KeepOptions {
  /** `s3`: with keys of the store (SSE-S3); `kms`: with a key of its key service (SSE-KMS). */
  readonly encryption?: 's3' | 'kms';
  /** Of the key service; absent: its default for the bucket. */
  readonly kmsKey?: string;
  /** As the store names it: `STANDARD_IA`, `COLD`. */
  readonly storageClass?: string;
  /** A canned ACL: `bucket-owner-full-control`. */
  readonly acl?: string;
}

/** As HTTP and S3 name them. */
export const contentHeaderNames: Readonly<Record<keyof ContentHeaders, string>> = {
  contentEncoding: 'content-encoding',
  contentLanguage: 'content-language',
  contentDisposition: 'content-disposition',
  cacheControl: 'cache-control',
  expires: 'expires',
  storageClass: 'x-amz-storage-class',
};

/** What a copy in place of another is to have as that had it; its class outweighs the mount's. */
export function contentHeaders(headers: ContentHeaders = {}): readonly Header[] {
  return Object.entries(headers).flatMap(([name, value]: [string, unknown]): readonly Header[] =>
    typeof value === 'string' ? [[contentHeaderNames[name as keyof ContentHeaders], value]] : [],
  );
}

/** Of PutObject and CreateMultipartUpload, and of a copy that does not take over the source's. */
export function objectHeaders(
  key: string,
  { contentType, metadata = {} }: WriteOptions,
): readonly Header[] {
  return [
    ['content-type', contentType ?? contentTypeOf(key)],
    ...Object.entries(metadata).map(([name, value]): Header => [`x-amz-meta-${name}`, value]),
  ];
}

export function keepHeaders({
  encryption,
  kmsKey,
  storageClass,
  acl,
}: KeepOptions): readonly Header[] {
  const all: readonly (readonly [string, string | undefined])[] = [
    ['x-amz-acl', acl],
    ['x-amz-server-side-encryption', encryption && algorithmOf[encryption]],
    ['x-amz-server-side-encryption-aws-kms-key-id', encryption === 'kms' ? kmsKey : undefined],
    ['x-amz-storage-class', storageClass],
  ];
  return all.flatMap(([name, value]): readonly Header[] =>
    value === undefined ? [] : [[name, value]],
  );
}

const algorithmOf = { s3: 'AES256', kms: 'aws:kms' } as const;

/**
 * The ETag goes without its quotes: Ceph RGW 16 compares If-Match of a PUT to the letter with an
 * ETag that has none, and would refuse every rewrite; MinIO and AWS take both.
 */
export function conditionHeaders(precondition: Precondition | undefined): readonly Header[] {
  if (precondition === undefined) return [];
  if (precondition.must === 'be-absent') return [['if-none-match', '*']];
  return [['if-match', bareEtag(precondition.etag)]];
}
