/**
 * What wire needs of a store of objects: flat keys, whole immutable versions named by an ETag,
 * ranged reads, conditional writes. S3 is one implementation (`s3/`), memory another (tests);
 * nothing here knows which.
 *
 * Every method throws `StoreError`, or `signal.reason` once `signal` aborts.
 */
import type { Extent } from '../lib/bytes.ts';

/** Names one version of an object's content; opaque, compared as a whole, kept with its quotes. */
export type ETag = string;

/** One version of an object, as its writer or a listing knows it. */
export interface ObjectVersion {
  readonly etag: ETag;
  readonly bytes: number;
  /** Last-Modified, ms since the epoch. */
  readonly modifiedMs: number;
}

/** A key and its present version. */
export interface ObjectSummary extends ObjectVersion {
  readonly key: string;
  /** Where a listing was asked for it and the store tells it so: names as in `ObjectHead`. */
  readonly metadata?: Readonly<Record<string, string>>;
}

/** What a store keeps with an object for those who read it, beside its type. */
export interface ContentHeaders {
  readonly contentEncoding?: string;
  readonly contentLanguage?: string;
  readonly contentDisposition?: string;
  readonly cacheControl?: string;
  /** As an HTTP date. */
  readonly expires?: string;
  /** Absent: the usual one. */
  readonly storageClass?: string;
}

/** What HEAD knows beyond a listing. Metadata names are lower case, without the store's prefix. */
export interface ObjectHead extends ObjectVersion {
  /** Absent where the store does not say. */
  readonly contentType?: string;
  readonly metadata: Readonly<Record<string, string>>;
  /** Absent where there are none. */
  readonly headers?: ContentHeaders;
}

export interface ListRequest {
  /** Only keys that begin so; '' for all. */
  readonly prefix: string;
  /** '/' folds what follows the next slash into one common prefix; absent: every key. */
  readonly delimiter?: '/';
  /** `next` of the page before. */
  readonly continuation?: string;
  /** Only keys after this one. */
  readonly startAfter?: string;
  /** At most this many keys and prefixes; the store may give fewer. */
  readonly maxKeys?: number;
  /** With the metadata of each object, if the store can: few do (MinIO), and none refuses. */
  readonly metadata?: true;
}

/** One page, objects and prefixes each in UTF-8 byte order. */
export interface ListPage {
  readonly objects: readonly ObjectSummary[];
  /** Common prefixes, each ending in '/'. */
  readonly prefixes: readonly string[];
  /** Present when there is more. */
  readonly next?: string;
}

/** What must hold of the present object for a request to be done. */
export type Precondition =
  | { readonly must: 'be-absent' } // If-None-Match: *
  | { readonly must: 'be'; readonly etag: ETag }; // If-Match

/**
 * Where the bytes of a read go, in their order: a store may read from the network straight into the
 * room it is given. `room` and `filled` must not throw while what comes is what was asked for.
 */
export interface ReadSink {
  /** Room for the next bytes, never empty while any are to come; valid until `filled`. */
  room(): Uint8Array;
  /** So many bytes of that room were filled, from its start. */
  filled(bytes: number): void;
}

export interface WriteOptions {
  readonly precondition?: Precondition;
  /** Default: by the ending of the key. A copy keeps the source's unless `metadata` is given. */
  readonly contentType?: string;
  /** Names in lower case, without the store's prefix. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** Of a copy that replaces metadata: what is to be as it was. */
  readonly headers?: ContentHeaders;
}

export interface UploadOptions extends WriteOptions {
  /**
   * Every part will be sent, none copied: they may carry sums that are cheaper. MinIO refuses to
   * copy into an upload with these.
   */
  readonly sendsEveryPart?: boolean;
  /** Told of each try without an answer that is made again: it may have begun an upload as well. */
  readonly onLost?: () => void;
}

/** A multipart upload under way. Plain data: whoever keeps it for later keeps all of it. */
export interface Upload {
  readonly key: string;
  readonly uploadId: string;
  /** It was begun with sums of this kind; its parts have them. */
  readonly sums?: 'crc32';
}

/** An upload as the store lists it. */
export interface ListedUpload extends Upload {
  /** ms since the epoch. */
  readonly startedMs: number;
}

/** A part the store has taken. `number` counts from 1. Plain data, as `Upload`. */
export interface UploadedPart {
  readonly number: number;
  readonly etag: ETag;
  /** Its length, where it is known. */
  readonly bytes?: number;
  /** In base64; only in an upload with such sums. */
  readonly crc32?: string;
}

/** The objects of one bucket. */
export interface ObjectStore {
  readonly bucket: string;

  list(request: ListRequest, signal: AbortSignal): Promise<ListPage>;

  head(key: string, signal: AbortSignal): Promise<ObjectHead>;

  /**
   * Reads `extent` of the version `etag` into `sink`. Settles when all of the extent, as far as it
   * lies inside the object, has come. When it fails, part of it may have come.
   *
   * @throws StoreError `precondition-failed` when the object is another version by now.
   */
  read(
    key: string,
    extent: Extent,
    etag: ETag,
    sink: ReadSink,
    signal: AbortSignal,
  ): Promise<ObjectVersion>;

  /** Stores a whole object; `body` is sent as it is and must not change meanwhile. */
  put(
    key: string,
    body: Uint8Array,
    options: WriteOptions,
    signal: AbortSignal,
  ): Promise<ObjectVersion>;

  /**
   * Copies on the server, within the bucket. `options.precondition` speaks of the target. Metadata
   * and headers of the source are kept unless `options.metadata` is there, which replaces both; then
   * `to` may be `from` itself.
   */
  copy(
    from: ObjectSummary,
    to: string,
    options: WriteOptions,
    signal: AbortSignal,
  ): Promise<ObjectVersion>;

  /** Succeeds also when there is no such key, as S3 does. */
  delete(key: string, signal: AbortSignal): Promise<void>;

  startUpload(key: string, options: UploadOptions, signal: AbortSignal): Promise<Upload>;

  uploadPart(
    upload: Upload,
    number: number,
    body: Uint8Array,
    signal: AbortSignal,
  ): Promise<UploadedPart>;

  /** Makes a part of `extent` of another object of this bucket, without its bytes passing here. */
  copyPart(
    upload: Upload,
    number: number,
    from: ObjectSummary,
    extent: Extent,
    signal: AbortSignal,
  ): Promise<UploadedPart>;

  /** Makes the object appear, whole. Parts in order of their number. */
  completeUpload(
    upload: Upload,
    parts: readonly UploadedPart[],
    precondition: Precondition | undefined,
    signal: AbortSignal,
  ): Promise<ObjectVersion>;

  /** Gives the parts' storage back. */
  abortUpload(upload: Upload, signal: AbortSignal): Promise<void>;

  /**
   * The uploads of exactly this key that are under way, of whoever: MinIO finds none by prefix, and
   * whose they are only a note of one's own can tell.
   */
  listUploads(key: string, signal: AbortSignal): Promise<readonly ListedUpload[]>;

  /**
   * The parts that the store has of `upload`, by number.
   *
   * @throws StoreError `not-found` when the upload is none any more: completed, or given up.
   */
  listParts(upload: Upload, signal: AbortSignal): Promise<readonly UploadedPart[]>;
}

export interface BucketSummary {
  readonly name: string;
  /** Creation, ms since the epoch; 0 where the store does not say. */
  readonly createdMs: number;
}

/** The buckets of one endpoint, as one identity sees them. */
export interface ObjectStores {
  buckets(signal: AbortSignal): Promise<readonly BucketSummary[]>;
  /** No request is made: the first use of the store tells whether it is there. */
  open(bucket: string): ObjectStore;
}
