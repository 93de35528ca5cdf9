import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Directory } from '../../../src/fs/directory.ts';
import {
  type DirectoryPage,
  type DirectorySource,
  type Found,
  type NearRequest,
  type Neighbours,
  type PageRequest,
  PrefixSource,
} from '../../../src/fs/directory-source.ts';
import type { Entry } from '../../../src/fs/filesystem.ts';
import { ROOT_INODE } from '../../../src/fs/ids.ts';
import { silentLog } from '../../../src/lib/log.ts';
import { FaultyObjectStore } from '../../../src/store/faulty-object-store.ts';
import type { ListPage, ListRequest } from '../../../src/store/object-store.ts';
import { FakeClock } from '../../fixtures/fake-clock.ts';
import { HeldListing } from '../../fixtures/held-listing.ts';
import { MemoryObjectStore } from '../../fixtures/memory-object-store.ts';
import { errnoOf, FileTree, LIST_TTL_MS } from './file-tree.ts';

const forever = new AbortController().signal;

const readOnly = { access: 'read', truncate: false, append: false, exclusive: false } as const;

/** Remembers how many names each listing asked for at most. */
class CountedStore extends MemoryObjectStore {
  readonly most: number[] = [];

  override async list(request: ListRequest, signal: AbortSignal): Promise<ListPage> {
    this.most.push(request.maxKeys ?? 1000);
    return await super.list(request, signal);
  }
}

interface SlowTree extends AsyncDisposable {
  readonly tree: FileTree;
  readonly store: CountedStore;
  readonly clock: FakeClock;
}

/** A bucket of `count` objects, each of whose listings takes `pageMs`. */
async function slowTree(count: number, pageMs: number): Promise<SlowTree> {
  const clock = new FakeClock();
  const store = new CountedStore({ clock });
  for (const name of names(count)) store.set(name, 'x');
  const slow = new FaultyObjectStore(
    store,
    ({ method }) => (method === 'list' ? { delayMs: pageMs } : undefined),
    clock,
  );
  const tree = await FileTree.make({ root: { kind: 'bucket', store: slow, prefix: '' }, clock });
  return {
    tree,
    store,
    clock,
    [Symbol.asyncDispose]: async () => await tree[Symbol.asyncDispose](),
  };
}

function names(count: number): readonly string[] {
  return Array.from({ length: count }, (_, at) => `file-${String(at).padStart(6, '0')}`);
}

/** Lets time pass until `work` is done. */
async function inTime<T>(clock: FakeClock, work: T | Promise<T>): Promise<T> {
  if (!(work instanceof Promise)) return work;
  const run = { done: false };
  const settled = work.finally(() => {
    run.done = true;
  });
  settled.catch(() => undefined);
  while (!run.done) await clock.advance(clock.nextDueMs ?? 0);
  return await settled;
}

/** READDIRPLUS to the end, forty entries at a time as the kernel asks. */
async function readWhole({ tree, clock }: SlowTree): Promise<readonly Entry[]> {
  const { handle } = tree.fs.opendir(ROOT_INODE);
  const entries: Entry[] = [];
  let cookie = 0;
  for (let taken = -1; taken !== 0; ) {
    taken = 0;
    const fill = (dirent: { readonly cookie: number }, entry: Entry | undefined): boolean => {
      if (taken === 40) return false;
      taken += 1;
      ({ cookie } = dirent);
      if (entry !== undefined) entries.push(entry);
      return true;
    };
    await inTime(clock, tree.fs.readdirplus(handle, cookie, fill, tree.context));
  }
  tree.fs.releasedir(handle);
  return entries;
}

async function lookUp({ tree, clock }: SlowTree, name: string): Promise<Entry> {
  return await inTime(clock, tree.fs.lookup(ROOT_INODE, Buffer.from(name), tree.context));
}

describe('a large directory', () => {
  it('lists ten thousand names with a request for each page, also when each is then looked up', async () => {
    for (const pageMs of [20, 300]) {
      await using slow = await slowTree(10_000, pageMs);
      const entries = await readWhole(slow);
      expect(entries).toHaveLength(10_000);
      // What the kernel may believe for no time at all it asks for again.
      expect(entries.filter(({ ttlMs }) => ttlMs <= 0)).toEqual([]);
      expect(slow.store.calls.list).toBe(10);
      for (const name of names(10_000)) await lookUp(slow, name);
      expect(slow.store.calls).toMatchObject({ list: 10, head: 0 });
    }
  });

  it('holds what a listing told until the TTL after its last page came', async () => {
    await using slow = await slowTree(3000, 700);
    const { tree, store, clock } = slow;
    const walking = readWhole(slow);
    await clock.advance(701);
    store.set('file-000000', 'changed by somebody else');
    await walking;
    expect((await lookUp(slow, 'file-000000')).attributes.bytes).toBe(1);
    expect(store.calls.list).toBe(3);
    await tree.expire();
    expect((await lookUp(slow, 'file-000000')).attributes.bytes).toBe(24);
  });

  it('asks for the names of a large directory many at a time, when one after the other is wanted', async () => {
    await using slow = await slowTree(10_000, 20);
    for (const [at, name] of names(10_000).entries()) {
      expect((await lookUp(slow, name)).attributes.bytes).toBe(1);
      // Ten seconds in all: nothing is held so long.
      if (at % 20 === 0) await slow.clock.advance(20);
    }
    expect(slow.store.calls.list).toBeLessThan(30);
    // Where the others are not wanted, not many are asked for.
    slow.store.most.length = 0;
    await slow.tree.expire();
    const apart = names(10_000).filter((_, at) => at % 1500 === 0);
    for (const name of apart) await lookUp(slow, name);
    expect(slow.store.most.length).toBeGreaterThan(5);
    expect(slow.store.most.slice(3).every((most) => most <= 64)).toBe(true);
  });

  it('tells of names that are not in a large directory, or came to it since', async () => {
    await using slow = await slowTree(5000, 20);
    const { store, tree } = slow;
    await readWhole(slow);
    await tree.expire();
    for (const key of ['a', 'file-002500.', 'file-002500-/x', 'zzz']) {
      const [name = ''] = key.split('/');
      const before = store.calls.list;
      await lookUp(slow, 'file-000001');
      expect(await errnoOf(async () => await lookUp(slow, name))).toBe('ENOENT');
      await tree.expire();
      store.set(key, 'x');
      await lookUp(slow, 'file-000001');
      expect(await errnoOf(async () => await lookUp(slow, name))).toBe('ok');
      expect(store.calls.list).toBe(before + 4);
      await tree.expire();
    }
  });
});

const part = fc
  .string({
    unit: fc.constantFrom(
      'a',
      'b',
      '!',
      '-',
      '.',
      '0',
      '1',
      '~',
      '\u0001',
      '\u{e000}',
      '\u{1f600}',
    ),
    minLength: 1,
    maxLength: 3,
  })
  .filter((text) => text !== '.' && text !== '..');
const key = fc.tuple(part, fc.option(part)).map(([a, b]) => (b === null ? a : `${a}/${b}`));

describe('a name and its neighbours', () => {
  it('tells the same of a name that is asked for alone or with its neighbours', async () => {
    const keys = fc.array(key, { minLength: 1, size: 'max', maxLength: 60 });
    const prefixes = fc.constantFrom('', 'd/');
    await fc.assert(
      fc.asyncProperty(keys, part, fc.integer({ min: 1, max: 20 }), prefixes, async (...drawn) => {
        const [all, name, count, prefix] = drawn;
        const store = new MemoryObjectStore({ clock: new FakeClock() });
        for (const one of all) store.set(`${prefix}${one}`, one);
        const source = new PrefixSource(() => ({ store, key: prefix }));
        const near = await source.near(name, { count }, forever);
        if (near === undefined) return;
        expect(near.found).toEqual(await source.find(name, forever));
        for (const { name: other, found } of near.names) {
          expect(found).toEqual(await source.find(other, forever));
        }
      }),
      { numRuns: 300 },
    );
  });
});

/** The bucket as this mount alone changes it; answers come when the test lets them, as old as they are. */
class LateSource implements DirectorySource {
  readonly exhaustive = true;
  readonly truth = new Map<string, Found>();
  readonly #waiting: (() => void)[] = [];

  get waiting(): number {
    return this.#waiting.length;
  }

  /** Gives the answer that was asked for `nth` of those still awaited. */
  answer(nth: number): void {
    this.#waiting.splice(nth % this.#waiting.length, 1)[0]?.();
  }

  async page({ continuation }: PageRequest): Promise<DirectoryPage> {
    const all = this.#from(typeof continuation === 'string' ? continuation : '');
    const [here, more] = [all.slice(0, 2), all[2]];
    await this.#late();
    const last = here.at(-1)?.name ?? '';
    return more === undefined ? { names: here } : { names: here, next: more.name, last };
  }

  async near(name: string, { after = justBefore(name) }: NearRequest): Promise<Neighbours> {
    const all = this.#from(after).filter((one) => one.name !== after);
    const [here, more] = [all.slice(0, 2), all[2]];
    const found = this.truth.get(name);
    await this.#late();
    const last = more === undefined ? undefined : here.at(-1)?.name;
    return { found, names: here, stretch: { after, last } };
  }

  async find(name: string): Promise<Found | undefined> {
    const found = this.truth.get(name);
    await this.#late();
    return found;
  }

  #from(first: string): readonly { readonly name: string; readonly found: Found }[] {
    const all = [...this.truth].sort(([a], [b]) => (a < b ? -1 : 1));
    return all.filter(([name]) => name >= first).map(([name, found]) => ({ name, found }));
  }

  async #late(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#waiting.push(resolve);
    });
  }
}

const ownNames = ['a', 'b', 'c', 'd'] as const;

function justBefore(name: string): string {
  return String.fromCharCode(name.charCodeAt(0) - 1);
}

const name = fc.constantFrom(...ownNames);
const event = fc.oneof(
  { weight: 4, arbitrary: fc.record({ op: fc.constant('find' as const), name }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('walk' as const) }) },
  {
    weight: 4,
    arbitrary: fc.record({ op: fc.constant('change' as const), name, there: fc.boolean() }),
  },
  { weight: 8, arbitrary: fc.record({ op: fc.constant('answer' as const), nth: fc.nat(9) }) },
  {
    weight: 3,
    arbitrary: fc.record({ op: fc.constant('wait' as const), ms: fc.constantFrom(400, 1001) }),
  },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('doubt' as const), name }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('doubtAll' as const) }) },
);
type Event = typeof event extends fc.Arbitrary<infer T> ? T : never;

/** One history; every answer must be as new as what this mount had done by then. */
class LateRun {
  readonly #source = new LateSource();
  readonly #clock = new FakeClock();
  readonly #directory = new Directory(this.#source, {
    clock: this.#clock,
    listTtlMs: LIST_TTL_MS,
    log: silentLog,
  });
  #versions = 0;
  #unsettled = 0;

  async run(events: readonly Event[]): Promise<void> {
    const works: Promise<void>[] = [];
    for (const one of events) {
      works.push(this.#do(one));
      await this.#clock.advance(one.op === 'wait' ? one.ms : 0);
      this.#compareKnown();
    }
    for (let rounds = 0; this.#unsettled > 0 && rounds < 1000; rounds += 1) {
      if (this.#source.waiting > 0) this.#source.answer(0);
      await this.#clock.advance(0);
    }
    await Promise.all(works);
    this.#compareKnown();
  }

  async #do(one: Event): Promise<void> {
    const { truth } = this.#source;
    if (one.op === 'find') {
      await this.#settled(async () => await this.#find(one.name));
    } else if (one.op === 'walk') {
      await this.#settled(async () => await this.#walk());
    } else if (one.op === 'change') {
      this.#versions += 1;
      const version = { etag: `"${this.#versions}"`, bytes: 0, modifiedMs: 0 };
      if (one.there) truth.set(one.name, { type: 'file', version });
      else truth.delete(one.name);
      this.#directory.changed(one.name, truth.get(one.name));
    } else if (one.op === 'answer') {
      if (this.#source.waiting > 0) this.#source.answer(one.nth);
    } else if (one.op === 'doubt') this.#directory.invalidate(one.name);
    else if (one.op === 'doubtAll') this.#directory.invalidateAll();
  }

  async #find(asked: string): Promise<void> {
    const { found } = await this.#directory.find(asked, forever);
    expect(found).toEqual(this.#source.truth.get(asked));
  }

  async #walk(): Promise<void> {
    const listing = this.#directory.open();
    while (!listing.done) await this.#directory.more(listing, forever);
  }

  async #settled(work: () => Promise<void>): Promise<void> {
    this.#unsettled += 1;
    try {
      await work();
    } finally {
      this.#unsettled -= 1;
    }
  }

  #compareKnown(): void {
    for (const one of ownNames) {
      const known = this.#directory.peek(one);
      if (known !== undefined) expect(known.found).toEqual(this.#source.truth.get(one));
    }
  }
}

describe('asking the store again', () => {
  it('asks at each open whatever the TTL, where consistency is strict', async () => {
    await using strict = await FileTree.make({ consistency: 'strict', listTtlMs: 60_000 });
    await using usual = await FileTree.make({ listTtlMs: 60_000 });
    for (const tree of [strict, usual]) {
      for (const key of ['f', 'g']) tree.store.set(key, 'old');
      const [f, g] = [await tree.inode('f'), await tree.inode('g')];
      tree.store.set('f', 'newer');
      tree.store.remove('g');
      const before = tree.store.calls.list;
      const { handle } = await tree.fs.open(f, readOnly, tree.context);
      const isNew = tree === strict;
      expect((await tree.readHandle(handle).catch(() => 'stale')).toString()).toBe(
        isNew ? 'newer' : 'stale',
      );
      const opened = await errnoOf(async () => await tree.fs.open(g, readOnly, tree.context));
      expect(opened).toBe(isNew ? 'ESTALE' : 'ok');
      expect(tree.store.calls.list).toBe(isNew ? before + 2 : before);
    }
  });
});

describe('answers that come late', () => {
  it('never takes back what this mount did meanwhile, in whatever order answers come', async () => {
    const history = fc.array(event, { maxLength: 40, size: 'max' });
    await fc.assert(
      fc.asyncProperty(history, async (events) => {
        await new LateRun().run(events);
      }),
      { numRuns: 1500 },
    );
  });

  it('does not bring back what was unlinked when a later page ends a listing', async () => {
    const clock = new FakeClock();
    const store = new HeldListing({ clock, maxKeys: 1 });
    for (const key of ['a', 'a-1', 'b']) store.set(key, 'x');
    await using tree = await FileTree.make({ root: { kind: 'bucket', store, prefix: '' }, clock });
    await tree.entry('a');
    const answer = store.holdNext();
    const listing = tree.list();
    await clock.advance(0);
    await tree.unlink('a');
    answer();
    expect(await listing).toEqual(['a-1', 'b']);
    expect(await errnoOf(async () => await tree.entry('a'))).toBe('ENOENT');
  });

  it('shows all names also when everything is forgotten while they are on their way', async () => {
    const clock = new FakeClock();
    const store = new HeldListing({ clock });
    for (const key of ['a', 'b', 'd/c']) store.set(key, 'x');
    await using tree = await FileTree.make({ root: { kind: 'bucket', store, prefix: '' }, clock });
    const answer = store.holdNext();
    const listing = tree.list();
    await clock.advance(0);
    await tree.fs.tend('refresh', [], () => undefined, forever);
    answer();
    expect((await listing).toSorted()).toEqual(['a', 'b', 'd']);
  });

  it('gives no older version than this mount saved while it asked', async () => {
    const clock = new FakeClock();
    const store = new HeldListing({ clock });
    await using tree = await FileTree.make({ root: { kind: 'bucket', store, prefix: '' }, clock });
    store.set('f', 'old');
    const handle = await tree.open('f', { access: 'read-write' });
    await tree.expire();
    const answer = store.holdNext();
    const looking = tree.entry('f');
    await clock.advance(0);
    await tree.writeHandle(handle, 0, 'newer');
    await tree.fs.fsync(handle, false, tree.context);
    await clock.advance(LIST_TTL_MS + 1);
    answer();
    expect((await looking).attributes.bytes).toBe(5);
    await tree.writeHandle(handle, 5, ' still');
    await tree.close(handle);
    expect(await tree.read('f')).toBe('newer still');
  });
});

describe('the first answer about a directory', () => {
  it('holds names with their attributes, and not . and .. alone', async () => {
    await using tree = await FileTree.make();
    for (const name of ['a', 'b', 'd/e']) tree.store.set(name, 'x');
    const { handle } = tree.fs.opendir(ROOT_INODE);
    const told: [string, string | undefined][] = [];
    await tree.fs.readdirplus(
      handle,
      0,
      (dirent, entry) => {
        told.push([Buffer.from(dirent.name).toString(), entry?.attributes.type]);
        return true;
      },
      tree.context,
    );
    tree.fs.releasedir(handle);
    expect(told.slice(0, 2)).toEqual([
      ['.', undefined],
      ['..', undefined],
    ]);
    expect(new Map(told.slice(2))).toEqual(
      new Map([
        ['a', 'file'],
        ['b', 'file'],
        ['d', 'directory'],
      ]),
    );
  });

  it('is . and .. where there is nothing else', async () => {
    await using tree = await FileTree.make();
    const { handle } = tree.fs.opendir(ROOT_INODE);
    const told: string[] = [];
    const fill = ({ name }: { readonly name: Uint8Array }): boolean => {
      told.push(Buffer.from(name).toString());
      return true;
    };
    await tree.fs.readdir(handle, 0, fill, tree.context);
    tree.fs.releasedir(handle);
    expect(told).toEqual(['.', '..']);
  });
});
