/**
 * Contents of files while the store fails: long and short ones, changed in any order through
 * several handles, beside plain buffers. What a handle shows is exact at every moment, whatever
 * became of a save; what the bucket holds is one of the contents that were to be saved.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { HandleId } from '../../src/fs/ids.ts';
import { KiB, MiB } from '../../src/lib/bytes.ts';
import { type Fault, FaultyObjectStore } from '../../src/store/faulty-object-store.ts';
import { FakeClock } from '../fixtures/fake-clock.ts';
import { MemoryObjectStore } from '../fixtures/memory-object-store.ts';
import { errnoOf, FileTree } from '../unit/fs/file-tree.ts';
import { histories } from './histories.ts';

const paths = ['a', 'd/a'];
const anyPath = fc.constantFrom(...paths);
const nth = fc.nat(5);
/** Bytes of a place or a length: within a page, beyond what is kept in memory, beyond a part. */
const extent = fc.oneof(
  { weight: 6, arbitrary: fc.nat(100) },
  { weight: 3, arbitrary: fc.nat(300 * KiB) },
  { weight: 1, arbitrary: fc.nat(6 * MiB) },
);

const step = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      op: fc.constant('open' as const),
      path: anyPath,
      truncate: fc.nat(3).map((n) => n === 0),
      append: fc.nat(3).map((n) => n === 0),
      reads: fc.nat(4).map((n) => n === 0),
    }),
  },
  {
    weight: 12,
    arbitrary: fc.record({ op: fc.constant('write' as const), nth, at: extent, bytes: extent }),
  },
  {
    weight: 5,
    arbitrary: fc.record({ op: fc.constant('read' as const), nth, at: extent, bytes: extent }),
  },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('resize' as const), nth, bytes: extent }) },
  { weight: 3, arbitrary: fc.record({ op: fc.constant('fsync' as const), nth }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('flush' as const), nth }) },
  { weight: 5, arbitrary: fc.record({ op: fc.constant('close' as const), nth }) },
  {
    weight: 1,
    arbitrary: fc.record({ op: fc.constant('truncate' as const), path: anyPath, bytes: extent }),
  },
  { weight: 3, arbitrary: fc.record({ op: fc.constant('unlink' as const), path: anyPath }) },
  {
    weight: 2,
    arbitrary: fc.record({ op: fc.constant('rename' as const), path: anyPath, to: anyPath }),
  },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('stat' as const), path: anyPath }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('expire' as const) }) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

const fault: fc.Arbitrary<Fault | undefined> = fc.oneof(
  { weight: 8, arbitrary: fc.constant(undefined) },
  {
    weight: 1,
    arbitrary: fc.constantFrom<Fault>({ error: 'unavailable' }, { error: 'access-denied' }),
  },
  { weight: 1, arbitrary: fc.constantFrom<Fault>({ lostAnswer: 'unreachable' }) },
  { weight: 1, arbitrary: fc.constantFrom<Fault>({ cutAfterBytes: 2 }) },
);

/** Content of a file that somebody has open. */
interface OpenFile {
  bytes: Buffer;
  /** Undefined once the name is gone. */
  path: string | undefined;
  dirty: boolean;
  /**
   * Faults before somebody tried to unlink it. Later ones may have kept what only its object had
   * from being brought here before that went.
   */
  faultsBeforeUnlink: number;
  handles: number;
  /** Faults when it was last in the bucket: a failure needs one since. */
  faultsBefore: number;
}

interface OpenHandle {
  readonly id: HandleId;
  readonly file: OpenFile;
  readonly writes: boolean;
  readonly append: boolean;
}

const ABSENT = undefined;

class History {
  readonly #tree: FileTree;
  readonly #faults: () => number;
  readonly #handles: OpenHandle[] = [];
  readonly #files = new Map<string, OpenFile>();
  /** What the bucket may hold. */
  readonly #possible = new Map<string, readonly (Buffer | undefined)[]>(
    paths.map((path) => [path, [ABSENT]]),
  );
  #written = 0;

  constructor(tree: FileTree, faults: () => number) {
    this.#tree = tree;
    this.#faults = faults;
  }

  async take(step: Step): Promise<void> {
    if (step.op === 'expire') await this.#tree.expire();
    else if (step.op === 'open') await this.#open(step);
    else if (step.op === 'truncate') await this.#truncate(step.path, step.bytes);
    else if (step.op === 'unlink') await this.#unlink(step.path);
    else if (step.op === 'rename') await this.#rename(step.path, step.to);
    else if (step.op === 'stat') await this.#stat(step.path);
    else await this.#onHandle(step);
  }

  /** Nothing fails any more: everything that is open can be saved, and is then in the bucket. */
  async end(): Promise<void> {
    for (const handle of this.#handles) {
      if (handle.writes) expect(await this.#save(handle, 'fsync')).toBe('ok');
    }
    while (this.#handles.length > 0) await this.#onHandle({ op: 'close', nth: 0 });
    await this.#tree.expire();
    for (const path of paths) {
      let read: Buffer | undefined;
      const outcome = await errnoOf(async () => {
        const id = await this.#tree.open(path);
        read = await this.#tree.readHandle(id);
        await this.#tree.close(id);
      });
      expect(outcome).toBe(read === undefined ? 'ENOENT' : 'ok');
      this.#expectPossible(path, read);
    }
    expect(this.#tree.fs.state).toMatchObject({ openHandles: 0, unsavedFiles: 0, uploads: 0 });
  }

  async #open(step: Extract<Step, { op: 'open' }>): Promise<void> {
    const { path, truncate, append, reads } = step;
    const before = this.#faults();
    let id: HandleId | undefined;
    const outcome = await errnoOf(async () => {
      if (reads) id = await this.#tree.open(path);
      else id = await this.#tree.create(path, { truncate, append });
    });
    const held = this.#files.get(path);
    if (id === undefined) {
      // Of one that is open the name counts, unless an unlink may have taken it away.
      const isHeld = held !== undefined && !this.#mayBeGone(held);
      const isAbsent = !isHeld && this.#of(path).includes(ABSENT);
      if (outcome === 'ENOENT') expect(reads && isAbsent).toBe(true);
      else this.#expectFault(outcome, before);
      // A file may have been made before that failed.
      if (!reads && isAbsent) this.#mayBe(path, Buffer.alloc(0));
      return;
    }
    const file = held ?? (await this.#opened(id, path, !reads && truncate));
    if (file === undefined) return;
    if (held !== undefined && truncate && !reads && held.bytes.length > 0) {
      held.bytes = Buffer.alloc(0);
      held.dirty = true;
    }
    file.handles += 1;
    this.#handles.push({ id, file, writes: !reads, append: !reads && append });
  }

  /** Finds out which of the possible contents was opened. Undefined: it cannot be read. */
  async #opened(id: HandleId, path: string, truncate: boolean): Promise<OpenFile | undefined> {
    const [known, ...others] = this.#of(path);
    let bytes: Buffer = Buffer.alloc(0);
    const before = this.#faults();
    // A file whose content is certain stays unread: it may be changed or unlinked before it is read.
    if (!truncate && others.length === 0) bytes = known ?? bytes;
    else if (!truncate) {
      const outcome = await errnoOf(async () => (bytes = await this.#tree.readHandle(id)));
      if (outcome !== 'ok') {
        this.#expectFault(outcome, before);
        const closed = await errnoOf(async () => await this.#tree.close(id));
        if (this.#of(path).includes(ABSENT)) this.#mayBe(path, Buffer.alloc(0));
        expect(['ESTALE', 'EEXIST']).not.toContain(closed);
        return undefined;
      }
    }
    const isNew = bytes.length === 0 && this.#of(path).includes(ABSENT);
    if (!truncate && !isNew) this.#expectPossible(path, bytes);
    const dirty = truncate || isNew;
    const file = {
      ...{ bytes, path, dirty, handles: 0 },
      ...{ faultsBefore: before, faultsBeforeUnlink: Infinity },
    };
    this.#files.set(path, file);
    return file;
  }

  async #onHandle(
    step: Extract<Step, { readonly op: 'write' | 'read' | 'resize' | 'fsync' | 'flush' | 'close' }>,
  ): Promise<void> {
    const at = this.#handles.length === 0 ? -1 : step.nth % this.#handles.length;
    const handle = this.#handles[at];
    if (handle === undefined) return;
    if (step.op === 'write') await this.#write(handle, step.at, step.bytes);
    else if (step.op === 'read') await this.#read(handle, step.at, step.bytes);
    else if (step.op === 'resize') await this.#resize(handle, step.bytes);
    else if (step.op === 'close') {
      this.#handles.splice(at, 1);
      await this.#close(handle);
    } else if (handle.writes) await this.#save(handle, step.op);
  }

  async #write({ id, file, writes, append }: OpenHandle, at: number, bytes: number): Promise<void> {
    const before = this.#faults();
    this.#written += 1;
    const piece = Buffer.alloc(bytes + 1, `${this.#written}.`);
    const outcome = await errnoOf(async () => await this.#tree.writeHandle(id, at, piece));
    if (!writes) {
      expect(outcome).toBe('EBADF');
      return;
    }
    if (outcome !== 'ok') {
      this.#expectFault(outcome, before);
      return;
    }
    const start = append ? file.bytes.length : at;
    const end = Math.max(file.bytes.length, start + piece.length);
    const after = Buffer.alloc(end);
    file.bytes.copy(after);
    piece.copy(after, start);
    file.bytes = after;
    file.dirty = true;
  }

  async #read({ id, file }: OpenHandle, at: number, bytes: number): Promise<void> {
    const before = this.#faults();
    let got: Buffer = Buffer.alloc(0);
    const outcome = await errnoOf(async () => (got = await this.#tree.readHandle(id, at, bytes)));
    if (outcome !== 'ok') {
      if (outcome !== 'ESTALE' || !this.#mayBeGone(file)) this.#expectFault(outcome, before);
      return;
    }
    expect(got.equals(file.bytes.subarray(at, at + bytes))).toBe(true);
  }

  async #resize({ id, file, writes }: OpenHandle, bytes: number): Promise<void> {
    const before = this.#faults();
    const inode = this.#tree.inodeOf(id);
    const change = async (): Promise<unknown> =>
      await this.#tree.fs.setattr(inode, id, { bytes }, this.#tree.context);
    const outcome = await errnoOf(change);
    if (!writes) {
      expect(outcome).toBe('EBADF');
      return;
    }
    if (outcome !== 'ok') {
      this.#expectFault(outcome, before);
      return;
    }
    if (file.bytes.length === bytes) return;
    file.bytes = resized(file.bytes, bytes);
    file.dirty = true;
  }

  async #save(handle: OpenHandle, how: 'fsync' | 'flush'): Promise<string> {
    const { fs, context } = this.#tree;
    const outcome = await errnoOf(async () => {
      if (how === 'fsync') await fs.fsync(handle.id, false, context);
      else await fs.flush(handle.id, context);
    });
    this.#saved(handle, outcome);
    return outcome;
  }

  #saved({ file }: OpenHandle, outcome: string): void {
    // Nobody else is here: a lost answer must never look like somebody else's change.
    expect(['ESTALE', 'EEXIST']).not.toContain(outcome);
    if (outcome !== 'ok') this.#expectFault(outcome, file.faultsBefore);
    if (file.path === undefined || !file.dirty) return;
    if (outcome !== 'ok') {
      this.#mayBe(file.path, file.bytes);
      return;
    }
    this.#possible.set(file.path, [Buffer.from(file.bytes)]);
    file.dirty = false;
    file.faultsBefore = this.#faults();
  }

  async #close(handle: OpenHandle): Promise<void> {
    const { file } = handle;
    const outcome = await errnoOf(async () => await this.#tree.close(handle.id));
    if (handle.writes) this.#saved(handle, outcome);
    file.handles -= 1;
    if (file.handles > 0 || file.path === undefined) return;
    // What the last flush could not save may be saved behind it, or not.
    if (file.dirty) this.#mayBe(file.path, file.bytes);
    this.#files.delete(file.path);
  }

  async #truncate(path: string, bytes: number): Promise<void> {
    if (this.#files.has(path)) return;
    const before = this.#faults();
    const outcome = await errnoOf(async () => await this.#tree.setattr(path, { bytes }));
    const after = this.#of(path).flatMap((content) =>
      content === undefined ? [] : [resized(content, bytes)],
    );
    if (outcome === 'ok') this.#possible.set(path, after);
    else if (outcome === 'ENOENT') expect(this.#of(path)).toContain(ABSENT);
    else {
      this.#expectFault(outcome, before);
      this.#mayBe(path, ...after);
    }
  }

  async #unlink(path: string): Promise<void> {
    const before = this.#faults();
    const file = this.#files.get(path);
    const unlink = async (): Promise<void> => await this.#tree.unlink(path);
    const outcome = await errnoOf(unlink);
    if (file !== undefined) file.faultsBeforeUnlink = Math.min(file.faultsBeforeUnlink, before);
    if (outcome === 'ENOENT') {
      expect(file === undefined || this.#mayBeGone(file)).toBe(true);
      expect(this.#of(path)).toContain(ABSENT);
    } else if (outcome === 'ok') {
      this.#possible.set(path, [ABSENT]);
      if (file !== undefined) file.path = undefined;
      this.#files.delete(path);
    } else {
      this.#expectFault(outcome, before);
      this.#mayBe(path, ABSENT);
    }
  }

  #mayBeGone({ faultsBeforeUnlink }: OpenFile): boolean {
    return this.#faults() > faultsBeforeUnlink;
  }

  /** Of files that nobody has open: for the others see the model of names. */
  async #rename(from: string, to: string): Promise<void> {
    if (from === to || this.#files.has(from) || this.#files.has(to)) return;
    const before = this.#faults();
    const outcome = await errnoOf(async () => await this.#tree.rename(from, to));
    const moved = this.#of(from).filter((content) => content !== undefined);
    if (outcome === 'ENOENT') expect(this.#of(from)).toContain(ABSENT);
    else if (outcome === 'ok') {
      this.#possible.set(to, moved);
      this.#possible.set(from, [ABSENT]);
    } else {
      this.#expectFault(outcome, before);
      this.#mayBe(to, ...moved);
      this.#mayBe(from, ABSENT);
    }
  }

  async #stat(path: string): Promise<void> {
    const file = this.#files.get(path);
    let bytes = -1;
    const before = this.#faults();
    const outcome = await errnoOf(async () => (bytes = (await this.#tree.stat(path)).bytes));
    if (outcome === 'ok') {
      const sizes = this.#of(path).map((content) => content?.length);
      expect(file === undefined ? sizes : [file.bytes.length]).toContain(bytes);
    } else if (outcome === 'ENOENT') {
      expect(file === undefined || this.#mayBeGone(file)).toBe(true);
      expect(this.#of(path)).toContain(ABSENT);
    } else this.#expectFault(outcome, before);
  }

  #of(path: string): readonly (Buffer | undefined)[] {
    return this.#possible.get(path) ?? [];
  }

  #mayBe(path: string, ...contents: readonly (Buffer | undefined)[]): void {
    this.#possible.set(path, [
      ...this.#of(path),
      ...contents.map((each) => each && Buffer.from(each)),
    ]);
  }

  #expectPossible(path: string, read: Buffer | undefined): void {
    const isOne = this.#of(path).some((content) =>
      content === undefined || read === undefined ? content === read : content.equals(read),
    );
    expect(isOne).toBe(true);
  }

  #expectFault(outcome: string, before: number): void {
    // What one may not do is remembered for a while.
    const since = outcome === 'EACCES' ? 0 : before;
    expect([outcome, this.#faults() > since]).toEqual([outcome, true]);
  }
}

function resized(content: Buffer, bytes: number): Buffer {
  const after = Buffer.alloc(bytes);
  content.copy(after);
  return after;
}

async function run(steps: readonly Step[], faults: readonly (Fault | undefined)[]): Promise<void> {
  const clock = new FakeClock();
  const store = new MemoryObjectStore({ clock, contentEtags: true, minPartBytes: 5 * MiB });
  let calls = 0;
  let fired = 0;
  let failing = true;
  const next = (): Fault | undefined => {
    calls += 1;
    const fault = failing ? faults[calls % Math.max(faults.length, 1)] : undefined;
    if (fault !== undefined) fired += 1;
    return fault;
  };
  store.set('d/', '');
  const faulty = new FaultyObjectStore(store, next, clock);
  const root = { kind: 'bucket', store: faulty, prefix: '' } as const;
  await using tree = await FileTree.make({ root, clock });
  const history = new History(tree, () => fired);
  for (const step of steps) await history.take(step);
  failing = false;
  await history.end();
}

const LONGEST = 60;

describe('contents beside plain buffers', () => {
  const history = fc.array(step, { maxLength: LONGEST, size: 'max' });
  const { parameters, timeoutMs } = histories(50);

  it(
    'shows the exact content through every handle, in whatever order it is changed',
    async () => {
      await fc.assert(
        fc.asyncProperty(history, async (steps) => await run(steps, [])),
        parameters,
      );
    },
    timeoutMs,
  );

  it(
    'shows the exact content also while saves fail, and leaves in the bucket what was to be saved',
    async () => {
      const faults = fc.array(fault, { maxLength: 40, size: 'max' });
      await fc.assert(fc.asyncProperty(history, faults, run), parameters);
    },
    timeoutMs,
  );
});
