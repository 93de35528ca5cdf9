/**
 * A request in the one form that both sides sign.
 * Source: S3 API reference, "Signature Calculations for the Authorization Header" (version 4).
 */
import { createHash } from 'node:crypto';
import { S3Error } from './errors.ts';

/** The parts of a request that its signature covers; texts as they came, bytes as latin1. */
export interface SignedParts {
  readonly method: string;
  /** Before the `?`. */
  readonly rawPath: string;
  readonly query: readonly QueryPair[];
  /** All values of a header, in order. */
  readonly header: (name: string) => readonly string[] | undefined;
}

export type QueryPair = readonly [name: string, value: string];

const plainPath = /^[A-Za-z0-9\-._~/]*$/;

/** Decoded pairs of a raw query. @throws S3Error InvalidURI */
export function parseQuery(raw: string): QueryPair[] {
  if (raw === '') return [];
  return raw
    .split('&')
    .filter((pair) => pair !== '')
    .map((pair) => {
      const at = pair.indexOf('=');
      const name = at < 0 ? pair : pair.slice(0, at);
      const value = at < 0 ? '' : pair.slice(at + 1);
      return [decode(name.replaceAll('+', ' ')), decode(value.replaceAll('+', ' '))];
    });
}

/** @throws S3Error InvalidURI when `text` is not percent-encoded UTF-8 */
export function decode(text: string): string {
  if (!text.includes('%')) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    throw new S3Error('InvalidURI');
  }
}

/** RFC 3986 encoding of everything but unreserved characters. */
export function encode(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function canonicalPath(rawPath: string): string {
  if (plainPath.test(rawPath)) return rawPath;
  return rawPath
    .split('/')
    .map((part) => encode(decode(part)))
    .join('/');
}

function canonicalQuery(pairs: readonly QueryPair[]): string {
  const encoded = pairs
    .filter(([name]) => name !== 'X-Amz-Signature')
    .map(([name, value]): [string, string] => [encode(name), encode(value)]);
  encoded.sort(([a, x], [b, y]) => (a === b ? order(x, y) : order(a, b)));
  return encoded.map(([name, value]) => `${name}=${value}`).join('&');
}

function order(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

/** SHA-256 of the canonical request, in hex. */
export function hashRequest(
  parts: SignedParts,
  signedHeaders: readonly string[],
  payload: string,
): string {
  const headers = signedHeaders.map((name) => {
    const values = parts.header(name) ?? [];
    return `${name}:${values.map((value) => value.trim().replace(/ +/g, ' ')).join(',')}\n`;
  });
  const text = [
    parts.method,
    canonicalPath(parts.rawPath),
    canonicalQuery(parts.query),
    headers.join(''),
    signedHeaders.join(';'),
    payload,
  ].join('\n');
  return createHash('sha256').update(text, 'latin1').digest('hex');
}
