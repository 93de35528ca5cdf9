/** The probe against a real server: what it finds out, and that nothing of it stays. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { BucketFacts } from '../../../../src/daemon/doctor/bucket-findings.ts';
import { probeBucket } from '../../../../src/daemon/doctor/bucket-probe.ts';
import type { StoreDialect } from '../../../../src/demo/dialect.ts';
import { type ObjectServer, startObjectServer } from '../../../../src/demo/s3/object-server.ts';
import type { Principal } from '../../../../src/demo/s3/principal.ts';
import { systemClock } from '../../../../src/lib/clock.ts';
import { Closers } from '../../../../src/lib/closers.ts';
import { silentLog } from '../../../../src/lib/log.ts';
import { Secret } from '../../../../src/lib/secret.ts';
import { plainBody } from '../../../../src/s3/body-guard.ts';
import { S3Connection } from '../../../../src/s3/s3-connection.ts';
import { plainNetwork } from '../../../fixtures/plain-network.ts';

const BUCKET = 'data';
const forever = new AbortController().signal;

/** Two people: one may do what a mount may, one all. */
function person(id: string, allows: Principal['allows']): Principal {
  return { accessKeyId: id, secretAccessKey: `secret-of-${id}`, name: id, allows };
}

describe('the probe of a bucket', () => {
  let closers = new Closers();
  let server: ObjectServer;
  let denied: readonly string[] = [];

  const start = async (dialect: StoreDialect = 'aws'): Promise<void> => {
    const people = [
      person('MOUNT', (action) => !denied.includes(action) && !action.includes('Version')),
      person('WIDE', (action) => !denied.includes(`wide ${action}`)),
    ];
    const principals = { find: (id: string) => people.find((one) => one.accessKeyId === id) };
    server = closers.use(await startObjectServer({ dialect, principals }, forever));
    server.foreign.createBucket(BUCKET);
  };

  const connect = (id: string): S3Connection => {
    const credentials = async () =>
      await Promise.resolve({
        accessKeyId: id,
        secretAccessKey: new Secret(`secret-of-${id}`),
        sessionToken: new Secret(''),
        expiresAtMs: Date.now() + 3_600_000,
      });
    return closers.use(
      new S3Connection({
        ...{ endpoint: server.url, region: 'us-east-1', network: plainNetwork },
        ...{ clock: systemClock, log: silentLog, retryBudgetMs: 0 },
        credentials: { credentials, renew: credentials },
      }),
    );
  };

  const probe = async (readOnly = false, signal = forever): Promise<BucketFacts> =>
    await probeBucket(
      {
        connection: connect('MOUNT'),
        wide: () => connect('WIDE'),
        source: { kind: 'bucket', bucket: BUCKET, prefix: 'p/' },
        ...{ readOnly, clock: systemClock },
      },
      signal,
    );

  /** Objects, versions, markers and uploads, as the server has them. */
  const remains = async (): Promise<string> => {
    const versions = await connect('WIDE').send(
      'list versions',
      { method: 'GET', bucket: BUCKET, query: 'versions=' },
      ({ body }) => body.toString(),
      forever,
    );
    const uploads = server.foreign.uploads(BUCKET).map(({ key }) => key);
    return [...versions.matchAll(/<Key>([^<]*)/g)]
      .map(([, key]) => key)
      .concat(uploads)
      .join();
  };

  const keepVersions = async (): Promise<void> => {
    const status = '<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>';
    await connect('WIDE').send(
      'keep versions',
      { method: 'PUT', bucket: BUCKET, query: 'versioning=', body: plainBody(Buffer.from(status)) },
      () => undefined,
      forever,
    );
  };

  beforeEach(() => {
    denied = [];
    closers = new Closers();
  });
  afterEach(async () => {
    await closers[Symbol.asyncDispose]();
  });

  it.each<StoreDialect>(['aws', 'minio', 'rgw'])(
    'finds all rights, conditions and times at %s, and leaves nothing',
    async (dialect) => {
      await start(dialect);
      const { list, get, write, timing, place } = await probe();
      expect(place).toBe('s3://data/p/');
      expect([list, get, write?.put, write?.remove].map((answer) => answer?.done)).toEqual(
        Array.from({ length: 4 }, () => true),
      );
      expect(write).toMatchObject({
        putAgain: { done: false, kind: 'exists' },
        putStale: { done: false, kind: 'precondition-failed' },
        // Ceph RGW 16 does not look at them there.
        completeAgain: { done: dialect === 'rgw' },
        left: 'nothing',
      });
      expect(timing?.bytes).toBe(4096);
      expect(timing?.getMs).toBeGreaterThan(0);
      expect(await remains()).toBe('');
    },
  );

  it('is an object that nobody takes for theirs, below the prefix, gone when it returns', async () => {
    await start();
    server.faults.stallNext(1, 60_000, { operation: 'GetObject' });
    const abort = new AbortController();
    const probing = probe(false, abort.signal);
    await expect
      .poll(() => server.foreign.objects(BUCKET).map(({ key }) => key))
      .toEqual([expect.stringMatching(/^p\/\.wire-doctor-probe-delete-me-[0-9a-f]{24}$/)]);
    const enough = new Error('enough');
    abort.abort(enough);
    await expect(probing).rejects.toBe(enough);
    expect(await remains()).toBe('');
  });

  it('leaves nothing in a bucket that keeps versions: neither those nor a marker', async () => {
    await start();
    await keepVersions();
    server.foreign.putObject(BUCKET, 'p/theirs', 'x');
    expect((await probe()).write).toMatchObject({ remove: { done: true }, left: 'nothing' });
    expect(await remains()).toBe('p/theirs');
  });

  it('says so when a version may not be deleted by anybody', async () => {
    await start();
    await keepVersions();
    denied = ['wide s3:DeleteObjectVersion'];
    const { write } = await probe();
    expect(write?.left).toMatchObject({
      why: expect.stringMatching(/keeps versions.*AccessDenied/) as string,
    });
    expect(server.foreign.objects(BUCKET)).toEqual([]);
  });

  it.each([
    [
      's3:ListBucket',
      { list: { done: false, kind: 'access-denied' }, write: { put: { done: true } } },
    ],
    [
      's3:PutObject',
      { list: { done: true }, write: { put: { done: false, kind: 'access-denied' } } },
    ],
    ['s3:GetObject', { get: { done: false, kind: 'access-denied' }, write: { left: 'nothing' } }],
  ])('tells which right lacks (%s), tries the others, and leaves nothing', async (right, found) => {
    await start();
    denied = [right];
    expect(await probe()).toMatchObject(found);
    expect(await remains()).toBe('');
  });

  it('that may not be deleted is deleted with all rights of the role', async () => {
    await start();
    denied = ['s3:DeleteObject'];
    expect((await probe()).write).toMatchObject({
      ...{ remove: { done: false, kind: 'access-denied' }, left: 'nothing' },
    });
    expect(await remains()).toBe('');
  });

  it('that nobody may delete is named', async () => {
    await start();
    denied = ['s3:DeleteObject', 'wide s3:DeleteObject'];
    const { write } = await probe();
    const [left] = server.foreign.objects(BUCKET);
    expect(write?.left).toMatchObject({ key: left?.key });
  });

  it('is looked for and deleted when the answer to its writing got lost', async () => {
    await start();
    server.faults.failNext(1, { operation: 'PutObject', status: 500, code: 'InternalError' });
    const { write } = await probe();
    expect(write).toMatchObject({ put: { done: false, kind: 'unavailable' }, left: 'nothing' });
    expect(server.counters.of('DeleteObject').requests).toBe(1);
  });

  it('is deleted when the person has had enough while it is being written', async () => {
    await start();
    server.faults.stallNext(1, 60_000, { operation: 'PutObject' });
    const abort = new AbortController();
    const probing = probe(false, abort.signal);
    await expect.poll(() => server.counters.of('PutObject').requests).toBe(1);
    abort.abort(new Error('enough'));
    await expect(probing).rejects.toThrow('enough');
    expect(server.counters.of('DeleteObject').requests).toBe(1);
  });

  it('writes nothing when it is to read only: what is there is measured', async () => {
    await start();
    expect((await probe(true)).get).toBeUndefined();
    server.foreign.putObject(BUCKET, 'p/empty', '');
    server.foreign.putObject(BUCKET, 'p/long', Buffer.alloc(100_000));
    const { write, get, timing } = await probe(true);
    expect(write).toBeUndefined();
    expect(get).toEqual({ done: true });
    expect(timing?.bytes).toBe(4096);
    expect(server.counters.of('PutObject').requests).toBe(0);
    expect(server.counters.of('DeleteObject').requests).toBe(0);
  });

  it('asks no more of a bucket that is not there', async () => {
    await start();
    const facts = await probeBucket(
      {
        connection: connect('MOUNT'),
        wide: () => connect('WIDE'),
        source: { kind: 'bucket', bucket: 'nothing', prefix: '' },
        ...{ readOnly: false, clock: systemClock },
      },
      forever,
    );
    expect(facts).toEqual({
      place: 's3://nothing',
      list: {
        done: false,
        kind: 'not-found',
        said: expect.stringContaining('NoSuchBucket') as string,
      },
    });
  });
});
