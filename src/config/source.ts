/** SOURCE of `wire mount`: what appears under the mount point. */
import { bad, good, type Parsed } from './parsed.ts';
import { parseName, parseUrl } from './values.ts';

/** Objects of one bucket below a prefix ('' or ending in '/'), or every bucket one may list. */
export type Source =
  | { readonly kind: 'bucket'; readonly bucket: string; readonly prefix: string }
  | { readonly kind: 'buckets' };

/** A SOURCE as typed: a place, or the name of a mount that a profile describes. */
export type SourceArgument = Source | { readonly kind: 'named'; readonly name: string };

const forms = 'a SOURCE is s3://BUCKET[/PREFIX], s3:// or the name of a mount in a profile';

/**
 * Bucket names in use: what S3 allows, plus upper case and '_' of old buckets, `tenant:bucket` of
 * Ceph RGW, and names too short for S3. The server has the last word.
 */
const bucketName = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,254}$/;

export function parseSource(text: string): Parsed<SourceArgument> {
  if (text === 's3://') return good({ kind: 'buckets' });
  if (text.startsWith('s3://')) return parseBucket(text.slice('s3://'.length));
  if (/^[a-z0-9+.-]+:/i.test(text)) return bad(`has a scheme that wire does not know: ${forms}`);
  const name = parseName(text);
  return name.ok ? good({ kind: 'named', name: name.value }) : bad(`is not a source: ${forms}`);
}

/** The address of a bucket: where its store is, and what of it is meant. */
export interface Address {
  readonly endpoint: string;
  readonly source: Source;
}

/** Whether `text` is meant as the address of a bucket. */
export function isAddress(text: string): boolean {
  return /^https?:/i.test(text);
}

/** `https://HOST[:PORT]/BUCKET[/PREFIX]`, percent-encoded as addresses are. */
export function parseAddress(text: string): Parsed<Address> {
  // Not by URL: that resolves "..", and would mount another prefix than was typed.
  const [, host = '', rest = ''] = /^(https?:\/\/[^/?#]*)\/?(.*)$/is.exec(text) ?? [];
  const endpoint = parseUrl(host);
  if (!endpoint.ok) return endpoint;
  if (/[?#]/.test(rest)) return bad('must not have a ?query or #fragment');
  const decoded = decode(rest);
  if (decoded === undefined) return bad('is not percent-encoded as an address: write % as %25');
  if (decoded === '') return bad('names no bucket: write https://HOST[:PORT]/BUCKET[/PREFIX]');
  const source = parseBucket(decoded);
  return source.ok ? good({ endpoint: new URL(host).origin, source: source.value }) : source;
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

function parseBucket(rest: string): Parsed<Source> {
  const slash = rest.indexOf('/');
  const bucket = slash < 0 ? rest : rest.slice(0, slash);
  const prefix = slash < 0 ? '' : rest.slice(slash + 1).replace(/\/+$/, '');
  if (!bucketName.test(bucket)) return bad(`names no bucket: ${forms}`);
  // These keys have no path: they could not be reached through the mount, nor could what is below.
  if (
    prefix !== '' &&
    prefix.split('/').some((part) => part === '' || part === '.' || part === '..')
  ) {
    return bad('has an empty, "." or ".." part in its prefix');
  }
  return good({ kind: 'bucket', bucket, prefix: prefix === '' ? '' : `${prefix}/` });
}

/** `source` as it is typed. */
export function formatSource(source: Source): string {
  if (source.kind === 'buckets') return 's3://';
  return source.prefix === '' ? `s3://${source.bucket}` : `s3://${source.bucket}/${source.prefix}`;
}
