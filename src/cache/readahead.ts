/**
 * How far to read ahead of one stream of reads: a pure function of what it has read so far.
 *
 * A stream that goes on where it stopped has a window, the bytes that are asked for beyond where it
 * stands. The window doubles when the reader had to wait for what the window should have brought,
 * and not merely because it reads on: one that is never kept waiting has enough. A stream without a
 * window reads at random, and gets what it asks for.
 */
import { type Extent, KiB, MiB } from '../lib/bytes.ts';
import { BLOCK_BYTES } from './slots.ts';

/** One place in a file where somebody reads. */
export interface Stream {
  /** The end of what it has read in one go. */
  readonly position: number;
  /** How far ahead to ask; 0 while no order is seen. */
  readonly windowBytes: number;
  /** All from `position` up to here was asked for. */
  readonly fetchedTo: number;
  /** What lies before this was asked for with a smaller window: waiting for it tells nothing new. */
  readonly growAt: number;
  /** What was read in one go, in bytes. */
  readonly runBytes: number;
  /** While it stands before this and waits for nothing, there is nothing to ask for. */
  readonly refillAt: number;
}

export interface ReadEvent {
  readonly start: number;
  readonly end: number;
  /** Some of it was not in memory. */
  readonly stalled: boolean;
  /** The first of it that was not even on its way. */
  readonly absentAt: number | undefined;
}

export interface ReadaheadLimits {
  /** Length of the file: nothing is asked for behind it. */
  readonly fileBytes: number;
  /** Most bytes ahead of this stream, less when memory is short; 0: none. */
  readonly maxBytes: number;
  /** Longest request. */
  readonly partBytes: number;
  /** Least to ask for at random. */
  readonly grainBytes: number;
}

export interface ReadaheadStep {
  readonly stream: Stream;
  /** What to ask for; holds the read itself when that had to wait. */
  readonly fetch: Extent | undefined;
}

/** A first request carries data long enough to be worth a round trip of some milliseconds. */
const FIRST_WINDOW_BYTES = MiB;

/**
 * Who reads 1 MiB makes the kernel ask for its own read-ahead beyond it, 128 KiB by default
 * (`/sys/class/bdi/…/read_ahead_kb`): with that in the first request there is no second.
 */
const KERNEL_READAHEAD_BYTES = 128 * KiB;

/** A gap of up to this is filled: the kernel sends neighbours side by side, in any order. */
const GAP_BYTES = 256 * KiB;
/** A skip of up to this is still the same stream, and what lies between is left out. */
export const SKIP_BYTES: number = 16 * MiB;
/** And a step back of up to this (a header again, a `tail`, the kernel's own order). */
export const BACK_BYTES: number = MiB;

/** All accesses end on a page. */
const PAGE_BYTES = 4 * KiB;

/** The stream that begins with `read`, which is the `first` of its handle or not. */
export function startStream(
  read: ReadEvent,
  first: boolean,
  limits: ReadaheadLimits,
): ReadaheadStep {
  const runBytes = read.end - read.start;
  // A file that is opened and read from its start is usually read on.
  if (!first || read.start > 0 || limits.maxBytes === 0) return atRandom(read, runBytes, limits);
  const windowBytes = Math.min(FIRST_WINDOW_BYTES, limits.maxBytes);
  const wanted = Math.max(windowBytes + KERNEL_READAHEAD_BYTES, read.end);
  const most = blockEnd(Math.min(wanted, read.end + limits.maxBytes));
  const fetchedTo = Math.min(most, limits.fileBytes);
  const stream = {
    ...{ position: read.end, windowBytes, fetchedTo, growAt: fetchedTo, runBytes },
    refillAt: refillAt(windowBytes, fetchedTo, limits),
  };
  return { stream, fetch: { start: read.start, end: fetchedTo } };
}

/** How much `read` looks like the next of `stream`: 0 not at all, else the nearer the more. */
export function likeness(stream: Stream, read: ReadEvent): number {
  const { position, windowBytes, fetchedTo } = stream;
  const { start, end } = read;
  if (windowBytes === 0) {
    // The kernel sends neighbours side by side, in any order.
    const slack = Math.min(2 * (end - start), BACK_BYTES);
    return Math.abs(start - position) <= slack ? 3 : 0;
  }
  if (start >= position - BACK_BYTES && start <= fetchedTo + GAP_BYTES) return 2;
  return start >= position && start <= fetchedTo + SKIP_BYTES ? 1 : 0;
}

/** `stream` after `read`, which is like it, and what to ask for because of it. */
export function continueStream(
  stream: Stream,
  read: ReadEvent,
  limits: ReadaheadLimits,
): ReadaheadStep {
  const position = Math.max(stream.position, read.end);
  const runBytes = stream.runBytes + read.end - read.start;
  const wantedBytes = windowAfter(stream, read, position, runBytes);
  const windowBytes = Math.min(wantedBytes, limits.maxBytes);
  if (windowBytes === 0) return atRandom(read, runBytes, limits);

  const known = askedFor(stream, read);
  const grew = windowBytes > stream.windowBytes;
  const growAt = grew ? Math.max(known, position) : stream.growAt;
  const enough = position < refillAt(windowBytes, known, limits) && read.absentAt === undefined;
  // A request at least, though the window is small: each costs the same, however short.
  const wished = Math.max(position + windowBytes, known + limits.partBytes);
  const most = Math.min(blockEnd(Math.min(wished, position + limits.maxBytes)), limits.fileBytes);
  const wantedTo = Math.max(most, known);
  const fetch = enough || wantedTo <= known ? undefined : { start: known, end: wantedTo };
  const fetchedTo = Math.max(fetch?.end ?? known, position);
  const after = { position, windowBytes, growAt, runBytes, fetchedTo };
  return { stream: { ...after, refillAt: refillAt(windowBytes, fetchedTo, limits) }, fetch };
}

/** Where the reader stands when a whole request, or half of a window, is due. */
function refillAt(windowBytes: number, fetchedTo: number, limits: ReadaheadLimits): number {
  if (fetchedTo >= limits.fileBytes) return Infinity;
  return fetchedTo - windowBytes + Math.min(limits.partBytes, windowBytes / 2);
}

/** Up to where all that comes next was asked for and is not lost. */
function askedFor({ position, fetchedTo }: Stream, read: ReadEvent): number {
  if (read.absentAt === undefined) return Math.max(fetchedTo, position);
  const start = blockStart(read.absentAt);
  return start > fetchedTo + GAP_BYTES ? start : Math.min(fetchedTo, start);
}

function windowAfter(stream: Stream, read: ReadEvent, position: number, runBytes: number): number {
  const { windowBytes, fetchedTo, growAt } = stream;
  if (windowBytes === 0) {
    // A short run says little: two pages side by side are not worth a MiB.
    return Math.max(Math.min(4 * runBytes, FIRST_WINDOW_BYTES), BLOCK_BYTES);
  }
  // Each skip out of what was asked for makes order less likely.
  if (read.start > fetchedTo + GAP_BYTES) {
    return windowBytes >= 2 * BLOCK_BYTES ? windowBytes / 2 : 0;
  }
  // What was asked for is not there: memory was too short for so much.
  const { absentAt = Infinity } = read;
  if (absentAt >= stream.position && absentAt < fetchedTo)
    return Math.max(windowBytes / 2, BLOCK_BYTES);
  return read.stalled && position > growAt ? windowBytes * 2 : windowBytes;
}

/** The pages of the read, or what is as cheap: never beyond the blocks it touches. */
function atRandom(read: ReadEvent, runBytes: number, limits: ReadaheadLimits): ReadaheadStep {
  const { start, end } = read;
  const stream = {
    ...{ position: end, windowBytes: 0, fetchedTo: end, growAt: end, runBytes },
    refillAt: 0,
  };
  if (!read.stalled) return { stream, fetch: undefined };
  const { grainBytes, fileBytes } = limits;
  const pages = Math.floor(start / PAGE_BYTES) * PAGE_BYTES;
  const least = Math.max(Math.ceil(end / PAGE_BYTES) * PAGE_BYTES, pages + grainBytes);
  const last = Math.min(least, blockEnd(end));
  const first = Math.max(Math.min(pages, last - grainBytes), blockStart(start));
  return { stream, fetch: { start: first, end: Math.min(last, fileBytes) } };
}

function blockStart(at: number): number {
  return Math.floor(at / BLOCK_BYTES) * BLOCK_BYTES;
}

function blockEnd(at: number): number {
  return Math.ceil(at / BLOCK_BYTES) * BLOCK_BYTES;
}
