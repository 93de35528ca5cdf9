/** Random reads by several handles, with little memory and a store that fails: no byte is wrong. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BlockCache } from '../../../src/cache/block-cache.ts';
import { Endpoint } from '../../../src/cache/endpoint.ts';
import { MemoryBudget } from '../../../src/cache/memory-budget.ts';
import { toErrno } from '../../../src/fs/errno.ts';
import type { HandleId } from '../../../src/fs/ids.ts';
import { KiB, MiB } from '../../../src/lib/bytes.ts';
import { type Fault, FaultyObjectStore } from '../../../src/store/faulty-object-store.ts';
import { FakeClock } from '../../fixtures/fake-clock.ts';
import { MemoryBlockDisk } from '../../fixtures/memory-block-disk.ts';
import { MemoryObjectStore } from '../../fixtures/memory-object-store.ts';
import { contextOf, FileTree, joined } from './file-tree.ts';

/** Every four bytes tell where they are from, in which file. */
function pattern(file: number, bytes: number): Buffer {
  const made = Buffer.alloc(bytes);
  for (let at = 0; at + 4 <= bytes; at += 4) made.writeUInt32LE(at * 4 + file, at);
  return made;
}

const files = [6 * MiB + 777, 300 * KiB, 1, 2 * MiB].map((bytes, file) => pattern(file, bytes));

interface ReadStep {
  readonly do: 'read';
  readonly handle: number;
  readonly start: number;
  readonly bytes: number;
  /** Goes on where the handle's last read ended. */
  readonly onward: boolean;
  /** Interrupted in the same turn, or never. */
  readonly interrupt: boolean;
}

type Step =
  | ReadStep
  | { readonly do: 'pass'; readonly ms: number }
  | { readonly do: 'reopen'; readonly handle: number };

const sizes = fc.oneof(
  fc.constantFrom(1, 4 * KiB, 128 * KiB, MiB),
  fc.integer({ min: 1, max: 4 * MiB }),
);

const anyStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      do: fc.constant('read' as const),
      handle: fc.nat(7),
      start: fc.nat(7 * MiB),
      bytes: sizes,
      onward: fc.boolean(),
      interrupt: fc.nat(9).map((chance) => chance === 0),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.nat(300) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('reopen' as const), handle: fc.nat(7) }) },
);

const anyFault: fc.Arbitrary<Fault | undefined> = fc.oneof(
  { weight: 6, arbitrary: fc.constant(undefined) },
  { weight: 4, arbitrary: fc.record({ delayMs: fc.nat(200) }) },
  { weight: 1, arbitrary: fc.constant({ error: 'unavailable' } as const) },
  { weight: 1, arbitrary: fc.record({ cutAfterBytes: fc.nat(MiB) }) },
  { weight: 1, arbitrary: fc.record({ shortAfterBytes: fc.nat(MiB) }) },
  { weight: 1, arbitrary: fc.constant({ etag: '"another"' }) },
  { weight: 1, arbitrary: fc.constant({ stall: true }) },
);

interface Rig extends AsyncDisposable {
  readonly tree: FileTree;
  readonly clock: FakeClock;
  readonly budget: MemoryBudget;
  readonly blocks: BlockCache;
}

async function rigOf(
  memoryBytes: number,
  faults: readonly (Fault | undefined)[],
  disk: MemoryBlockDisk | undefined,
): Promise<Rig> {
  const clock = new FakeClock();
  const store = new MemoryObjectStore({ clock, chunkBytes: 40_000 });
  for (const [file, content] of files.entries()) store.set(`f${file}`, content);
  const script = ({ method, nth }: { method: string; nth: number }): Fault | undefined =>
    method === 'read' && faults.length > 0 ? faults[nth % faults.length] : undefined;
  const faulty = new FaultyObjectStore(store, script, clock);
  const budget = new MemoryBudget(memoryBytes);
  const reusing = (bytes: Uint8Array): void => {
    bytes.fill(0xee);
  };
  const blocks = new BlockCache({ budget, clock, reusing });
  const root = { kind: 'bucket', store: faulty, prefix: '' } as const;
  const reading = { blocks, endpoint: new Endpoint('https://s3.test'), disk };
  const tree = await FileTree.make({ root, clock, reading });
  const dispose = async (): Promise<void> => {
    await tree[Symbol.asyncDispose]();
    await blocks[Symbol.asyncDispose]();
  };
  return { tree, clock, budget, blocks, [Symbol.asyncDispose]: dispose };
}

/** Four handles of the first file, and two of others. */
const opened = [0, 0, 0, 0, 1, 2, 3, 3];

class Run {
  readonly rig: Rig;
  readonly handles: HandleId[] = [];
  readonly ends: number[] = opened.map(() => 0);
  pending: { readonly end: AbortController; readonly done: Promise<void> }[] = [];
  answers = 0;
  failures = new Map<string, number>();

  constructor(rig: Rig) {
    this.rig = rig;
  }

  async open(): Promise<void> {
    for (const file of opened) this.handles.push(await this.rig.tree.open(`f${file}`));
  }

  async step(step: Step): Promise<void> {
    const { budget, blocks, clock } = this.rig;
    if (step.do === 'pass') await clock.advance(step.ms);
    else if (step.do === 'reopen') await this.#reopen(step.handle);
    else this.#read(step);
    expect(budget.used).toBeLessThanOrEqual(budget.bytes);
    expect(blocks.bytes).toBe(budget.used);
  }

  /** Ends what still waits, and sees that nothing is left behind. */
  async end(): Promise<void> {
    await this.rig.clock.advance(1000);
    for (const { end } of this.pending) end.abort();
    await Promise.all(this.pending.map(async ({ done }) => await done));
    for (const handle of this.handles) await this.rig.tree.close(handle);
    await this.rig.tree.fs[Symbol.asyncDispose]();
    await this.rig.clock.advance(0);
    expect(this.rig.blocks.pool.held).toBe(0);
    expect(this.rig.blocks.waitingSlots).toBe(0);
    await this.rig.blocks[Symbol.asyncDispose]();
    expect(this.rig.budget.used).toBe(0);
  }

  #read({ handle, start, bytes, onward, interrupt }: ReadStep): void {
    const content = files[opened[handle] ?? 0] ?? Buffer.alloc(0);
    const from = onward ? (this.ends[handle] ?? 0) : start % (content.byteLength + 100);
    this.ends[handle] = from + bytes;
    const end = new AbortController();
    const context = contextOf(end.signal);
    const check = async (): Promise<void> => {
      try {
        const read = await this.rig.tree.fs.read(this.#handle(handle), from, bytes, context);
        // Views are good for the whole turn, whatever else happens in it.
        for (let hop = 0; hop < 20; hop += 1) await Promise.resolve();
        const truth = content.subarray(from, from + bytes);
        if (!joined(read).equals(truth)) throw new Error(`wrong bytes at ${from}+${bytes}`);
        this.answers += 1;
      } catch (error) {
        const errno = toErrno(error);
        const message = error instanceof Error ? error.message : '';
        if (message.startsWith('wrong') || !['EIO', 'EINTR', 'ESTALE'].includes(errno)) throw error;
        this.failures.set(errno, (this.failures.get(errno) ?? 0) + 1);
      }
    };
    this.pending.push({ end, done: check() });
    if (interrupt) end.abort();
  }

  #handle(at: number): HandleId {
    const handle = this.handles[at];
    if (handle === undefined) throw new Error('no such handle');
    return handle;
  }

  async #reopen(handle: number): Promise<void> {
    await this.rig.tree.close(this.#handle(handle));
    this.handles[handle] = await this.rig.tree.open(`f${opened[handle] ?? 0}`);
  }
}

async function play(rig: Rig, steps: readonly Step[]): Promise<Run> {
  const run = new Run(rig);
  await run.open();
  for (const step of steps) await run.step(step);
  await run.end();
  return run;
}

const histories = fc.array(anyStep, { maxLength: 40, size: 'max' });
const budgets = fc.constantFrom(MiB, 2 * MiB, 3 * MiB + 5, 8 * MiB, 48 * MiB);

describe('reading with little memory and a failing store', () => {
  it('never gives a wrong byte, exceeds its memory, or leaves any of it held', async () => {
    const faults = fc.array(anyFault, { maxLength: 40, size: 'max' });
    const property = fc.asyncProperty(histories, budgets, faults, async (steps, memory, script) => {
      await using rig = await rigOf(memory, script, undefined);
      await play(rig, steps);
    });
    await fc.assert(property, { numRuns: 25 });
  });

  it('answers every read when nothing fails, however little memory there is', async () => {
    const delays = fc.array(fc.record({ delayMs: fc.nat(50) }), { maxLength: 20 });
    const property = fc.asyncProperty(histories, budgets, delays, async (steps, memory, script) => {
      await using rig = await rigOf(memory, script, undefined);
      const calm = steps.map((step) => (step.do === 'read' ? { ...step, interrupt: false } : step));
      const run = new Run(rig);
      await run.open();
      for (const step of calm) await run.step(step);
      for (let turn = 0; turn < 400 && run.answers < run.pending.length; turn += 1) {
        await rig.clock.advance(50);
      }
      expect(run.answers).toBe(run.pending.length);
      await run.end();
      expect([...run.failures]).toEqual([]);
    });
    await fc.assert(property, { numRuns: 25 });
  });
});
