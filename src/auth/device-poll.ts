/** When to ask again whether a device code was approved: pure (RFC 8628 §3.5). */

export interface PollPace {
  /** The server's pace; only ever grows. */
  readonly intervalMs: number;
  /** What our waits are longer by, as a factor. */
  readonly margin: number;
  /** Polls in a row that got no answer. */
  readonly troubles: number;
}

/** `trouble`: no answer, or a server that cannot answer now. */
export type PollAnswer = 'pending' | 'slow-down' | 'trouble';

/** Where the provider names none (RFC 8628 §3.2). */
const DEFAULT_INTERVAL_MS = 5000;
const SLOW_DOWN_MS = 5000;
/**
 * A server that names an interval may hold us to it by its own clock, and that of a virtual machine
 * can run fast: too early by that much costs five seconds a poll for good. GitHub's `gh` found
 * these factors to be enough (github.com/cli/cli, issue 9370).
 */
const MARGIN = { unnamed: 1, named: 1.2, slowedDown: 1.4 } as const;
/** A laptop that is back on the network should not wait longer to notice. */
const MAX_BACKOFF_MS = 30_000;

/** @param intervalS `interval` of the reply; nonsense counts as absent. */
export function firstPace(intervalS: number | undefined): PollPace {
  const sound = intervalS !== undefined && intervalS > 0 && intervalS <= 300;
  return sound
    ? { intervalMs: intervalS * 1000, margin: MARGIN.named, troubles: 0 }
    : { intervalMs: DEFAULT_INTERVAL_MS, margin: MARGIN.unnamed, troubles: 0 };
}

export function nextPace(pace: PollPace, answer: PollAnswer): PollPace {
  switch (answer) {
    case 'pending':
      return { ...pace, troubles: 0 };
    case 'slow-down':
      return {
        intervalMs: pace.intervalMs + SLOW_DOWN_MS,
        margin: MARGIN.slowedDown,
        troubles: 0,
      };
    case 'trouble':
      return { ...pace, troubles: pace.troubles + 1 };
  }
}

/** Without answers the pace halves each time, up to a limit. */
export function waitMs({ intervalMs, margin, troubles }: PollPace): number {
  const paced = Math.round(intervalMs * margin);
  const backedOff = paced * 2 ** Math.min(troubles, 10);
  return Math.max(paced, Math.min(backedOff, MAX_BACKOFF_MS));
}
