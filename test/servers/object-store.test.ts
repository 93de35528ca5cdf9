/** The contract of ObjectStore on the servers that people run, with credentials of a person. */
import { describe } from 'vitest';
import type { ServerName } from '../../scripts/servers/real-server.ts';
import { prepareServer } from '../../scripts/servers/start.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { silentLog } from '../../src/lib/log.ts';
import { Secret } from '../../src/lib/secret.ts';
import { createS3Stores } from '../../src/s3/s3-object-stores.ts';
import { type ContractSubject, describeObjectStore } from '../fixtures/object-store-contract.ts';
import { plainNetwork } from '../fixtures/plain-network.ts';
import { chosenServers } from './chosen-servers.ts';
import { ServerScene } from './server-scene.ts';

/** MinIO is built in five minutes where nothing else runs. */
const PREPARATION_MS = 20 * 60_000;
/** Of one server with all of its tests. */
const PATIENCE_MS = 10 * 60_000;

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

for (const name of chosenServers()) {
  const missing = await prepareServer(
    name,
    () => undefined,
    AbortSignal.timeout(PREPARATION_MS),
  ).then(
    () => undefined,
    (error: unknown) => (error instanceof Error ? error.message : 'it cannot be prepared'),
  );
  const traits = { copiesUnderCondition: name !== 'rgw', copiesParts: name !== 'rgw' };
  if (missing !== undefined) {
    describe.skip(`${name} (${missing})`, () => undefined);
    continue;
  }
  describeObjectStore(name, traits, async () => await openBucket(name));
}
