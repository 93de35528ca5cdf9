/** The headers an object keeps, and those that describe it in an answer. */

import type { Call } from './call.ts';
import { type Checksum, checksumHeader } from './checksums.ts';
import { S3Error } from './errors.ts';
import type { StoredObject } from './stored-object.ts';

/** S3's limit for the names and values of user metadata together. */
const MAX_METADATA_BYTES = 2048;

const kept = [
  'content-type',
  'cache-control',
  'content-disposition',
  'content-language',
  'expires',
  'x-amz-storage-class',
  'x-amz-website-redirect-location',
] as const;

const overridable = [
  'content-type',
  'cache-control',
  'content-disposition',
  'content-language',
  'content-encoding',
  'expires',
] as const;

/** What a write's headers say about the object. @throws S3Error MetadataTooLarge */
export function keptHeaders(call: Call): Record<string, string> {
  const headers: Record<string, string> = { 'content-type': 'binary/octet-stream' };
  for (const name of kept) {
    const value = call.header(name);
    if (value !== undefined && value !== '') headers[name] = value;
  }
  const encodings = (call.header('content-encoding') ?? '').split(',').map((each) => each.trim());
  const encoding = encodings.filter((each) => each !== 'aws-chunked' && each !== '').join(',');
  if (encoding !== '') headers['content-encoding'] = encoding;
  let metadataBytes = 0;
  for (const [name, value] of Object.entries(call.headers)) {
    if (!name.startsWith('x-amz-meta-') || value === undefined) continue;
    const text = Array.isArray(value) ? value.join(',') : value;
    headers[name] = text;
    metadataBytes += name.length + text.length;
  }
  if (metadataBytes > MAX_METADATA_BYTES) throw new S3Error('MetadataTooLarge');
  return headers;
}

/** GET and HEAD's headers of `object`, with the query's `response-*` overrides. */
export function describingHeaders(object: StoredObject, call: Call): Record<string, string> {
  const headers: Record<string, string> = {
    ...object.headers,
    etag: `"${object.etag}"`,
    'last-modified': new Date(object.modifiedMs).toUTCString(),
    'accept-ranges': 'bytes',
  };
  if (object.versionId !== undefined) headers['x-amz-version-id'] = object.versionId;
  for (const name of overridable) {
    const value = call.query.get(`response-${name}`);
    if (value !== undefined) headers[name] = value;
  }
  return headers;
}

export function checksumHeaders(checksum: Checksum | undefined): Record<string, string> {
  if (checksum === undefined) return {};
  return {
    [checksumHeader(checksum.name)]: checksum.value,
    'x-amz-checksum-type': checksum.type,
  };
}
