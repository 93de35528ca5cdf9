/** What an answer that is a refusal says: S3's error document, and the headers beside it. */
import { XMLParser } from 'fast-xml-parser';
import type { BodySink } from '../net/http1/answer-body.ts';
import type { AnswerHead } from '../net/http1/answer-head.ts';
import type { S3Failure } from './s3-errors.ts';

/** Of a document of a kilobyte; what comes behind is read and left. */
const MOST_BYTES = 16 * 1024;

/** Entities are not followed: codes and names have none. */
const parser = new XMLParser({
  ignoreAttributes: true,
  processEntities: false,
  parseTagValue: false,
  removeNSPrefix: true,
});

/** Keeps the words of a refusal. */
export class ErrorDocument implements BodySink {
  readonly #head: AnswerHead;
  readonly #kept = Buffer.allocUnsafe(MOST_BYTES);
  #bytes = 0;
  #overflow: Buffer | undefined;

  constructor(head: AnswerHead) {
    this.#head = head;
  }

  room(): Uint8Array {
    if (this.#bytes < MOST_BYTES) return this.#kept.subarray(this.#bytes);
    this.#overflow ??= Buffer.allocUnsafe(MOST_BYTES);
    return this.#overflow;
  }

  filled(bytes: number): void {
    this.#bytes = Math.min(MOST_BYTES, this.#bytes + bytes);
  }

  failure(): S3Failure {
    const { status, headers } = this.#head;
    const said = fieldsOf(this.#kept.toString('utf8', 0, this.#bytes));
    const code = headers.get('x-minio-error-code') ?? said('Code') ?? `HTTP ${status}`;
    return {
      status,
      code,
      requestId: headers.get('x-amz-request-id') ?? said('RequestId'),
      retryAfter: headers.get('retry-after'),
      region: headers.get('x-amz-bucket-region') ?? said('Region'),
    };
  }
}

/** The texts directly below the root of `xml`, which may be anything. */
function fieldsOf(xml: string): (name: string) => string | undefined {
  let root: unknown;
  try {
    const document = parser.parse(xml) as Readonly<Record<string, unknown>>;
    root = document['Error'];
  } catch {
    root = undefined;
  }
  return (name) => {
    if (typeof root !== 'object' || root === null || !Object.hasOwn(root, name)) return undefined;
    const text = (root as Readonly<Record<string, unknown>>)[name];
    return typeof text === 'string' && text !== '' ? text : undefined;
  };
}
