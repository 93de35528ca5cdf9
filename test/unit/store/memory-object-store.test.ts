import { expect, it } from 'vitest';
import { MemoryObjectStore, MemoryObjectStores } from '../../fixtures/memory-object-store.ts';
import { describeObjectStore } from '../../fixtures/object-store-contract.ts';

const clock = { now: () => 1_700_000_000_789 };
const forever = new AbortController().signal;
const traits = { copiesUnderCondition: true };

describeObjectStore('MemoryObjectStore', traits, async () => {
  const store = new MemoryObjectStore({ clock, maxKeys: 4 });
  return await Promise.resolve({
    store,
    [Symbol.asyncDispose]: async () => await Promise.resolve(),
  });
});

it('counts calls by method, tells whole seconds, and keeps its own copy of a body', async () => {
  const store = new MemoryObjectStore({ clock });
  const body = Buffer.from('abc');
  const version = await store.put('a', body, {}, forever);
  body.fill(0);
  expect(store.bytesOf('a')).toEqual(new Uint8Array(Buffer.from('abc')));
  expect(version.modifiedMs).toBe(1_700_000_000_000);
  expect(store.calls).toMatchObject({ put: 1, head: 0 });
});

it('finds nothing in a bucket that is not there', async () => {
  const stores = new MemoryObjectStores({ clock, buckets: ['b', 'a'] });
  expect((await stores.buckets(forever)).map(({ name }) => name)).toEqual(['a', 'b']);
  await expect(stores.open('c').list({ prefix: '' }, forever)).rejects.toMatchObject({
    kind: 'not-found',
    detail: { code: 'NoSuchBucket' },
  });
  await stores.open('a').put('k', Buffer.from('x'), {}, forever);
  expect(stores.memory('a').keys()).toEqual(['k']);
});
