/** What is known of servers: docs/SERVERS.md has a line for each. */
import type { ServerName } from '../../scripts/servers/real-server.ts';

/** Checks of `npm run conformance` that a server fails, and what it does instead. */
export type Differences = Readonly<Record<string, string>>;

const rgw: Differences = {
  'put small: the CRC32 is echoed': 'tells none',
  'put a stream (aws-chunked with trailer): stored without the framing':
    '400 XAmzContentSHA256Mismatch: the newer checksums of streams are unknown',
  'wrong CRC32 is refused': 'stored; a wrong Content-MD5 is refused',
  'completion with If-None-Match:* over an object: 412': 'replaced: the condition is ignored',
  'completion with a wrong If-Match: 412': 'replaced: the condition is ignored',
  'copy with a wrong x-amz-copy-source-if-match: 412': 'copied: the condition is ignored',
  'multipart 5+5+1 MiB in parallel: ETag ends in -3': 'the answer has an empty ETag; HEAD tells it',
  'ListParts, ListMultipartUploads, abort: NoSuchUpload': 'NoSuchKey after an abort',
  'completion of an upload that is gone: NoSuchUpload': '500 InternalError',
  'wrong secret: SignatureDoesNotMatch': 'AccessDenied, with STS switched on',
  'unknown key: InvalidAccessKeyId': 'AccessDenied, with STS switched on',
  'virtual-host style (bucket.localhost)': 'NoSuchBucket: no host name is configured',
};

const minio: Differences = {
  'UploadPartCopy into an upload with checksums': '400 InvalidArgument',
  'keys in UTF-8 byte order': 'the order is right, and `a/b` is in no listing beside an object `a`',
  'virtual-host style (bucket.localhost)': 'NoSuchBucket: no host name is configured',
};

export const conformanceDifferences: Readonly<Record<ServerName, Differences>> = {
  playground: {},
  rgw,
  'minio-claims': minio,
  'minio-role': minio,
  'minio-opa': minio,
  'minio-opa-session': minio,
};

/** The lines of the table in docs/SERVERS.md. */
export function differenceRows(): readonly string[] {
  const names = new Set([...Object.keys(rgw), ...Object.keys(minio)]);
  return [...names].map(
    (name) => `| ${name} | ${rgw[name] ?? 'holds'} | ${minio[name] ?? 'holds'} |`,
  );
}
