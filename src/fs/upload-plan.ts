/**
 * How content becomes an object: in one request, or as the parts of an upload, some of which the
 * server copies from the object that is being replaced. Pure.
 *
 * Invariants of a plan in parts (API: UploadPart, UploadPartCopy, CompleteMultipartUpload)
 * - its parts tile the content, in order; there are at most 10,000;
 * - every part but the last has at least 5 MiB, none more than 5 GiB;
 * - a part is copied only where all of it is as in the base.
 */
import { type Extent, GiB, KiB, MiB } from '../lib/bytes.ts';
import type { Piece } from './extents.ts';

/** A part to be made; its number is its place in the plan, from 1. */
export interface PlannedPart extends Extent {
  /** `base`: copied on the server; `here`: sent. */
  readonly from: 'base' | 'here';
}

export type UploadPlan =
  | { readonly kind: 'put' }
  | { readonly kind: 'parts'; readonly parts: readonly PlannedPart[] };

/** One request up to here: a second one would cost more than its parallelism brings. */
export const SINGLE_PUT_BYTES: number = 16 * MiB;
export const MAX_PARTS = 10_000;
export const MIN_PART_BYTES: number = 5 * MiB;
export const MAX_PART_BYTES: number = 5 * GiB;

/** A content that would fit one request is copied in part if that spares so much. */
const COPY_WORTH_BYTES = 8 * MiB;
/** A part that is sent, unless there would be too many. */
const PART_BYTES = 8 * MiB;
/** A part that is copied: long enough to be worth a request, and several at once make it faster. */
const COPY_PART_BYTES = 128 * MiB;
/** With more pieces than that, parts would be spent on little: then more is sent instead. */
const MOST_SEGMENTS = 2000;
/** Lengths are multiples of it. */
const GRAIN_BYTES = 64 * KiB;

/** Parts of the grid, by their length: what is written in order is cut without knowing its end. */
const GRID = [
  { parts: 2000, bytes: PART_BYTES },
  { parts: 2000, bytes: 2 * PART_BYTES },
  { parts: 2000, bytes: 4 * PART_BYTES },
] as const;

/** How many parts the grid has: 109 GiB. What comes after waits for the end, when its length is known. */
export const GRID_PARTS: number = GRID.reduce((sum, { parts }) => sum + parts, 0);

/** The part with that number (from 1) of content whose end is not known; undefined beyond the grid. */
export function gridPart(number: number): Extent | undefined {
  let start = 0;
  let before = 0;
  for (const { parts, bytes } of GRID) {
    if (number <= before + parts) {
      start += (number - before - 1) * bytes;
      return { start, end: start + bytes };
    }
    before += parts;
    start += parts * bytes;
  }
  return undefined;
}

/** The grid's parts of all of `bytes`; what is longer than the grid has the rest in equal parts. */
export function gridParts(bytes: number): readonly PlannedPart[] {
  const parts: PlannedPart[] = [];
  for (let number = 1, at = 0; at < bytes; number += 1) {
    const part = gridPart(number);
    if (part === undefined) {
      const most = atLeast(4 * PART_BYTES, (bytes - at) / (MAX_PARTS - GRID_PARTS));
      parts.push(...cut({ start: at, end: bytes }, Math.ceil((bytes - at) / most), 'here'));
      break;
    }
    parts.push({ start: part.start, end: Math.min(part.end, bytes), from: 'here' });
    at = part.end;
  }
  return parts;
}

/**
 * @param pieces the content's, `base` where it is as in the object that it replaces.
 * @param copies whether the server copies.
 */
export function planUpload(pieces: Iterable<Piece>, bytes: number, copies = true): UploadPlan {
  const all = copies ? [...pieces] : [];
  for (let least = MIN_PART_BYTES; least < bytes; least *= 2) {
    const segments = segmentsOf(all, least, bytes);
    const copied = segments.filter(({ from }) => from === 'base');
    const copiedBytes = lengthOf(copied);
    if (copiedBytes === 0 || (bytes <= SINGLE_PUT_BYTES && copiedBytes < COPY_WORTH_BYTES)) break;
    if (segments.length <= MOST_SEGMENTS) return { kind: 'parts', parts: partsOf(segments, bytes) };
  }
  if (bytes <= SINGLE_PUT_BYTES) return { kind: 'put' };
  return { kind: 'parts', parts: gridParts(bytes) };
}

/** What is copied and what is sent, one after another: each but the last has at least 5 MiB. */
function segmentsOf(
  pieces: readonly Piece[],
  least: number,
  bytes: number,
): readonly PlannedPart[] {
  const segments: PlannedPart[] = [];
  /** Where what has to be sent begins. */
  let sentFrom: number | undefined;
  for (const { start, end, from } of pieces) {
    if (from !== 'base' || end - start < least) {
      sentFrom ??= start;
      continue;
    }
    // What is too short for a part takes what it lacks from here.
    const copyFrom = sentFrom === undefined ? start : Math.max(start, sentFrom + MIN_PART_BYTES);
    const isPart = end - copyFrom >= MIN_PART_BYTES || (end === bytes && end > copyFrom);
    if (!isPart) {
      sentFrom ??= start;
      continue;
    }
    if (sentFrom !== undefined) segments.push({ start: sentFrom, end: copyFrom, from: 'here' });
    segments.push({ start: copyFrom, end, from: 'base' });
    sentFrom = undefined;
  }
  if (sentFrom !== undefined) segments.push({ start: sentFrom, end: bytes, from: 'here' });
  return segments;
}

function partsOf(segments: readonly PlannedPart[], bytes: number): readonly PlannedPart[] {
  const copyBytes = atLeast(COPY_PART_BYTES, (2 * bytes) / MAX_PARTS);
  const copied = segments.filter(({ from }) => from === 'base');
  const copies = copied.reduce((sum, one) => sum + Math.ceil(lengthOf([one]) / copyBytes), 0);
  const sent = bytes - lengthOf(copied);
  const sendBytes = atLeast(PART_BYTES, sent / (MAX_PARTS - copies - segments.length));
  return segments.flatMap((segment) => {
    const { start, end, from } = segment;
    const parts =
      from === 'base'
        ? Math.ceil((end - start) / copyBytes)
        : Math.round((end - start) / sendBytes);
    return cut(segment, Math.max(parts, 1), from);
  });
}

/** `count` parts of about the same length. */
function cut(
  { start, end }: Extent,
  count: number,
  from: PlannedPart['from'],
): readonly PlannedPart[] {
  const each = Math.ceil((end - start) / count);
  return Array.from({ length: count }, (_, at) => ({
    start: start + at * each,
    end: Math.min(start + (at + 1) * each, end),
    from,
  }));
}

function atLeast(least: number, bytes: number): number {
  return Math.max(least, Math.ceil(bytes / GRAIN_BYTES) * GRAIN_BYTES);
}

function lengthOf(extents: readonly Extent[]): number {
  return extents.reduce((sum, { start, end }) => sum + end - start, 0);
}
