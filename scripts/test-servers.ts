/**
 * `npm run test:servers [-- NAME...] [--only WORD]`: the same suites on the playground and on the
 * servers that people run. What a server needs is installed or built where that is possible;
 * otherwise its tests are skipped and say what is missing.
 *
 *   NAME         all (default), playground, rgw, minio (with claims and with a role), minio-opa (with
 *                and without regard for session policies), or one of each: minio-claims,
 *                minio-role, minio-opa-session
 *   --only WORD  test files with WORD in their path
 */
import { parseArgs } from 'node:util';
import type { ServerName } from './servers/real-server.ts';
import { serverNames } from './servers/start.ts';
import { runTests } from './test-run.ts';

const groups: Readonly<Record<string, readonly ServerName[]>> = {
  ...Object.fromEntries(serverNames.map((name) => [name, [name]])),
  all: serverNames,
  minio: ['minio-claims', 'minio-role'],
  'minio-opa': ['minio-opa', 'minio-opa-session'],
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { only: { type: 'string', multiple: true, default: [] } },
});
const chosen = (positionals.length === 0 ? ['all'] : positionals).map((name) => groups[name]);
if (chosen.includes(undefined)) {
  const names = Object.keys(groups).join(' | ');
  process.stderr.write(`usage: npm run test:servers -- ${names} [--only WORD]\n`);
  process.exit(2);
}
process.env['WIRE_SERVERS'] = chosen.flat().join(',');

process.exit(await runTests(values.only, ['servers']));
