/** Reading what an STS answers: a lease, or one of the two shapes of error (AWS STS, S3). */
import { XMLParser } from 'fast-xml-parser';

import { isObject } from '../auth/jwt.ts';
import { Secret } from '../lib/secret.ts';
import type { Credentials } from './credential-source.ts';

/** The service's own words, not yet redacted. */
export interface StsError {
  /** `Code`; undefined when the answer is not an error of an STS at all. */
  readonly code: string | undefined;
  readonly message: string;
}

/** No entities, no attributes, no guessing of numbers: nothing in a reply may expand or be lost. */
const parser = new XMLParser({
  ignoreAttributes: true,
  processEntities: false,
  parseTagValue: false,
  removeNSPrefix: true,
});

/** The credentials of a successful reply, or undefined when there are none in it. */
export function parseCredentials(text: string): Credentials | undefined {
  const result = at(
    parse(text),
    'AssumeRoleWithWebIdentityResponse',
    'AssumeRoleWithWebIdentityResult',
  );
  const found = at(result, 'Credentials');
  const [id, secret, token] = ['AccessKeyId', 'SecretAccessKey', 'SessionToken'].map((name) =>
    textAt(found, name),
  );
  const expiresAtMs = Date.parse(textAt(found, 'Expiration') ?? '');
  if (id === undefined || secret === undefined || token === undefined) return undefined;
  if (Number.isNaN(expiresAtMs)) return undefined;
  return {
    accessKeyId: id,
    secretAccessKey: new Secret(secret),
    sessionToken: new Secret(token),
    expiresAtMs,
  };
}

/**
 * `<ErrorResponse><Error>` of AWS STS and MinIO, `<Error>` of S3 and Ceph RGW, the same in JSON (AWS
 * and gateways that answer so whatever was asked for), or a page.
 */
export function parseStsError(text: string): StsError {
  const document = text.trimStart().startsWith('{') ? parseJson(text) : parse(text);
  const error = at(document, 'ErrorResponse', 'Error') ?? at(document, 'Error');
  const code = textAt(error, 'Code');
  if (code !== undefined) return { code, message: textAt(error, 'Message') ?? '' };
  const title = /<title[^>]*>([^<]{1,400})/i.exec(text)?.[1];
  const plain = text.slice(0, 4096).replace(/<[^>]*>/g, ' ');
  return { code: undefined, message: title === undefined ? plain : `an HTML page: ${title}` };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function parse(text: string): unknown {
  try {
    return parser.parse(text);
  } catch {
    return undefined;
  }
}

function at(value: unknown, ...names: readonly string[]): unknown {
  return names.reduce((inner, name) => (isObject(inner) ? inner[name] : undefined), value);
}

function textAt(value: unknown, name: string): string | undefined {
  const text = at(value, name);
  return typeof text === 'string' && text !== '' ? plainText(text) : undefined;
}

const entities: Readonly<Record<string, string>> = {
  lt: '<',
  gt: '>',
  amp: '&',
  quot: '"',
  apos: "'",
  '#34': '"',
  '#39': "'",
};

/** The five entities of XML and the two that Go writes by number; no others exist here. */
function plainText(text: string): string {
  return text.replace(/&(#?\w+);/g, (whole, name: string) => entities[name] ?? whole);
}
