/**
 * The XML of the security token service.
 *
 * @see https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html
 */
import { randomUUID } from 'node:crypto';
import type { StsReply } from '../s3/principal.ts';
import type { TemporaryKey } from './issued-keys.ts';
import type { StsRefusal } from './refusal.ts';

const NAMESPACE = 'https://sts.amazonaws.com/doc/2011-06-15/';
const declaration = '<?xml version="1.0" encoding="UTF-8"?>\n';

/** An element with text, or with elements in their order. */
export type Element = readonly [name: string, content: string | readonly Element[]];

function render([name, content]: Element): string {
  const inner = typeof content === 'string' ? escape(content) : content.map(render).join('');
  return `<${name}>${inner}</${name}>`;
}

function escape(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}

function inNamespace(name: string, elements: readonly Element[]): string {
  const inner = elements.map(render).join('');
  return `${declaration}<${name} xmlns="${NAMESPACE}">${inner}</${name}>`;
}

export function credentialsElement(key: TemporaryKey): Element {
  return [
    'Credentials',
    [
      ['AccessKeyId', key.accessKeyId],
      ['SecretAccessKey', key.secretAccessKey],
      ['SessionToken', key.sessionToken],
      ['Expiration', wholeSeconds(key.expiresAtMs)],
    ],
  ];
}

const RESPONSE = 'AssumeRoleWithWebIdentityResponse';
const RESULT = 'AssumeRoleWithWebIdentityResult';

export function assumedReply(result: readonly Element[]): StsReply {
  const xml = inNamespace(RESPONSE, [
    [RESULT, result],
    ['ResponseMetadata', [['RequestId', randomUUID()]]],
  ]);
  return { status: 200, xml };
}

/** Ceph RGW names no namespace and no request. */
export function plainAssumedReply(result: readonly Element[]): StsReply {
  return { status: 200, xml: render([RESPONSE, [[RESULT, result]]]) };
}

/** The error form of AWS and MinIO. MinIO leaves the type empty. */
export function errorReply(refusal: StsRefusal, type: string): StsReply {
  const error: Element = [
    'Error',
    [
      ['Type', type],
      ['Code', refusal.code],
      ['Message', refusal.message],
    ],
  ];
  const xml = inNamespace('ErrorResponse', [error, ['RequestId', randomUUID()]]);
  return { status: refusal.status, xml };
}

/** Ceph RGW answers as its object store does, and names no reason. */
export function storeErrorReply(refusal: StsRefusal): StsReply {
  const error: Element = [
    'Error',
    [
      ['Code', refusal.code],
      ['Message', ''],
      ['RequestId', randomUUID()],
      ['HostId', 'playground'],
    ],
  ];
  return { status: refusal.status, xml: declaration + render(error) };
}

/** Whole seconds, as AWS and MinIO write them. */
function wholeSeconds(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d{3}Z$/, 'Z');
}
