import { describe, expect, it } from 'vitest';
import { type Fault, FaultyObjectStore } from '../../../src/store/faulty-object-store.ts';
import { BufferSink } from '../../../src/store/read-sink.ts';
import { InstantClock } from '../../fixtures/instant-clock.ts';
import { MemoryObjectStore } from '../../fixtures/memory-object-store.ts';
import { describeObjectStore } from '../../fixtures/object-store-contract.ts';

const forever = new AbortController().signal;
const clock = new InstantClock();

function faulty(fault: Fault): { store: FaultyObjectStore; memory: MemoryObjectStore } {
  const memory = new MemoryObjectStore({ clock, chunkBytes: 4 });
  const script = ({ nth }: { nth: number }): Fault | undefined => (nth === 1 ? fault : undefined);
  return { memory, store: new FaultyObjectStore(memory, script, clock) };
}

/** What came, and how the read ended. */
async function readKey(
  store: FaultyObjectStore,
  memory: MemoryObjectStore,
): Promise<{ readonly text: string; readonly etag?: string; readonly kind?: unknown }> {
  const { etag } = memory.set('key', 'hello world');
  const sink = new BufferSink(new Uint8Array(11));
  const text = (): string => Buffer.from(sink.bytes).toString();
  try {
    const version = await store.read('key', { start: 0, end: 11 }, etag, sink, forever);
    return { text: text(), etag: version.etag };
  } catch (error) {
    return { text: text(), kind: (error as { kind?: unknown }).kind };
  }
}

const traits = { copiesUnderCondition: true };
describeObjectStore('FaultyObjectStore without faults', traits, async () => {
  const store = new FaultyObjectStore(new MemoryObjectStore({ clock }), () => undefined, clock);
  return await Promise.resolve({
    store,
    [Symbol.asyncDispose]: async () => await Promise.resolve(),
  });
});

describe('FaultyObjectStore', () => {
  it('refuses without doing, and goes well the next time', async () => {
    const { store, memory } = faulty({ error: 'unavailable' });
    const put = async () => await store.put('key', Buffer.from('x'), {}, forever);
    await expect(put()).rejects.toMatchObject({ kind: 'unavailable' });
    expect(memory.keys()).toEqual([]);
    await put();
    expect(memory.keys()).toEqual(['key']);
  });

  it('does it and loses the answer', async () => {
    const { store, memory } = faulty({ lostAnswer: 'unreachable' });
    const put = store.put('key', Buffer.from('x'), {}, forever);
    await expect(put).rejects.toMatchObject({ kind: 'unreachable' });
    expect(memory.keys()).toEqual(['key']);
  });

  it('waits as long as told, by the clock', async () => {
    const { store } = faulty({ delayMs: 5000 });
    const startedMs = clock.monotonic();
    await store.list({ prefix: '' }, forever);
    expect(clock.monotonic() - startedMs).toBe(5000);
  });

  it('stalls until aborted, and then throws the reason', async () => {
    const { store } = faulty({ stall: true });
    const controller = new AbortController();
    const stalled = store.head('key', controller.signal);
    const reason = new Error('EINTR');
    controller.abort(reason);
    await expect(stalled).rejects.toBe(reason);
  });

  it('cuts a read with an error, or shortens it in silence', async () => {
    const cut = faulty({ cutAfterBytes: 6 });
    const read = await readKey(cut.store, cut.memory);
    expect(read).toEqual({ text: 'hello ', kind: 'unavailable' });
    const short = faulty({ shortAfterBytes: 6 });
    const { text, kind } = await readKey(short.store, short.memory);
    expect([text, kind]).toEqual(['hello ', undefined]);
  });

  it('tells a wrong ETag', async () => {
    const { store, memory } = faulty({ etag: '"wrong"' });
    expect((await readKey(store, memory)).etag).toBe('"wrong"');
    expect((await store.put('other', Buffer.from('x'), {}, forever)).etag).toBe('"wrong"');
  });
});
