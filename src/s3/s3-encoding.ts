/** How keys, ranges and sums are written in S3's headers and listings. */
import { hash } from 'node:crypto';
import type { Extent } from '../lib/bytes.ts';
import type { ETag } from '../store/object-store.ts';

/** A key of a listing asked for with `encoding-type=url`: form encoding, so '+' is a space. */
export function decodeListedKey(key: string): string {
  return decodeURIComponent(key.replaceAll('+', '%20'));
}

/** The value of `x-amz-copy-source`: each part of the key percent-encoded. */
export function copySource(bucket: string, key: string): string {
  return `${encodePath(bucket)}/${encodePath(key)}`;
}

/** What stands for itself in a path: most keys need no encoding. */
const plainPath = /^[A-Za-z0-9_.~/-]*$/;

/** Each part of a path percent-encoded, its slashes kept: as the SDK does. */
export function encodePath(path: string): string {
  return plainPath.test(path) ? path : path.split('/').map(encodePart).join('/');
}

/** RFC 3986 unreserved characters stay; encodeURIComponent keeps five more. */
export function encodePart(part: string): string {
  const hex = (character: string): string =>
    `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
  return encodeURIComponent(part).replaceAll(/[!'()*]/g, hex);
}

/** The value of `Range`: both ends inclusive (RFC 9110 §14.1.2). */
export function rangeHeader({ start, end }: Extent): string {
  return `bytes=${start}-${end - 1}`;
}

export interface ContentRange {
  readonly extent: Extent;
  /** Length of the whole object. */
  readonly bytes: number;
}

/** Reads `Content-Range: bytes 0-99/1234`. */
export function parseContentRange(header: string): ContentRange | undefined {
  const match = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(header);
  if (match === null) return undefined;
  const [start = 0, last = 0, bytes = 0] = match.slice(1).map(Number);
  return { extent: { start, end: last + 1 }, bytes };
}

/** Whether two ETags name the same version, with quotes or without. */
export function sameEtag(a: ETag, b: ETag): boolean {
  return bareEtag(a) === bareEtag(b);
}

/** An ETag without quotes; a proxy that compresses marks it weak (`W/`). */
export function bareEtag(etag: ETag): string {
  return etag.replace(/^W\//, '').replaceAll('"', '');
}

/** The ETag of an object made of these parts: the MD5 of their MD5s, and how many. */
export function etagOfParts(etags: readonly ETag[]): ETag {
  const sums = etags.map((etag) => Buffer.from(bareEtag(etag), 'hex'));
  return `"${hash('md5', Buffer.concat(sums), 'hex')}-${etags.length}"`;
}

/** An ETag as a header would have it: Ceph RGW leaves the quotes out of documents. */
export function quotedEtag(etag: string): ETag {
  return /^(?:W\/)?"/.test(etag) ? etag : `"${etag}"`;
}
