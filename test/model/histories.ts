/**
 * How many random histories a model test tries. A few, unless somebody asks for a long run:
 *
 *     WIRE_MODEL_RUNS=500 [WIRE_MODEL_SECONDS=600] npx vitest run --project unit test/model/…
 *
 * What a failure prints is tried again by `WIRE_MODEL_SEED=… WIRE_MODEL_PATH=…`.
 */
import fc from 'fast-check';

export interface Histories {
  /** For `fc.assert`. */
  readonly parameters: fc.Parameters<unknown>;
  /** For the test: beyond what its histories may take. */
  readonly timeoutMs: number;
}

/** A history that does not end is told with its seed, and before the test as a whole is given up. */
const LONGEST_HISTORY_MS = 60_000;
/** Of all histories, on a machine that is busy with other tests. */
const SHORT_RUN_MS = 60_000;

/** @param usual how many are tried when nobody asks for more. */
export function histories(usual: number): Histories {
  const { WIRE_MODEL_RUNS, WIRE_MODEL_SECONDS, WIRE_MODEL_PATH } = process.env;
  const mostMs =
    WIRE_MODEL_SECONDS === undefined ? SHORT_RUN_MS : Number(WIRE_MODEL_SECONDS) * 1000;
  return {
    parameters: {
      numRuns: Number(WIRE_MODEL_RUNS ?? usual),
      // In the end it ends in order, and shrinks no more.
      plugins: [fc.timeout(LONGEST_HISTORY_MS), fc.interruptAfterTimeLimit(mostMs)],
      ...(WIRE_MODEL_PATH !== undefined && { path: WIRE_MODEL_PATH }),
    },
    timeoutMs: mostMs + 2 * LONGEST_HISTORY_MS,
  };
}
