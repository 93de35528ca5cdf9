import type { BlockSource } from '../cache/load.ts';
import { Streams } from '../cache/streams.ts';
import type { ObjectVersion } from '../store/object-store.ts';
import type { Place } from './directory-source.ts';

/** A version of an object that open handles read, wherever a rename has put it since. */
export interface PinnedVersion extends BlockSource {
  /** Names its blocks, in memory and on disk; stays the same when the object moves. */
  readonly object: string;
  readonly place: () => Place;
  /** Settles when what the disk keeps of it is known; undefined once it is. */
  readonly opening: Promise<void> | undefined;
  /** Replaced by the copy's version when the object moves. */
  version: ObjectVersion;
  /** While the object is copied onto itself: settles when `version` is what it has become. */
  renewing: Promise<void> | undefined;
  /** Handles that read it. */
  opens: number;
}

/** How far one reader is. */
export interface ReadPosition {
  readonly streams: Streams;
  /** It wants nothing from here on; absent: nobody knows how far it goes. */
  readonly until?: number;
}

/** Where a reader stands who has read nothing, and who reads no further than `until`. */
export function newPosition(until?: number): ReadPosition {
  const streams = new Streams();
  return until === undefined ? { streams } : { streams, until };
}
