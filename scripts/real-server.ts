/**
 * `npm run server -- rgw | minio-claims | minio-role`: an object store of others on this machine,
 * with the playground's identity provider, until Ctrl-C.
 *
 *   --access-token TIME  life of access tokens in seconds (default 3600)
 *   --lease-floor TIME   shortest lease of Ceph RGW in seconds (default 900)
 */
import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { people } from '../src/demo/playground-people.ts';
import { buckets, type RealServer } from './servers/real-server.ts';
import { prepareServer, serverNames, startServer } from './servers/start.ts';
import { stopSignal } from './stop-signal.ts';

const say = (line: string): void => void process.stdout.write(`${line}\n`);

function describe({ version, iam, endpoint, audience, role, folder }: RealServer): void {
  say(version);
  say(`issuer    ${iam.issuer}`);
  say(`endpoint  ${endpoint} (objects and STS)`);
  say(`audience  ${audience}`);
  say(`role      ${role ?? 'none: the groups in tokens name policies'}`);
  say(`people    ${people.map(({ name }) => name).join(', ')} (any password)`);
  say(`buckets   ${buckets.join(', ')}`);
  say(`logs      ${folder}`);
  say('');
  const store = `--endpoint ${endpoint} --audience ${audience}${role ? ` --role ${role}` : ''}`;
  say(`node bin/wire.js login ${iam.issuer} --audience ${audience}`);
  say(`node bin/wire.js mount s3://${buckets[0] ?? ''} PLACE --mkdir ${store}`);
}

async function main(signal: AbortSignal): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { 'access-token': { type: 'string' }, 'lease-floor': { type: 'string' } },
  });
  const name = serverNames.find((known) => known === positionals[0]);
  if (name === undefined) throw new Error(`usage: npm run server -- ${serverNames.join(' | ')}`);
  const { 'access-token': token, 'lease-floor': floor } = values;
  await prepareServer(name, say, signal);
  const options = {
    ...(token !== undefined && { lifetimes: { accessToken: seconds(token) } }),
    ...(floor !== undefined && { leaseFloorSeconds: seconds(floor) }),
  };
  await using server = await startServer(name, options, signal);
  describe(server);
  say('\nCtrl-C stops it.');
  if (!signal.aborted) await once(signal, 'abort');
}

function seconds(text: string): number {
  if (/^[1-9]\d{0,5}$/.test(text)) return Number(text);
  throw new Error(`${text} is not a number of seconds`);
}

const signal = stopSignal();
try {
  await main(signal);
} catch (error) {
  if (!signal.aborted) {
    process.stderr.write(`server: ${error instanceof Error ? error.message : 'failed'}\n`);
    process.exitCode = 1;
  }
}
