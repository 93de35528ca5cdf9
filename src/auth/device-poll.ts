/** When to ask again whether a device code was approved: pure (RFC 8628 §3.5). */

export interface PollPace {
  /** The server's pace; only ever grows. */
  readonly intervalMs: number;
  /** Polls in a row that got no answer. */
  readonly troubles: number;
}

/** `trouble`: no answer, or a server that cannot answer now. */
export type PollAnswer = 'pending' | 'slow-down' | 'trouble';

/** Where the provider names none (RFC 8628 §3.2). */
const DEFAULT_INTERVAL_MS = 5000;
const SLOW_DOWN_MS = 5000;
/** A laptop that is back on the network should not wait longer to notice. */
const MAX_BACKOFF_MS = 30_000;

/** @param intervalS `interval` of the reply; nonsense counts as absent. */
export function firstPace(intervalS: number | undefined): PollPace {
  const sound = intervalS !== undefined && intervalS > 0 && intervalS <= 300;
  return { intervalMs: sound ? intervalS * 1000 : DEFAULT_INTERVAL_MS, troubles: 0 };
}

export function nextPace(pace: PollPace, answer: PollAnswer): PollPace {
  switch (answer) {
    case 'pending':
      return { ...pace, troubles: 0 };
    case 'slow-down':
      return { intervalMs: pace.intervalMs + SLOW_DOWN_MS, troubles: 0 };
    case 'trouble':
      return { ...pace, troubles: pace.troubles + 1 };
  }
}

/** Without answers the pace halves each time, up to a limit. */
export function waitMs({ intervalMs, troubles }: PollPace): number {
  const backedOff = intervalMs * 2 ** Math.min(troubles, 10);
  return Math.max(intervalMs, Math.min(backedOff, MAX_BACKOFF_MS));
}
