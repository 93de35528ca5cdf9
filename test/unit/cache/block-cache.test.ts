import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BlockCache, type BlockId } from '../../../src/cache/block-cache.ts';

const forever = new AbortController().signal;
const blockBytes = 100;

interface StartedLoad {
  readonly id: BlockId;
  readonly signal: AbortSignal;
  readonly end: (error?: Error) => void;
}

/** Loads that end when the test says so, or as soon as they are aborted. */
class Loads {
  readonly started: StartedLoad[] = [];

  readonly load = async (id: BlockId, signal: AbortSignal): Promise<Uint8Array> =>
    await new Promise((resolve, reject) => {
      const end = (error?: Error): void =>
        error === undefined ? resolve(bytesOf(id)) : reject(error);
      signal.addEventListener('abort', () => reject(signal.reason as Error));
      this.started.push({ id, signal, end });
    });

  get names(): readonly string[] {
    return this.started.map(({ id }) => `${id.object}${id.index}`);
  }
}

/** The truth about a block. */
function bytesOf({ object, index }: BlockId): Uint8Array {
  return Buffer.alloc(blockBytes, `${object}/${index};`);
}

function block(index: number, object = 'a'): BlockId {
  return { object, index };
}

function cacheOver(loads: Loads, maxBytes = 1000, maxLoads = 16): BlockCache {
  return new BlockCache({ blockBytes, maxBytes, maxLoads, load: loads.load });
}

async function read(cache: BlockCache, id: BlockId): Promise<Uint8Array> {
  return await cache.get(id, forever);
}

/** A cache whose loads succeed at once. */
function readyCache(maxBytes: number): { cache: BlockCache; loaded: string[] } {
  const loaded: string[] = [];
  const load = async (id: BlockId): Promise<Uint8Array> => {
    loaded.push(`${id.object}${id.index}`);
    return await Promise.resolve(bytesOf(id));
  };
  return { cache: new BlockCache({ blockBytes, maxBytes, load }), loaded };
}

describe('BlockCache', () => {
  it('answers a second read at once, without a promise', async () => {
    const { cache, loaded } = readyCache(1000);
    await cache.get(block(0), forever);
    expect(cache.get(block(0), forever)).toEqual(bytesOf(block(0)));
    expect(loaded).toEqual(['a0']);
  });

  it('never keeps more than its bytes, and drops the least recently used', async () => {
    const { cache } = readyCache(3 * blockBytes);
    for (const index of [0, 1, 2]) await cache.get(block(index), forever);
    expect(cache.get(block(0), forever)).toBeInstanceOf(Uint8Array);
    await cache.get(block(3), forever);
    expect(cache.bytes).toBe(3 * blockBytes);
    expect(cache.get(block(0), forever)).toBeInstanceOf(Uint8Array);
    expect(cache.get(block(1), forever)).toBeInstanceOf(Promise);
  });

  it('tells the truth about every block after any history', async () => {
    const op = fc.oneof(
      fc.record({
        do: fc.constant('get' as const),
        at: fc.nat(7),
        of: fc.constantFrom('a', 'a 1'),
      }),
      fc.record({ do: fc.constant('prefetch' as const), at: fc.nat(7), of: fc.constant('a') }),
      fc.record({
        do: fc.constant('drop' as const),
        at: fc.nat(0),
        of: fc.constantFrom('a', 'a 1'),
      }),
    );
    const histories = fc.array(op, { maxLength: 60, size: 'max' });
    const property = fc.asyncProperty(histories, async (ops) => {
      const { cache } = readyCache(4 * blockBytes);
      for (const { do: what, at, of } of ops) {
        const id = block(at, of);
        if (what === 'get') expect(await cache.get(id, forever)).toEqual(bytesOf(id));
        else if (what === 'prefetch') cache.prefetch(id);
        else cache.drop(of);
        expect(cache.bytes).toBeLessThanOrEqual(4 * blockBytes);
      }
    });
    await fc.assert(property, { numRuns: 200 });
  });

  it('loads a block once for many readers, and an interrupted one fails no other', async () => {
    const loads = new Loads();
    const cache = cacheOver(loads);
    const interrupted = new AbortController();
    const first = Promise.resolve(cache.get(block(0), interrupted.signal)).catch((e: unknown) => e);
    const second = cache.get(block(0), forever);
    interrupted.abort(new Error('EINTR'));
    await turn();
    loads.started[0]?.end();
    expect(await first).toEqual(new Error('EINTR'));
    expect(await second).toEqual(bytesOf(block(0)));
    expect(loads.started).toHaveLength(1);
  });

  it('aborts a load that nobody wants any more', async () => {
    const loads = new Loads();
    const cache = cacheOver(loads);
    const reader = new AbortController();
    const read = Promise.resolve(cache.get(block(0), reader.signal)).catch(() => undefined);
    await turn();
    reader.abort(new Error('EINTR'));
    await read;
    expect(loads.started[0]?.signal.aborted).toBe(true);
  });

  it('runs no more loads at once than allowed, readers before loads ahead', async () => {
    const loads = new Loads();
    const cache = cacheOver(loads, 2000, 2);
    const reads = [read(cache, block(0))];
    for (const index of [1, 2, 3]) cache.prefetch(block(index));
    reads.push(read(cache, block(9)));
    await turn();
    expect(loads.names).toEqual(['a0', 'a1']);
    loads.started[0]?.end();
    await turn();
    expect(loads.names).toEqual(['a0', 'a1', 'a9']);
    // A reader that comes for a block in line takes it to the front.
    reads.push(read(cache, block(3)));
    loads.started[1]?.end();
    await turn();
    expect(loads.names).toEqual(['a0', 'a1', 'a9', 'a3']);
    for (const load of loads.started) load.end();
    await turn();
    expect(loads.names).toEqual(['a0', 'a1', 'a9', 'a3', 'a2']);
    await Promise.all(reads);
  });

  it('gives the slot of a reader that left in line to the next', async () => {
    const loads = new Loads();
    const cache = cacheOver(loads, 1000, 1);
    const reader = new AbortController();
    const first = cache.get(block(0), forever);
    const left = Promise.resolve(cache.get(block(1), reader.signal)).catch(() => 'left');
    const last = cache.get(block(2), forever);
    await turn();
    reader.abort(new Error('EINTR'));
    loads.started[0]?.end();
    await turn();
    expect(loads.names).toEqual(['a0', 'a2']);
    loads.started[1]?.end();
    expect(await left).toBe('left');
    await Promise.all([first, last]);
  });

  it('bounds the loads ahead to half of what it can keep', async () => {
    const loads = new Loads();
    const cache = cacheOver(loads, 6 * blockBytes);
    for (let index = 0; index < 10; index += 1) cache.prefetch(block(index));
    await turn();
    expect(loads.started).toHaveLength(3);
    await cache[Symbol.asyncDispose]();
  });

  it('keeps a failed load ahead silent, and asks again for the reader', async () => {
    const loads = new Loads();
    const cache = cacheOver(loads);
    cache.prefetch(block(0));
    await turn();
    loads.started[0]?.end(new Error('broke'));
    await turn();
    const read = cache.get(block(0), forever);
    await turn();
    loads.started[1]?.end();
    expect(await read).toEqual(bytesOf(block(0)));
  });

  it('drops one object, ends its loads ahead, and leaves the others', async () => {
    const loads = new Loads();
    const cache = cacheOver(loads);
    const kept = [read(cache, block(0, 'a')), read(cache, block(0, 'b'))];
    await turn();
    for (const load of loads.started) load.end();
    await Promise.all(kept);
    cache.prefetch(block(1, 'a'));
    await turn();
    cache.drop('a');
    await turn();
    expect(loads.started[2]?.signal.aborted).toBe(true);
    expect(cache.bytes).toBe(blockBytes);
    expect(cache.get(block(0, 'b'), forever)).toBeInstanceOf(Uint8Array);
  });

  it('when disposed, ends every load and keeps nothing', async () => {
    const loads = new Loads();
    const cache = cacheOver(loads);
    cache.prefetch(block(0));
    const read = Promise.resolve(cache.get(block(1), forever)).catch((error: unknown) => error);
    await turn();
    await cache[Symbol.asyncDispose]();
    expect(loads.started.every(({ signal }) => signal.aborted)).toBe(true);
    expect(await read).toBeInstanceOf(Error);
    expect(cache.bytes).toBe(0);
  });
});
