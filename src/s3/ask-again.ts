/**
 * When a range on which nothing comes is asked for again: one slow disk or one lost packet should
 * not hold up a reader. Pure decisions; how many extra requests there may be is a part of all, so
 * that a server in trouble is not asked twice for everything.
 */

/** How long answers of late have kept their readers waiting, in ms. */
export interface Waits {
  /** The last ones, in any order; the oldest is replaced next. */
  readonly samples: readonly number[];
  readonly next: number;
}

/** What may be asked for again. */
export interface ExtraRequests {
  /** Requests made so far, extra ones not counted; up to `FREE_REQUESTS`. */
  readonly requests: number;
  /** Extra requests that may be made now. */
  readonly tokens: number;
}

/** One extra request in so many. */
const REQUESTS_AN_EXTRA = 20;
/** The first one is there from the start, and counts for these. */
const FREE_REQUESTS = REQUESTS_AN_EXTRA;
/** However long it went well: a burst is no larger. */
const MOST_TOKENS = 8;

const SAMPLES = 64;
const QUANTILE = 0.95;
/** Times the wait that nineteen of twenty answers keep below. */
const PATIENCE = 4;
/** The limits change in such steps: a timer that stays as it is costs nothing. */
const STEP_MS = 250;
/** A wait of less is quick enough at any place. */
export const LEAST_QUIET_MS = 1000;

export const noWaits: Waits = { samples: [], next: 0 };
export const firstExtra: ExtraRequests = { requests: 0, tokens: 1 };

/** `waits` with one more. */
export function withWait({ samples, next }: Waits, ms: number): Waits {
  if (samples.length < SAMPLES) return { samples: [...samples, ms], next: 0 };
  return { samples: samples.with(next, ms), next: (next + 1) % SAMPLES };
}

/** How long nothing may come before it is asked for again. */
export function quietLimitMs({ samples }: Waits, leastMs: number = LEAST_QUIET_MS): number {
  const sorted = samples.toSorted((a, b) => a - b);
  const usual = sorted[Math.floor(QUANTILE * (sorted.length - 1))] ?? 0;
  const limitMs = PATIENCE * usual;
  return limitMs <= leastMs ? leastMs : Math.ceil(limitMs / STEP_MS) * STEP_MS;
}

/** `extra` after one request that was needed. */
export function afterRequest({ requests, tokens }: ExtraRequests): ExtraRequests {
  if (requests < FREE_REQUESTS) return { requests: requests + 1, tokens };
  return { requests, tokens: Math.min(MOST_TOKENS, tokens + 1 / REQUESTS_AN_EXTRA) };
}

/** `extra` after one more request has been made of it; undefined: there may be none now. */
export function afterExtra({ requests, tokens }: ExtraRequests): ExtraRequests | undefined {
  return tokens < 1 ? undefined : { requests, tokens: tokens - 1 };
}
