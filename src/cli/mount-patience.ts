/** `wire mount --wait`: what may come in time is tried again. */
import type { Clock } from '../lib/clock.ts';
import { WireError, type WireErrorKind } from '../lib/wire-error.ts';

export interface Patience {
  /** Undefined: no patience at all. */
  readonly waitMs: number | undefined;
  readonly clock: Clock;
  /** Told each new reason why it is not mounted yet. */
  readonly waiting: (reason: string) => void;
}

/** A server that is not up yet, a login that nobody has made yet. Everything else stays as it is. */
const passing: ReadonlySet<WireErrorKind> = new Set<WireErrorKind>([
  'unreachable',
  'unavailable',
  'login-expired',
  'credentials-expired',
]);

const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 2_000;

/**
 * Does `attempt` until it succeeds, or its time is up.
 *
 * @throws WireError the last one, with how long was waited; at once what will not pass by itself.
 */
export async function withPatience<T>(
  attempt: () => Promise<T>,
  { waitMs, clock, waiting }: Patience,
  signal: AbortSignal,
): Promise<T> {
  const startMs = clock.monotonic();
  let reason = '';
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
    try {
      return await attempt();
    } catch (error) {
      if (waitMs === undefined || signal.aborted || !mayPass(error)) throw error;
      const leftMs = startMs + waitMs - clock.monotonic();
      if (leftMs <= 0) throw timeIsUp(error, waitMs);
      if (error.message !== reason) waiting(error.message);
      reason = error.message;
      await clock.sleep(Math.min(pauseMs, leftMs), signal);
    }
  }
}

function mayPass(error: unknown): error is WireError {
  return error instanceof WireError && passing.has(error.kind);
}

function timeIsUp(last: WireError, waitMs: number): WireError {
  const { tried, answered, next } = last.facts;
  const facts = { tried, answered: `${answered}, for ${waitMs / 1000} s` };
  return new WireError(last.kind, next === undefined ? facts : { ...facts, next }, { cause: last });
}
