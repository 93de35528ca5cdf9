/**
 * `npm test [-- vitest arguments]`: every test, then one line that counts them. Where /dev/fuse is
 * missing the tests on a real mount are skipped, and the end of the run names them.
 */
import { runTests } from './test-run.ts';

process.exit(await runTests(process.argv.slice(2)));
