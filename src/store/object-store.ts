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
}

/** What HEAD knows beyond a listing. Metadata names are lower case, without the store's prefix. */
export interface ObjectHead extends ObjectVersion {
  readonly metadata: Readonly<Record<string, string>>;
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
  readonly contentType?: string;
  /** Names in lower case, without the store's prefix. */
  readonly metadata?: Readonly<Record<string, string>>;
}

/** A multipart upload under way. */
export interface Upload {
  readonly key: string;
  readonly uploadId: string;
}

/** A part the store has taken. `number` counts from 1. */
export interface UploadedPart {
  readonly number: number;
  readonly etag: ETag;
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

  /** Copies on the server, within the bucket. `options.precondition` speaks of the target. */
  copy(
    from: ObjectSummary,
    to: string,
    options: WriteOptions,
    signal: AbortSignal,
  ): Promise<ObjectVersion>;

  /** Succeeds also when there is no such key, as S3 does. */
  delete(key: string, signal: AbortSignal): Promise<void>;

  startUpload(key: string, options: WriteOptions, signal: AbortSignal): Promise<Upload>;

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
