import { type Extent, GiB, MiB } from '../lib/bytes.ts';
import { StoreError } from '../store/errors.ts';
import type {
  ETag,
  ListedUpload,
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
  UploadOptions,
  WriteOptions,
} from '../store/object-store.ts';
import { timeOf } from './answer-fields.ts';
import { objectBody } from './body-guard.ts';
import { MultipartUploads } from './multipart-uploads.ts';
import { PresentObjects } from './present-objects.ts';
import { RangeReading } from './range-reading.ts';
import type { S3Connection } from './s3-connection.ts';
import { copyByParts } from './s3-copy.ts';
import { copySource, quotedEtag, sameEtag } from './s3-encoding.ts';
import type { S3Answer, S3Request } from './s3-request.ts';
import { listParts, listUploads } from './upload-listings.ts';
import { readFields } from './write-documents.ts';
import { conditionHeaders, contentHeaders, keepHeaders, objectHeaders } from './write-headers.ts';

/** S3: CopyObject takes objects up to this long, UploadPartCopy parts. */
const MAX_COPY_BYTES = 5 * GiB;

/** The objects of one bucket of an S3 service. */
export class S3ObjectStore implements ObjectStore {
  readonly bucket: string;
  readonly #connection: S3Connection;
  readonly #present: PresentObjects;
  readonly #uploads: MultipartUploads;

  constructor(connection: S3Connection, bucket: string) {
    this.#connection = connection;
    this.bucket = bucket;
    this.#present = new PresentObjects(connection, bucket);
    this.#uploads = new MultipartUploads(connection, bucket, this.#present);
  }

  async list(request: ListRequest, signal: AbortSignal): Promise<ListPage> {
    return await this.#present.list(request, signal);
  }

  async head(key: string, signal: AbortSignal): Promise<ObjectHead> {
    return await this.#present.head(key, signal);
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
    bytes: Uint8Array,
    options: WriteOptions,
    signal: AbortSignal,
  ): Promise<ObjectVersion> {
    const { crc } = this.#connection;
    try {
      return await this.#put(key, bytes, options, signal);
    } catch (error) {
      const refused = error instanceof StoreError && error.kind === 'unsupported';
      if (!refused || !crc.mayBeRefused()) throw error;
      return await this.#put(key, bytes, options, signal);
    }
  }

  async #put(
    key: string,
    bytes: Uint8Array,
    options: WriteOptions,
    signal: AbortSignal,
  ): Promise<ObjectVersion> {
    const { crc, keep } = this.#connection;
    const body = objectBody(bytes, crc);
    const sendsCrc = crc.mayHelp;
    const { precondition } = options;
    const made = {
      etag: () => `"${body.md5Hex}"`,
      bytes: bytes.byteLength,
      crc32: () => (sendsCrc ? body.crc32 : undefined),
    };
    const version = await this.#connection.send<ObjectVersion>(
      this.#tried('write', key),
      {
        ...{ method: 'PUT', bucket: this.bucket, key, body },
        headers: [
          ...objectHeaders(key, options),
          ...keepHeaders(keep),
          ...conditionHeaders(precondition),
        ],
        // A short body is there at once: nothing is waited for but the answer.
        work: bytes.byteLength > MiB ? 'receives' : 'answers',
      },
      (answer) => {
        if (sendsCrc) crc.learn(answer.headers);
        const etag = answer.headers.get('etag') ?? '';
        return { etag, bytes: bytes.byteLength, modifiedMs: this.#connection.dateMs(answer) };
      },
      signal,
      {
        mustBeAbsent: precondition?.must === 'be-absent',
        recover: async () => await this.#present.presentIf(key, made, signal),
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
    const { precondition } = options;
    // MinIO and Ceph RGW ignore the target's conditions on a copy: asked here, as far as that goes.
    await this.#present.check(to, precondition, signal);
    if (from.bytes > MAX_COPY_BYTES) return await copyByParts(this, from, to, options, signal);
    const version = await this.#connection.send<ObjectVersion>(
      `copy ${this.bucket}/${from.key} to ${to}`,
      this.#copyRequest(from, to, options),
      (answer) => this.#copied(answer, from.bytes),
      signal,
      {
        mustBeAbsent: precondition?.must === 'be-absent',
        recover: async () => {
          const present = await this.#present.look(to, signal);
          const same = present !== undefined && sameEtag(present.etag, from.etag);
          return same && precondition !== undefined ? present : undefined;
        },
      },
    );
    return await this.#withEtag(to, version, signal);
  }

  #copyRequest(from: ObjectSummary, to: string, options: WriteOptions): S3Request {
    const replaces = options.metadata !== undefined;
    const had = contentHeaders(options.headers);
    const own = new Set(had.map(([name]) => name));
    return {
      ...{ method: 'PUT', bucket: this.bucket, key: to },
      headers: [
        ['x-amz-copy-source', copySource(this.bucket, from.key)],
        ['x-amz-copy-source-if-match', from.etag],
        ['x-amz-metadata-directive', replaces ? 'REPLACE' : 'COPY'],
        ...(replaces ? objectHeaders(to, options) : []),
        ...had,
        ...keepHeaders(this.#connection.keep).filter(([name]) => !own.has(name)),
        ...conditionHeaders(options.precondition),
      ],
      work: 'copies',
    };
  }

  #copied(answer: S3Answer, bytes: number): ObjectVersion {
    const { ETag = '', LastModified } = readFields(answer, 'ETag', 'LastModified');
    const modifiedMs = timeOf(LastModified, this.#connection.dateMs(answer));
    return { etag: ETag === '' ? '' : quotedEtag(ETag), bytes, modifiedMs };
  }

  async delete(key: string, signal: AbortSignal): Promise<void> {
    await this.#connection.send(
      this.#tried('delete', key),
      { method: 'DELETE', bucket: this.bucket, key },
      () => undefined,
      signal,
    );
  }

  async startUpload(key: string, options: UploadOptions, signal: AbortSignal): Promise<Upload> {
    return await this.#uploads.start(key, options, signal);
  }

  async uploadPart(
    upload: Upload,
    number: number,
    body: Uint8Array,
    signal: AbortSignal,
  ): Promise<UploadedPart> {
    return await this.#uploads.sendPart(upload, number, body, signal);
  }

  async copyPart(
    upload: Upload,
    number: number,
    from: ObjectSummary,
    extent: Extent,
    signal: AbortSignal,
  ): Promise<UploadedPart> {
    return await this.#uploads.copyPart(upload, number, from, extent, signal);
  }

  async completeUpload(
    upload: Upload,
    parts: readonly UploadedPart[],
    precondition: Precondition | undefined,
    signal: AbortSignal,
  ): Promise<ObjectVersion> {
    const version = await this.#uploads.complete(upload, parts, precondition, signal);
    return await this.#withEtag(upload.key, version, signal);
  }

  async abortUpload(upload: Upload, signal: AbortSignal): Promise<void> {
    await this.#uploads.giveUp(upload, signal);
  }

  async listUploads(key: string, signal: AbortSignal): Promise<readonly ListedUpload[]> {
    return await listUploads(this.#connection, this.bucket, key, signal);
  }

  async listParts(upload: Upload, signal: AbortSignal): Promise<readonly UploadedPart[]> {
    return await listParts(this.#connection, this.bucket, upload, signal);
  }

  #tried(verb: string, key: string): string {
    return `${verb} ${this.bucket}/${key}`;
  }

  /** `version`, looked up where the answer left out its ETag (RGW) or we do not know its length. */
  async #withEtag(
    key: string,
    version: ObjectVersion,
    signal: AbortSignal,
  ): Promise<ObjectVersion> {
    if (version.etag !== '' && !Number.isNaN(version.bytes)) return version;
    const { etag, bytes, modifiedMs } = await this.#present.head(key, signal);
    return { etag, bytes, modifiedMs };
  }

  /** A read of no bytes still tells whether the object is the version asked for. */
  async #readNothing(key: string, etag: ETag, signal: AbortSignal): Promise<ObjectVersion> {
    const { bytes, modifiedMs, etag: present } = await this.#present.head(key, signal);
    if (!sameEtag(present, etag)) {
      const detail = { code: 'another version is there' };
      throw new StoreError('precondition-failed', this.#tried('read', key), detail);
    }
    return { etag, bytes, modifiedMs };
  }
}
