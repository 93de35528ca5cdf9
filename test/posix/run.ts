/** Runs the table in a folder: of a mount, of tmpfs, of any disk. */
import { execFile } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Caller, Refused } from './caller.ts';
import { Differs, HOLDS, type Place } from './check.ts';
import { type NamedCheck, suite } from './suite.ts';
import { SystemCalls } from './system-calls.ts';

/** Checks that run side by side, each in its folder: a mount mostly waits for its store. */
const AT_ONCE = 4;
/** No program of a check takes longer on a mount that works. */
const PROGRAM_LIMIT_MS = 30_000;

export interface Result {
  readonly topic: string;
  readonly name: string;
  /** `holds`, the call that was refused and its errno, or what was seen and expected. */
  readonly outcome: string;
  readonly ms: number;
}

/** Why the table cannot be run on this machine, or undefined if it can. */
export async function whyNoChecks(): Promise<string | undefined> {
  // Other owners, device nodes and mounts are root's.
  if (process.geteuid?.() !== 0) return 'needs root';
  if (process.platform !== 'linux') return 'needs Linux';
  return await promisify(execFile)('cc', ['--version']).then(
    () => undefined,
    () => 'needs a C compiler, cc',
  );
}

/**
 * Runs checks, each in a new folder below `folder`.
 *
 * @param program what `compileCalls` has made.
 * @param onResult told of each as it ends.
 */
export async function runChecks(
  folder: string,
  program: string,
  onResult: (result: Result) => void = () => undefined,
  checks: readonly NamedCheck[] = suite,
): Promise<readonly Result[]> {
  const results: Result[] = [];
  const left = checks.entries();
  const work = async (): Promise<void> => {
    for (const [at, named] of left) {
      const place = join(folder, `check-${at}`);
      await mkdir(place);
      const startedAt = performance.now();
      const outcome = await runCheck(named, place, program);
      const { topic, name } = named;
      const result = { topic, name, outcome, ms: performance.now() - startedAt };
      results.push(result);
      onResult(result);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return results;
}

async function runCheck({ check }: NamedCheck, folder: string, program: string): Promise<string> {
  const callers: Caller[] = [];
  const another = async (): Promise<SystemCalls> => {
    const caller = new Caller(program);
    callers.push(caller);
    const calls = new SystemCalls(caller);
    await calls.call('chdir', folder);
    return calls;
  };
  const run: Place['run'] = async (...command) => {
    // spawn waits, without a turn for others, until a program has begun: not to be done on a mount
    // that this process may be the store of.
    const args = ['-c', 'cd "$0" && exec "$@"', folder, ...command];
    return (await promisify(execFile)('sh', args, { timeout: PROGRAM_LIMIT_MS })).stdout;
  };
  try {
    await check(await another(), { folder, another, run });
    return HOLDS;
  } catch (error) {
    if (error instanceof Refused || error instanceof Differs) return error.message;
    return `broke: ${error instanceof Error ? error.message : String(error)}`;
  } finally {
    for (const caller of callers) await caller[Symbol.asyncDispose]();
  }
}
