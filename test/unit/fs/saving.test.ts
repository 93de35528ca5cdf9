import { readdir, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { MiB } from '../../../src/lib/bytes.ts';
import type { FaultScript } from '../../../src/store/faulty-object-store.ts';
import type { ObjectVersion } from '../../../src/store/object-store.ts';
import { FakeClock } from '../../fixtures/fake-clock.ts';
import {
  MemoryObjectStore,
  type MemoryObjectStoreOptions,
} from '../../fixtures/memory-object-store.ts';
import { contextOf, errnoOf, FileTree, failingTree, kept, text } from './file-tree.ts';

/** Loses the answer to the first call of `method`. */
function losing(method: string): FaultScript {
  return (call) =>
    call.method === method && call.nth === 1 ? { lostAnswer: 'unreachable' } : undefined;
}

/** Its writes are interrupted while their answer is on its way. */
class InterruptedStore extends MemoryObjectStore {
  readonly #interrupt: AbortController;

  constructor(interrupt: AbortController, options: MemoryObjectStoreOptions) {
    super(options);
    this.#interrupt = interrupt;
  }

  override async put(...args: Parameters<MemoryObjectStore['put']>): Promise<ObjectVersion> {
    const version = await super.put(...args);
    this.#interrupt.abort();
    args[3].throwIfAborted();
    return version;
  }
}

/** Makes the staging folder look as if the process behind it had been killed. */
async function die(tree: FileTree): Promise<void> {
  for (const name of await readdir(tree.stagingDir)) {
    // Above PID_MAX_LIMIT of Linux: nobody has it.
    const dead = name.replace(/^life-\d+-/, 'life-4194305-');
    await rename(path.join(tree.stagingDir, name), path.join(tree.stagingDir, dead));
  }
}

/** A second later, when what was written is on the disk, with notes of what is not. */
async function onDisk(
  tree: FileTree,
  wanted: { readonly files: number; readonly notes: number },
): Promise<void> {
  await tree.clock.advance(1001);
  for (let looks = 0; looks < 2000; looks += 1) {
    const lives = (await readdir(tree.stagingDir)).map((name) => path.join(tree.stagingDir, name));
    const names = (await Promise.all(lives.map(async (life) => await pathsIn(life)))).flat();
    const staged = names.filter((name) => path.basename(name).startsWith('staged-'));
    const sizes = await Promise.all(staged.map(async (name) => (await stat(name)).size));
    const files = sizes.filter((size) => size > 0).length;
    const notes = names.filter((name) => /lacks-[^.]+\.json$/.test(name)).length;
    if (files === wanted.files && notes === wanted.notes) return;
  }
  throw new Error('the bytes are not on the disk');
}

async function pathsIn(folder: string): Promise<string[]> {
  return (await readdir(folder)).map((name) => path.join(folder, name));
}

describe('a save without an answer', () => {
  it('goes on after a save whose answer was lost, when what it sent has arrived', async () => {
    for (const [method, bytes] of [
      ['put', 3],
      ['completeUpload', 20 * MiB],
    ] as const) {
      await using setup = await failingTree(losing(method));
      const { tree, store } = setup;
      const handle = await tree.create('f');
      await tree.writeHandle(handle, 0, Buffer.alloc(bytes, 'x'));
      const fsync = async (): Promise<void> => await tree.fs.fsync(handle, false, tree.context);
      expect([await errnoOf(fsync), await errnoOf(fsync)]).toEqual(['EIO', 'ok']);
      await tree.writeHandle(handle, bytes, '!');
      await tree.close(handle);
      expect(store.bytesOf('f')?.length).toBe(bytes + 1);
      expect(await kept(tree)).toEqual([]);
    }
  });

  it('saves what was written after a save whose answer was lost', async () => {
    await using setup = await failingTree(losing('put'));
    const { tree, store } = setup;
    store.set('f', 'base');
    const handle = await tree.open('f', { access: 'write' });
    await tree.writeHandle(handle, 0, 'one');
    expect(await errnoOf(async () => await tree.fs.flush(handle, tree.context))).toBe('EIO');
    await tree.writeHandle(handle, 4, ' two');
    await tree.close(handle);
    expect(text(store, 'f')).toBe('onee two');
    expect(await kept(tree)).toEqual([]);
  });

  it('takes nothing for its own that differs from what it sent', async () => {
    await using setup = await failingTree(losing('put'));
    const { tree, store } = setup;
    const handle = await tree.create('f');
    await tree.writeHandle(handle, 0, 'mine');
    expect(await errnoOf(async () => await tree.fs.flush(handle, tree.context))).toBe('EIO');
    store.set('f', 'them');
    expect(await errnoOf(async () => await tree.close(handle))).toBe('ESTALE');
    expect(text(store, 'f')).toBe('them');
    expect(await kept(tree)).toEqual(['mine']);
  });

  it('never takes an object for its own where O_EXCL was to make one', async () => {
    await using setup = await failingTree(losing('put'));
    const { tree } = setup;
    const handle = await tree.create('lock', { exclusive: true });
    const fsync = async (): Promise<void> => await tree.fs.fsync(handle, false, tree.context);
    expect([await errnoOf(fsync), await errnoOf(fsync)]).toEqual(['EIO', 'EEXIST']);
    await tree.fs.release(handle, tree.context);
  });

  it('removes what a save without answer may have stored, when its file is unlinked', async () => {
    await using setup = await failingTree(losing('put'));
    const { tree, store } = setup;
    const handle = await tree.create('f');
    await tree.writeHandle(handle, 0, 'one');
    expect(await errnoOf(async () => await tree.fs.flush(handle, tree.context))).toBe('EIO');
    await tree.unlink('f');
    await tree.fs.release(handle, tree.context);
    expect(store.keys()).toEqual([]);
  });

  it('removes what an interrupted save has stored, when its file is unlinked', async () => {
    const clock = new FakeClock();
    const interrupt = new AbortController();
    const store = new InterruptedStore(interrupt, { clock });
    await using tree = await FileTree.make({ root: { kind: 'bucket', store, prefix: '' }, clock });
    const handle = await tree.create('f');
    await tree.writeHandle(handle, 0, 'one');
    const interrupted = contextOf(interrupt.signal);
    expect(await errnoOf(async () => await tree.fs.flush(handle, interrupted))).toBe('EINTR');
    expect(store.keys()).toEqual(['f']);
    await tree.unlink('f');
    await tree.fs.release(handle, tree.context);
    expect(store.keys()).toEqual([]);
  });

  it('leaves no upload behind when its maker gives up at the start', async () => {
    const giveUp = new AbortController();
    await using setup = await failingTree(({ method }) => {
      if (method === 'startUpload') giveUp.abort();
      return undefined;
    });
    const { tree, store } = setup;
    store.set('big', Buffer.alloc(17 * MiB));
    const handle = await tree.open('big', { access: 'write' });
    await tree.writeHandle(handle, 0, 'x');
    const flush = async (): Promise<void> => {
      await tree.fs.flush(handle, contextOf(giveUp.signal));
    };
    expect(await errnoOf(flush)).toBe('EINTR');
    expect([store.calls.startUpload, store.openUploads]).toEqual([1, 0]);
    await tree.close(handle);
    expect(store.bytesOf('big')?.[0]).toBe(0x78);
    expect(store.openUploads).toBe(0);
  });
});

describe('the staging folder', () => {
  it('leaves alone what another mount that lives has staged at the same place', async () => {
    await using first = await FileTree.make();
    const handle = await first.create('f');
    await first.writeHandle(handle, 0, 'precious');
    await using second = await FileTree.make({ stagingDir: first.stagingDir });
    await second.fs.recovered;
    await second.write('other', 'x');
    first.store.set('f', 'theirs');
    expect(await errnoOf(async () => await first.close(handle))).toBe('ESTALE');
    expect(await kept(first)).toEqual(['precious']);
  });

  it('keeps what a mount that died had not saved, and only that', async () => {
    await using first = await FileTree.make();
    first.store.set('h', 'base');
    const unsaved = await first.create('lost.txt');
    await first.writeHandle(unsaved, 0, 'unsaved');
    const saved = await first.create('g');
    await first.writeHandle(saved, 0, 'saved');
    await first.fs.fsync(saved, false, first.context);
    const again = await first.open('h', { access: 'write' });
    await first.writeHandle(again, 0, 'BA');
    await onDisk(first, { files: 3, notes: 1 });
    await die(first);
    const root = { kind: 'bucket', store: first.store, prefix: '' } as const;
    await using second = await FileTree.make({ stagingDir: first.stagingDir, root });
    await second.fs.recovered;
    expect((await kept(first)).sort()).toEqual(['BAse', 'unsaved']);
    expect(await readdir(first.stagingDir)).toEqual(['kept']);
    const { failures } = second.fs.state;
    expect(failures.map(({ name }) => name).sort()).toEqual(['h', 'lost.txt']);
    expect(failures.every(({ keptAt }) => keptAt?.startsWith(first.stagingDir))).toBe(true);
  });

  it('keeps what a mount that died had changed of an object that is another by now, and tells what lacks', async () => {
    await using first = await FileTree.make();
    first.store.set('h', 'base');
    const handle = await first.open('h', { access: 'write' });
    await first.writeHandle(handle, 2, 'SE!');
    await onDisk(first, { files: 1, notes: 1 });
    await die(first);
    first.store.set('h', 'theirs');
    const root = { kind: 'bucket', store: first.store, prefix: '' } as const;
    await using second = await FileTree.make({ stagingDir: first.stagingDir, root });
    await second.fs.recovered;
    const [bytes = '', note = ''] = (await kept(first)).sort();
    expect(bytes).toBe('\0\0SE!');
    expect(JSON.parse(note)).toMatchObject({
      bucket: 'bucket',
      key: 'h',
      bytes: 5,
      extents: [
        [0, 2, 'base'],
        [2, 5, 'local'],
      ],
    });
    expect(text(first.store, 'h')).toBe('theirs');
  });

  it('keeps bytes that cannot be saved even when somebody removed their staged file', async () => {
    await using tree = await FileTree.make();
    const handle = await tree.create('f');
    await tree.writeHandle(handle, 0, 'mine');
    tree.store.set('f', 'theirs');
    for (const name of await readdir(tree.stagingDir)) {
      await rm(path.join(tree.stagingDir, name), { recursive: true });
    }
    expect(await errnoOf(async () => await tree.close(handle))).toBe('ESTALE');
    expect(await kept(tree)).toEqual(['mine']);
  });

  it('gives up the uploads that a mount that died had begun', async () => {
    const [sending, sends] = signalled();
    await using setup = await failingTree(({ method }) => {
      if (method !== 'uploadPart') return undefined;
      sends();
      return { stall: true };
    });
    const { tree, store } = setup;
    const handle = await tree.create('big');
    await tree.writeHandle(handle, 0, Buffer.alloc(17 * MiB));
    const end = new AbortController();
    const flushed = errnoOf(async () => await tree.fs.flush(handle, contextOf(end.signal)));
    await sending;
    await die(tree);
    expect(store.openUploads).toBe(1);
    const root = { kind: 'bucket', store, prefix: '' } as const;
    await using next = await FileTree.make({ stagingDir: tree.stagingDir, root });
    await next.fs.recovered;
    expect(store.openUploads).toBe(0);
    expect(await readdir(tree.stagingDir)).toEqual(['kept']);
    end.abort();
    expect(await flushed).toBe('EINTR');
  });
});

/** A promise, and what fulfils it. */
function signalled(): readonly [Promise<void>, () => void] {
  let fulfil = (): void => undefined;
  const promise = new Promise<void>((resolve) => {
    fulfil = resolve;
  });
  return [promise, () => fulfil()];
}
