/**
 * How far to read ahead of one reader: a pure function of what it has read so far. A reader that
 * goes on where it stopped gets a window that doubles; one that jumps gets nothing extra.
 */
import { type Extent, KiB, MiB } from '../lib/bytes.ts';

export interface ReadaheadOptions {
  /** Length of the file: nothing is fetched behind it. */
  readonly fileBytes: number;
  /** Most bytes fetched ahead of the reader; 0 turns read-ahead off. May change between reads. */
  readonly maxBytes: number;
}

export interface ReadaheadState {
  /** Where the reader stands: the end of what it has read in one go. */
  readonly position: number;
  /** How far ahead to fetch; 0 while no order is seen. */
  readonly windowBytes: number;
  /** All from `position` up to here is fetched or on its way. */
  readonly fetchedTo: number;
}

export interface ReadaheadStep {
  readonly state: ReadaheadState;
  /** What to fetch beyond the read itself. */
  readonly fetch: Extent | undefined;
}

/** A file just opened: a read of its start counts as going on. */
export const initialReadahead: ReadaheadState = { position: 0, windowBytes: 0, fetchedTo: 0 };

/** First window: large enough that a round trip of 20 ms carries data most of its time. */
const FIRST_WINDOW_BYTES = MiB;

/** The kernel sends a file's reads side by side, so they may come this far out of order. */
const SLACK_BYTES = 128 * KiB;

/** A reader that steps back no further than this (a header again, a `tail`) is still in order. */
const BACKWARD_BYTES = MiB;

/** The state after `read`, and what to fetch because of it. */
export function nextReadahead(
  state: ReadaheadState,
  read: Extent,
  options: ReadaheadOptions,
): ReadaheadStep {
  const end = Math.min(read.end, options.fileBytes);
  if (!goesOn(state, read)) {
    return { state: { position: end, windowBytes: 0, fetchedTo: end }, fetch: undefined };
  }
  const position = Math.max(state.position, end);
  const known = { ...state, position, fetchedTo: Math.max(state.fetchedTo, position) };
  // Half a window still to come: time enough to fetch the next one.
  const enough = known.fetchedTo - position > state.windowBytes / 2;
  if (enough) return { state: known, fetch: undefined };

  const wanted = Math.max(state.windowBytes * 2, FIRST_WINDOW_BYTES);
  const windowBytes = Math.min(wanted, options.maxBytes);
  const fetchedTo = Math.min(position + windowBytes, options.fileBytes);
  if (fetchedTo <= known.fetchedTo) return { state: { ...known, windowBytes }, fetch: undefined };
  return {
    state: { position, windowBytes, fetchedTo },
    fetch: { start: known.fetchedTo, end: fetchedTo },
  };
}

/** Whether `read` belongs to the run so far: at its end, in what is fetched, or a small step back. */
function goesOn({ position, windowBytes, fetchedTo }: ReadaheadState, { start }: Extent): boolean {
  const back = windowBytes === 0 ? SLACK_BYTES : Math.min(windowBytes, BACKWARD_BYTES);
  return start >= position - back && start <= fetchedTo + SLACK_BYTES;
}
