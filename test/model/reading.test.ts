/**
 * Random readers of random files while a foreign client changes the bucket. Every byte is compared
 * with what some version of the object held that the reader may have been shown.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { HandleId } from '../../src/fs/ids.ts';
import { KiB, MiB } from '../../src/lib/bytes.ts';
import { type Fault, FaultyObjectStore } from '../../src/store/faulty-object-store.ts';
import { FakeClock } from '../fixtures/fake-clock.ts';
import { MemoryObjectStore } from '../fixtures/memory-object-store.ts';
import { contextOf, errnoOf, FileTree, joined, LIST_TTL_MS } from '../unit/fs/file-tree.ts';

/** `WIRE_MODEL_STEPS=100000` for the long run. */
const STEPS = Number(process.env['WIRE_MODEL_STEPS'] ?? 20_000);
/** Ten times what they take on a machine that is busy. */
const TIMEOUT_MS = Math.max(180_000, STEPS * 10);
const names = ['a', 'b', 'd/a', 'd/b', 'd/e/a', 'f'];
const sizes = [0, 1, 4 * KiB, 100 * KiB, 128 * KiB, 128 * KiB + 1, 300 * KiB, 1300 * KiB, 3 * MiB];

const aName = fc.constantFrom(...names);
const aRead = fc.record({
  nth: fc.nat(9),
  /** On from where the handle was, there with a jump, or anywhere. */
  from: fc.constantFrom('on', 'near', 'any'),
  offset: fc.nat(3 * MiB),
  bytes: fc.oneof(fc.nat(8 * KiB), fc.constantFrom(4 * KiB, 128 * KiB, MiB)),
  /** The program is killed while it waits. */
  interrupted: fc.boolean(),
});
const step = fc.oneof(
  {
    weight: 2,
    arbitrary: fc.record({ op: fc.constant('set' as const), name: aName, size: fc.nat(8) }),
  },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('remove' as const), name: aName }) },
  { weight: 6, arbitrary: fc.record({ op: fc.constant('open' as const), name: aName }) },
  { weight: 4, arbitrary: fc.record({ op: fc.constant('close' as const), nth: fc.nat(9) }) },
  {
    weight: 20,
    arbitrary: fc.record({
      op: fc.constant('read' as const),
      reads: fc.array(aRead, { minLength: 1, maxLength: 4 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('list' as const) }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('expire' as const) }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('pass' as const), ms: fc.nat(900) }) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;
type Read = typeof aRead extends fc.Arbitrary<infer T> ? T : never;

/** One version of one object; `until` is when it was replaced. */
interface Version {
  readonly content: Buffer;
  readonly from: number;
  until: number;
}

interface Reader {
  readonly id: HandleId;
  readonly name: string;
  /** What it may be reading; reads narrow it down. */
  candidates: readonly Version[];
  at: number;
}

/** Versions share these: what differs is where each begins. */
const ocean = Buffer.alloc(4 * MiB + 64 * KiB);
for (let at = 0; at < ocean.length; at += 4) {
  ocean.writeUInt32LE(Math.imul(at + 1, 0x9e3779b1) >>> 0, at);
}

class Run {
  readonly history = new Map<string, Version[]>();
  readonly readers: Reader[] = [];
  readonly tree: FileTree;
  readonly store: MemoryObjectStore;
  readonly clock: FakeClock;
  /** Whether the store may refuse. */
  readonly faulty: boolean;
  #versions = 0;

  constructor(tree: FileTree, store: MemoryObjectStore, clock: FakeClock, faulty: boolean) {
    this.tree = tree;
    this.store = store;
    this.clock = clock;
    this.faulty = faulty;
  }

  async do(step: Step): Promise<void> {
    if (step.op === 'set') this.#set(step.name, sizes[step.size] ?? 0);
    else if (step.op === 'remove') this.#end(step.name, true);
    else if (step.op === 'open') await this.#open(step.name);
    else if (step.op === 'close') await this.#close(step.nth);
    else if (step.op === 'read') await this.#readAll(step.reads);
    else if (step.op === 'list') await this.#list();
    else if (step.op === 'expire') await this.tree.expire();
    else await this.clock.advance(step.ms);
  }

  async finish(): Promise<void> {
    while (this.readers.length > 0) await this.#close(0);
  }

  #set(name: string, bytes: number): void {
    this.#end(name, false);
    this.#versions += 1;
    const start = (this.#versions * 4093) % (64 * KiB);
    const content = ocean.subarray(start, start + bytes);
    this.store.set(name, content);
    const versions = this.history.get(name) ?? [];
    versions.push({ content, from: this.clock.now(), until: Number.POSITIVE_INFINITY });
    this.history.set(name, versions);
  }

  #end(name: string, remove: boolean): void {
    const last = this.history.get(name)?.at(-1);
    if (last !== undefined) last.until = Math.min(last.until, this.clock.now());
    if (remove) this.store.remove(name);
  }

  /** The versions that may be shown now: what the store said is repeated for the TTL. */
  #shown(name: string): readonly Version[] {
    const since = this.clock.now() - LIST_TTL_MS;
    return (this.history.get(name) ?? []).filter(({ until }) => until >= since);
  }

  #isPresent(name: string): boolean {
    return this.history.get(name)?.at(-1)?.until === Number.POSITIVE_INFINITY;
  }

  async #open(name: string): Promise<void> {
    if (this.readers.length >= 10) await this.#close(0);
    let id: HandleId | undefined;
    const outcome = await errnoOf(async () => (id = await this.tree.open(name)));
    const candidates = this.#shown(name);
    if (id !== undefined) {
      expect(candidates.length).toBeGreaterThan(0);
      this.readers.push({ id, name, candidates, at: 0 });
      return;
    }
    if (this.faulty && outcome === 'EIO') return;
    expect(outcome).toBe('ENOENT');
    // Gone, or there only since: what was told of it before may still hold.
    const since = this.clock.now() - LIST_TTL_MS;
    const lasting = candidates.some(
      ({ from, until }) => from < since && until === Number.POSITIVE_INFINITY,
    );
    expect(lasting).toBe(false);
  }

  async #close(nth: number): Promise<void> {
    const [reader] = this.readers.splice(nth % Math.max(this.readers.length, 1), 1);
    if (reader !== undefined) await this.tree.close(reader.id);
  }

  /** Side by side, as programs and the kernel's read-ahead do. */
  async #readAll(reads: readonly Read[]): Promise<void> {
    if (this.readers.length === 0) return;
    await Promise.all(reads.map(async (read) => await this.#read(read)));
  }

  async #read({ nth, from, offset, bytes, interrupted }: Read): Promise<void> {
    const reader = this.readers[nth % this.readers.length];
    if (reader === undefined) return;
    const near = Math.max(reader.at + (offset % (256 * KiB)) - 128 * KiB, 0);
    const start = from === 'on' ? reader.at : from === 'near' ? near : offset;
    reader.at = start + bytes;
    const killed = new AbortController();
    let got: Buffer | undefined;
    const reading = errnoOf(async () => {
      const context = contextOf(killed.signal);
      got = joined(await this.tree.fs.read(reader.id, start, bytes, context));
    });
    // Some are killed at once, some when the read is under way.
    if (interrupted && offset % 3 === 0) {
      await Promise.resolve();
      killed.abort(new Error('killed'));
    }
    const outcome = await reading;
    if (got !== undefined) {
      const seen = got;
      const possible = reader.candidates.filter(({ content }) =>
        content.subarray(start, start + bytes).equals(seen),
      );
      expect(possible.length).toBeGreaterThan(0);
      reader.candidates = possible;
      return;
    }
    if (killed.signal.aborted && outcome !== 'ESTALE') return;
    if (this.faulty && outcome === 'EIO') return;
    expect(outcome).toBe('ESTALE');
    // Only what is no more may be refused.
    expect(reader.candidates.some(({ until }) => until < Number.POSITIVE_INFINITY)).toBe(true);
  }

  async #list(): Promise<void> {
    let told: readonly string[] = [];
    const outcome = await errnoOf(async () => (told = await this.tree.list('')));
    if (this.faulty && outcome === 'EIO') return;
    expect(outcome).toBe('ok');
    const tops = (among: (name: string) => boolean): ReadonlySet<string> =>
      new Set(names.filter(among).map((name) => name.split('/')[0] ?? name));
    const possible = tops((name) => this.#shown(name).length > 0);
    for (const name of told) expect(possible).toContain(name);
    const since = this.clock.now() - LIST_TTL_MS;
    const certain = tops(
      (name) => this.#isPresent(name) && (this.history.get(name)?.at(-1)?.from ?? 0) < since,
    );
    for (const name of certain) expect(told).toContain(name);
  }
}

async function play(steps: readonly Step[], faults: readonly Fault[]): Promise<void> {
  const clock = new FakeClock();
  const store = new MemoryObjectStore({ clock, maxKeys: 3 });
  const script = ({ nth }: { readonly nth: number }): Fault | undefined =>
    faults.length === 0 ? undefined : faults[nth % faults.length];
  const faulty = new FaultyObjectStore(store, script, clock);
  await using tree = await FileTree.make({
    root: { kind: 'bucket', store: faulty, prefix: '' },
    clock,
    readOnly: true,
    memoryBytes: 2 * MiB,
  });
  const run = new Run(tree, store, clock, faults.length > 0);
  for (const step of steps) await run.do(step);
  await run.finish();
}

const aFault: fc.Arbitrary<Fault> = fc.oneof(
  { weight: 6, arbitrary: fc.constant({}) },
  fc.record({ error: fc.constant('unavailable' as const) }),
  fc.record({ cutAfterBytes: fc.nat(300 * KiB) }),
  fc.record({ shortAfterBytes: fc.nat(300 * KiB) }),
);

describe('reading while somebody else changes the bucket', () => {
  it(
    'gives the bytes of one version of each file, or says that it is gone',
    async () => {
      let steps = 0;
      const history = fc.array(step, { minLength: 1, maxLength: 1000, size: 'max' });
      while (steps < STEPS) {
        await fc.assert(
          fc.asyncProperty(history, async (made) => {
            steps += made.length;
            await play(made, []);
          }),
          { numRuns: 20 },
        );
      }
    },
    TIMEOUT_MS,
  );

  it('gives right bytes or an error when the store fails and sends too few', async () => {
    const history = fc.array(step, { minLength: 1, maxLength: 300, size: 'max' });
    const faults = fc.array(aFault, { minLength: 1, maxLength: 20 });
    await fc.assert(fc.asyncProperty(history, faults, play), { numRuns: 100 });
  }, 120_000);
});
