import { describe, expect, it } from 'vitest';
import type { Change } from '../../../src/daemon/changes.ts';
import { StoreTimes, watchedRoot } from '../../../src/daemon/store-watch.ts';
import { type FaultScript, FaultyObjectStore } from '../../../src/store/faulty-object-store.ts';
import type { ObjectStore } from '../../../src/store/object-store.ts';
import { FakeClock } from '../../fixtures/fake-clock.ts';
import { MemoryObjectStore, MemoryObjectStores } from '../../fixtures/memory-object-store.ts';
import { describeObjectStore, readBytes } from '../../fixtures/object-store-contract.ts';

const forever = new AbortController().signal;
const clock = new FakeClock();

interface Watched {
  readonly store: ObjectStore;
  readonly times: StoreTimes;
  readonly changes: Change[];
  readonly clock: FakeClock;
}

function watched(script: FaultScript = () => undefined): Watched {
  const own = new FakeClock();
  const times = new StoreTimes(own);
  const changes: Change[] = [];
  const memory = new MemoryObjectStore({ clock: own });
  const store = new FaultyObjectStore(memory, script, own);
  const root = { kind: 'bucket', store, prefix: '' } as const;
  const seen = watchedRoot(root, times, (change) => changes.push(change));
  if (seen.kind !== 'bucket') throw new Error('another root');
  return { store: seen.store, times, changes, clock: own };
}

const countsOf = (times: StoreTimes): Record<string, number> =>
  Object.fromEntries(times.all.map((one) => [one.name, one.times.count]));

describeObjectStore('A watched store', { copiesUnderCondition: true }, async () => {
  const store = new MemoryObjectStore({ clock, maxKeys: 4 });
  const root = { kind: 'bucket', store, prefix: '' } as const;
  const seen = watchedRoot(root, new StoreTimes(clock), () => undefined);
  return await Promise.resolve({
    store: (seen as Extract<typeof seen, { kind: 'bucket' }>).store,
    [Symbol.asyncDispose]: async () => await Promise.resolve(),
  });
});

describe('watchedRoot', () => {
  it('counts requests by their kind and bytes either way, with what the object really had', async () => {
    const { store, times } = watched();
    const { etag } = await store.put('a', Buffer.from('hello'), {}, forever);
    await readBytes(store, 'a', { start: 1, end: 100 }, etag);
    const upload = await store.startUpload('b', {}, forever);
    const part = await store.uploadPart(upload, 1, Buffer.from('part'), forever);
    await store.completeUpload(upload, [part], undefined, forever);
    await store.list({ prefix: '' }, forever);
    await store.head('a', forever);
    expect(countsOf(times)).toEqual({
      ...{ list: 1, head: 1, get: 1, put: 1 },
      ...{ 'start-upload': 1, 'upload-part': 1, 'complete-upload': 1 },
    });
    expect([times.sent.total, times.received.total]).toEqual([9, 4]);
  });

  it('tells how long a request took, also one that failed', async () => {
    const seen = watched(({ method }) =>
      method === 'head' ? { delayMs: 300, error: 'unavailable' } : { delayMs: 40 },
    );
    const work = Promise.allSettled([
      seen.store.head('a', forever),
      seen.store.list({ prefix: '' }, forever),
    ]);
    await seen.clock.advance(1000);
    await work;
    const took = seen.times.all.map(({ name, times, errors }) => [name, times.maxMs, ...errors]);
    expect(took).toEqual([
      ['list', 40],
      ['head', 300, ['unavailable', 1]],
    ]);
  });

  it('tells of each change once it is known what became of it', async () => {
    const { store, changes } = watched(({ method, nth }) =>
      method === 'delete' && nth === 1 ? { error: 'access-denied' } : undefined,
    );
    const made = await store.put('a', Buffer.from('hello'), {}, forever);
    const copied = await store.copy({ key: 'a', ...made }, 'b', {}, forever);
    const must = { precondition: { must: 'be-absent' } } as const;
    await expect(store.put('a', Buffer.from('x'), must, forever)).rejects.toThrow();
    await expect(store.delete('a', forever)).rejects.toThrow();
    await store.delete('a', forever);
    const upload = await store.startUpload('c', {}, forever);
    const whole = await store.completeUpload(
      upload,
      [await store.uploadPart(upload, 1, Buffer.from('part'), forever)],
      undefined,
      forever,
    );
    const { bucket } = store;
    expect(changes).toMatchObject([
      { action: 'put', bucket, key: 'a', bytes: 5, etag: made.etag, outcome: 'done' },
      { action: 'copy', bucket, key: 'b', from: 'a', bytes: 5, etag: copied.etag, outcome: 'done' },
      { action: 'put', bucket, key: 'a', bytes: 1, outcome: 'exists' },
      { action: 'delete', bucket, key: 'a', outcome: 'access-denied' },
      { action: 'delete', bucket, key: 'a', outcome: 'done' },
      { action: 'complete-upload', bucket, key: 'c', etag: whole.etag, outcome: 'done' },
    ]);
    expect(changes[2]).not.toHaveProperty('etag');
  });

  it('tells an interruption from a refusal and from a defect', async () => {
    const { store, times, changes } = watched(() => ({ stall: true }));
    const leaving = new AbortController();
    const work = store.put('a', Buffer.from('x'), {}, leaving.signal);
    leaving.abort(new Error('nobody waits'));
    await expect(work).rejects.toThrow('nobody waits');
    expect(changes).toMatchObject([{ outcome: 'interrupted' }]);
    const broken = { bucket: 'b' } as unknown as ObjectStore;
    const root = { kind: 'bucket', store: broken, prefix: '' } as const;
    const seen = watchedRoot(root, times, undefined) as Extract<
      ReturnType<typeof watchedRoot>,
      { kind: 'bucket' }
    >;
    await expect(seen.store.head('a', forever)).rejects.toThrow(TypeError);
    expect(times.all.map(({ name, errors }) => [name, ...errors])).toEqual([
      ['head', ['internal', 1]],
      ['put', ['interrupted', 1]],
    ]);
  });

  it('watches each bucket of an endpoint once, however often it is opened', async () => {
    const stores = new MemoryObjectStores({ clock, buckets: ['a', 'b'] });
    const times = new StoreTimes(clock);
    const root = watchedRoot({ kind: 'buckets', stores }, times, undefined);
    if (root.kind !== 'buckets') throw new Error('another root');
    await root.stores.buckets(forever);
    expect(root.stores.open('a')).toBe(root.stores.open('a'));
    await root.stores.open('b').put('k', Buffer.from('x'), {}, forever);
    expect(stores.memory('b').keys()).toEqual(['k']);
    expect(countsOf(times)).toEqual({ put: 1, 'list-buckets': 1 });
  });
});
