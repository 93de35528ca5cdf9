/** The contract of ObjectStore on the servers that people run, with credentials of a person. */
import type { ServerName } from '../../scripts/servers/real-server.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { silentLog } from '../../src/lib/log.ts';
import { Secret } from '../../src/lib/secret.ts';
import { createS3Stores } from '../../src/s3/s3-object-stores.ts';
import { type ContractSubject, describeObjectStore } from '../fixtures/object-store-contract.ts';
import { plainNetwork } from '../fixtures/plain-network.ts';
import { describeServers, PATIENCE_MS } from './chosen-servers.ts';
import { ServerScene } from './server-scene.ts';

/**
 * Not the server's administrator: Ceph RGW 16 falls over when that one copies what is not there.
 */
async function openBucket(name: ServerName): Promise<ContractSubject> {
  const scene = await ServerScene.open(name, {}, AbortSignal.timeout(PATIENCE_MS));
  await scene.login();
  const { stdout } = await scene.wire('credentials', ...scene.store);
  const printed = JSON.parse(stdout) as Readonly<Record<string, string>>;
  const lease = {
    accessKeyId: printed['AccessKeyId'] ?? '',
    secretAccessKey: new Secret(printed['SecretAccessKey'] ?? ''),
    sessionToken: new Secret(printed['SessionToken'] ?? ''),
    expiresAtMs: Date.parse(printed['Expiration'] ?? ''),
  };
  const current = async () => await Promise.resolve(lease);
  const stores = createS3Stores({
    network: plainNetwork,
    endpoint: scene.server.endpoint,
    region: 'us-east-1',
    credentials: { credentials: current, renew: current },
    clock: systemClock,
    log: silentLog,
  });
  return {
    store: stores.open(scene.bucket),
    async [Symbol.asyncDispose]() {
      await stores[Symbol.asyncDispose]();
      await scene[Symbol.asyncDispose]();
    },
  };
}

await describeServers('objects', undefined, (name) => {
  const traits = { copiesUnderCondition: name !== 'rgw', copiesParts: name !== 'rgw' };
  describeObjectStore(name, traits, async () => await openBucket(name));
});
