import { describe, expect, it } from 'vitest';
import type { Intent } from '../../../src/fs/journal/intents.ts';
import { finishDelete, finishMove } from '../../../src/fs/move-recovery.ts';
import { silentLog } from '../../../src/lib/log.ts';
import { type FaultScript, FaultyObjectStore } from '../../../src/store/faulty-object-store.ts';
import { FakeClock } from '../../fixtures/fake-clock.ts';
import { MemoryNotes } from '../../fixtures/memory-notes.ts';
import { MemoryObjectStore } from '../../fixtures/memory-object-store.ts';
import { contextOf, errnoOf, FileTree, text } from './file-tree.ts';

type Contents = Readonly<Record<string, string>>;

function contentsOf(store: MemoryObjectStore): Contents {
  return Object.fromEntries(store.keys().map((key) => [key, text(store, key) ?? '']));
}

interface Crash {
  readonly store: MemoryObjectStore;
  readonly intents: readonly Intent[];
  /** How the change ended for its caller, if he lived to see it. */
  readonly outcome: string;
  readonly isOver: boolean;
}

/** Does `change` in a process that dies with its `nth` request, before or just after that is done. */
async function crashed(
  before: Contents,
  change: (tree: FileTree) => Promise<void>,
  nth: number,
  isDone: boolean,
  faults: FaultScript = () => undefined,
): Promise<Crash> {
  const clock = new FakeClock();
  const store = new MemoryObjectStore({ clock, contentEtags: true });
  for (const [key, content] of Object.entries(before)) store.set(key, content);
  const notes = new MemoryNotes();
  let requests = 0;
  const dying = new FaultyObjectStore(
    store,
    (call) => {
      requests += 1;
      if (requests < nth) return faults(call);
      notes.freeze();
      return requests === nth && isDone ? { lostAnswer: 'unreachable' } : { error: 'unreachable' };
    },
    clock,
  );
  const root = { kind: 'bucket', store: dying, prefix: '' } as const;
  await using tree = await FileTree.make({ root, clock, notes });
  const outcome = await errnoOf(async () => await change(tree));
  return { store, intents: notes.intents, outcome, isOver: requests < nth };
}

/** What the next mount does first. */
async function recover({ store, intents }: Crash): Promise<void> {
  const { signal } = contextOf();
  for (const intent of intents) {
    if (intent.kind === 'move') await finishMove(store, intent, silentLog, signal);
    else if (intent.kind === 'delete') await finishDelete(store, intent, signal);
  }
}

/** Every end that `change` can have when its process dies at any of its requests. */
async function endsOf(
  before: Contents,
  change: (tree: FileTree) => Promise<void>,
): Promise<readonly Contents[]> {
  const ends: Contents[] = [];
  for (const isDone of [false, true]) {
    for (let nth = 1; ; nth += 1) {
      const crash = await crashed(before, change, nth, isDone);
      if (crash.isOver) {
        expect(crash).toMatchObject({ outcome: 'ok', intents: [] });
        break;
      }
      await recover(crash);
      // Once more finds nothing to do.
      const end = contentsOf(crash.store);
      await recover(crash);
      expect(contentsOf(crash.store)).toEqual(end);
      ends.push(end);
    }
  }
  return ends;
}

const names = Array.from({ length: 5 }, (_, at) => `f${at}`);

describe('a directory whose renaming ends in a crash', () => {
  const cases: readonly { readonly what: string; readonly before: Contents }[] = [
    { what: 'with a marker', before: { 'd/': '', 'other/x': 'x' } },
    { what: 'without', before: { 'other/x': 'x' } },
    { what: 'over an empty directory', before: { 'd/': '', 'z/': '' } },
    { what: 'without a marker, over an empty directory', before: { 'z/': '' } },
  ];

  it('is at its old name or at its new one after the next mount, whole', async () => {
    for (const { what, before } of cases) {
      const old: Contents = {
        ...before,
        ...Object.fromEntries(names.map((name) => [`d/${name}`, name])),
        'd/e/deep': 'deep',
      };
      const renamed: Contents = Object.fromEntries(
        Object.entries(old).map(([key, content]) => [key.replace(/^d\//, 'z/'), content]),
      );
      const ends = await endsOf(old, async (tree) => await tree.rename('d', 'z'));
      const seen = ends.map((end) => (`d/f0` in end ? 'old' : 'new'));
      expect([what, ...new Set(seen)]).toEqual([what, 'old', 'new']);
      for (const [at, end] of ends.entries())
        expect(end).toEqual(seen[at] === 'old' ? old : renamed);
    }
  });

  it('is at its old name where nothing may be deleted there, and its copies are taken back', async () => {
    const before = Object.fromEntries(names.map((name) => [`d/${name}`, name]));
    let refusals = 0;
    const denied: FaultScript = ({ method, key }) => {
      if (method !== 'delete' || !key.startsWith('d/')) return undefined;
      refusals += 1;
      return { error: 'access-denied' };
    };
    const rename = async (tree: FileTree): Promise<void> => await tree.rename('d', 'z');
    for (let nth = 1; ; nth += 1) {
      refusals = 0;
      const crash = await crashed(before, rename, nth, true, denied);
      if (crash.isOver) {
        expect(crash).toMatchObject({ outcome: 'EACCES', intents: [] });
        expect(contentsOf(crash.store)).toEqual(before);
        return;
      }
      await recover(crash);
      // Until the refusal nobody can know of it, and the next mount may have the right.
      if (refusals > 0) expect(contentsOf(crash.store)).toEqual(before);
    }
  });

  it('loses nothing that somebody else has put below either name meanwhile', async () => {
    const before = Object.fromEntries(names.map((name) => [`d/${name}`, name]));
    for (let nth = 1; ; nth += 1) {
      const crash = await crashed(before, async (tree) => await tree.rename('d', 'z'), nth, true);
      if (crash.isOver) return;
      const { store } = crash;
      store.set('z/theirs', 'made');
      store.set('d/theirs', 'made too');
      if (store.keys().includes('d/f1')) store.set('d/f1', 'changed');
      if (store.keys().includes('z/f2')) store.set('z/f2', 'changed');
      const theirs = Object.entries(contentsOf(store)).filter(
        ([key, content]) => key.endsWith('theirs') || content === 'changed',
      );
      await recover(crash);
      const after = contentsOf(store);
      expect(Object.entries(after)).toEqual(expect.arrayContaining(theirs));
      for (const name of ['f0', 'f3', 'f4']) {
        expect(`d/${name}` in after || `z/${name}` in after).toBe(true);
      }
    }
  });

  it('is whole where ETags say nothing of the content, though both names may stay', async () => {
    const clock = new FakeClock();
    const store = new MemoryObjectStore({ clock });
    for (const name of names) store.set(`d/${name}`, name);
    const notes = new MemoryNotes();
    let dies = false;
    const dying = new FaultyObjectStore(
      store,
      ({ method, nth }) => {
        dies ||= method === 'delete' && nth === 3;
        if (dies) notes.freeze();
        return dies ? { error: 'unreachable' } : undefined;
      },
      clock,
    );
    const root = { kind: 'bucket', store: dying, prefix: '' } as const;
    await using tree = await FileTree.make({ root, clock, notes });
    await clock.advance(5000);
    await tree.rename('d', 'z');
    const { intents } = notes;
    expect(intents).toMatchObject([{ kind: 'move', stage: 'deleting' }]);
    await recover({ store, intents, outcome: 'ok', isOver: false });
    expect(store.keys()).toEqual(names.map((name) => `z/${name}`));
  });
});

describe('a file whose renaming ends in a crash', () => {
  it('has its content under the old name, the new one, or both, and nothing else changed', async () => {
    const before = { a: 'A', b: 'B', c: 'C' };
    const ends = await endsOf(before, async (tree) => await tree.rename('a', 'b'));
    const possible = [before, { b: 'A', c: 'C' }, { a: 'A', b: 'A', c: 'C' }];
    for (const end of ends) expect(possible).toContainEqual(end);
    expect(ends).toContainEqual(possible[1]);
    // Between the copy and the note of it, no more.
    expect(ends.filter((end) => 'a' in end && end['b'] === 'A').length).toBeLessThanOrEqual(1);
  });
});

describe('an open file that was unlinked before a crash', () => {
  it('is deleted by the next mount, and only that version', async () => {
    for (const theirs of [undefined, 'theirs']) {
      const unlinkOpen = async (tree: FileTree): Promise<void> => {
        await tree.open('d/f');
        await tree.unlink('d/f');
        await tree.entry('gone').catch(() => undefined);
      };
      const crash = await crashed({ 'd/f': 'content' }, unlinkOpen, 3, false);
      expect([crash.outcome, crash.isOver]).toEqual(['ok', false]);
      expect(crash.store.keys()).toEqual(['d/f']);
      if (theirs !== undefined) crash.store.set('d/f', theirs);
      await recover(crash);
      expect(contentsOf(crash.store)).toEqual(theirs === undefined ? {} : { 'd/f': theirs });
    }
  });
});
