import { expect, it } from 'vitest';
import type { StoreDialect } from '../../../src/demo/dialect.ts';
import { startObjectServer } from '../../../src/demo/s3/object-server.ts';
import type { Principal } from '../../../src/demo/s3/principal.ts';
import { systemClock } from '../../../src/lib/clock.ts';
import { silentLog } from '../../../src/lib/log.ts';
import { Secret } from '../../../src/lib/secret.ts';
import { createS3Stores } from '../../../src/s3/s3-object-stores.ts';
import type { Credentials } from '../../../src/sts/credential-source.ts';
import { plainNetwork } from '../../fixtures/plain-network.ts';

const forever = new AbortController().signal;
const nowMs = Date.now();

function principal(nth: number, expiresAtMs: number): Principal {
  const id = `TEMPORARY${nth}`;
  const keys = {
    accessKeyId: id,
    secretAccessKey: `secret-of-${id}`,
    sessionToken: `token-of-${id}`,
  };
  return { ...keys, expiresAtMs, name: id, allows: (action) => action !== 's3:DeleteObject' };
}

/** The first has ended a minute ago. */
const principals = [principal(0, nowMs - 60_000), principal(1, nowMs + 3_600_000)];

function leaseOf(nth: number): Credentials {
  const {
    accessKeyId,
    secretAccessKey,
    sessionToken = '',
    expiresAtMs = 0,
  } = principals[nth] ?? principal(nth, 0);
  return {
    accessKeyId,
    secretAccessKey: new Secret(secretAccessKey),
    sessionToken: new Secret(sessionToken),
    expiresAtMs,
  };
}

it.each<StoreDialect>(['aws', 'minio', 'rgw'])(
  'as %s the playground\u2019s expired credentials are renewed once, its policy never argued with',
  async (dialect) => {
    const book = { find: (id: string) => principals.find((one) => one.accessKeyId === id) };
    await using server = await startObjectServer({ dialect, principals: book }, forever);
    server.foreign.createBucket('bucket');
    server.foreign.putObject('bucket', 'key', 'hello');
    let lease = leaseOf(0);
    let renewals = 0;
    /** Renewing gives credentials that have ended as well. */
    let stuck = false;
    await using stores = createS3Stores({
      network: plainNetwork,
      endpoint: server.url,
      region: 'us-east-1',
      credentials: {
        credentials: async () => await Promise.resolve(lease),
        renew: async () => {
          renewals += 1;
          lease = leaseOf(stuck ? 0 : 1);
          return await Promise.resolve(lease);
        },
      },
      clock: systemClock,
      log: silentLog,
    });
    const store = stores.open('bucket');
    const requests: readonly (readonly [string, () => Promise<unknown>])[] = [
      ['HeadObject', async () => await store.head('key', forever)],
      ['ListObjectsV2', async () => await store.list({ prefix: '' }, forever)],
      ['PutObject', async () => await store.put('other', Buffer.from('x'), {}, forever)],
    ];
    for (const [operation, request] of requests) {
      lease = leaseOf(0);
      renewals = 0;
      server.counters.reset();
      await request();
      expect(renewals).toBe(1);
      expect(server.counters.snapshot()[operation]).toMatchObject({ requests: 2, errors: 1 });
    }
    // Credentials that are refused though they are new: one replay, and no more.
    lease = leaseOf(0);
    stuck = true;
    server.counters.reset();
    await expect(store.head('key', forever)).rejects.toMatchObject({ kind: 'credentials-expired' });
    expect(server.counters.requests('HeadObject')).toBe(2);
    stuck = false;
    lease = leaseOf(1);
    renewals = 0;
    server.counters.reset();
    await expect(store.delete('key', forever)).rejects.toMatchObject({ kind: 'access-denied' });
    expect(renewals).toBe(0);
    // Not replayed, nor tried in another way: the server saw one request and refused it.
    expect(server.counters.snapshot()).toMatchObject({ DeleteObject: { requests: 1, errors: 1 } });
  },
);
