/**
 * `npm run test:servers [-- all | rgw | minio | minio-claims | minio-role]`: what passes on the
 * playground, on the servers that people run. What a server needs is installed where that is
 * possible; otherwise its tests are skipped and say what is missing.
 */
import type { ServerName } from './servers/real-server.ts';
import { serverNames } from './servers/start.ts';
import { runTests } from './test-run.ts';

const groups: Readonly<Record<string, readonly ServerName[]>> = {
  all: serverNames,
  minio: ['minio-claims', 'minio-role'],
  ...Object.fromEntries(serverNames.map((name) => [name, [name]])),
};

const asked = process.argv.slice(2);
const chosen = (asked.length === 0 ? ['all'] : asked).map((name) => groups[name]);
if (chosen.includes(undefined)) {
  const names = Object.keys(groups).join(' | ');
  process.stderr.write(`usage: npm run test:servers -- ${names}\n`);
  process.exit(2);
}
process.env['WIRE_SERVERS'] = chosen.flat().join(',');

process.exit(await runTests([], ['servers']));
