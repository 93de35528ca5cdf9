/**
 * `npm test [-- vitest arguments]`: every test, then one line that counts them. Where /dev/fuse is
 * missing the tests on a real mount are skipped, and the end of the run names them.
 */
import { createVitest } from 'vitest/node';

interface Tally {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: readonly string[];
}

async function runTests(filters: readonly string[]): Promise<Tally> {
  const vitest = await createVitest('test', { watch: false });
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

const { passed, failed, skipped } = await runTests(process.argv.slice(2));
const say = (line: string): boolean => process.stdout.write(`${line}\n`);
if (skipped.length > 0) say('\nSkipped, for want of /dev/fuse or a tool the test names:');
for (const name of skipped) say(`  ${name}`);
say(`\n${passed} passed, ${failed} failed, ${skipped.length} skipped`);
// A run that executed nothing has shown nothing.
process.exit(failed === 0 && passed > 0 ? 0 : 1);
