import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { BLOCK_BYTES } from '../../../src/cache/slots.ts';
import { MiB } from '../../../src/lib/bytes.ts';
import { BlockRig, type TestSource } from './block-rig.ts';

/** A rig of eight blocks, whose source answers at once. */
function smallRig(): { rig: BlockRig; source: TestSource } {
  const rig = new BlockRig(MiB);
  const source = rig.source('object', 16 * MiB);
  source.ready = true;
  return { rig, source };
}

function here(rig: BlockRig, source: TestSource): number[] {
  const blocks = [...source.blocks.blocks.values()].filter(({ slot }) => slot !== undefined);
  expect(blocks).toHaveLength(rig.cache.blocks);
  return blocks.map(({ index }) => index).toSorted((a, b) => a - b);
}

describe('BlockCache', () => {
  it('answers a second read at once, without a promise', async () => {
    await using rig = new BlockRig();
    const source = rig.source();
    source.ready = true;
    expect(await rig.read(source, 100, MiB)).toBe('right');
    expect(rig.cache.views(source.blocks, 4, 8, true)).toBeUndefined();
    expect(rig.cache.views(source.blocks, 104, 108, true)).toEqual(source.truth.slice(104, 108));
    expect(rig.cache.views(source.blocks, 100, 100 + MiB, true)).toHaveLength(9);
    expect(source.requests).toHaveLength(9);
  });

  it('gives whole blocks without allocating a view', async () => {
    const { rig, source } = smallRig();
    await using ending = rig;
    await rig.block(source, 1);
    const views = [1, 2].map(() =>
      rig.cache.views(source.blocks, BLOCK_BYTES, 2 * BLOCK_BYTES, true),
    );
    expect(views[0]).toBe(views[1]);
    expect(ending).toBe(rig);
  });

  it('loses first what was read to its end in order', async () => {
    const { rig, source } = smallRig();
    await using ending = rig;
    // Two that were read at random, then six in order.
    for (const index of [100, 101]) await rig.read(source, index * BLOCK_BYTES, 10);
    for (const index of [0, 1, 2, 3, 4, 5]) await rig.block(source, index);
    await turn();
    for (const index of [6, 7, 8]) {
      await rig.block(source, index);
      await turn();
    }
    expect(here(rig, source)).toEqual([3, 4, 5, 6, 7, 8, 100, 101]);
    expect(ending).toBe(rig);
  });

  it('keeps what is read again', async () => {
    const { rig, source } = smallRig();
    await using ending = rig;
    for (let index = 0; index < 8; index += 1) await rig.block(source, index);
    await rig.block(source, 0);
    await turn();
    for (let index = 8; index < 14; index += 1) {
      await rig.block(source, index);
      await turn();
    }
    expect(here(rig, source)).toContain(0);
    expect(ending).toBe(rig);
  });

  it('loses what was loaded ahead of a reader that stopped before what others read ahead', async () => {
    const { rig, source } = smallRig();
    await using ending = rig;
    const kept = rig.source('kept');
    kept.ready = true;
    await rig.read(kept, 10, 10);
    rig.cache.views(kept.blocks, 10, 20, false);
    rig.want(source, 0, 3);
    await turn();
    await turn();
    rig.want(source, 64, 68);
    await turn();
    await turn();
    const inMemory = (): number[] => [...source.blocks.blocks.keys()].toSorted((a, b) => a - b);
    // What nobody has read leaves a quarter of the memory to who waits.
    expect(inMemory()).toEqual([0, 1, 2, 64, 65, 66]);
    rig.want(source, 32, 34);
    await turn();
    await turn();
    expect(inMemory()).toEqual([0, 1, 2, 64, 65, 66]);
    // Others go on: as often as all memory is used twice, and what was read at random stays.
    for (let index = 80; index < 100; index += 1) {
      await rig.block(source, index);
      expect(rig.cache.views(kept.blocks, 10, 20, false)).toBeDefined();
      await turn();
    }
    rig.want(source, 32, 34);
    await turn();
    await turn();
    expect(inMemory()).toEqual(expect.arrayContaining([32, 33]));
    expect(inMemory()).not.toContain(0);
    expect(rig.cache.views(kept.blocks, 10, 20, false)).toBeDefined();
    expect(ending).toBe(rig);
  });

  it('never gives out memory again whose bytes are in an answer of this turn', async () => {
    const { rig, source } = smallRig();
    await using ending = rig;
    await rig.block(source, 0);
    await turn();
    const view = rig.cache.views(source.blocks, 0, BLOCK_BYTES, true);
    const truth = source.truth.slice(0, BLOCK_BYTES);
    rig.want(source, 10, 20);
    // Microtasks alone: the turn is not over.
    for (let hop = 0; hop < 200; hop += 1) await Promise.resolve();
    expect(Buffer.compare(view as Uint8Array, truth)).toBe(0);
    await turn();
    expect(rig.cache.pool.held).toBe(0);
    expect(ending).toBe(rig);
  });

  it('forgets one object, and no other', async () => {
    await using rig = new BlockRig();
    const [a, b] = [rig.source('a'), rig.source('bb')];
    [a.ready, b.ready] = [true, true];
    await rig.block(a, 0);
    await rig.block(b, 0);
    rig.cache.drop(a.blocks);
    expect(rig.cache.views(a.blocks, 0, 10, true)).toBeUndefined();
    expect(rig.cache.views(b.blocks, 0, 10, true)).toBeDefined();
  });

  it('keeps the blocks of a version from one open to the next', async () => {
    await using rig = new BlockRig();
    const first = rig.source('name');
    first.ready = true;
    await rig.block(first, 0);
    rig.cache.unpin(first.blocks);
    const second = rig.source('name');
    expect(await rig.block(second, 0)).toBe('right');
    expect(second.requests).toEqual([]);
  });

  it('gives memory back that was not used for minutes, and works on after that', async () => {
    await using rig = new BlockRig();
    const source = rig.source();
    source.ready = true;
    await rig.block(source, 0);
    expect(rig.budget.used).toBeGreaterThan(0);
    await rig.clock.advance(4 * 60_000);
    expect(await rig.block(source, 0)).toBe('right');
    await turn();
    await rig.clock.advance(4 * 60_000);
    expect(rig.budget.used).toBeGreaterThan(0);
    await rig.clock.advance(10 * 60_000);
    expect(rig.budget.used).toBe(0);
    expect(await rig.block(source, 0)).toBe('right');
  });
});
