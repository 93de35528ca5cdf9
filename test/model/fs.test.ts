import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { AllocationFlags } from '../../src/fs/filesystem.ts';
import type { HandleId } from '../../src/fs/ids.ts';
import { errnoOf, FileTree } from '../unit/fs/file-tree.ts';
import { FileModel, type Kept, type ModelHandle } from './file-model.ts';
import { histories } from './histories.ts';

const names = ['a', 'b', 'd', 'e'];
const anyPath = fc.oneof(
  fc.constantFrom(...names),
  fc.constantFrom(...names.flatMap((first) => names.map((second) => `${first}/${second}`))),
  fc.constantFrom('d/e/a', 'd/e/b', 'e/d/a'),
);
const bytes = fc
  .string({ minLength: 1, maxLength: 6 })
  .map((text) => text.replaceAll(/[^!-~]/g, 'x'));

/** Mostly near the start; some about where the second block begins. */
const place = fc.oneof(
  { weight: 6, arbitrary: fc.nat(12) },
  { weight: 1, arbitrary: fc.integer({ min: 131_066, max: 131_080 }) },
);
/** Mostly a few letters; some of more than a block. */
const content = fc.oneof(
  { weight: 4, arbitrary: bytes },
  { weight: 1, arbitrary: bytes.map((text) => text.padEnd(131_090, 'abcdefghijk')) },
);

const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      op: fc.constant('create' as const),
      path: anyPath,
      exclusive: fc.boolean(),
      truncate: fc.boolean(),
      append: fc.boolean(),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      op: fc.constant('open' as const),
      path: anyPath,
      writes: fc.boolean(),
      truncate: fc.boolean(),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      op: fc.constant('write' as const),
      nth: fc.nat(9),
      offset: place,
      text: bytes,
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      op: fc.constant('read' as const),
      nth: fc.nat(9),
      offset: place,
      length: fc.nat(20),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      op: fc.constant('ftruncate' as const),
      nth: fc.nat(9),
      length: place,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      op: fc.constant('fallocate' as const),
      nth: fc.nat(9),
      offset: place,
      length: fc.integer({ min: 1, max: 12 }),
      mode: fc.constantFrom('plain' as const, 'keep' as const, 'punch' as const, 'zero' as const),
    }),
  },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('fsync' as const), nth: fc.nat(9) }) },
  { weight: 4, arbitrary: fc.record({ op: fc.constant('close' as const), nth: fc.nat(9) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      op: fc.constant('truncate' as const),
      path: anyPath,
      length: place,
    }),
  },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('stat' as const), path: anyPath }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('unlink' as const), path: anyPath }) },
  { weight: 3, arbitrary: fc.record({ op: fc.constant('mkdir' as const), path: anyPath }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('rmdir' as const), path: anyPath }) },
  {
    weight: 3,
    arbitrary: fc.record({
      op: fc.constant('rename' as const),
      path: anyPath,
      to: anyPath,
      noReplace: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      op: fc.constant('list' as const),
      path: fc.oneof(fc.constant(''), anyPath),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      op: fc.constant('foreign' as const),
      path: anyPath,
      text: fc.option(content, { nil: undefined }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('expire' as const) }) },
);
export type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** Runs one history on the file system and on the model, side by side. */
class Run {
  readonly model = new FileModel();
  readonly handles: { id: HandleId; model: ModelHandle }[] = [];
  readonly tree: FileTree;

  constructor(tree: FileTree) {
    this.tree = tree;
  }

  async do(step: Step): Promise<void> {
    if (step.op === 'create') await this.#create(step);
    else if (step.op === 'open') await this.#open(step);
    else if (step.op === 'foreign') await this.#foreign(step);
    else if (step.op === 'expire') await this.tree.expire();
    else if ('nth' in step) await this.#onHandle(step);
    else await this.#onPath(step);
  }

  async #create(step: Extract<Step, { op: 'create' }>): Promise<void> {
    const { model } = this;
    const { truncate, exclusive, append } = step;
    const walk = model.walk(step.path);
    let expected = walk;
    if (walk === 'ok' && model.isDirectory(step.path)) expected = exclusive ? 'EEXIST' : 'EISDIR';
    else if (walk === 'ok' && model.isFile(step.path) && exclusive) expected = 'EEXIST';
    let id: HandleId | undefined;
    const flags = { access: 'read-write', truncate, exclusive, append } as const;
    const outcome = await errnoOf(async () => (id = await this.tree.create(step.path, flags)));
    expect(outcome).toBe(expected);
    if (id === undefined) return;
    const isNew = !model.isFile(step.path);
    const content = model.attach(step.path);
    if (isNew) {
      content.dirty = true;
      content.mustBeNew = exclusive;
    }
    if (truncate) model.resize(content, 0);
    content.handles += 1;
    this.handles.push({ id, model: { content, writes: true, append } });
  }

  async #open(step: Extract<Step, { op: 'open' }>): Promise<void> {
    const { model } = this;
    let expected = model.walk(step.path);
    if (expected === 'ok' && model.isDirectory(step.path)) expected = 'EISDIR';
    else if (expected === 'ok' && !model.isFile(step.path)) expected = 'ENOENT';
    let id: HandleId | undefined;
    const truncate = step.writes && step.truncate;
    const access = step.writes ? 'read-write' : 'read';
    const outcome = await errnoOf(
      async () => (id = await this.tree.open(step.path, { access, truncate })),
    );
    expect(outcome).toBe(expected);
    if (id === undefined) return;
    const content = model.attach(step.path);
    if (truncate) model.resize(content, 0);
    content.handles += 1;
    this.handles.push({ id, model: { content, writes: step.writes, append: false } });
  }

  async #onHandle(step: Extract<Step, { nth: number }>): Promise<void> {
    const at = this.handles.length === 0 ? -1 : step.nth % this.handles.length;
    const handle = this.handles[at];
    if (handle === undefined) return;
    const { id, model } = handle;
    const { content } = model;
    // Whoever has a file open that somebody else has changed may be told so instead.
    const uncertain = content.stale || (content.path === undefined && !content.unlinked);
    if (step.op === 'read') {
      const wanted = content.bytes.subarray(step.offset, step.offset + step.length);
      let got = wanted;
      const outcome = await errnoOf(
        async () => (got = await this.tree.readHandle(id, step.offset, step.length)),
      );
      if (!uncertain || outcome !== 'ESTALE') expect(outcome).toBe('ok');
      expect(got.toString('latin1')).toBe(wanted.toString('latin1'));
    } else if (step.op === 'write' || step.op === 'ftruncate' || step.op === 'fallocate') {
      await this.#change(step, id, model, uncertain);
    } else if (step.op === 'fsync') {
      const outcome = await errnoOf(
        async () => await this.tree.fs.fsync(id, false, this.tree.context),
      );
      const lost = content.lost;
      const expected = this.model.save(content);
      if (!lost || outcome !== 'ESTALE') expect(outcome).toBe(expected);
    } else {
      this.handles.splice(at, 1);
      const outcome = await errnoOf(async () => await this.tree.close(id));
      const lost = content.lost;
      const expected = this.model.close(model);
      if (!lost || outcome !== 'ESTALE') expect(outcome).toBe(expected);
    }
  }

  async #change(
    step: Extract<Step, { op: 'write' | 'ftruncate' | 'fallocate' }>,
    id: HandleId,
    handle: ModelHandle,
    uncertain: boolean,
  ): Promise<void> {
    const { tree, model } = this;
    const { content } = handle;
    const outcome = await errnoOf(async () => {
      if (step.op === 'write') await tree.writeHandle(id, step.offset, step.text);
      else if (step.op === 'fallocate') {
        const { offset, length, mode } = step;
        await tree.fs.fallocate(id, offset, length, flagsOf(mode), tree.context);
      } else {
        const inode = tree.inodeOf(id);
        await tree.fs.setattr(inode, id, { bytes: step.length }, tree.context);
      }
    });
    if (!handle.writes) {
      expect(outcome).toBe('EBADF');
      return;
    }
    if (uncertain && outcome === 'ESTALE') return;
    expect(outcome).toBe('ok');
    if (step.op === 'ftruncate') model.resize(content, step.length);
    else if (step.op === 'fallocate') {
      const { keepSize, punchHole, zeroRange } = flagsOf(step.mode);
      const end = step.offset + step.length;
      model.allocate(content, step.offset, end, punchHole || zeroRange, keepSize);
    } else {
      const offset = handle.append ? content.bytes.length : step.offset;
      model.write(content, offset, Buffer.from(step.text));
    }
  }

  async #foreign({ path: key, text }: Extract<Step, { op: 'foreign' }>): Promise<void> {
    if (!this.model.foreign(key, text === undefined ? undefined : Buffer.from(text))) return;
    if (text === undefined) this.tree.store.remove(key);
    else this.tree.store.set(key, text);
    await this.tree.expire();
    await errnoOf(async () => await this.tree.entry(key));
  }

  async #onPath(
    step: Extract<
      Step,
      { op: 'truncate' | 'stat' | 'unlink' | 'mkdir' | 'rmdir' | 'rename' | 'list' }
    >,
  ): Promise<void> {
    const { model, tree } = this;
    const { path: at } = step;
    const isFile = model.isFile(at);
    const isDirectory = model.isDirectory(at);
    const walk = at === '' ? 'ok' : model.walk(at);
    const there = walk !== 'ok' ? walk : isFile || isDirectory ? 'ok' : 'ENOENT';
    switch (step.op) {
      case 'stat': {
        let size = -1;
        expect(await errnoOf(async () => (size = (await tree.stat(at)).bytes))).toBe(there);
        if (there === 'ok' && isFile) expect(size).toBe(model.bytesAt(at).length);
        return;
      }
      case 'list': {
        let listed: string[] = [];
        const outcome = await errnoOf(async () => (listed = (await tree.list(at)).sort()));
        expect(outcome).toBe(there === 'ok' && isFile ? 'ENOTDIR' : there);
        if (outcome === 'ok') expect(listed).toEqual(model.names(at));
        return;
      }
      case 'truncate': {
        const outcome = await errnoOf(async () => await tree.setattr(at, { bytes: step.length }));
        if (there !== 'ok' || isDirectory) {
          expect(outcome).toBe(there === 'ok' ? 'EISDIR' : there);
          return;
        }
        const content = model.attach(at);
        model.resize(content, step.length);
        expect(outcome).toBe(model.save(content));
        if (content.handles === 0) model.detach(content);
        return;
      }
      case 'unlink': {
        const expected = there === 'ok' && isDirectory ? 'EISDIR' : there;
        expect(await errnoOf(async () => await tree.unlink(at))).toBe(expected);
        if (expected === 'ok') model.unlink(at);
        return;
      }
      case 'mkdir': {
        const expected = walk === 'ok' && (isFile || isDirectory) ? 'EEXIST' : walk;
        expect(await errnoOf(async () => await tree.mkdir(at))).toBe(expected);
        if (expected === 'ok') model.bucket.set(`${at}/`, Buffer.alloc(0));
        return;
      }
      case 'rmdir': {
        let expected = there;
        if (there === 'ok' && isFile) expected = 'ENOTDIR';
        else if (there === 'ok' && model.names(at).length > 0) expected = 'ENOTEMPTY';
        expect(await errnoOf(async () => await tree.rmdir(at))).toBe(expected);
        if (expected !== 'ok') return;
        model.bucket.delete(`${at}/`);
        model.viewed.delete(at);
        model.keepInView(at);
        return;
      }
      case 'rename': {
        const outcome = await errnoOf(
          async () => await tree.rename(at, step.to, { noReplace: step.noReplace }),
        );
        expect(outcome).toBe(model.rename(at, step.to, step.noReplace));
      }
    }
  }

  /** Closes everything; then mount, bucket and model must be one. */
  async end(): Promise<void> {
    while (this.handles.length > 0) await this.do({ op: 'close', nth: 0 });
    const { store } = this.tree;
    expect(store.keys()).toEqual([...this.model.bucket.keys()].sort());
    for (const key of store.keys()) {
      const bytes = Buffer.from(store.bytesOf(key) ?? []);
      expect(bytes.toString('latin1')).toBe(this.model.bucket.get(key)?.toString('latin1'));
    }
    await this.#compare('');
    await this.tree.expire();
    await this.#compare('');
    const kept = await keptBytes(this.tree);
    for (const expected of this.model.kept) {
      const at = kept.findIndex((bytes) => isKept(bytes, expected));
      expect(at).toBeGreaterThanOrEqual(0);
      kept.splice(at, 1);
    }
    expect(kept).toEqual([]);
    expect(this.tree.fs.state).toMatchObject({ openHandles: 0, unsavedFiles: 0, uploads: 0 });
  }

  async #compare(directory: string): Promise<void> {
    expect((await this.tree.list(directory)).sort()).toEqual(this.model.names(directory));
    for (const name of this.model.names(directory)) {
      const at = directory === '' ? name : `${directory}/${name}`;
      if (this.model.isDirectory(at)) await this.#compare(at);
      else expect(await this.tree.read(at)).toBe(this.model.bytesAt(at).toString());
    }
  }
}

function flagsOf(mode: 'plain' | 'keep' | 'punch' | 'zero'): AllocationFlags {
  const keepSize = mode === 'keep' || mode === 'punch';
  return { keepSize, punchHole: mode === 'punch', zeroRange: mode === 'zero' };
}

/** What was put aside, without the notes of what it lacks. */
async function keptBytes(tree: FileTree): Promise<Buffer[]> {
  const kept = path.join(tree.stagingDir, 'kept');
  const names = await readdir(kept).catch(() => []);
  const contents = names.filter((name) => !name.endsWith('.lacks.json'));
  return await Promise.all(contents.map(async (name) => await readFile(path.join(kept, name))));
}

/** Zeros may stand where only an object had the bytes that is gone. */
function isKept(bytes: Buffer, expected: Kept): boolean {
  if (bytes.length !== expected.bytes.length) return false;
  return bytes.every(
    (byte, at) => byte === expected.bytes[at] || (byte === 0 && expected.based[at] === 1),
  );
}

async function run(steps: readonly Step[]): Promise<void> {
  await using tree = await FileTree.make();
  const both = new Run(tree);
  for (const step of steps) await both.do(step);
  await both.end();
}

describe('ObjectFileSystem beside a model', () => {
  const { parameters, timeoutMs } = histories(150);

  it(
    'agrees with a plain model under any history, with a foreign client in the bucket',
    async () => {
      const history = fc.array(step, { maxLength: 50, size: 'max' });
      await fc.assert(fc.asyncProperty(history, run), parameters);
    },
    timeoutMs,
  );

  it('keeps what somebody else made under the name of a file that was never saved', async () => {
    await run([
      { op: 'create', path: 'e', exclusive: false, truncate: false, append: false },
      { op: 'foreign', path: 'e', text: 'x' },
      { op: 'unlink', path: 'e' },
    ]);
    await run([
      { op: 'create', path: 'b', exclusive: false, truncate: false, append: false },
      { op: 'foreign', path: 'b', text: 'x' },
      { op: 'mkdir', path: 'd/e/a' },
      { op: 'open', path: 'a/a', writes: false, truncate: false },
      { op: 'unlink', path: 'b' },
    ]);
  });

  it('takes nothing for a file that somebody else replaced, after its name is removed too', async () => {
    await run([
      { op: 'create', path: 'e', exclusive: false, truncate: false, append: false },
      { op: 'open', path: 'e', writes: true, truncate: false },
      { op: 'close', nth: 0 },
      { op: 'foreign', path: 'e', text: 'x' },
      { op: 'unlink', path: 'e' },
      { op: 'write', nth: 0, offset: 0, text: 'x' },
    ]);
  });

  it('shows the size that somebody else gave a file which is still open here', async () => {
    await run([
      { op: 'create', path: 'b', exclusive: false, truncate: false, append: false },
      { op: 'fsync', nth: 0 },
      { op: 'foreign', path: 'b', text: 'x' },
      { op: 'stat', path: 'b' },
      { op: 'truncate', path: 'b', length: 3 },
    ]);
  });

  it('tells the maker of an exclusive file that somebody else was first', async () => {
    await run([
      { op: 'create', path: 'a', exclusive: true, truncate: false, append: false },
      { op: 'foreign', path: 'a', text: 'x' },
    ]);
  });
});
