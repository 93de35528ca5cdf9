import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { BLOCK_BYTES } from '../../../src/cache/slots.ts';
import { KiB, MiB } from '../../../src/lib/bytes.ts';
import { MemoryBlockDisk } from '../../fixtures/memory-block-disk.ts';
import { BlockRig, forever, outcome } from './block-rig.ts';

describe('BlockLoader', () => {
  it('brings many blocks by one request, and wakes who waits for one as soon as it is complete', async () => {
    await using rig = new BlockRig();
    const source = rig.source();
    rig.want(source, 0, 9);
    expect(source.asked).toEqual(['0-9']);
    const ends: string[] = [];
    const reads = [2, 0, 1].map(async (index) => {
      expect(await rig.block(source, index)).toBe('right');
      ends.push(`${index}`);
    });
    source.last.send(BLOCK_BYTES - 1);
    await turn();
    expect(ends).toEqual([]);
    source.last.send(1);
    await turn();
    expect(ends).toEqual(['0']);
    source.last.send(2 * BLOCK_BYTES);
    await Promise.all(reads);
    expect(source.requests).toHaveLength(1);
    await source.last.finish();
  });

  it('cuts a long extent into requests of about the same length, in order', async () => {
    await using rig = new BlockRig();
    const source = rig.source();
    rig.want(source, 0, 30, MiB);
    expect(source.asked).toEqual(['0-8', '8-16', '16-24', '24-30']);
  });

  it('loads a block once for many readers, and an interrupted one fails no other', async () => {
    await using rig = new BlockRig();
    const source = rig.source();
    const interrupt = new AbortController();
    const first = outcome(rig.block(source, 0, interrupt.signal));
    const second = outcome(rig.block(source, 0));
    interrupt.abort(new Error('EINTR'));
    expect(await first).toBe('EINTR');
    await source.last.finish();
    expect(await second).toBe('right');
    expect(source.requests).toHaveLength(1);
  });

  it('gives a load up that all its readers have left, and asks anew for the next', async () => {
    await using rig = new BlockRig();
    const source = rig.source();
    rig.want(source, 0, 8);
    const interrupt = new AbortController();
    const read = outcome(rig.block(source, 1, interrupt.signal));
    source.last.send(BLOCK_BYTES);
    interrupt.abort(new Error('EINTR'));
    expect(await read).toBe('EINTR');
    await turn();
    expect(source.last.signal.aborted).toBe(true);
    // What had come stays.
    expect(await rig.block(source, 0)).toBe('right');
    const again = rig.block(source, 1);
    expect(source.asked).toEqual(['0-8', '1-2']);
    await source.last.finish();
    expect(await again).toBe('right');
    expect(rig.cache.pool.held).toBe(0);
  });

  it('lets no late byte of a load that was given up reach a block', async () => {
    await using rig = new BlockRig(MiB);
    const source = rig.source();
    const interrupt = new AbortController();
    const left = outcome(rig.block(source, 0, interrupt.signal));
    const late = source.last;
    late.send(100);
    interrupt.abort(new Error('EINTR'));
    await left;
    const again = rig.block(source, 0);
    await source.last.finish();
    expect(await again).toBe('right');
    expect(await rig.block(source, 0)).toBe('right');
  });

  it('forgets a part whose rest was on its way into the same memory when all left', async () => {
    await using rig = new BlockRig();
    const source = rig.source();
    const part = rig.read(source, 0, 4 * KiB);
    await source.last.finish();
    expect(await part).toBe('right');
    const interrupt = new AbortController();
    const rest = outcome(rig.block(source, 0, interrupt.signal));
    source.last.send(10 * KiB);
    interrupt.abort(new Error('EINTR'));
    expect(await rest).toBe('EINTR');
    // Late bytes may still fall there: nobody else may load into it.
    expect(rig.cache.views(source.blocks, 0, 4 * KiB, false)).toBeUndefined();
    const again = rig.block(source, 0);
    await source.last.finish();
    expect(await again).toBe('right');
  });

  it('starts what a reader waits for first, then what is nearest to its reader', async () => {
    await using rig = new BlockRig();
    const source = rig.source('object', 64 * MiB);
    // Fills every place for loads ahead.
    const busy = rig.endpoint.loads;
    for (let at = 0; at < busy; at += 1) rig.want(source, 100 + at, 101 + at);
    rig.want(source, 300, 301);
    rig.want(source, 250, 251);
    rig.want(source, 200, 201);
    expect(source.requests).toHaveLength(busy);
    const read = rig.block(source, 300);
    expect(source.asked.slice(busy)).toEqual(['300-301']);
    await source.last.finish();
    expect(await read).toBe('right');
    await source.requests[0]?.finish();
    expect(source.asked.slice(busy)).toEqual(['300-301', '200-201']);
    await source.requests[1]?.finish();
    expect(source.asked.slice(busy)).toEqual(['300-301', '200-201', '250-251']);
  });

  it('keeps a failed load ahead silent, keeps what came of it, and asks again for the reader', async () => {
    await using rig = new BlockRig();
    const source = rig.source();
    rig.want(source, 0, 4);
    source.last.send(BLOCK_BYTES + 5);
    await source.last.end(new Error('broke'));
    expect(await rig.block(source, 0)).toBe('right');
    const read = rig.block(source, 1);
    expect(source.asked).toEqual(['0-4', '1-2']);
    await source.last.finish();
    expect(await read).toBe('right');
  });

  it('gives the error of a load to who waits for what did not come', async () => {
    await using rig = new BlockRig();
    const source = rig.source();
    rig.want(source, 0, 4);
    const reads = [0, 1, 3].map(async (index) => await outcome(rig.block(source, index)));
    source.last.send(BLOCK_BYTES + 5);
    await source.last.end(new Error('broke'));
    expect(await Promise.all(reads)).toEqual(['right', 'broke', 'broke']);
    await turn();
    expect(rig.cache.pool.held).toBe(0);
  });

  it('gives an error, never wrong bytes, when a read ends short or sends too much', async () => {
    await using rig = new BlockRig();
    const source = rig.source();
    const short = outcome(rig.block(source, 0));
    source.last.send(1000);
    await source.last.end();
    expect(await short).toContain('too few bytes');
    const read = rig.block(source, 1);
    const request = source.last;
    request.send(BLOCK_BYTES);
    expect(() => request.send(1)).toThrow('more than was asked for');
    await request.end();
    expect(await read).toBe('right');
  });

  it('forgets all of a load that turns out wrong in the end', async () => {
    await using rig = new BlockRig();
    const source = rig.source();
    rig.want(source, 0, 2);
    source.last.send(2 * BLOCK_BYTES);
    await source.last.end(new Error('another version'));
    expect(rig.cache.views(source.blocks, 0, 10, true)).toBeUndefined();
    expect(rig.cache.blocks).toBe(0);
  });

  it('keeps a part of a block, and fetches the rest at the second miss', async () => {
    await using rig = new BlockRig();
    const source = rig.source();
    source.ready = true;
    const part = async (block: number, from: number, bytes: number): Promise<void> => {
      expect(await rig.read(source, block * BLOCK_BYTES + from, bytes)).toBe('right');
    };
    await part(0, 0, 4 * KiB);
    await part(0, 1000, 2000);
    expect(source.asked).toEqual(['0-0.03125']);
    await part(0, 64 * KiB, 4 * KiB);
    expect(source.asked.at(-1)).toBe('0.03125-1');
    // Its end first, then what lies before.
    await part(1, 124 * KiB, 4 * KiB);
    await part(1, 0, 4 * KiB);
    expect(source.asked.at(-1)).toBe('1-1.96875');
    // From the middle: all of it, in one request.
    await part(2, 64 * KiB, 4 * KiB);
    await part(2, 0, 4 * KiB);
    expect(source.asked.at(-1)).toBe('2-3');
    expect(source.requests).toHaveLength(6);
    for (const block of [0, 1, 2]) expect(await rig.block(source, block)).toBe('right');
    expect(source.requests).toHaveLength(6);
  });

  it('answers from the part of a block that is there while the rest is on its way', async () => {
    await using rig = new BlockRig();
    const source = rig.source();
    const first = rig.read(source, 64 * KiB, 4 * KiB);
    await source.last.finish();
    expect(await first).toBe('right');
    const rest = rig.block(source, 0);
    source.last.send(66 * KiB);
    expect(rig.cache.views(source.blocks, 64 * KiB, 68 * KiB, false)).toBeInstanceOf(Uint8Array);
    expect(await rig.read(source, 64 * KiB, 4 * KiB)).toBe('right');
    await source.last.finish();
    expect(await rest).toBe('right');
    expect(source.requests).toHaveLength(2);
  });

  it('loads ahead no more than there is memory for, and gives that up for who waits', async () => {
    await using rig = new BlockRig(MiB);
    const source = rig.source('object', 64 * MiB);
    rig.want(source, 0, 100);
    // Eight blocks are all there can be, and two of them are left to who waits.
    expect(source.asked).toEqual(['0-6']);
    const reads = [50, 52, 54].map(async (at) => await rig.block(source, at));
    await turn();
    await turn();
    expect(source.requests[0]?.signal.aborted).toBe(true);
    expect(source.asked).toEqual(['0-6', '50-51', '52-53', '54-55']);
    for (const request of source.requests.slice(1)) await request.finish();
    expect(await Promise.all(reads)).toEqual(['right', 'right', 'right']);
    expect(rig.budget.used).toBeLessThanOrEqual(MiB);
  });

  it('serves reads that are longer than all memory', async () => {
    await using rig = new BlockRig(MiB);
    const source = rig.source('object', 16 * MiB);
    source.ready = true;
    const reads = [0, 1, 2, 3].map(async (at) => await rig.read(source, at * 3 * MiB, 4 * MiB));
    expect(await Promise.all(reads)).toEqual(['right', 'right', 'right', 'right']);
    await turn();
    expect(rig.cache.pool.held).toBe(0);
    expect(rig.budget.used).toBeLessThanOrEqual(MiB);
  });

  it('changes no byte of what is there while it loads a block again', async () => {
    await using rig = new BlockRig();
    const source = rig.source();
    const first = rig.read(source, 64 * KiB, 4 * KiB);
    await source.last.finish();
    await first;
    await turn();
    const rest = outcome(rig.block(source, 0));
    // A store that lies, and is found out later.
    const truth = source.truth.slice(64 * KiB, 68 * KiB);
    source.truth.fill(0x11, 0, BLOCK_BYTES);
    source.last.send(100 * KiB);
    const view = rig.cache.views(source.blocks, 64 * KiB, 68 * KiB, false);
    expect(view).toEqual(truth);
    await source.last.end(new Error('broke'));
    expect(await rest).toBe('broke');
    expect(rig.cache.views(source.blocks, 64 * KiB, 68 * KiB, false)).toEqual(truth);
  });

  it('gives up what is ahead of a version that nobody has open, and not what is waited for', async () => {
    await using rig = new BlockRig();
    const source = rig.source();
    rig.want(source, 0, 2);
    rig.want(source, 8, 10);
    const read = rig.block(source, 8);
    rig.loader.close(source);
    await turn();
    expect(source.requests.map(({ signal }) => signal.aborted)).toEqual([true, false]);
    await source.last.finish();
    expect(await read).toBe('right');
  });

  it('leaves a load that another mount waits for to that one when it ends', async () => {
    await using rig = new BlockRig();
    const source = rig.source();
    const ending = rig.newLoader();
    const mine = outcome(rig.read(source, 0, 10, forever, ending));
    const other = outcome(rig.read(source, 0, 10));
    expect(source.requests).toHaveLength(1);
    const ended = ending[Symbol.asyncDispose]();
    await turn();
    expect(await mine).toContain('closed');
    await ended;
    expect(source.requests).toHaveLength(2);
    await source.last.finish();
    expect(await other).toBe('right');
  });

  it('when disposed, ends every load and holds nothing', async () => {
    const rig = new BlockRig();
    const source = rig.source();
    rig.want(source, 0, 4);
    const read = outcome(rig.block(source, 9));
    await rig[Symbol.asyncDispose]();
    expect(source.requests.every(({ signal }) => signal.aborted)).toBe(true);
    expect(await read).not.toBe('right');
    expect(rig.cache.pool.held).toBe(0);
    expect(rig.budget.used).toBe(0);
  });
});

describe('BlockLoader over a disk', () => {
  const identity = { endpoint: 'e', bucket: 'b', key: 'k', etag: '"1"', bytes: 4 * MiB };

  it('keeps what came from the store, after its reader has it, in few writes', async () => {
    await using rig = new BlockRig();
    const disk = new MemoryBlockDisk();
    const source = rig.source();
    source.disk = await disk.open(identity);
    rig.want(source, 0, 4);
    const read = rig.block(source, 0);
    await source.last.finish();
    expect(await read).toBe('right');
    await rig.loader.settled(source);
    expect(disk.writes).toEqual(['0+4']);
    await turn();
    expect(rig.cache.pool.held).toBe(0);
  });

  it('looks on the disk first, by one read for a run of blocks', async () => {
    await using rig = new BlockRig();
    const disk = new MemoryBlockDisk();
    const source = rig.source();
    source.disk = await disk.open(identity);
    for (const index of [1, 2, 3, 6]) disk.keep(identity, index, source.truth);
    source.ready = true;
    rig.want(source, 0, 8);
    expect(await rig.read(source, 0, MiB)).toBe('right');
    expect(disk.reads).toEqual(['1+3', '6+1']);
    expect(source.asked).toEqual(['0-1', '4-6', '7-8']);
    await rig.loader.settled(source);
    expect(rig.loader).toMatchObject({ fetchedBytes: 4 * BLOCK_BYTES, diskBytes: 4 * BLOCK_BYTES });
  });

  it('asks the store for blocks that turn out to be damaged', async () => {
    await using rig = new BlockRig();
    const damaged = (_: string, index: number): boolean => index === 2;
    const disk = new MemoryBlockDisk({ damaged });
    const source = rig.source();
    source.disk = await disk.open(identity);
    for (const index of [1, 2, 3]) disk.keep(identity, index, source.truth);
    source.ready = true;
    rig.want(source, 0, 4);
    expect(await rig.read(source, 0, 4 * BLOCK_BYTES)).toBe('right');
    expect(source.asked).toEqual(['0-1', '2-3']);
  });

  it('leaves out what the disk cannot keep up with, and holds little for it', async () => {
    await using rig = new BlockRig(2 * MiB);
    let go = (): void => undefined;
    const slow = new Promise<void>((resolve) => {
      go = resolve;
    });
    const disk = new MemoryBlockDisk({ writing: async () => await slow });
    const source = rig.source('object', 16 * MiB);
    source.disk = await disk.open({ ...identity, bytes: 16 * MiB });
    source.ready = true;
    for (let index = 0; index < 100; index += 1)
      expect(await rig.block(source, index)).toBe('right');
    await turn();
    expect(rig.cache.pool.held).toBeLessThanOrEqual(2);
    go();
    await rig.loader.settled(source);
    expect(rig.cache.pool.held).toBe(0);
  });

  it('reads on when the disk is full', async () => {
    await using rig = new BlockRig();
    const disk = new MemoryBlockDisk({ full: () => true });
    const source = rig.source();
    source.disk = await disk.open(identity);
    source.ready = true;
    expect(await rig.read(source, 0, 4 * MiB)).toBe('right');
    await rig.loader.settled(source);
    expect(source.disk.has(0)).toBe(false);
  });
});
