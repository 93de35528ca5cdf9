/** A verified request as operations see it, and what they answer. */
import type { Extent } from '../../lib/bytes.ts';
import type { Clock } from '../../lib/clock.ts';
import type { BlobFolder } from './blob-folder.ts';
import type { Bucket, Buckets } from './bucket.ts';
import { S3Error } from './errors.ts';
import type { Content } from './object-data.ts';
import type { Principal, RequestConditions, Resource } from './principal.ts';
import type { Quirks } from './quirks.ts';
import type { RequestBody } from './request-body.ts';

/** What all requests share. */
export interface Store {
  readonly buckets: Buckets;
  readonly blobs: BlobFolder;
  readonly quirks: Quirks;
  readonly clock: Clock;
  readonly region: string;
}

export interface Reply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string | number>>;
  /** XML text, or bytes of a content that the reply holds until it is sent. */
  readonly body?: string | { readonly content: Content; readonly extent: Extent };
}

export type Operation = (call: Call) => Promise<Reply> | Reply;

/** The facts that make a `Call`. */
export interface CallFacts {
  readonly store: Store;
  readonly principal: Principal;
  /** Empty when the request names none. */
  readonly bucket: string;
  readonly key: string;
  readonly query: ReadonlyMap<string, string>;
  readonly header: (name: string) => string | undefined;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: RequestBody;
}

export class Call {
  readonly store: Store;
  readonly principal: Principal;
  readonly bucketName: string;
  readonly key: string;
  readonly query: ReadonlyMap<string, string>;
  /** One request header by lower-case name. */
  readonly header: (name: string) => string | undefined;
  readonly headers: CallFacts['headers'];
  readonly body: RequestBody;

  constructor(facts: CallFacts) {
    this.store = facts.store;
    this.principal = facts.principal;
    this.bucketName = facts.bucket;
    this.key = facts.key;
    this.query = facts.query;
    this.header = facts.header;
    this.headers = facts.headers;
    this.body = facts.body;
  }

  get quirks(): Quirks {
    return this.store.quirks;
  }

  get now(): number {
    return this.store.clock.now();
  }

  /** Whether policy lets the caller do `action` to `resource` (default: what the request names). */
  may(action: string, resource: Resource = this.resource, conditions?: RequestConditions): boolean {
    const all = { 'aws:SecureTransport': 'false', 'aws:SourceIp': '127.0.0.1', ...conditions };
    return this.principal.allows(action, resource, all);
  }

  /** @throws S3Error AccessDenied: before existence, so that a refusal gives nothing away */
  require(action: string, resource?: Resource, conditions?: RequestConditions): void {
    if (!this.may(action, resource, conditions)) throw new S3Error('AccessDenied');
  }

  get resource(): Resource {
    return {
      ...(this.bucketName !== '' && { bucket: this.bucketName }),
      ...(this.key !== '' && { key: this.key }),
    };
  }

  /** @throws S3Error NoSuchBucket */
  get bucket(): Bucket {
    return this.store.buckets.get(this.bucketName);
  }

  /** @throws S3Error NoSuchBucket */
  checkBucket(): void {
    this.store.buckets.get(this.bucketName);
  }

  /**
   * The refusal for a missing key: without the right to list, some dialects hide that. No prefix was
   * asked for, so a right to list below some prefix does not count.
   */
  missingKey(bucket: string = this.bucketName): S3Error {
    const shown = !this.quirks.missingKeyNeedsList || this.may('s3:ListBucket', { bucket });
    return new S3Error(shown ? 'NoSuchKey' : 'AccessDenied');
  }
}

/** 200 with an XML body. */
export function xmlReply(xml: string): Reply {
  return { status: 200, headers: { 'content-type': 'application/xml' }, body: xml };
}

/** `reply`, telling the version it is about where versions are kept. */
export function withVersion(reply: Reply, versionId: string | undefined): Reply {
  if (versionId === undefined) return reply;
  return { ...reply, headers: { ...reply.headers, 'x-amz-version-id': versionId } };
}
