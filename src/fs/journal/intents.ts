/**
 * What a mount has promised and not yet done in the bucket. It is written down first, so that
 * after a crash the next mount of the same source and identity does it.
 */
import type { ETag, ObjectVersion } from '../../store/object-store.ts';

/** Content that was accepted: it is to become the object `key`. */
export interface SaveIntent {
  readonly kind: 'save';
  readonly bucket: string;
  readonly key: string;
  /** The version it replaces; absent: there must be no object. */
  readonly base?: ObjectVersion;
  /** Made by O_EXCL: an object of somebody else's is EEXIST, not a conflict. */
  readonly exclusive: boolean;
  /** Length of the whole, with what is taken from `base` and what is a hole. */
  readonly bytes: number;
  /** Metadata of the object; names as in `WriteOptions`. */
  readonly metadata: Readonly<Record<string, string>>;
  /**
   * Where the changed bytes are: at their own offsets in a file of the journal's folder, or inline,
   * which are the `local` extents one after the other.
   */
  readonly content: { readonly file: string } | 'inline';
  /** Which extents are in `content`, and which are `base`'s: as `ExtentMap` encodes them. */
  readonly extents: readonly (readonly [start: number, end: number, from: 'local' | 'base'])[];
  /** Content of the file that was sent, of which nobody knows whether it arrived. */
  readonly sent?: readonly SentIntent[];
  /** No answer tells whether a delete of ours has removed `base`: not to find it is no conflict. */
  readonly mayBeGone?: boolean;
  /** Ms since the epoch. */
  readonly acceptedMs: number;
  /** How many times a later life has noted it again, in a journal of its own; absent: never. */
  readonly renewals?: number;
}

/** To find it in the bucket is no conflict. */
export interface SentIntent {
  readonly bytes: number;
  readonly etag: ETag;
  /** It is what is to be saved, and nothing earlier. */
  readonly isPresent: boolean;
  /** As `Doubt` says of 'other'. */
  readonly isOther?: boolean;
}

/** A file that was unlinked while open: its object goes with its last close. */
export interface DeleteIntent {
  readonly kind: 'delete';
  readonly bucket: string;
  readonly key: string;
  /** Only this version is ours to delete. */
  readonly etag: ETag;
}

/** A directory on its way to another name. While `copying` it may turn back, then only go on. */
export interface MoveIntent {
  readonly kind: 'move';
  readonly bucket: string;
  /** Prefixes, each ending in '/'. */
  readonly from: string;
  readonly to: string;
  readonly stage: 'copying' | 'deleting';
  /** `to` was an empty directory with a marker, which stays when the move turns back. */
  readonly hadMarker?: boolean;
}

/** A multipart upload that begins, and what it takes to give it up: as `NotedUpload`. */
export interface UploadIntent {
  readonly kind: 'upload';
  readonly bucket: string;
  readonly key: string;
  /** Absent until the store has told it. */
  readonly uploadId?: string;
  /** Ms since the epoch. */
  readonly notedMs: number;
}

export type Intent = SaveIntent | DeleteIntent | MoveIntent | UploadIntent;

/** Bytes that go with an intent, as pieces that follow one another. At most `MOST_INLINE_BYTES`. */
export type InlineContent = readonly Uint8Array[];

/** What is longer belongs in a file: a record is written in one call. */
export const MOST_INLINE_BYTES: number = 1024 * 1024;

/** An intent that is written down. */
export interface NotedIntent {
  /** As it was noted, or changed last. */
  readonly intent: Intent;

  /**
   * Writes `intent` instead: a crash finds the one or the other. Without `content` the inline
   * content stays what it was.
   */
  change(intent: Intent, content?: InlineContent): Promise<void>;

  /** The inline content, read back; empty where there is none. */
  content(): Promise<Uint8Array>;

  /** It is done, or not wanted any more. The second time nothing happens. */
  forget(): Promise<void>;
}

export interface IntentNotes {
  /** When it returns, `intent` survives the end of this process. `content` may be changed then. */
  note(intent: Intent, content?: InlineContent): Promise<NotedIntent>;
}
