import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { DiskObject } from '../../../src/cache/block-disk.ts';
import { BLOCK_BYTES } from '../../../src/cache/slots.ts';
import { MiB } from '../../../src/lib/bytes.ts';
import { BlockRig, type TestSource } from './block-rig.ts';

/** A disk whose writes end when the test says so. */
class HeldDisk implements DiskObject {
  readonly kept = new Map<number, Uint8Array>();
  /** `first-end` of each write, as it was begun. */
  readonly writes: string[] = [];
  readonly #ends: (() => void)[] = [];
  isHeld = true;

  has(index: number): boolean {
    return this.kept.has(index);
  }

  async read(_: number, rooms: readonly Uint8Array[]): Promise<readonly boolean[]> {
    return await Promise.resolve(rooms.map(() => false));
  }

  async write(first: number, blocks: readonly Uint8Array[]): Promise<void> {
    this.writes.push(`${first}-${first + blocks.length}`);
    if (this.isHeld) await new Promise<void>((end) => this.#ends.push(end));
    for (const [at, block] of blocks.entries()) this.kept.set(first + at, Buffer.from(block));
  }

  /** Ends the write that was begun first. */
  async end(): Promise<void> {
    this.#ends.shift()?.();
    await turn();
  }

  /** Ends all there are, and those that follow. */
  async endAll(): Promise<void> {
    this.isHeld = false;
    while (this.#ends.length > 0) await this.end();
  }

  whole(): number | undefined {
    return undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.resolve();
  }
}

async function load(rig: BlockRig, source: TestSource, index: number): Promise<void> {
  const read = rig.block(source, index);
  await turn();
  expect(await read).toBe('right');
}

function rightOnDisk(disk: HeldDisk, source: TestSource): boolean {
  return [...disk.kept].every(([index, bytes]) =>
    source.truth
      .subarray(index * BLOCK_BYTES, (index + 1) * BLOCK_BYTES)
      .every((byte, at) => byte === bytes[at]),
  );
}

function held(rig: BlockRig, bytes: number = 32 * MiB): { source: TestSource; disk: HeldDisk } {
  const source = rig.source('object', bytes);
  source.ready = true;
  const disk = new HeldDisk();
  source.disk = disk;
  return { source, disk };
}

describe('WriteBehind', () => {
  it('writes neighbours together, in whatever order they came', async () => {
    await using rig = new BlockRig(48 * MiB);
    const { source, disk } = held(rig);
    await load(rig, source, 100);
    await load(rig, source, 200);
    for (const index of [12, 10, 14, 11, 13]) await load(rig, source, index);
    expect(disk.writes).toEqual(['100-101']);
    await disk.end();
    await disk.endAll();
    await rig.loader.written(source);
    expect(disk.writes).toHaveLength(3);
    expect(disk.writes).toEqual(expect.arrayContaining(['200-201', '10-15']));
    expect(rightOnDisk(disk, source)).toBe(true);
  });

  it('holds no memory for what waits: what is lost before its turn is not kept', async () => {
    await using rig = new BlockRig(2 * MiB);
    const { source, disk } = held(rig);
    for (let index = 0; index < 120; index += 2) await load(rig, source, index);
    expect(rig.budget.used).toBeLessThanOrEqual(2 * MiB);
    await disk.endAll();
    await rig.loader.written(source);
    expect(disk.kept.size).toBeGreaterThan(0);
    expect(disk.kept.size).toBeLessThan(60);
    expect(rightOnDisk(disk, source)).toBe(true);
  });

  it('lets a slow disk catch up before it reads ahead, but not for long', async () => {
    await using rig = new BlockRig(4 * MiB);
    const { source, disk } = held(rig);
    for (let index = 0; index < 60; index += 4) await load(rig, source, index);
    rig.want(source, 200, 202);
    await turn();
    expect(source.asked).not.toContain('200-202');
    // Who waits is not made to wait for the disk.
    await load(rig, source, 220);
    await rig.clock.advance(600);
    await load(rig, source, 224);
    expect(source.asked).toContain('200-202');
    await disk.endAll();
  });

  it('reads ahead again as soon as the disk has caught up', async () => {
    await using rig = new BlockRig(4 * MiB);
    const { source, disk } = held(rig);
    for (let index = 0; index < 60; index += 4) await load(rig, source, index);
    rig.want(source, 200, 202);
    await turn();
    expect(source.asked).not.toContain('200-202');
    await disk.endAll();
    await rig.loader.written(source);
    expect(source.asked).toContain('200-202');
  });
});
