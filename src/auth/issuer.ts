/** An OpenID provider as its discovery document describes it (OpenID Connect Discovery 1.0). */
import type { ServerMetadata } from 'openid-client';

import { WireError } from '../lib/wire-error.ts';
import { namesServer } from '../net/host-list.ts';
import { assertSafeUrl, exchange, type HttpOptions, type HttpReply } from '../net/http.ts';
import { isObject } from './jwt.ts';
import { refusalOf } from './refusal.ts';

export interface Issuer {
  /** As the provider names itself; its tokens' `iss`, but for a trailing slash. */
  readonly url: string;
  readonly metadata: ServerMetadata;
}

/**
 * The endpoints secrets are sent to, and the person's browser. Whatever else a document names is
 * not used, and may be anywhere.
 */
const endpointNames = [
  'token_endpoint',
  'device_authorization_endpoint',
  'registration_endpoint',
  'revocation_endpoint',
  'userinfo_endpoint',
  'authorization_endpoint',
  'jwks_uri',
] as const;

/** What answered has no discovery document: another server, or something in front of the right one. */
export class NoDocumentError extends WireError {
  override readonly name = 'NoDocumentError';
}

/**
 * Fetches and checks the discovery document of `issuerUrl`, with or without a trailing slash.
 *
 * @throws WireError `config` when that is not an issuer or its document cannot be trusted;
 *   `unreachable` or `unavailable` when trying again may help.
 */
export async function discoverIssuer(
  issuerUrl: string,
  http: HttpOptions,
  signal: AbortSignal,
): Promise<Issuer> {
  const base = withoutSlash(issuerUrl);
  const url = `${base}/.well-known/openid-configuration`;
  const tried = `read ${url}`;
  const reply = await exchange(tried, { method: 'GET', url }, http, signal);
  if (reply.status >= 500 || reply.status === 429) throw refusalOf(tried, reply, []);
  const document = parseDocument(reply);
  if (document === undefined) {
    throw new NoDocumentError('config', {
      tried,
      answered: refusalOf(tried, reply, []).facts.answered,
      next: 'check the issuer URL: it is what comes before /.well-known/openid-configuration',
    });
  }
  checkIssuer(tried, base, document.issuer);
  checkEndpoints(tried, base, document, http.endpointHosts ?? []);
  return { url: document.issuer, metadata: document };
}

/** INDIGO IAM's discovery says `https://iam/`, its access tokens and its users `https://iam`. */
export function sameIssuer(one: string, other: string): boolean {
  return withoutSlash(one) === withoutSlash(other);
}

/** The name a login is stored under: one trailing slash more or less is the same provider. */
export function withoutSlash(url: string): string {
  return url.endsWith('/') ? url.slice(0, -1) : url;
}

function parseDocument(reply: HttpReply): ServerMetadata | undefined {
  if (reply.status !== 200) return undefined;
  try {
    const json: unknown = JSON.parse(reply.text);
    if (!isObject(json) || typeof json['issuer'] !== 'string') return undefined;
    return { ...json, issuer: json['issuer'] };
  } catch {
    return undefined;
  }
}

function checkIssuer(tried: string, asked: string, answered: string): void {
  if (sameIssuer(asked, answered)) return;
  const next = `if that is the right one, use ${answered} as the issuer`;
  throw new WireError('config', { tried, answered: `it speaks for ${answered}`, next });
}

/** A document that sends tokens elsewhere is refused: RFC 9700 §2.1, mix-up and SSRF. */
function checkEndpoints(
  tried: string,
  base: string,
  document: ServerMetadata,
  allowed: readonly string[],
): void {
  const { host } = new URL(base);
  for (const name of endpointNames) {
    const endpoint = document[name];
    if (endpoint === undefined) continue;
    assertSafeUrl(`use the ${name} of ${base}`, endpoint);
    const { host: other, hostname, port } = new URL(endpoint);
    if (other === host || namesServer(allowed, hostname, Number(port || '443'))) continue;
    throw new WireError('config', {
      tried,
      answered: `its ${name} is on another host, ${other}`,
      next: `ask its administrators whether that is meant; then add --allow-endpoint-host ${other}`,
    });
  }
}
