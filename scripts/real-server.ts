/**
 * `npm run server -- NAME`: an object store of others on this machine, with the playground's
 * identity provider, until Ctrl-C. NAME is rgw, minio-claims, minio-role, minio-opa (OPA decides)
 * or minio-opa-session (and honours session policies).
 *
 *   --access-token TIME  life of access tokens in seconds (default 3600)
 *   --lease-floor TIME   shortest lease of Ceph RGW in seconds (default 900)
 *   --tls                behind nginx, with a certificate of a private CA
 */
import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { people } from '../src/demo/playground-people.ts';
import { Closers } from '../src/lib/closers.ts';
import { type NginxFront, startNginx } from './servers/nginx.ts';
import { buckets, type RealServer } from './servers/real-server.ts';
import { prepareServer, serverNames, startServer } from './servers/start.ts';
import { stopSignal } from './stop-signal.ts';

const say = (line: string): void => void process.stdout.write(`${line}\n`);

/** An address, and what it takes to trust it. */
interface Front {
  readonly endpoint: string;
  readonly nginx?: NginxFront;
}

function describe(server: RealServer, { endpoint, nginx }: Front): void {
  const { version, iam, audience, role, personal, otherEndpoints = {}, folder } = server;
  say(version);
  if (nginx !== undefined) say(nginx.version);
  say(`issuer    ${iam.issuer}`);
  say(`endpoint  ${endpoint} (objects and STS)`);
  for (const [what, address] of Object.entries(otherEndpoints)) say(`          ${address} ${what}`);
  say(`audience  ${audience}`);
  say(`role      ${role ?? 'none: the groups in tokens name policies'}`);
  say(`people    ${people.map(({ name }) => name).join(', ')} (any password)`);
  say(`buckets   ${buckets.join(', ')}`);
  for (const { name } of people) {
    say(`folder    s3://${personal.bucket}/users/${name} ${personal.roleOf(name) ?? ''}`.trimEnd());
  }
  say(`logs      ${folder}`);
  say('');
  const more = `${role ? ` --role ${role}` : ''}${nginx ? ` --ca ${nginx.caFile}` : ''}`;
  const store = `--endpoint ${endpoint} --audience ${audience}${more}`;
  say(`node bin/wire.js login ${iam.issuer} --audience ${audience}`);
  say(`node bin/wire.js mount s3://${buckets[0] ?? ''} PLACE --mkdir ${store}`);
}

async function main(signal: AbortSignal): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      'access-token': { type: 'string' },
      'lease-floor': { type: 'string' },
      tls: { type: 'boolean', default: false },
    },
  });
  const name = serverNames.find((known) => known === positionals[0]);
  if (name === undefined) throw new Error(`usage: npm run server -- ${serverNames.join(' | ')}`);
  const { 'access-token': token, 'lease-floor': floor, tls } = values;
  await prepareServer(name, say, signal);
  const options = {
    ...(token !== undefined && { lifetimes: { accessToken: seconds(token) } }),
    ...(floor !== undefined && { leaseFloorSeconds: seconds(floor) }),
  };
  await using closers = new Closers();
  const server = closers.use(await startServer(name, options, signal));
  const nginx = tls ? closers.use(await startNginx(say, signal)) : undefined;
  const endpoint = (await nginx?.before(server.endpoint, signal)) ?? server.endpoint;
  describe(server, { endpoint, ...(nginx && { nginx }) });
  say('\nCtrl-C stops it.');
  if (!signal.aborted) await once(signal, 'abort');
}

function seconds(text: string): number {
  if (/^[1-9]\d{0,5}$/.test(text)) return Number(text);
  throw new Error(`${text} is not a number of seconds`);
}

// The SDK's notice about older versions of Node would stand between the lines.
process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] = 'true';
const signal = stopSignal();
try {
  await main(signal);
} catch (error) {
  if (!signal.aborted) {
    process.stderr.write(`server: ${error instanceof Error ? error.message : 'failed'}\n`);
    process.exitCode = 1;
  }
}
