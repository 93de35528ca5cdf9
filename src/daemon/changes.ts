/** Changes that wire makes in buckets, as those hear of them who keep account. */
import type { StoreErrorKind } from '../store/errors.ts';

/** Why a request came to nothing; `interrupted`: nobody waited for it any more. */
export type RequestFailure = StoreErrorKind | 'interrupted' | 'internal';

/** A change of a bucket, or the try of one. */
export interface Change {
  readonly action: 'put' | 'copy' | 'delete' | 'complete-upload';
  readonly bucket: string;
  readonly key: string;
  /** Of a copy: the key it is of. */
  readonly from?: string;
  readonly bytes?: number;
  /** Of the version that was made. */
  readonly etag?: string;
  /** `done`, or why not; where nothing answered, the bucket may hold it all the same. */
  readonly outcome: 'done' | RequestFailure;
  /** HTTP status of a refusal. */
  readonly status?: number;
}

/** Hears of changes once their outcome is known. Never throws. */
export type ChangeListener = (change: Change) => void;
