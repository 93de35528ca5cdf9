import type { ReadaheadState } from '../cache/readahead.ts';
import type { ObjectVersion } from '../store/object-store.ts';
import type { Place } from './directory-source.ts';

/** A version of an object that open handles read, wherever a rename has put it since. */
export interface PinnedVersion {
  /** Names its blocks in the cache; stays the same when the object moves. */
  readonly object: string;
  readonly place: () => Place;
  /** Replaced by the copy's version when the object moves. */
  version: ObjectVersion;
  /** Handles that read it. */
  opens: number;
}

/** How far one reader is. */
export interface ReadPosition {
  readahead: ReadaheadState;
}
