/** What a bucket keeps of an object. */
import type { Checksum } from './checksums.ts';
import type { Content } from './object-data.ts';

/** One version of an object. */
export interface StoredObject {
  readonly key: string;
  readonly content: Content;
  /** Without quotes. */
  readonly etag: string;
  /** Ms since the epoch. */
  readonly modifiedMs: number;
  /** Content-Type and its like, and `x-amz-meta-*`, by lower-case name. */
  readonly headers: Readonly<Record<string, string>>;
  readonly checksum?: Checksum;
  /** Of a completed upload: size of each part, in order. */
  readonly partBytes?: readonly number[];
  readonly versionId?: string;
}
