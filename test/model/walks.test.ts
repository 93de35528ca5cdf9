/** Programs that walk through the tree while this mount, alone, changes it; answers come late. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { raceAbort } from '../../src/lib/abort.ts';
import type { ListPage, ListRequest } from '../../src/store/object-store.ts';
import { FakeClock } from '../fixtures/fake-clock.ts';
import { MemoryObjectStore } from '../fixtures/memory-object-store.ts';
import { errnoOf, FileTree } from '../unit/fs/file-tree.ts';
import { histories } from './histories.ts';

/** Tells its listings later than it made them. */
class LateStore extends MemoryObjectStore {
  readonly #waiting: (() => void)[] = [];
  undelimited = 0;

  get waiting(): number {
    return this.#waiting.length;
  }

  answer(nth: number): void {
    this.#waiting.splice(nth % this.#waiting.length, 1)[0]?.();
  }

  override async list(request: ListRequest, signal: AbortSignal): Promise<ListPage> {
    if (request.delimiter === undefined && request.maxKeys === undefined) this.undelimited += 1;
    const page = await super.list(request, signal);
    const told = new Promise<void>((resolve) => {
      this.#waiting.push(resolve);
    });
    await raceAbort(told, signal);
    return page;
  }
}

const tops = ['a', 'b', 'c', 'd', 'e'] as const;
const subs = ['', 's', 't'] as const;
const top = fc.constantFrom(...tops);
const directory = fc
  .tuple(top, fc.constantFrom(...subs))
  .map((parts) => parts.join('/').replace(/\/$/, ''));
const file = fc.tuple(directory, fc.constantFrom('1', '2', '3')).map((parts) => parts.join('/'));
const step = fc.oneof(
  { weight: 2, arbitrary: fc.record({ op: fc.constant('walk' as const) }) },
  { weight: 3, arbitrary: fc.record({ op: fc.constant('read' as const), path: directory }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('write' as const), path: file }) },
  { weight: 3, arbitrary: fc.record({ op: fc.constant('mkdir' as const), path: file }) },
  { weight: 3, arbitrary: fc.record({ op: fc.constant('unlink' as const), path: file }) },
  {
    weight: 1,
    arbitrary: fc.record({ op: fc.constant('rename' as const), path: directory, to: top }),
  },
  { weight: 9, arbitrary: fc.record({ op: fc.constant('answer' as const), nth: fc.nat(9) }) },
  {
    weight: 2,
    arbitrary: fc.record({ op: fc.constant('wait' as const), ms: fc.constantFrom(300, 1001) }),
  },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** Changes are made one at a time, walks go on meanwhile; in the end all must be as it is. */
class WalkRun {
  readonly clock: FakeClock;
  readonly store: LateStore;
  readonly tree: FileTree;
  readonly #running = new Set<Promise<unknown>>();
  #changing: Promise<unknown> = Promise.resolve();

  constructor(store: LateStore, tree: FileTree) {
    this.clock = tree.clock;
    this.store = store;
    this.tree = tree;
  }

  async do(one: Step): Promise<void> {
    if (one.op === 'walk') this.#start(this.#walk(''));
    else if (one.op === 'read') this.#start(this.#listing(one.path));
    else if (one.op === 'answer') {
      if (this.store.waiting > 0) this.store.answer(one.nth);
    } else if (one.op !== 'wait') this.#change(one);
    await this.clock.advance(one.op === 'wait' ? one.ms : 0);
  }

  async end(): Promise<void> {
    await this.#drain();
    const expected = this.store.keys().map((key) => key.replace(/\/$/, ''));
    const seen = this.#walk('');
    this.#start(seen);
    await this.#drain();
    expect((await seen).sort()).toEqual(expected);
  }

  #change(one: Extract<Step, { op: 'write' | 'mkdir' | 'unlink' | 'rename' }>): void {
    const { tree } = this;
    this.#changing = this.#changing.then(async () => {
      await errnoOf(async () => {
        if (one.op === 'write') await tree.write(one.path, 'x');
        else if (one.op === 'mkdir') await tree.mkdir(one.path);
        else if (one.op === 'unlink') await tree.unlink(one.path);
        else await tree.rename(one.path, `${one.to}x`);
      });
      if (one.op === 'rename') return;
      // Whoever asks now is told of what has just been done.
      const [above, name] = [one.path.slice(0, -2), one.path.slice(-1)];
      const listing = this.#listing(above);
      const isThere = this.store.keys().some((key) => key === one.path || key === `${one.path}/`);
      const names = await listing;
      if (names !== undefined) expect(names.includes(name)).toBe(isThere);
    });
    this.#start(this.#changing);
  }

  /** Undefined when the directory is not there. */
  async #listing(path: string): Promise<readonly string[] | undefined> {
    try {
      return await this.tree.list(path);
    } catch {
      return undefined;
    }
  }

  async #walk(at: string): Promise<string[]> {
    const files: string[] = [];
    for (const name of (await this.#listing(at)) ?? []) {
      const path = at === '' ? name : `${at}/${name}`;
      if (/[123]$/.test(name)) files.push(path);
      else files.push(...(await this.#walk(path)));
    }
    return files;
  }

  #start(work: Promise<unknown>): void {
    const running = work.finally(() => this.#running.delete(running));
    running.catch(() => undefined);
    this.#running.add(running);
  }

  async #drain(): Promise<void> {
    const all = [...this.#running];
    for (let rounds = 0; this.#running.size > 0 && rounds < 300_000; rounds += 1) {
      if (this.store.waiting > 0) this.store.answer(0);
      await this.clock.advance(0);
    }
    expect(this.#running.size).toBe(0);
    await Promise.all(all);
  }
}

describe('listings that run ahead of walks', () => {
  const { parameters, timeoutMs } = histories(120);

  it(
    'never contradict what this mount has done, in whatever order answers come',
    async () => {
      let undelimited = 0;
      const history = fc.array(step, { maxLength: 60, size: 'max' });
      await fc.assert(
        fc.asyncProperty(history, fc.integer({ min: 1, max: 6 }), async (steps, maxKeys) => {
          const clock = new FakeClock();
          const store = new LateStore({ clock, maxKeys });
          for (const at of tops)
            for (const sub of subs) store.set(`${at}/${sub}/1`.replace('//', '/'), 'x');
          await using tree = await FileTree.make({
            root: { kind: 'bucket', store, prefix: '' },
            clock,
          });
          const run = new WalkRun(store, tree);
          for (const one of steps) await run.do(one);
          await run.end();
          undelimited += store.undelimited;
        }),
        parameters,
      );
      // Walks were noticed at all.
      expect(undelimited).toBeGreaterThan(0);
    },
    timeoutMs,
  );
});
