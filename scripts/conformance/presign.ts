/**
 * Presigned requests, signed here: a client that is not the SDK has to be able to.
 *
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
 */
import { createHash, createHmac } from 'node:crypto';
import type { ConformanceCredentials } from './target.ts';

export interface Signer {
  readonly url: URL;
  readonly region: string;
  readonly bucket: string;
  readonly credentials: ConformanceCredentials;
}

const LIFE_SECONDS = 300;

export interface PresignedRequest {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'POST';
  /** Of letters, digits, `-`, `.`, `_` and `/` only: the path is not encoded. Empty for the bucket. */
  readonly key: string;
  readonly query?: Readonly<Record<string, string>>;
}

export function presignPut(signer: Signer, key: string, now: Date): URL {
  return presign(signer, { method: 'PUT', key }, now);
}

export function presign(
  signer: Signer,
  { method, key, query: asked }: PresignedRequest,
  now: Date,
): URL {
  const { region, bucket, credentials } = signer;
  const time = now.toISOString().replace(/[-:]|\.\d{3}/g, '');
  const day = time.slice(0, 8);
  const scope = `${day}/${region}/s3/aws4_request`;
  const url = new URL(`/${bucket}/${key}`, signer.url);
  const parameters = {
    'X-Amz-Algorithm': 'AWS4-HMAC-SHA256',
    'X-Amz-Credential': `${credentials.accessKeyId}/${scope}`,
    'X-Amz-Date': time,
    'X-Amz-Expires': String(LIFE_SECONDS),
    ...(credentials.sessionToken && { 'X-Amz-Security-Token': credentials.sessionToken }),
    'X-Amz-SignedHeaders': 'host',
    ...asked,
  };
  const query = Object.entries(parameters)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name}=${encode(value)}`)
    .join('&');
  const canonical = [
    method,
    url.pathname,
    query,
    `host:${url.host}`,
    '',
    'host',
    'UNSIGNED-PAYLOAD',
  ];
  const hash = createHash('sha256').update(canonical.join('\n')).digest('hex');
  const text = ['AWS4-HMAC-SHA256', time, scope, hash].join('\n');
  const key4 = [day, region, 's3', 'aws4_request'].reduce<string | Buffer>(
    hmac,
    `AWS4${credentials.secretAccessKey}`,
  );
  url.search = `${query}&X-Amz-Signature=${hmac(key4, text).toString('hex')}`;
  return url;
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

/** RFC 3986: the four that encodeURIComponent leaves are encoded too. */
function encode(text: string): string {
  const hex = (character: string): string =>
    `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
  return encodeURIComponent(text).replace(/[!'()*]/g, hex);
}
