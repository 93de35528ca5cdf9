/** Runs tests by vitest and counts them; the last line of every run of tests is the same. */
import { createVitest } from 'vitest/node';
import { StuckTests } from './stuck-tests.ts';
import { tallyLine } from './tally.ts';

interface Tally {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: readonly string[];
}

/**
 * Runs the test files of `projects` (vitest.config.ts) whose path holds one of `filters`, all when
 * there are none, and prints what was skipped and one line that counts.
 *
 * @returns the exit code: 0 when something passed and nothing failed.
 */
export async function runTests(
  filters: readonly string[],
  projects: readonly string[] = ['unit', 'identity', 'e2e'],
): Promise<number> {
  const { passed, failed, skipped } = await tally(filters, projects);
  const say = (line: string): boolean => process.stdout.write(`${line}\n`);
  if (skipped.length > 0) say('\nSkipped, for want of /dev/fuse or a tool the test names:');
  for (const name of skipped) say(`  ${name}`);
  say(`\n${tallyLine({ passed, failed, skipped: skipped.length })}`);
  // A run that executed nothing has shown nothing.
  return failed === 0 && passed > 0 ? 0 : 1;
}

async function tally(filters: readonly string[], projects: readonly string[]): Promise<Tally> {
  using stuck = new StuckTests((line) => process.stdout.write(`${line}\n`));
  const vitest = await createVitest('test', {
    watch: false,
    project: [...projects],
    reporters: ['default', stuck],
  });
  try {
    await vitest.start([...filters]);
    const skipped: string[] = [];
    let passed = 0;
    let failed = vitest.state.getUnhandledErrors().length;
    for (const module of vitest.state.getTestModules()) {
      if (module.errors().length > 0) failed += 1;
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        if (state === 'passed') passed += 1;
        else if (state === 'failed') failed += 1;
        else skipped.push(`${module.relativeModuleId} > ${test.fullName}`);
      }
    }
    return { passed, failed, skipped };
  } finally {
    await vitest.close();
  }
}
