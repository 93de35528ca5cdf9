/** Uploads in parts, of one bucket (S3 API reference, CreateMultipartUpload and its like). */
import type { Extent } from '../lib/bytes.ts';
import { StoreError } from '../store/errors.ts';
import type {
  ObjectSummary,
  ObjectVersion,
  Precondition,
  Upload,
  UploadedPart,
  UploadOptions,
} from '../store/object-store.ts';
import { required } from './answer-fields.ts';
import { CRC_HEADER, crcOfParts, partBody, plainBody } from './body-guard.ts';
import type { AsksImpossible } from './completion-conditions.ts';
import type { MadeObject, PresentObjects } from './present-objects.ts';
import type { S3Connection } from './s3-connection.ts';
import { copySource, encodePart, etagOfParts, quotedEtag, rangeHeader } from './s3-encoding.ts';
import type { S3Request } from './s3-request.ts';
import { listParts } from './upload-listings.ts';
import { completionDocument, readFields } from './write-documents.ts';
import { conditionHeaders, keepHeaders, objectHeaders } from './write-headers.ts';

/** Named when an upload is begun: every part has a CRC-32 then, and the whole has one of those. */
const ALGORITHM_HEADER = 'x-amz-checksum-algorithm';

export class MultipartUploads {
  readonly #connection: S3Connection;
  readonly #bucket: string;
  readonly #present: PresentObjects;

  constructor(connection: S3Connection, bucket: string, present: PresentObjects) {
    this.#connection = connection;
    this.#bucket = bucket;
    this.#present = present;
  }

  async start(key: string, options: UploadOptions, signal: AbortSignal): Promise<Upload> {
    const { crc } = this.#connection;
    // Over plain HTTP each part has a SHA-256 in any case.
    const names = options.sendsEveryPart === true && crc.secure && crc.mayHelp;
    try {
      return await this.#start(key, options, names, signal);
    } catch (error) {
      const mayBeCrc = names && error instanceof StoreError && error.kind === 'unsupported';
      if (!mayBeCrc || !crc.mayBeRefused()) throw error;
      return await this.#start(key, options, false, signal);
    }
  }

  async #start(
    key: string,
    options: UploadOptions,
    namesCrc: boolean,
    signal: AbortSignal,
  ): Promise<Upload> {
    const { crc, keep } = this.#connection;
    const tried = `start writing ${this.#bucket}/${key}`;
    const headers = [...objectHeaders(key, options), ...keepHeaders(keep)];
    if (namesCrc) headers.push([ALGORITHM_HEADER, 'CRC32']);
    return await this.#connection.send(
      tried,
      { method: 'POST', bucket: this.#bucket, key, query: 'uploads=', headers },
      (answer) => {
        const uploadId = required(readFields(answer, 'UploadId').UploadId, tried);
        if (namesCrc) crc.learn(answer.headers, ALGORITHM_HEADER);
        return { key, uploadId, ...(namesCrc && crc.isChecked && { sums: 'crc32' as const }) };
      },
      signal,
      options.onLost === undefined ? {} : { onLost: options.onLost },
    );
  }

  async sendPart(
    upload: Upload,
    number: number,
    bytes: Uint8Array,
    signal: AbortSignal,
  ): Promise<UploadedPart> {
    const named = upload.sums === 'crc32';
    const body = partBody(bytes, this.#connection.crc, named);
    const tried = `write part ${number} of ${this.#bucket}/${upload.key}`;
    return await this.#connection.send(
      tried,
      { ...this.#ofPart(upload, number), body, work: 'receives' },
      ({ headers }) => ({
        number,
        etag: required(headers.get('etag'), tried),
        bytes: bytes.byteLength,
        ...(named && { crc32: headers.get(CRC_HEADER) ?? body.crc32 }),
      }),
      signal,
    );
  }

  async copyPart(
    upload: Upload,
    number: number,
    from: ObjectSummary,
    extent: Extent,
    signal: AbortSignal,
  ): Promise<UploadedPart> {
    const tried = `copy ${this.#bucket}/${from.key} into part ${number} of ${upload.key}`;
    return await this.#connection.send(
      tried,
      {
        ...this.#ofPart(upload, number),
        headers: [
          ['x-amz-copy-source', copySource(this.#bucket, from.key)],
          ['x-amz-copy-source-if-match', from.etag],
          ['x-amz-copy-source-range', rangeHeader(extent)],
        ],
        work: 'copies',
      },
      (answer) => {
        const { ETag, ChecksumCRC32: crc32 } = readFields(answer, 'ETag', 'ChecksumCRC32');
        const etag = quotedEtag(required(ETag, tried));
        const bytes = extent.end - extent.start;
        const sums = upload.sums === 'crc32' && crc32 !== undefined && { crc32 };
        return { number, etag, bytes, ...sums };
      },
      signal,
    );
  }

  /** The object without its ETag where the server leaves that out, or bytes that are not known. */
  async complete(
    upload: Upload,
    parts: readonly UploadedPart[],
    precondition: Precondition | undefined,
    signal: AbortSignal,
  ): Promise<ObjectVersion> {
    const { key } = upload;
    const conditions = this.#connection.completionConditions;
    if (!conditions.areKept) await this.#checkTarget(key, precondition, signal);
    const request: S3Request = {
      ...this.#ofUpload(upload),
      method: 'POST',
      headers: conditionHeaders(precondition),
      body: plainBody(completionDocument(parts)),
      work: 'copies',
    };
    const bytes = parts.reduce((sum, part) => sum + (part.bytes ?? Number.NaN), 0);
    const { version, server } = await this.#connection.send<Completed>(
      `finish writing ${this.#bucket}/${key}`,
      request,
      (answer) => {
        const { ETag = '' } = readFields(answer, 'ETag');
        const etag = ETag === '' ? '' : quotedEtag(ETag);
        const modifiedMs = this.#connection.dateMs(answer);
        return { version: { etag, bytes, modifiedMs }, server: answer.headers.get('server') };
      },
      signal,
      {
        mustBeAbsent: precondition?.must === 'be-absent',
        recoversFromTrouble: true,
        recover: async ({ detail }) => {
          const isTrouble = (detail.status ?? 0) >= 500;
          return await this.#completed(upload, parts, { bytes, isTrouble }, signal);
        },
      },
    );
    if (precondition !== undefined)
      await conditions.learn(server, this.#asksImpossible(key, signal));
    return version;
  }

  /**
   * What a completion has made that got no clear answer.
   *
   * @throws StoreError `not-found` when the upload is none any more.
   */
  async #completed(
    upload: Upload,
    parts: readonly UploadedPart[],
    { bytes, isTrouble }: { readonly bytes: number; readonly isTrouble: boolean },
    signal: AbortSignal,
  ): Promise<Completed | undefined> {
    const made = madeOf(parts, bytes);
    const version = await this.#present.presentIf(upload.key, made, signal);
    if (version !== undefined) return { version, server: undefined };
    // Ceph RGW 16 says InternalError to the completion of an upload that is gone.
    if (isTrouble) await listParts(this.#connection, this.#bucket, upload, signal);
    return undefined;
  }

  async giveUp(upload: Upload, signal: AbortSignal): Promise<void> {
    try {
      await this.#connection.send(
        `give up writing ${this.#bucket}/${upload.key}`,
        { ...this.#ofUpload(upload), method: 'DELETE' },
        () => undefined,
        signal,
      );
    } catch (error) {
      if (!(error instanceof StoreError) || error.kind !== 'not-found') throw error;
    }
  }

  /**
   * Who ignores the conditions of a completion (Ceph RGW 16) has us look first. Between this and the
   * completion a change by somebody else is still lost there. Who may write but not look is left to
   * the server.
   */
  async #checkTarget(
    key: string,
    precondition: Precondition | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    try {
      await this.#present.check(key, precondition, signal);
    } catch (error) {
      if (!(error instanceof StoreError) || error.kind !== 'access-denied') throw error;
    }
  }

  /** Asked of a key that is there. */
  #asksImpossible(key: string, signal: AbortSignal): AsksImpossible {
    return async (condition) => {
      const precondition: Precondition =
        condition === 'be-absent' ? { must: condition } : { must: 'be', etag: NO_ETAG };
      try {
        await this.#connection.send(
          `learn what ${this.#connection.endpoint} makes of conditions`,
          {
            ...this.#ofUpload({ key, uploadId: NO_UPLOAD }),
            method: 'POST',
            headers: conditionHeaders(precondition),
            body: plainBody(completionDocument([{ number: 1, etag: NO_ETAG }])),
          },
          () => undefined,
          signal,
          { once: true },
        );
      } catch (error) {
        signal.throwIfAborted();
        return error instanceof StoreError && error.detail.status === 412;
      }
      return false;
    };
  }

  #ofUpload({ key, uploadId }: Upload): { bucket: string; key: string; query: string } {
    return { bucket: this.#bucket, key, query: `uploadId=${encodePart(uploadId)}` };
  }

  #ofPart({ key, uploadId }: Upload, number: number): S3Request {
    const query = `partNumber=${number}&uploadId=${encodePart(uploadId)}`;
    return { method: 'PUT', bucket: this.#bucket, key, query };
  }
}

interface Completed {
  readonly version: ObjectVersion;
  readonly server: string | undefined;
}

/** Of no object and of no upload; MinIO wants to decode the latter. */
const NO_ETAG = '"00000000000000000000000000000000"';
const NO_UPLOAD = '00000000000000000000000000000000';

function madeOf(parts: readonly UploadedPart[], bytes: number): MadeObject {
  const crcs = parts.flatMap(({ crc32 }) => (crc32 === undefined ? [] : [crc32]));
  return {
    etag: () => etagOfParts(parts.map(({ etag }) => etag)),
    bytes,
    crc32: () => (crcs.length === parts.length ? crcOfParts(crcs) : undefined),
  };
}
