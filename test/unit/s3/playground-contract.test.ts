import type { StoreDialect } from '../../../src/demo/dialect.ts';
import { startObjectServer } from '../../../src/demo/s3/object-server.ts';
import { systemClock } from '../../../src/lib/clock.ts';
import { silentLog } from '../../../src/lib/log.ts';
import { Secret } from '../../../src/lib/secret.ts';
import { createS3Stores } from '../../../src/s3/s3-object-stores.ts';
import { type ContractSubject, describeObjectStore } from '../../fixtures/object-store-contract.ts';
import { plainNetwork } from '../../fixtures/plain-network.ts';

const root = {
  accessKeyId: 'PLAYGROUNDROOT',
  secretAccessKey: 'playground-root-secret',
  name: 'root',
  allows: () => true,
};

/** A bucket of the playground's object server, reached as wire reaches any. */
async function openPlayground(dialect: StoreDialect): Promise<ContractSubject> {
  const { signal } = new AbortController();
  const principals = { find: (id: string) => (id === root.accessKeyId ? root : undefined) };
  const server = await startObjectServer({ dialect, principals }, signal);
  server.foreign.createBucket('contract');
  const lease = {
    accessKeyId: root.accessKeyId,
    secretAccessKey: new Secret(root.secretAccessKey),
    sessionToken: new Secret(''),
    expiresAtMs: Number.MAX_SAFE_INTEGER,
  };
  const current = async () => await Promise.resolve(lease);
  const stores = createS3Stores({
    network: plainNetwork,
    endpoint: server.url,
    region: 'us-east-1',
    credentials: { credentials: current, renew: current },
    clock: systemClock,
    log: silentLog,
  });
  return {
    store: stores.open('contract'),
    async [Symbol.asyncDispose]() {
      await stores[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

for (const dialect of ['aws', 'minio', 'rgw'] as const) {
  const traits = { copiesUnderCondition: dialect !== 'rgw' };
  describeObjectStore(
    `S3 on the playground, as ${dialect}`,
    traits,
    async () => await openPlayground(dialect),
  );
}
