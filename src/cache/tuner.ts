/**
 * How many requests to have under way at one endpoint, and how long each: a pure function of the
 * answers so far, which climbs the hill of throughput.
 *
 * It measures the present setting, tries a neighbour, and moves there when that is better: more
 * requests, longer ones, fewer, shorter. When none is, it rests. A server that asks for fewer
 * requests gets them at once: what was being tried is taken back, or else the number is halved and
 * each becomes longer.
 */
import { MiB } from '../lib/bytes.ts';

/** One request that has ended. */
export interface TransferSample {
  readonly bytes: number;
  /** From its start to its first byte, and to its last. */
  readonly ttfbMs: number;
  readonly durationMs: number;
  /** It was refused because there were too many. */
  readonly slowDown: boolean;
  /** Others were waiting to be started. */
  readonly waiting: boolean;
  /** A reader waited for it. */
  readonly wanted: boolean;
  /** Requests under way at its end, itself included. */
  readonly running: number;
  /** When it ended; never goes back. */
  readonly nowMs: number;
}

interface Setting {
  readonly loads: number;
  readonly partBytes: number;
}

/** What is being measured: completions after the first `skip`. */
interface Epoch {
  readonly skip: number;
  /** Requests under way at once, no more than `loads`. */
  readonly round: number;
  /** Completions that count. */
  readonly ended: number;
  readonly startMs: number;
  readonly bytes: number;
  /** How many of them left others waiting, and were waited for. */
  readonly waiting: number;
  readonly wanted: number;
}

type Move = 'more' | 'longer' | 'fewer' | 'shorter';

export interface TunerState extends Setting {
  /** The best known; undefined while it is what is being measured. */
  readonly base: (Setting & { readonly rate: number }) | undefined;
  /** Whether `loads` is what keeps requests waiting, and not how far ahead may be read. */
  readonly binding: boolean;
  /** What is being tried on `base`. */
  readonly move: Move | undefined;
  /** Moves that did not help since the last that did. */
  readonly vain: number;
  readonly epoch: Epoch;
  readonly restUntilMs: number;
  readonly restMs: number;
  /** Best rate of this climb, bytes per ms: small steps down must not add up. */
  readonly bestRate: number;
  /** What the server refused: no more than this at that length, for a while. */
  readonly ceiling: (Setting & { readonly untilMs: number }) | undefined;
  readonly coolUntilMs: number;
}

const LOADS = [1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 48, 64] as const;
const PARTS = [MiB, 2 * MiB, 4 * MiB, 8 * MiB] as const;
const MOVES: readonly Move[] = ['more', 'longer', 'fewer', 'shorter'];

/** Fewest completions that tell a rate, beside as many as run at once. */
const LEAST_ENDED = 8;
/** And the shortest time: what one turn of the event loop delivers is no rate. */
const LEAST_MS = 150;

/** A step up must bring this much, so that noise does not drive it; one down may cost that much. */
const GAIN = 1.05;
const LOSS = 0.98;
const MOST_LOSS = 0.96;

/** Requests of less than this are of readers at random: they tell nothing about a stream. */
const LEAST_BYTES = MiB / 2;

const FIRST_REST_MS = 4000;
const MAX_REST_MS = 60_000;
/** Refusals that come together are one. */
const COOL_MS = 1000;
const CEILING_MS = 30_000;

const freshEpoch: Epoch = {
  skip: 0,
  round: 1,
  ended: 0,
  startMs: 0,
  bytes: 0,
  waiting: 0,
  wanted: 0,
};

/** 16 MiB under way carry 800 MB/s over 20 ms, and 200 over 80. Each request costs the same, however long. */
export const initialTuner: TunerState = {
  loads: 8,
  partBytes: 2 * MiB,
  base: undefined,
  binding: false,
  move: undefined,
  vain: 0,
  epoch: freshEpoch,
  restUntilMs: 0,
  restMs: FIRST_REST_MS,
  bestRate: 0,
  ceiling: undefined,
  coolUntilMs: 0,
};

/** The state after a request has ended. */
export function tunerAfter(state: TunerState, sample: TransferSample): TunerState {
  if (sample.slowDown) return refused(state, sample.nowMs);
  if (sample.bytes < LEAST_BYTES || sample.nowMs < state.restUntilMs) return state;
  const epoch = counted(state, sample);
  const measured = { ...state, epoch };
  if (epoch.ended < LEAST_ENDED || sample.nowMs - epoch.startMs < LEAST_MS) return measured;
  // Whole rounds of all requests: those that share a line end together.
  if (epoch.ended % epoch.round !== 0) return measured;
  return judged(measured, epoch.bytes / (sample.nowMs - epoch.startMs), sample);
}

function counted({ epoch, loads }: TunerState, sample: TransferSample): Epoch {
  const { bytes, nowMs, waiting, wanted, running } = sample;
  const round = Math.max(Math.min(running, loads), 1);
  if (epoch.skip < round) return { ...freshEpoch, skip: epoch.skip + 1, round, startMs: nowMs };
  return {
    ...epoch,
    ended: epoch.ended + 1,
    bytes: epoch.bytes + bytes,
    waiting: epoch.waiting + (waiting ? 1 : 0),
    wanted: epoch.wanted + (wanted ? 1 : 0),
  };
}

function judged(state: TunerState, rate: number, sample: TransferSample): TunerState {
  const { base, move, loads, partBytes, epoch } = state;
  if (base === undefined || move === undefined) {
    const half = epoch.ended / 2;
    const binding = epoch.waiting >= half;
    // Who is kept waiting by nothing is limited by something else: nothing to learn.
    if (!binding && epoch.wanted < half) return { ...state, epoch: freshEpoch };
    const setting = { loads, partBytes, rate };
    const measured = { ...state, base: setting, binding, bestRate: rate, vain: 0 };
    return tried(measured, firstMove(sample), sample.nowMs);
  }
  const up = move === 'more' || move === 'longer' || move === 'shorter';
  const better = up
    ? rate > base.rate * GAIN
    : rate > base.rate * LOSS && rate > state.bestRate * MOST_LOSS;
  if (!better) return tried({ ...state, vain: state.vain + 1 }, after(move), sample.nowMs);
  const bestRate = Math.max(state.bestRate, rate);
  const accepted = { ...state, base: { loads, partBytes, rate }, bestRate, vain: 0 };
  return tried({ ...accepted, restMs: FIRST_REST_MS }, move, sample.nowMs);
}

/** Tries `move`, or the next that can be made; rests when all were in vain. */
function tried(state: TunerState, first: Move, nowMs: number): TunerState {
  const { base } = state;
  if (base === undefined) return state;
  let move = first;
  for (let { vain } = state; vain < MOVES.length; vain += 1, move = after(move)) {
    if (!state.binding && (move === 'more' || move === 'fewer')) continue;
    const setting = moved(base, move);
    if (setting === undefined || isRefused(setting, state, nowMs)) continue;
    return { ...state, ...setting, move, vain, epoch: freshEpoch };
  }
  const { loads, partBytes } = base;
  return {
    ...state,
    ...{ loads, partBytes, base: undefined, move: undefined, vain: 0, epoch: freshEpoch },
    restUntilMs: nowMs + state.restMs,
    restMs: Math.min(state.restMs * 2, MAX_REST_MS),
  };
}

function refused(state: TunerState, nowMs: number): TunerState {
  if (nowMs < state.coolUntilMs) return state;
  const { loads, partBytes, base, move } = state;
  const ceiling = { loads, partBytes, untilMs: nowMs + CEILING_MS };
  const cooled = { ...state, ceiling, coolUntilMs: nowMs + COOL_MS, epoch: freshEpoch };
  if (base !== undefined && move !== undefined) {
    const back = { ...cooled, loads: base.loads, partBytes: base.partBytes };
    return { ...back, base: undefined, move: undefined };
  }
  const longer = PARTS.find((bytes) => bytes > partBytes) ?? partBytes;
  const fewer = Math.max(Math.floor(loads / 2), 1);
  return { ...cooled, loads: fewer, partBytes: longer, base: undefined, move: undefined };
}

/** Whether a setting asks for as much as the server refused lately. */
function isRefused({ loads, partBytes }: Setting, { ceiling }: TunerState, nowMs: number): boolean {
  if (ceiling === undefined || nowMs > ceiling.untilMs) return false;
  return loads / partBytes >= ceiling.loads / ceiling.partBytes;
}

/** Where most of the time goes by before the first byte, longer requests help most. */
function firstMove({ ttfbMs, durationMs }: TransferSample): Move {
  return ttfbMs > durationMs / 2 ? 'longer' : 'more';
}

function after(move: Move): Move {
  return MOVES[(MOVES.indexOf(move) + 1) % MOVES.length] ?? 'more';
}

function moved({ loads, partBytes }: Setting, move: Move): Setting | undefined {
  const next = {
    more: { loads: LOADS.find((count) => count > loads), partBytes },
    longer: { loads, partBytes: PARTS.find((bytes) => bytes > partBytes) },
    fewer: { loads: LOADS.findLast((count) => count < loads), partBytes },
    shorter: { loads, partBytes: PARTS.findLast((bytes) => bytes < partBytes) },
  }[move];
  const { loads: count, partBytes: bytes } = next;
  return count === undefined || bytes === undefined
    ? undefined
    : { loads: count, partBytes: bytes };
}
