/**
 * Runs checks side by side. Each has its own time limit, and neither one that fails nor one that
 * hangs keeps another from being told; the results come in the order of the list.
 */
import { LinkedAbort, raceAbort } from '../../lib/abort.ts';
import type { Clock } from '../../lib/clock.ts';
import { settledWithin } from '../../lib/patience.ts';
import { WireError } from '../../lib/wire-error.ts';
import { type CheckName, type Finding, findingsOf } from './finding.ts';

export interface Check {
  readonly name: CheckName;
  readonly limitMs: number;
  /** What may be wrong when it does not end in time. */
  readonly lateFix: string;
  readonly run: (signal: AbortSignal) => Promise<readonly Finding[]>;
}

/** What was begun and given up may have something to take away again. */
const TIDYING_MS = 15_000;

/**
 * @param told the findings of each check, in the order of `checks`, as soon as that can be.
 * @throws `signal.reason` when aborted, once what was begun has been tidied up.
 */
export async function runChecks(
  checks: readonly Check[],
  told: (findings: readonly Finding[]) => void,
  clock: Clock,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const running: Promise<unknown>[] = [];
  const results = checks.map(async (check) => await limited(check, running, clock, signal));
  for (const result of results) result.catch(() => undefined);
  const all: Finding[] = [];
  try {
    for (const result of results) {
      const findings = await result;
      told(findings);
      all.push(...findings);
    }
    return all;
  } finally {
    await settledWithin(Promise.allSettled(running), TIDYING_MS, clock);
  }
}

async function limited(
  { name, limitMs, lateFix, run }: Check,
  running: Promise<unknown>[],
  clock: Clock,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  using limit = new LinkedAbort(signal);
  const make = findingsOf(name);
  const late = new Error('too late');
  const patience = clock.sleep(limitMs, limit.signal).then(
    () => limit.abort(late),
    () => undefined,
  );
  try {
    const work = run(limit.signal);
    running.push(work);
    return await raceAbort(work, limit.signal);
  } catch (error) {
    signal.throwIfAborted();
    if (limit.signal.reason === late) {
      return [make.failure('unreachable', `no result within ${limitMs / 1000} s`, lateFix)];
    }
    if (error instanceof WireError) return [make.refused(error)];
    const answered = error instanceof Error ? error.message : String(error);
    const next = 'this is a defect of wire: send the archive that `wire report` makes';
    return [make.failure('internal', `the check itself failed: ${answered}`, next)];
  } finally {
    limit.abort();
    await patience;
  }
}
