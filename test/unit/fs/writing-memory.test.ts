import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BlockCache } from '../../../src/cache/block-cache.ts';
import { Endpoint } from '../../../src/cache/endpoint.ts';
import { MemoryBudget } from '../../../src/cache/memory-budget.ts';
import { BLOCK_BYTES, SlotPool } from '../../../src/cache/slots.ts';
import { CHUNK_BYTES } from '../../../src/fs/chunk-pool.ts';
import { WritingMemory } from '../../../src/fs/writing-memory.ts';
import { MiB } from '../../../src/lib/bytes.ts';
import { FakeClock } from '../../fixtures/fake-clock.ts';
import { FileTree } from './file-tree.ts';

const never = new AbortController().signal;

/** Content that is always had, and one body of the longest kind that the histories here send. */
const LEAST_BYTES = 2 * MiB;
const LONGEST_BODY = 12 * MiB;

/** A body on its way, until it is `sent`. */
class Sending {
  readonly done: Promise<void>;
  readonly bytes: number;
  hasMemory = false;
  #sent: ((arrived: boolean) => void) | undefined;

  constructor({ bodies }: WritingMemory, bytes: number, signal: AbortSignal = never) {
    this.bytes = bytes;
    const work = async (memory: Uint8Array): Promise<void> => {
      expect(memory.byteLength).toBeGreaterThanOrEqual(bytes);
      this.hasMemory = true;
      const arrived = await new Promise<boolean>((resolve) => {
        this.#sent = resolve;
      });
      if (!arrived) throw new Error('refused');
    };
    this.done = bodies.run(bytes, work, signal).catch(() => undefined);
  }

  async end(arrived = true): Promise<void> {
    this.#sent?.(arrived);
    await this.done;
  }
}

function slotsOf(budget: MemoryBudget): SlotPool {
  return new SlotPool({ budget, evict: () => false, freed: () => undefined });
}

async function settled(): Promise<void> {
  await new Promise<void>((resolve) => {
    setImmediate(resolve);
  });
}

const step = fc.oneof(
  fc.record({ op: fc.constant('read' as const), nth: fc.nat(50) }),
  fc.record({ op: fc.constant('readDone' as const), nth: fc.nat(50) }),
  fc.record({
    op: fc.constant('write' as const),
    bytes: fc.constantFrom(4096, 65_536, CHUNK_BYTES),
  }),
  fc.record({ op: fc.constant('written' as const), nth: fc.nat(50), isFree: fc.boolean() }),
  fc.record({ op: fc.constant('send' as const), bytes: fc.nat(LONGEST_BODY) }),
  fc.record({ op: fc.constant('sent' as const), nth: fc.nat(50), arrived: fc.boolean() }),
);

type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

describe('memory of reading and writing', () => {
  it('never exceeds the budget by more than the least, and lets everybody go on, in any history', async () => {
    const run = async (mib: number, steps: readonly Step[]): Promise<void> => {
      const budget = new MemoryBudget(mib * MiB);
      const slots = slotsOf(budget);
      const memory = new WritingMemory(budget);
      const held: ReturnType<SlotPool['take']>[] = [];
      const chunks: Uint8Array[] = [];
      let sending: Sending[] = [];
      for (const one of steps) {
        if (one.op === 'read') {
          for (let n = 0; n < one.nth; n += 1) {
            const slot = slots.take();
            if (slot !== undefined) held.push(slot);
          }
          // Whatever is written, somebody reads.
          expect(held.length).toBeGreaterThan(one.nth > 0 ? 0 : -1);
        } else if (one.op === 'readDone') {
          for (const slot of held.splice(0, one.nth)) if (slot !== undefined) slots.release(slot);
        } else if (one.op === 'write') {
          const chunk = memory.chunks.take(one.bytes);
          if (chunk !== undefined) chunks.push(chunk);
          expect(chunk !== undefined || chunks.length > 0).toBe(true);
        } else if (one.op === 'written') {
          const [chunk] = chunks.splice(one.nth % Math.max(chunks.length, 1), 1);
          if (chunk !== undefined) memory.chunks.give(chunk, one.isFree);
        } else if (one.op === 'send') sending.push(new Sending(memory, one.bytes));
        else {
          const under = sending.filter(({ hasMemory }) => hasMemory);
          const ended = under[one.nth % Math.max(under.length, 1)];
          await ended?.end(one.arrived);
          sending = sending.filter((other) => other !== ended);
        }
        await settled();
        expect(budget.used).toBeLessThanOrEqual(budget.bytes + LEAST_BYTES + LONGEST_BODY);
        expect(sending.length === 0 || sending.some(({ hasMemory }) => hasMemory)).toBe(true);
      }
      while (sending.length > 0) {
        const [first] = sending.filter(({ hasMemory }) => hasMemory);
        expect(first).toBeDefined();
        await first?.end();
        sending = sending.filter((other) => other !== first);
        await settled();
      }
      for (const chunk of chunks) memory.chunks.give(chunk, true);
      expect(memory.chunks.used + memory.bodies.used).toBe(0);
      for (const slot of held) if (slot !== undefined) slots.release(slot);
      // What writing keeps to use again is given to who reads.
      const all = Math.floor((budget.bytes * 7) / 8 / BLOCK_BYTES);
      for (let n = 0; n < all; n += 1) expect(slots.take()).toBeDefined();
    };
    const steps = fc.array(step, { maxLength: 60, size: 'max' });
    await fc.assert(fc.asyncProperty(fc.constantFrom(4, 8, 48), steps, run), { numRuns: 150 });
  });

  it('stays within the budget as long as bodies are no longer than their part of it', async () => {
    const budget = new MemoryBudget(48 * MiB);
    const slots = slotsOf(budget);
    const memory = new WritingMemory(budget);
    const sending = Array.from({ length: 9 }, () => new Sending(memory, 8 * MiB));
    await settled();
    while (memory.chunks.take(CHUNK_BYTES) !== undefined)
      expect(budget.used).toBeLessThan(49 * MiB);
    for (let n = 0; n < 1000; n += 1) slots.take();
    expect(sending.filter(({ hasMemory }) => hasMemory)).toHaveLength(4);
    expect(memory.chunks.used).toBe(12 * MiB);
    expect(slots.bytes).toBe(4 * MiB);
    expect(budget.used).toBe(48 * MiB);
    for (const one of sending) await one.end();
    await Promise.all(sending.map(async ({ done }) => await done));
  });

  it('writes and sends with all memory held by readers', async () => {
    const budget = new MemoryBudget(8 * MiB);
    const slots = slotsOf(budget);
    const memory = new WritingMemory(budget);
    while (slots.take() !== undefined) expect(slots.bytes).toBeLessThanOrEqual(8 * MiB);
    expect(slots.bytes).toBe(8 * MiB);
    expect(memory.chunks.take(CHUNK_BYTES)).toBeDefined();
    expect(memory.chunks.take(CHUNK_BYTES)).toBeDefined();
    expect(memory.chunks.take(CHUNK_BYTES)).toBeUndefined();
    const [one, two] = [new Sending(memory, 8 * MiB), new Sending(memory, 8 * MiB)];
    await settled();
    expect([one.hasMemory, two.hasMemory]).toEqual([true, false]);
    await one.end();
    await settled();
    expect(two.hasMemory).toBe(true);
    await two.end();
    expect(budget.used).toBeLessThanOrEqual(budget.bytes + LEAST_BYTES + 8 * MiB);
  });

  it('forgets who waits for memory and is interrupted, and lets the next one have it', async () => {
    const memory = new WritingMemory(new MemoryBudget(12 * MiB));
    const first = new Sending(memory, 3 * MiB);
    const gone = new AbortController();
    const waiting = new Sending(memory, 8 * MiB, gone.signal);
    const little = new Sending(memory, 1000);
    await settled();
    expect([waiting.hasMemory, little.hasMemory]).toEqual([false, false]);
    gone.abort();
    await waiting.done;
    await settled();
    // There was room for it all the time, but it was not its turn.
    expect(little.hasMemory).toBe(true);
    await little.end();
    await first.end();
    expect(memory.bodies.used).toBe(0);
  });

  it('does not use the memory of a failed request again', async () => {
    const memory = new WritingMemory(new MemoryBudget(48 * MiB));
    const seen: Uint8Array[] = [];
    const refuse = async (body: Uint8Array): Promise<void> => {
      seen.push(body);
      await Promise.reject(new Error('refused'));
    };
    for (let n = 0; n < 2; n += 1) await memory.bodies.run(8 * MiB, refuse, never).catch(() => 0);
    expect(seen[0]).not.toBe(seen[1]);
    const keep = async (body: Uint8Array): Promise<void> => {
      seen.push(body);
      await Promise.resolve();
    };
    for (let n = 0; n < 2; n += 1) await memory.bodies.run(8 * MiB, keep, never);
    expect(seen[2]).toBe(seen[3]);
  });

  it('writes and reads long files at once with 8 MiB, and never uses much more', async () => {
    const budget = new MemoryBudget(8 * MiB);
    const writing = new WritingMemory(budget);
    const clock = new FakeClock();
    const blocks = new BlockCache({ budget, clock });
    const reading = { blocks, writing, endpoint: new Endpoint('') };
    await using tree = await FileTree.make({ clock, reading });
    const long = patterned(1, 24 * MiB);
    tree.store.set('old', long);
    const read = await tree.open('old');
    const written = [await tree.create('one'), await tree.create('two')];
    let most = 0;
    for (let at = 0; at < long.length; at += MiB / 2) {
      const piece = long.subarray(at, at + MiB / 2);
      const all = await Promise.all([
        tree.readHandle(read, at, MiB / 2),
        ...written.map(async (handle) => await tree.writeHandle(handle, at, piece)),
      ]);
      expect(Buffer.compare(all[0], piece)).toBe(0);
      most = Math.max(most, budget.used);
    }
    await Promise.all(written.map(async (handle) => await tree.close(handle)));
    await tree.close(read);
    for (const name of ['one', 'two'])
      expect(Buffer.compare(tree.store.bytesOf(name) ?? Buffer.of(), long)).toBe(0);
    expect(most).toBeLessThanOrEqual(budget.bytes + LEAST_BYTES + 8 * MiB);
    await blocks[Symbol.asyncDispose]();
  });
});

/** Bytes that differ from place to place. */
function patterned(seed: number, bytes: number): Buffer {
  const words = new Uint32Array(bytes / 4);
  for (let at = 0; at < words.length; at += 1) words[at] = Math.imul(at + seed, 2_654_435_761);
  return Buffer.from(words.buffer);
}
