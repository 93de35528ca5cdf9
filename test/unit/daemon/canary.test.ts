import { describe, expect, it } from 'vitest';
import { testEnforcement } from '../../../src/daemon/canary.ts';
import { openStores } from '../../../src/daemon/connection-stores.ts';
import type { SharedStores } from '../../../src/daemon/connections.ts';
import type { Surroundings } from '../../../src/daemon/surroundings.ts';
import type { StoreDialect } from '../../../src/demo/dialect.ts';
import {
  type Playground,
  type PlaygroundOptions,
  startPlayground,
} from '../../../src/demo/playground.ts';
import { alice, type RoleName } from '../../../src/demo/playground-people.ts';
import { systemClock } from '../../../src/lib/clock.ts';
import { silentLog } from '../../../src/lib/log.ts';
import { Secret } from '../../../src/lib/secret.ts';
import { StoreError, type StoreErrorKind } from '../../../src/store/errors.ts';
import type { ObjectStores } from '../../../src/store/object-store.ts';
import { PolicyRefused, type Rights } from '../../../src/sts/session-policy.ts';
import { plainNetwork } from '../../fixtures/plain-network.ts';

const { signal } = new AbortController();
const dialects: readonly StoreDialect[] = ['aws', 'minio', 'rgw'];

const surroundings = {
  clock: systemClock,
  log: silentLog,
  network: plainNetwork,
  http: {},
} as unknown as Surroundings;

/** The stores of a mount with `rights`, as alice in `role`. */
function storesOf(
  playground: Playground,
  rights: Rights | undefined,
  role: RoleName = 'wire-demo',
): SharedStores {
  const { endpoint, issuer, audience } = playground;
  const { sub, name, groups } = alice;
  const claims = { sub, preferred_username: name, groups: [...groups] };
  const connection = {
    ...{ issuer, endpoint, stsEndpoint: endpoint, region: 'us-east-1', sessionName: 'wire' },
    ...{ role: playground.roles[role], expiryWaitMs: 0, narrowed: rights !== undefined },
  };
  const tokens = {
    accessToken: async () => {
      const token = new Secret(await playground.iam.mint(claims, { audience }));
      return { token, expiresAtMs: undefined };
    },
  };
  return openStores(connection, rights, tokens, surroundings);
}

async function start(options: PlaygroundOptions): Promise<Playground> {
  return await startPlayground(options, signal);
}

const bucket = 'wire-demo';
const mounts: readonly (readonly [string, Rights])[] = [
  ['a prefix', { bucket, prefix: 'p/', readOnly: false }],
  ['a prefix, read-only', { bucket, prefix: 'p/', readOnly: true }],
  ['a bucket', { bucket, prefix: '', readOnly: false }],
  ['a bucket, read-only', { bucket, prefix: '', readOnly: true }],
  ['every bucket, read-only', { prefix: '', readOnly: true }],
];
const everyMount = dialects.flatMap((dialect) =>
  mounts.map(([name, rights]) => [dialect, name, rights] as const),
);

describe('the canary', () => {
  it.each(everyMount)(
    'says at %s of a mount of %s that its limits are enforced',
    async (...row) => {
      const [storeDialect, , rights] = row;
      await using playground = await start({ storeDialect });
      await using stores = storesOf(playground, rights);
      await stores.check(signal);
      expect(stores.rights).toMatchObject({ enforcement: 'untested' });
      const verdict = await stores.verifyRights?.();
      expect(verdict).toMatchObject({ enforcement: 'enforced' });
      expect(stores.rights).toEqual(verdict);
    },
  );

  it.each(mounts)(
    'says of a mount of %s that MinIO with OPA does not enforce its limits',
    async (_, rights) => {
      await using playground = await start({
        storeDialect: 'minio',
        sessionPoliciesIgnored: true,
      });
      await using stores = storesOf(playground, rights);
      await stores.check(signal);
      expect(await stores.verifyRights?.()).toMatchObject({ enforcement: 'not enforced' });
    },
  );

  it('cannot tell where the role itself may do no more than the mount', async () => {
    await using playground = await start({});
    const rights = { bucket, prefix: '', readOnly: true };
    await using stores = storesOf(playground, rights, 'read-only');
    await stores.check(signal);
    expect(await stores.verifyRights?.()).toMatchObject({ enforcement: 'cannot tell' });
  });

  it('cannot tell, and fails nothing, while STS does not answer', async () => {
    await using playground = await start({});
    await using stores = storesOf(playground, { bucket, prefix: 'p/', readOnly: false });
    await stores.check(signal);
    playground.s3.faults.failNext(9, { status: 503, code: 'ServiceUnavailable' });
    expect(await stores.verifyRights?.()).toMatchObject({ enforcement: 'cannot tell' });
    playground.s3.faults.clear();
    await stores.stores.open(bucket).list({ prefix: 'p/' }, signal);
  });

  it('asks STS once more and the store a few times, once however many mounts ask', async () => {
    await using playground = await start({});
    const { counters, foreign } = playground.s3;
    foreign.putObject(bucket, 'p/x', 'hello');
    await using stores = storesOf(playground, { bucket, prefix: 'p/', readOnly: false });
    await stores.check(signal);
    const before = counters.requests('AssumeRoleWithWebIdentity');
    await Promise.all([stores.verifyRights?.(), stores.verifyRights?.()]);
    await stores.verifyRights?.();
    expect(counters.requests('AssumeRoleWithWebIdentity') - before).toBe(1);
    expect(counters.requests('ListObjectsV2')).toBe(3);
    expect(foreign.objects(bucket).map(({ key }) => key)).toEqual(['p/x']);
    for (const change of ['PutObject', 'DeleteObject', 'CreateMultipartUpload', 'CopyObject']) {
      expect(counters.requests(change)).toBe(0);
    }
  });

  it('changes nothing in the bucket of a read-only mount, not even uploads under way', async () => {
    await using playground = await start({ sessionPoliciesIgnored: true });
    const { counters, foreign } = playground.s3;
    await using all = storesOf(playground, undefined);
    const upload = await all.stores.open(bucket).startUpload('big', {}, signal);
    await using stores = storesOf(playground, { bucket, prefix: '', readOnly: true });
    await stores.check(signal);
    expect(await stores.verifyRights?.()).toMatchObject({ enforcement: 'not enforced' });
    expect(counters.requests('AbortMultipartUpload')).toBeGreaterThan(0);
    expect(foreign.uploads(bucket)).toEqual([upload]);
    expect(foreign.objects(bucket)).toEqual([]);
  });

  it('ends with the mount, whatever it was waiting for', async () => {
    await using playground = await start({});
    const stores = storesOf(playground, { bucket, prefix: 'p/', readOnly: false });
    await stores.check(signal);
    playground.s3.faults.stallNext(1, 600_000);
    const verdict = stores.verifyRights?.();
    await stores[Symbol.asyncDispose]();
    expect(await verdict).toMatchObject({ enforcement: 'cannot tell' });
  });
});

type Outcome = 'passes' | StoreErrorKind;

/** Stores where listing has one outcome, another one within `p/`, and a note of who was asked. */
function scripted(
  name: string,
  outside: Outcome,
  asked: string[],
  within: Outcome = 'passes',
): ObjectStores {
  const list = async ({ prefix }: { readonly prefix: string }): Promise<unknown> => {
    const isWithin = prefix.startsWith('p/');
    asked.push(isWithin ? `${name} within` : name);
    const outcome = isWithin ? within : outside;
    if (outcome === 'passes') return await Promise.resolve({ objects: [], prefixes: [] });
    throw new StoreError(outcome, 'list', { code: outcome });
  };
  return { open: () => ({ list }), buckets: async () => await Promise.resolve([]) } as never;
}

describe('what the canary makes of two answers', () => {
  const rights = { bucket: 'b', prefix: 'p/', readOnly: false };

  it.each<[Outcome, Outcome, string, readonly string[]]>([
    ['passes', 'access-denied', 'enforced', ['wide', 'narrowed', 'narrowed within']],
    ['passes', 'passes', 'not enforced', ['wide', 'narrowed']],
    ['access-denied', 'access-denied', 'cannot tell', ['wide']],
    ['passes', 'unavailable', 'cannot tell', ['wide', 'narrowed']],
    ['passes', 'not-found', 'cannot tell', ['wide', 'narrowed']],
    ['not-found', 'access-denied', 'cannot tell', ['wide']],
    ['unreachable', 'access-denied', 'cannot tell', ['wide']],
  ])('with all rights %s, narrowed %s: %s', async (wide, narrowed, enforcement, order) => {
    const asked: string[] = [];
    const verdict = await testEnforcement(
      {
        rights,
        wide: scripted('wide', wide, asked),
        narrowed: scripted('narrowed', narrowed, asked),
        name: 'canary',
      },
      signal,
    );
    expect(verdict.enforcement).toBe(enforcement);
    expect(asked).toEqual(order);
  });

  it.each<Outcome>(['access-denied', 'unavailable', 'not-found'])(
    'cannot tell where credentials are refused what the policy allows as well (%s)',
    async (within) => {
      const wide = scripted('wide', 'passes', []);
      const narrowed = scripted('narrowed', 'access-denied', [], within);
      const verdict = await testEnforcement({ rights, wide, narrowed, name: 'canary' }, signal);
      expect(verdict).toMatchObject({
        enforcement: 'cannot tell',
        reason: expect.stringContaining('was refused, but what is allowed') as string,
      });
    },
  );

  it('stops at once when it is told to', async () => {
    const stop = AbortSignal.abort(new Error('enough'));
    const stores = scripted('any', 'unreachable', []);
    const options = { rights, wide: stores, narrowed: stores, name: 'canary' };
    await expect(testEnforcement(options, stop)).rejects.toThrow('enough');
  });
});

describe('credentials of a mount', () => {
  const rights = { bucket, prefix: 'p/q/', readOnly: false };

  it.each(dialects)(
    'reach at %s what the mount needs and nothing beside it',
    async (storeDialect) => {
      await using playground = await start({ storeDialect });
      playground.s3.foreign.putObject(bucket, 'p/q2/x', 'beside');
      await using stores = storesOf(playground, rights);
      const store = stores.stores.open(bucket);
      await store.put('p/q/x', Buffer.from('inside'), {}, signal);
      const { objects } = await store.list({ prefix: 'p/q/' }, signal);
      expect(objects.map(({ key }) => key)).toEqual(['p/q/x']);
      const attempts = await Promise.allSettled([
        store.head('p/q2/x', signal),
        store.list({ prefix: 'p/q' }, signal),
        store.list({ prefix: '' }, signal),
        store.put('p/q2/y', Buffer.from('no'), {}, signal),
        store.delete('p/q2/x', signal),
        stores.stores.open('alice').list({ prefix: '' }, signal),
      ]);
      for (const attempt of attempts) {
        expect(attempt).toMatchObject({ reason: { kind: 'access-denied' } });
      }
      expect(playground.s3.foreign.head(bucket, 'p/q2/x')).toBeDefined();
    },
  );

  it.each(dialects)(
    'tell at %s what is there and what is not, though a missing key may be answered 403',
    async (storeDialect) => {
      await using playground = await start({ storeDialect });
      await using stores = storesOf(playground, rights);
      const store = stores.stores.open(bucket);
      const key = 'p/q/x';
      const { etag } = await store.put(key, Buffer.from('inside'), {}, signal);
      const from = { key, etag, bytes: 6, modifiedMs: 0 };
      const precondition = { must: 'be-absent' } as const;
      await store.copy(from, 'p/q/y', { precondition }, signal);
      const again = store.copy(from, 'p/q/y', { precondition }, signal);
      await expect(again).rejects.toMatchObject({ kind: 'exists' });
      const upload = await store.startUpload('p/q/z', {}, signal);
      const part = await store.uploadPart(upload, 1, Buffer.from('part'), signal);
      await store.completeUpload(upload, [part], precondition, signal);
      const { objects } = await store.list({ prefix: 'p/q/' }, signal);
      expect(objects.map((object) => object.key)).toEqual([key, 'p/q/y', 'p/q/z']);
    },
  );

  it('get a coarser policy, and say so, where STS refuses the narrow one', async () => {
    await using playground = await start({ storeDialect: 'rgw' });
    const code = 'MalformedPolicyDocument';
    playground.s3.faults.failNext(1, {
      operation: 'AssumeRoleWithWebIdentity',
      ...{ status: 400, code },
    });
    await using stores = storesOf(playground, rights);
    await stores.check(signal);
    expect(stores.rights).toEqual({
      limit: `s3://${bucket}/`,
      coarser: true,
      enforcement: 'untested',
    });
    await stores.stores.open(bucket).list({ prefix: '' }, signal);
    const elsewhere = stores.stores.open('alice').list({ prefix: '' }, signal);
    await expect(elsewhere).rejects.toMatchObject({ kind: 'access-denied' });
  });

  it('are never without a policy: where every one is refused, that is the error', async () => {
    await using playground = await start({});
    const code = 'PackedPolicyTooLarge';
    playground.s3.faults.failNext(9, {
      operation: 'AssumeRoleWithWebIdentity',
      ...{ status: 400, code },
    });
    await using stores = storesOf(playground, rights);
    const failure = await stores.check(signal).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(PolicyRefused);
    expect((failure as PolicyRefused).toLine()).toContain('--session-policy off');
    expect(playground.keys.issued).toEqual([]);
  });

  it('are whatever the role has where nothing else was asked for', async () => {
    await using playground = await start({});
    await using stores = storesOf(playground, undefined);
    await stores.stores.open('alice').list({ prefix: '' }, signal);
    expect(await stores.verifyRights?.()).toEqual({ enforcement: 'untested' });
    expect(playground.s3.counters.requests('AssumeRoleWithWebIdentity')).toBe(1);
  });
});
