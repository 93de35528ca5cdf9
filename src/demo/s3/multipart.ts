/** Uploads in parts: what is kept until they are completed or aborted. */
import type { Checksum, ChecksumName, ChecksumType } from './checksums.ts';
import type { Content } from './object-data.ts';

export interface Part {
  readonly number: number;
  readonly content: Content;
  /** Without quotes: the MD5 of the part in hex. */
  readonly etag: string;
  readonly modifiedMs: number;
  readonly checksum?: Checksum;
}

export interface Upload {
  readonly id: string;
  readonly key: string;
  readonly startedMs: number;
  /** What the object will carry, see `StoredObject.headers`. */
  readonly headers: Readonly<Record<string, string>>;
  /** Named when the upload was created. */
  readonly algorithm?: { readonly name: ChecksumName; readonly type: ChecksumType };
  /** By part number. */
  readonly parts: Map<number, Part>;
}

/** Lets go of all that `upload` holds. */
export function discardUpload(upload: Upload): void {
  for (const { content } of upload.parts.values()) content.release();
  upload.parts.clear();
}
