import { type Extent, GiB, MiB } from '../lib/bytes.ts';
import { StoreError } from '../store/errors.ts';
import type {
  ETag,
  ListPage,
  ListRequest,
  ObjectHead,
  ObjectStore,
  ObjectSummary,
  ObjectVersion,
  Precondition,
  ReadSink,
  Upload,
  UploadedPart,
  WriteOptions,
} from '../store/object-store.ts';
import { readListing } from './listing-document.ts';
import { listingQuery } from './listing-request.ts';
import { RangeReading } from './range-reading.ts';
import type { S3Connection } from './s3-connection.ts';
import { copyByParts } from './s3-copy.ts';
import {
  conditionHeaders,
  copySource,
  etagOfParts,
  md5Of,
  rangeHeader,
  sameEtag,
} from './s3-encoding.ts';
import type { Work } from './sdk-sender.ts';

/** S3: CopyObject takes objects up to this long, UploadPartCopy parts. */
const MAX_COPY_BYTES = 5 * GiB;

/** The objects of one bucket of an S3 service. */
export class S3ObjectStore implements ObjectStore {
  readonly bucket: string;
  readonly #connection: S3Connection;
  /** Lengths of the parts made here, since no answer tells how long the whole became. */
  readonly #partBytes = new WeakMap<UploadedPart, number>();

  constructor(connection: S3Connection, bucket: string) {
    this.#connection = connection;
    this.bucket = bucket;
  }

  async list(request: ListRequest, signal: AbortSignal): Promise<ListPage> {
    const tried = `list ${this.bucket}/${request.prefix}`;
    const document = { bucket: this.bucket, query: listingQuery(request) };
    return await this.#connection.document(tried, document, readListing, signal);
  }

  async head(key: string, signal: AbortSignal): Promise<ObjectHead> {
    return await this.#connection.call(
      this.#tried('look up', key),
      async (client, options) => {
        const output = await client.headObject({ Bucket: this.bucket, Key: key }, options);
        return {
          etag: output.ETag ?? '',
          bytes: output.ContentLength ?? 0,
          modifiedMs: output.LastModified?.getTime() ?? 0,
          metadata: output.Metadata ?? {},
        };
      },
      signal,
    );
  }

  async read(
    key: string,
    extent: Extent,
    etag: ETag,
    sink: ReadSink,
    signal: AbortSignal,
  ): Promise<ObjectVersion> {
    const target = { bucket: this.bucket, key, etag, tried: this.#tried('read', key) };
    if (extent.start >= extent.end) return await this.#readNothing(key, etag, signal);
    try {
      return await this.#connection.read(new RangeReading(target, extent, sink), signal);
    } catch (error) {
      // 416: nothing of the extent lies inside the object.
      if (!(error instanceof StoreError) || error.detail.status !== 416) throw error;
      const nothing = await this.#readNothing(key, etag, signal);
      if (nothing.bytes > extent.start) throw error;
      return nothing;
    }
  }

  async put(
    key: string,
    body: Uint8Array,
    options: WriteOptions,
    signal: AbortSignal,
  ): Promise<ObjectVersion> {
    const md5 = md5Of(body);
    const input = {
      ...this.#target(key, options),
      ...conditionHeaders(options.precondition),
      Body: body,
      ContentMD5: md5.base64,
    };
    const bytes = body.byteLength;
    const version = await this.#connection.call<ObjectVersion>(
      this.#tried('write', key),
      async (client, sending) => {
        const output = await client.putObject(input, sending);
        return { etag: output.ETag ?? '', bytes, modifiedMs: this.#connection.dateMs(output) };
      },
      signal,
      {
        work: workOf(body),
        mustBeAbsent: options.precondition?.must === 'be-absent',
        recover: async () => await this.#presentIf(key, `"${md5.hex}"`, signal),
      },
    );
    return await this.#withEtag(key, version, signal);
  }

  /** Metadata and type of the source are kept unless `options.metadata` replaces both. */
  async copy(
    from: ObjectSummary,
    to: string,
    options: WriteOptions,
    signal: AbortSignal,
  ): Promise<ObjectVersion> {
    await this.#checkTarget(to, options.precondition, signal);
    if (from.bytes > MAX_COPY_BYTES) return await copyByParts(this, from, to, options, signal);
    const input = {
      ...this.#target(to, options),
      ...conditionHeaders(options.precondition),
      CopySource: copySource(this.bucket, from.key),
      CopySourceIfMatch: from.etag,
      MetadataDirective: options.metadata === undefined ? ('COPY' as const) : ('REPLACE' as const),
    };
    const version = await this.#connection.call(
      `copy ${this.bucket}/${from.key} to ${to}`,
      async (client, sending) => {
        const output = await client.copyObject(input, sending);
        const { ETag: etag = '', LastModified } = output.CopyObjectResult ?? {};
        const modifiedMs = LastModified?.getTime() ?? this.#connection.dateMs(output);
        return { etag, bytes: from.bytes, modifiedMs };
      },
      signal,
      { work: 'copies', mustBeAbsent: options.precondition?.must === 'be-absent' },
    );
    return await this.#withEtag(to, version, signal);
  }

  async delete(key: string, signal: AbortSignal): Promise<void> {
    await this.#connection.call(
      this.#tried('delete', key),
      async (client, options) =>
        await client.deleteObject({ Bucket: this.bucket, Key: key }, options),
      signal,
    );
  }

  async startUpload(key: string, options: WriteOptions, signal: AbortSignal): Promise<Upload> {
    return await this.#connection.call(
      this.#tried('start writing', key),
      async (client, sending) => {
        const output = await client.createMultipartUpload(this.#target(key, options), sending);
        return { key, uploadId: this.#required(key, output.UploadId) };
      },
      signal,
    );
  }

  async uploadPart(
    upload: Upload,
    number: number,
    body: Uint8Array,
    signal: AbortSignal,
  ): Promise<UploadedPart> {
    const input = { ...this.#part(upload, number), Body: body, ContentMD5: md5Of(body).base64 };
    const part = await this.#connection.call(
      this.#tried(`write part ${number} of`, upload.key),
      async (client, options) => {
        const output = await client.uploadPart(input, options);
        return { number, etag: this.#required(upload.key, output.ETag) };
      },
      signal,
      { work: workOf(body) },
    );
    this.#partBytes.set(part, body.byteLength);
    return part;
  }

  async copyPart(
    upload: Upload,
    number: number,
    from: ObjectSummary,
    extent: Extent,
    signal: AbortSignal,
  ): Promise<UploadedPart> {
    const input = {
      ...this.#part(upload, number),
      CopySource: copySource(this.bucket, from.key),
      CopySourceIfMatch: from.etag,
      CopySourceRange: rangeHeader(extent),
    };
    const part = await this.#connection.call(
      `copy ${this.bucket}/${from.key} into part ${number} of ${upload.key}`,
      async (client, options) => {
        const output = await client.uploadPartCopy(input, options);
        return { number, etag: this.#required(upload.key, output.CopyPartResult?.ETag) };
      },
      signal,
      { work: 'copies' },
    );
    this.#partBytes.set(part, extent.end - extent.start);
    return part;
  }

  async completeUpload(
    upload: Upload,
    parts: readonly UploadedPart[],
    precondition: Precondition | undefined,
    signal: AbortSignal,
  ): Promise<ObjectVersion> {
    const { key, uploadId } = upload;
    await this.#checkCompletion(key, precondition, signal);
    const input = {
      Bucket: this.bucket,
      Key: key,
      UploadId: uploadId,
      MultipartUpload: {
        Parts: parts.map(({ number, etag }) => ({ PartNumber: number, ETag: etag })),
      },
      ...conditionHeaders(precondition),
    };
    const etags = parts.map(({ etag }) => etag);
    const bytes = sum(parts.map((part) => this.#partBytes.get(part) ?? Number.NaN));
    const version = await this.#connection.call<ObjectVersion>(
      this.#tried('finish writing', key),
      async (client, options) => {
        const output = await client.completeMultipartUpload(input, options);
        return { etag: output.ETag ?? '', bytes, modifiedMs: this.#connection.dateMs(output) };
      },
      signal,
      {
        work: 'copies',
        mustBeAbsent: precondition?.must === 'be-absent',
        recover: async () => await this.#presentIf(key, etagOfParts(etags), signal),
      },
    );
    return await this.#withEtag(key, version, signal);
  }

  async abortUpload(upload: Upload, signal: AbortSignal): Promise<void> {
    const { key, uploadId } = upload;
    try {
      await this.#connection.call(
        this.#tried('give up writing', key),
        async (client, options) =>
          await client.abortMultipartUpload(
            { Bucket: this.bucket, Key: key, UploadId: uploadId },
            options,
          ),
        signal,
      );
    } catch (error) {
      if (!(error instanceof StoreError) || error.kind !== 'not-found') throw error;
    }
  }

  #tried(verb: string, key: string): string {
    return `${verb} ${this.bucket}/${key}`;
  }

  #target(key: string, { contentType, metadata }: WriteOptions): TargetHeaders {
    return {
      Bucket: this.bucket,
      Key: key,
      ...(contentType === undefined ? {} : { ContentType: contentType }),
      ...(metadata === undefined ? {} : { Metadata: { ...metadata } }),
    };
  }

  #part({ key, uploadId }: Upload, number: number): PartAddress {
    return { Bucket: this.bucket, Key: key, UploadId: uploadId, PartNumber: number };
  }

  /** A field without which an answer is none. */
  #required(key: string, value: string | undefined): string {
    if (value !== undefined && value !== '') return value;
    throw new StoreError('unavailable', this.#tried('write', key), { code: 'incomplete answer' });
  }

  /** `version`, looked up where the answer left out its ETag (RGW) or we do not know its length. */
  async #withEtag(
    key: string,
    version: ObjectVersion,
    signal: AbortSignal,
  ): Promise<ObjectVersion> {
    if (version.etag !== '' && !Number.isNaN(version.bytes)) return version;
    const { etag, bytes, modifiedMs } = await this.head(key, signal);
    return { etag, bytes, modifiedMs };
  }

  /** The present version, if it is the one that a request without an answer was to make. */
  async #presentIf(
    key: string,
    etag: ETag,
    signal: AbortSignal,
  ): Promise<ObjectVersion | undefined> {
    const present = await this.#look(key, signal);
    return present !== undefined && sameEtag(present.etag, etag) ? present : undefined;
  }

  /**
   * The present version; undefined when there is none. Who may list only below a prefix is told 403
   * of a key that is missing (AWS, Ceph RGW): the listing tells then.
   */
  async #look(key: string, signal: AbortSignal): Promise<ObjectVersion | undefined> {
    try {
      const { etag, bytes, modifiedMs } = await this.head(key, signal);
      return { etag, bytes, modifiedMs };
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      if (error.kind === 'not-found') return undefined;
      if (error.kind !== 'access-denied') throw error;
      // Of the keys that begin so, the key itself is the first.
      const { objects } = await this.list({ prefix: key, maxKeys: 1 }, signal);
      return objects.find((object) => object.key === key);
    }
  }

  /**
   * RGW 16 ignores the conditions of a completion: asked here first. Between this and the completion
   * a change by somebody else is still lost there. Who may write but not look is left to the server.
   */
  async #checkCompletion(
    key: string,
    precondition: Precondition | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    try {
      await this.#checkTarget(key, precondition, signal);
    } catch (error) {
      if (!(error instanceof StoreError) || error.kind !== 'access-denied') throw error;
    }
  }

  /** MinIO and RGW ignore the target's conditions on a copy: asked here first, as far as that goes. */
  async #checkTarget(
    key: string,
    precondition: Precondition | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    if (precondition === undefined) return;
    const tried = this.#tried('write', key);
    if (precondition.must === 'be') {
      const { etag } = await this.head(key, signal);
      if (sameEtag(etag, precondition.etag)) return;
      throw new StoreError('precondition-failed', tried, { code: 'the target has changed' });
    }
    if ((await this.#look(key, signal)) === undefined) return;
    throw new StoreError('exists', tried, { code: 'the target is there' });
  }

  /** A read of no bytes still tells whether the object is the version asked for. */
  async #readNothing(key: string, etag: ETag, signal: AbortSignal): Promise<ObjectVersion> {
    const { bytes, modifiedMs, etag: present } = await this.head(key, signal);
    if (!sameEtag(present, etag)) {
      const detail = { code: 'another version is there' };
      throw new StoreError('precondition-failed', this.#tried('read', key), detail);
    }
    return { etag, bytes, modifiedMs };
  }
}

interface TargetHeaders {
  readonly Bucket: string;
  readonly Key: string;
  readonly ContentType?: string;
  readonly Metadata?: Record<string, string>;
}

interface PartAddress {
  readonly Bucket: string;
  readonly Key: string;
  readonly UploadId: string;
  readonly PartNumber: number;
}

/** A short body is there at once: nothing is waited for but the answer. */
function workOf(body: Uint8Array): Work {
  return body.byteLength > MiB ? 'receives' : 'answers';
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
