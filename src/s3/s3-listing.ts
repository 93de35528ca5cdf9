import type { ListObjectsV2CommandOutput } from '@aws-sdk/client-s3';
import type { ListPage, ObjectSummary } from '../store/object-store.ts';
import { decodeListedKey } from './s3-encoding.ts';

/** A page of ListObjectsV2 as the store gives it. */
export function pageOf(output: ListObjectsV2CommandOutput): ListPage {
  const plain = (key: string): string =>
    output.EncodingType === 'url' ? decodeListedKey(key) : key;
  const objects = (output.Contents ?? []).map(
    ({ Key: key = '', ETag: etag = '', Size: bytes = 0, LastModified }): ObjectSummary => ({
      key: plain(key),
      etag,
      bytes,
      modifiedMs: LastModified?.getTime() ?? 0,
    }),
  );
  const prefixes = (output.CommonPrefixes ?? []).map(({ Prefix: prefix = '' }) => plain(prefix));
  const next = output.IsTruncated === true ? output.NextContinuationToken : undefined;
  return next === undefined ? { objects, prefixes } : { objects, prefixes, next };
}
