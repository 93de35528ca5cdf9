/**
 * The smallest range worth asking an endpoint for, learnt from the answers: a pure function.
 *
 * Most servers answer 4 KiB no later than more. A server that leaves Nagle's algorithm on (stock
 * Ceph RGW) holds a short answer back until the client's delayed acknowledgement, 40 ms later
 * (RFC 1122, 4.2.3.2 and 4.2.3.4), while one of 128 KiB comes at once.
 */
import { KiB } from '../lib/bytes.ts';

export interface GrainState {
  readonly grainBytes: number;
  /** Random reads so far. */
  readonly reads: number;
  /** Latest durations of short and of long answers, ms. */
  readonly short: readonly number[];
  readonly long: readonly number[];
}

/** What a program asks for that reads at random. */
export const SMALL_GRAIN_BYTES: number = 4 * KiB;
/** A block. */
export const LARGE_GRAIN_BYTES: number = 128 * KiB;

/** An answer of up to this is short. */
const SHORT_BYTES = 32 * KiB;
/** And of up to this tells how long a block takes. */
const LONG_BYTES = 256 * KiB;

/** Answers that are compared: the latest so many, and at least so many. */
const SAMPLES = 5;
const LEAST_SAMPLES = 3;
/** Of so many reads at random one tries the other size: 1/128 costs at most 1 KiB a read. */
const PROBE_EVERY = 128;
/** The first try comes early: five reads of 44 ms are enough. */
const FIRST_PROBE = 4;

/** Short answers that take this much longer than long ones are held back. */
const HELD_BACK = 2;

export const initialGrain: GrainState = {
  grainBytes: SMALL_GRAIN_BYTES,
  reads: 0,
  short: [],
  long: [],
};

/** What to ask for next, at least, for a read at random. */
export function nextGrain({ grainBytes, reads }: GrainState): number {
  const nth = reads + 1;
  const first = nth >= FIRST_PROBE && nth < FIRST_PROBE + LEAST_SAMPLES;
  return nth % PROBE_EVERY === 0 || first ? other(grainBytes) : grainBytes;
}

/** The state after a read at random has asked for that much. */
export function askedAtRandom(state: GrainState): GrainState {
  return { ...state, reads: state.reads + 1 };
}

/** The state after an answer of `bytes` took `durationMs`. */
export function grainAfter(state: GrainState, bytes: number, durationMs: number): GrainState {
  if (bytes > LONG_BYTES) return state;
  const isShort = bytes <= SHORT_BYTES;
  if (!isShort && bytes < LARGE_GRAIN_BYTES / 2) return state;
  const short = isShort ? [durationMs, ...state.short].slice(0, SAMPLES) : state.short;
  const long = isShort ? state.long : [durationMs, ...state.long].slice(0, SAMPLES);
  if (Math.min(short.length, long.length) < LEAST_SAMPLES) return { ...state, short, long };
  const heldBack = median(short) > HELD_BACK * median(long);
  const grainBytes = heldBack ? LARGE_GRAIN_BYTES : SMALL_GRAIN_BYTES;
  return { ...state, short, long, grainBytes };
}

function other(grainBytes: number): number {
  return grainBytes === SMALL_GRAIN_BYTES ? LARGE_GRAIN_BYTES : SMALL_GRAIN_BYTES;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}
