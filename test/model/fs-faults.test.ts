import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { HandleId } from '../../src/fs/ids.ts';
import type { Fault } from '../../src/store/faulty-object-store.ts';
import { FaultyObjectStore } from '../../src/store/faulty-object-store.ts';
import { FakeClock } from '../fixtures/fake-clock.ts';
import { MemoryObjectStore } from '../fixtures/memory-object-store.ts';
import { errnoOf, FileTree } from '../unit/fs/file-tree.ts';
import { histories } from './histories.ts';

const paths = ['a', 'b', 'd/a'];
const anyPath = fc.constantFrom(...paths);
const text = fc.string({ minLength: 1, maxLength: 9 }).map((s) => s.replaceAll(/[^!-~]/g, 'x'));

const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ op: fc.constant('write' as const), path: anyPath, text }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('insist' as const), path: anyPath, text }) },
  { weight: 3, arbitrary: fc.record({ op: fc.constant('patch' as const), path: anyPath, text }) },
  { weight: 4, arbitrary: fc.record({ op: fc.constant('read' as const), path: anyPath }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('unlink' as const), path: anyPath }) },
  {
    weight: 2,
    arbitrary: fc.record({ op: fc.constant('rename' as const), path: anyPath, to: anyPath }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      op: fc.constant('lose' as const),
      path: anyPath,
      anew: fc.option(text, { nil: undefined }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('expire' as const) }) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

const fault: fc.Arbitrary<Fault | undefined> = fc.oneof(
  { weight: 6, arbitrary: fc.constant(undefined) },
  {
    weight: 1,
    arbitrary: fc.constantFrom<Fault>(
      { error: 'unavailable' },
      { error: 'access-denied' },
      { error: 'credentials-expired' },
    ),
  },
  { weight: 1, arbitrary: fc.constantFrom<Fault>({ lostAnswer: 'unreachable' }) },
  { weight: 1, arbitrary: fc.constantFrom<Fault>({ cutAfterBytes: 2 }, { shortAfterBytes: 2 }) },
);

const ABSENT = '(absent)';

/** What each file may hold: one content after a success, several after a failure. */
class Possible {
  readonly #of = new Map(paths.map((path) => [path, new Set([ABSENT])]));

  of(path: string): ReadonlySet<string> {
    return this.#of.get(path) ?? new Set();
  }

  is(path: string, contents: Iterable<string>): void {
    this.#of.set(path, new Set(contents));
  }

  mayBe(path: string, contents: Iterable<string>): void {
    this.is(path, [...this.of(path), ...contents]);
  }
}

async function run(steps: readonly Step[], faults: readonly (Fault | undefined)[]): Promise<void> {
  const clock = new FakeClock();
  const store = new MemoryObjectStore({ clock, contentEtags: true });
  let calls = 0;
  let failing = true;
  const next = (): Fault | undefined => {
    calls += 1;
    return failing ? faults[calls % Math.max(faults.length, 1)] : undefined;
  };
  const faulty = new FaultyObjectStore(store, next, clock);
  store.set('d/', '');
  await using tree = await FileTree.make({
    root: { kind: 'bucket', store: faulty, prefix: '' },
    clock,
  });
  const possible = new Possible();
  for (const step of steps) {
    if (step.op === 'expire') await clock.advance(5000);
    else await take(step, tree, possible);
  }
  failing = false;
  await clock.advance(5000);
  for (const path of paths) await take({ op: 'read', path }, tree, possible, true);
  expect(tree.fs.state).toMatchObject({ openHandles: 0, unsavedFiles: 0, uploads: 0 });
}

async function take(
  step: Exclude<Step, { op: 'expire' }>,
  tree: FileTree,
  possible: Possible,
  mustAnswer = false,
): Promise<void> {
  const { path } = step;
  if (step.op === 'write') {
    const outcome = await errnoOf(async () => await tree.write(path, step.text));
    // An empty file may have been made before the write failed.
    if (outcome === 'ok') possible.is(path, [step.text]);
    else possible.mayBe(path, [step.text, '']);
  } else if (step.op === 'insist') {
    const outcome = await insist(tree, path, step.text);
    // Nobody else is here: a lost answer must never look like somebody else's change.
    expect(['ESTALE', 'EEXIST']).not.toContain(outcome);
    if (outcome === 'ok') possible.is(path, [step.text]);
    else possible.mayBe(path, [step.text, '']);
  } else if (step.op === 'patch') {
    let base = '';
    const outcome = await errnoOf(async () => (base = await patch(tree, path, step.text)));
    const patched = [...possible.of(path)].map((text) => step.text + text.slice(step.text.length));
    if (outcome === 'ok') {
      expect(possible.of(path)).toContain(base);
      possible.is(path, [step.text + base.slice(step.text.length)]);
    } else possible.mayBe(path, patched);
  } else if (step.op === 'read') {
    let read = '';
    const outcome = await errnoOf(async () => (read = await tree.read(path)));
    if (mustAnswer) expect(['ok', 'ENOENT']).toContain(outcome);
    if (outcome === 'ok') expect(possible.of(path)).toContain(read);
    else if (outcome === 'ENOENT') expect(possible.of(path)).toContain(ABSENT);
  } else if (step.op === 'lose') {
    await lose(tree, path, step.anew, possible);
  } else if (step.op === 'unlink') {
    const outcome = await errnoOf(async () => await tree.unlink(path));
    if (outcome === 'ok') possible.is(path, [ABSENT]);
    else possible.mayBe(path, [ABSENT]);
  } else if (step.to !== path) {
    const outcome = await errnoOf(async () => await tree.rename(path, step.to));
    const moved = [...possible.of(path)].filter((content) => content !== ABSENT);
    if (outcome === 'ok') possible.is(step.to, moved);
    else possible.mayBe(step.to, moved);
    if (outcome === 'ok') possible.is(path, [ABSENT]);
    else possible.mayBe(path, [ABSENT]);
  }
}

/** Writes a file, and asks for it to be saved until that is done; how the last try ended. */
async function insist(tree: FileTree, path: string, text: string): Promise<string> {
  const open = async (): Promise<HandleId> => await tree.create(path, { truncate: true });
  let handle: HandleId | undefined;
  const opened = await errnoOf(async () => (handle = await open()));
  if (handle === undefined) return opened;
  const id = handle;
  let outcome = await errnoOf(async () => await tree.writeHandle(id, 0, text));
  for (let nth = 1; nth <= 5; nth += 1) {
    outcome = await errnoOf(async () => await tree.fs.flush(id, tree.context));
    if (outcome === 'ok') break;
  }
  await tree.fs.release(id, tree.context);
  return outcome;
}

/**
 * Unlinks a file while it is open, perhaps makes another of its name, and reads what is open: that
 * is what it was, or an error.
 */
async function lose(
  tree: FileTree,
  path: string,
  anew: string | undefined,
  possible: Possible,
): Promise<void> {
  let handle: HandleId | undefined;
  await errnoOf(async () => (handle = await tree.open(path)));
  if (handle === undefined) return;
  const id = handle;
  const before = [...possible.of(path)];
  const gone = await errnoOf(async () => await tree.unlink(path));
  // A delete that is refused when the file is closed brings the name back.
  possible.mayBe(path, [ABSENT]);
  if (gone === 'ok' && anew !== undefined) {
    const written = await errnoOf(async () => await tree.write(path, anew));
    if (written === 'ok') possible.is(path, [anew]);
    else possible.mayBe(path, [anew, '']);
  }
  let read = '';
  const outcome = await errnoOf(async () => (read = (await tree.readHandle(id)).toString()));
  if (outcome === 'ok') expect(before).toContain(read);
  await tree.close(id);
}

/** Overwrites the start of a file; returns what it held. */
async function patch(tree: FileTree, path: string, text: string): Promise<string> {
  const handle = await tree.open(path, { access: 'read-write' });
  let closed = false;
  try {
    const base = (await tree.readHandle(handle)).toString();
    await tree.writeHandle(handle, 0, text);
    closed = true;
    await tree.close(handle);
    return base;
  } finally {
    if (!closed) await tree.close(handle).catch(() => undefined);
  }
}

describe('ObjectFileSystem over a store that fails', () => {
  const { parameters, timeoutMs } = histories(200);

  it(
    'loses nothing that was acknowledged and never reads wrong bytes, whatever fails',
    async () => {
      const steps = fc.array(step, { maxLength: 30, size: 'max' });
      const faults = fc.array(fault, { maxLength: 40, size: 'max' });
      await fc.assert(fc.asyncProperty(steps, faults, run), parameters);
    },
    timeoutMs,
  );
});
