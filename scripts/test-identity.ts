/**
 * `npm run test:identity [-- MINUTES]`: all that holds the identity half of wire. The same tests as
 * in `npm test`, but tokens and credentials of seconds are used for MINUTES, 10 when it is not said,
 * and the product is installed without scripts.
 */
import { runTests } from './test-run.ts';

const [minutes = '10'] = process.argv.slice(2);
if (!/^\d+(\.\d+)?$/.test(minutes)) {
  process.stderr.write('usage: npm run test:identity [-- MINUTES]\n');
  process.exit(2);
}
process.env['WIRE_SOAK_MINUTES'] = minutes;
process.env['WIRE_SUPPLY'] = '1';

process.exit(
  await runTests([
    'test/unit/net/',
    'test/unit/auth/',
    'test/unit/sts/',
    'test/unit/demo/iam',
    'test/unit/daemon/tokens',
    'test/unit/daemon/canary',
    'test/unit/daemon/credential',
    'test/identity/',
    'test/docs/security',
    'test/docs/supply',
  ]),
);
