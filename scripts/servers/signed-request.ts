/**
 * Requests to a server's own administration, signed here: no client for them is among our packages.
 *
 * @see https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
 */
import { createHash, createHmac } from 'node:crypto';

export interface AdminKey {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

export interface AdminRequest {
  readonly method: 'POST' | 'PUT';
  /** Its query has at most one parameter, of letters, digits and `-`. */
  readonly url: URL;
  /** As the server expects it in the scope of the signature. */
  readonly service: 's3' | 'iam';
  readonly body: string;
  readonly contentType: string;
}

/** @throws Error with the server's answer when that is not 200. */
export async function sendSigned(
  request: AdminRequest,
  key: AdminKey,
  now: Date,
  signal: AbortSignal,
): Promise<string> {
  const { method, url, body } = request;
  const response = await fetch(url, { method, body, headers: sign(request, key, now), signal });
  const text = await response.text();
  if (response.ok) return text;
  throw new Error(`${method} ${url.href} was answered with ${response.status}: ${text}`);
}

function sign(request: AdminRequest, key: AdminKey, now: Date): Record<string, string> {
  const { method, url, service, body, contentType } = request;
  const time = now.toISOString().replace(/[-:]|\.\d{3}/g, '');
  const day = time.slice(0, 8);
  const scope = `${day}/us-east-1/${service}/aws4_request`;
  const bodyHash = sha256(body);
  const headers = { 'x-amz-content-sha256': bodyHash, 'x-amz-date': time };
  // In the order of the alphabet, as is the query. `host` is fetch's to send.
  const signed = { 'content-type': contentType, host: url.host, ...headers };
  const names = Object.keys(signed).join(';');
  const lines = Object.entries(signed).map(([name, value]) => `${name}:${value}`);
  const canonical = [method, url.pathname, url.search.slice(1), ...lines, '', names, bodyHash];
  const text = ['AWS4-HMAC-SHA256', time, scope, sha256(canonical.join('\n'))].join('\n');
  const derived = [day, 'us-east-1', service, 'aws4_request'].reduce<string | Buffer>(
    hmac,
    `AWS4${key.secretAccessKey}`,
  );
  const credential = `Credential=${key.accessKeyId}/${scope}`;
  const signature = `Signature=${hmac(derived, text).toString('hex')}`;
  const authorization = `AWS4-HMAC-SHA256 ${credential}, SignedHeaders=${names}, ${signature}`;
  return { 'content-type': contentType, ...headers, authorization };
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}
