/** The server under test: one bucket of it, clients for it, and the objects that checks share. */
import { createHash } from 'node:crypto';
import {
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  type CreateMultipartUploadCommandInput,
  GetObjectCommand,
  type GetObjectCommandInput,
  HeadObjectCommand,
  type HeadObjectCommandInput,
  type HeadObjectCommandOutput,
  PutObjectCommand,
  type PutObjectCommandInput,
  type PutObjectCommandOutput,
  S3Client,
  type S3ClientConfig,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { MiB } from '../../src/lib/bytes.ts';

export interface Endpoint {
  readonly url: string;
  /** Default `us-east-1`. */
  readonly region?: string;
  /** Made and deleted by the run; default a name of its own. */
  readonly bucket?: string;
}

export interface ConformanceCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

/** Least size of a part that is not the last one (S3 user guide, "multipart upload limits"). */
export const PART_BYTES = 5 * MiB;
const LARGE_BYTES = 11 * MiB;

/** Input of a command without what the target fills in. */
type Without<Input> = Omit<Input, 'Bucket' | 'Key' | 'Body'>;

/** The SDK's advice on streams goes to the console otherwise. */
const silent = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

export interface LargeObject {
  readonly key: string;
  readonly etag: string;
  /** Whether the answer to the completion named the ETag; Ceph RGW 16 leaves it out. */
  readonly etagAnswered: boolean;
}

export class Target implements Disposable {
  readonly url: URL;
  readonly region: string;
  readonly bucket: string;
  readonly credentials: ConformanceCredentials;
  readonly client: S3Client;
  /** Content of the large object: the same in every run, and nowhere repeating. */
  readonly largeBytes: Buffer = noise(LARGE_BYTES);
  readonly #clients: S3Client[] = [];
  #large: Promise<LargeObject> | undefined;

  constructor(endpoint: Endpoint, credentials: ConformanceCredentials) {
    this.url = new URL(endpoint.url);
    this.region = endpoint.region ?? 'us-east-1';
    this.bucket = endpoint.bucket ?? `conformance-${Date.now().toString(36)}`;
    this.credentials = credentials;
    this.client = this.clientWith({});
  }

  /** Another client of the same server. One attempt only: a retry would hide an answer. */
  clientWith(config: S3ClientConfig): S3Client {
    const { accessKeyId, secretAccessKey, sessionToken } = this.credentials;
    const client = new S3Client({
      endpoint: this.url.href,
      region: this.region,
      forcePathStyle: true,
      maxAttempts: 1,
      credentials: { accessKeyId, secretAccessKey, ...(sessionToken && { sessionToken }) },
      logger: silent,
      ...config,
    });
    this.#clients.push(client);
    return client;
  }

  async put(
    key: string,
    body: NonNullable<PutObjectCommandInput['Body']>,
    options: Without<PutObjectCommandInput>,
    signal: AbortSignal,
  ): Promise<PutObjectCommandOutput> {
    const command = new PutObjectCommand({
      ...options,
      Bucket: this.bucket,
      Key: key,
      Body: body,
    });
    return await this.client.send(command, { abortSignal: signal });
  }

  async read(
    key: string,
    options: Without<GetObjectCommandInput>,
    signal: AbortSignal,
  ): Promise<Uint8Array> {
    const command = new GetObjectCommand({ ...options, Bucket: this.bucket, Key: key });
    const { Body: body } = await this.client.send(command, { abortSignal: signal });
    return (await body?.transformToByteArray()) ?? new Uint8Array();
  }

  async head(
    key: string,
    options: Without<HeadObjectCommandInput>,
    signal: AbortSignal,
  ): Promise<HeadObjectCommandOutput> {
    const command = new HeadObjectCommand({ ...options, Bucket: this.bucket, Key: key });
    return await this.client.send(command, { abortSignal: signal });
  }

  async startUpload(
    key: string,
    options: Without<CreateMultipartUploadCommandInput>,
    signal: AbortSignal,
  ): Promise<string> {
    const command = new CreateMultipartUploadCommand({
      ...options,
      Bucket: this.bucket,
      Key: key,
    });
    const { UploadId: uploadId = '' } = await this.client.send(command, { abortSignal: signal });
    return uploadId;
  }

  /** @returns the part as the completion names it. */
  async part(
    upload: { readonly key: string; readonly uploadId: string },
    number: number,
    body: Uint8Array | string,
    signal: AbortSignal,
  ): Promise<{ PartNumber: number; ETag?: string; ChecksumCRC32?: string }> {
    const command = new UploadPartCommand({
      Bucket: this.bucket,
      Key: upload.key,
      UploadId: upload.uploadId,
      PartNumber: number,
      Body: body,
    });
    const { ETag, ChecksumCRC32 } = await this.client.send(command, { abortSignal: signal });
    return { PartNumber: number, ...(ETag && { ETag }), ...(ChecksumCRC32 && { ChecksumCRC32 }) };
  }

  async complete(
    upload: { readonly key: string; readonly uploadId: string },
    parts: readonly { readonly PartNumber: number; readonly ETag?: string }[],
    options: { readonly IfNoneMatch?: string; readonly IfMatch?: string },
    signal: AbortSignal,
  ): Promise<string | undefined> {
    const command = new CompleteMultipartUploadCommand({
      ...options,
      Bucket: this.bucket,
      Key: upload.key,
      UploadId: upload.uploadId,
      MultipartUpload: { Parts: [...parts] },
    });
    const { ETag: etag } = await this.client.send(command, { abortSignal: signal });
    return etag;
  }

  /** An object of 11 MiB in three parts; uploaded by the first check that asks. */
  async large(signal: AbortSignal): Promise<LargeObject> {
    this.#large ??= this.#uploadLarge(signal);
    try {
      return await this.#large;
    } catch (error) {
      this.#large = undefined;
      throw error;
    }
  }

  async #uploadLarge(signal: AbortSignal): Promise<LargeObject> {
    const key = 'shared/large';
    const upload = { key, uploadId: await this.startUpload(key, {}, signal) };
    const starts = [0, PART_BYTES, 2 * PART_BYTES];
    const parts = await Promise.all(
      starts.map(async (start, index) => {
        const body = this.largeBytes.subarray(start, start + PART_BYTES);
        return await this.part(upload, index + 1, body, signal);
      }),
    );
    const answered = await this.complete(upload, parts, {}, signal);
    const { ETag: etag = '' } = await this.head(key, {}, signal);
    return { key, etag, etagAnswered: answered === etag };
  }

  [Symbol.dispose](): void {
    for (const client of this.#clients) client.destroy();
  }
}

export function md5(bytes: string): Buffer {
  return createHash('md5').update(bytes).digest();
}

/** Bytes of xorshift32: cheap, repeatable, without a period that fits a part. */
function noise(length: number): Buffer {
  const words = new Uint32Array(length / 4);
  let state = 0x9e3779b9;
  for (let index = 0; index < words.length; index += 1) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[index] = state;
  }
  return Buffer.from(words.buffer);
}
