import { mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import type { ObjectFileSystemOptions } from '../../../src/fs/options.ts';
import { newLeftName } from '../../../src/fs/staging-owner.ts';
import { MiB } from '../../../src/lib/bytes.ts';
import { StoreError } from '../../../src/store/errors.ts';
import type { ListedUpload, Upload } from '../../../src/store/object-store.ts';
import { FakeClock } from '../../fixtures/fake-clock.ts';
import { ownLife } from '../../fixtures/journal-intents.ts';
import { MemoryObjectStore } from '../../fixtures/memory-object-store.ts';
import { errnoOf, FileTree } from './file-tree.ts';

const never = new AbortController().signal;
const MINUTE_MS = 60_000;

/** Begins uploads, and is not heard; may leave out when it has. */
class MuteStore extends MemoryObjectStore {
  isMute = true;
  tellsTimes = true;
  readonly #reached: (() => void)[] = [];
  readonly #waiting: ((error: Error) => void)[] = [];

  /** Settles when the next upload has begun. */
  async begun(): Promise<void> {
    await new Promise<void>((resolve) => this.#reached.push(resolve));
  }

  override async startUpload(
    ...args: Parameters<MemoryObjectStore['startUpload']>
  ): Promise<Upload> {
    const upload = await super.startUpload(...args);
    if (!this.isMute) return upload;
    for (const tell of this.#reached.splice(0)) tell();
    return await new Promise((_, reject) => this.#waiting.push(reject));
  }

  override async listUploads(
    ...args: Parameters<MemoryObjectStore['listUploads']>
  ): Promise<readonly ListedUpload[]> {
    const listed = await super.listUploads(...args);
    return this.tellsTimes ? listed : listed.map((upload) => ({ ...upload, startedMs: 0 }));
  }

  /** Of another client, which is heard. */
  async startUploadOfOther(key: string): Promise<Upload> {
    return await super.startUpload(key, {}, never);
  }

  /** Ends those who wait. */
  end(): void {
    for (const reject of this.#waiting.splice(0)) {
      reject(new StoreError('access-denied', 'start', { code: 'AccessDenied' }));
    }
  }
}

/** A mount that was killed after its upload of `big` had begun, and what it left. */
class Killed implements AsyncDisposable {
  readonly clock = new FakeClock();
  readonly store = new MuteStore({ clock: this.clock });
  readonly #above: string;
  readonly #options: Partial<ObjectFileSystemOptions> & {
    readonly clock: FakeClock;
    readonly stagingDir: string;
  };
  #first: FileTree | undefined;
  #flushed: Promise<string> | undefined;

  static async make(life: ObjectFileSystemOptions['life']): Promise<Killed> {
    return new Killed(await mkdtemp(path.join(tmpdir(), 'wire-uploads-left-test-')), life);
  }

  private constructor(above: string, life: ObjectFileSystemOptions['life']) {
    this.#above = above;
    const stagingDir = path.join(above, 'place');
    const root = { kind: 'bucket', store: this.store, prefix: '' } as const;
    this.#options = { root, stagingDir, clock: this.clock, ...(life !== undefined && { life }) };
  }

  async mount(): Promise<FileTree> {
    return await FileTree.make(this.#options);
  }

  async kill(): Promise<void> {
    this.store.set('big', Buffer.alloc(17 * MiB));
    const tree = await this.mount();
    this.#first = tree;
    const handle = await tree.open('big', { access: 'write' });
    await tree.writeHandle(handle, 0, 'x');
    const begun = this.store.begun();
    this.#flushed = errnoOf(async () => await tree.fs.flush(handle, tree.context));
    await begun;
    this.store.isMute = false;
    await this.#die();
  }

  /** The next mount looks after what was left. */
  async recover(): Promise<void> {
    await using tree = await this.mount();
    await tree.fs.recovered;
    await this.#die();
  }

  /** Makes all that is in the staging folder look as what is left. */
  async #die(): Promise<void> {
    const { stagingDir: folder } = this.#options;
    for (const name of await readdir(folder)) {
      if (name.startsWith('left-') || name === 'kept') continue;
      await rename(path.join(folder, name), path.join(folder, newLeftName()));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.store.end();
    await this.#flushed;
    await this.#first?.[Symbol.asyncDispose]();
    await rm(this.#above, { recursive: true, force: true });
  }
}

describe.each([
  ['without a journal', undefined],
  ['with a journal', ownLife],
] as const)('an upload that had begun when its mount was killed, %s', (_, life) => {
  it('is given up by the next mount also when its id was not known yet', async () => {
    for (const tellsTimes of [true, false]) {
      await using killed = await Killed.make(life);
      const { store } = killed;
      store.tellsTimes = tellsTimes;
      await killed.kill();
      expect(store.openUploads).toBe(1);
      await killed.recover();
      expect(store.openUploads).toBe(0);
      const { listUploads } = store.calls;
      await killed.recover();
      expect(store.calls.listUploads).toBe(listUploads);
    }
  });

  it('is not taken for one that somebody else has begun of the same key', async () => {
    await using killed = await Killed.make(life);
    const { store, clock } = killed;
    const early = await store.startUploadOfOther('big');
    await clock.advance(2 * MINUTE_MS);
    await killed.kill();
    await clock.advance(16 * MINUTE_MS);
    const late = await store.startUploadOfOther('big');
    await killed.recover();
    expect(store.openUploads).toBe(2);
    expect(await store.listParts(early, never)).toEqual([]);
    expect(await store.listParts(late, never)).toEqual([]);
  });

  it('is left until the other one has ended where two may be it', async () => {
    await using killed = await Killed.make(life);
    const { store } = killed;
    await killed.kill();
    const other = await store.startUploadOfOther('big');
    await killed.recover();
    expect(store.openUploads).toBe(2);
    await store.abortUpload(other, never);
    await killed.recover();
    expect(store.openUploads).toBe(0);
  });

  it('is not one that has parts', async () => {
    await using killed = await Killed.make(life);
    const { store } = killed;
    await killed.kill();
    const [ours] = await store.listUploads('big', never);
    const other = await store.startUploadOfOther('big');
    if (ours !== undefined) await store.abortUpload(ours, never);
    await store.uploadPart(other, 1, Buffer.from('theirs'), never);
    await killed.recover();
    expect(await store.listParts(other, never)).toHaveLength(1);
  });

  it('costs no request more when all goes well', async () => {
    await using killed = await Killed.make(life);
    killed.store.isMute = false;
    await using tree = await killed.mount();
    await tree.write('f', Buffer.alloc(20 * MiB));
    const { calls } = killed.store;
    expect(calls).toMatchObject({ startUpload: 1, listUploads: 0, listParts: 0, abortUpload: 0 });
  });
});

/** Begins uploads whose answers are lost, before it answers. */
class LossyStore extends MemoryObjectStore {
  losses = 0;

  override async startUpload(
    ...args: Parameters<MemoryObjectStore['startUpload']>
  ): Promise<Upload> {
    const [key, options, signal] = args;
    for (; this.losses > 0; this.losses -= 1) {
      await super.startUpload(key, options, signal);
      options.onLost?.();
    }
    return await super.startUpload(key, options, signal);
  }
}

describe('uploads that were begun unheard', () => {
  const clock = new FakeClock();

  it('are given up as soon as one was heard', async () => {
    const store = new LossyStore({ clock });
    await using tree = await FileTree.make({ root: { kind: 'bucket', store, prefix: '' }, clock });
    store.losses = 3;
    await tree.write('f', Buffer.alloc(20 * MiB));
    expect(store.openUploads).toBe(0);
    expect(store.keys()).toEqual(['f']);
    expect(store.calls).toMatchObject({ listUploads: 1, abortUpload: 3 });
  });

  it('are left where there are more than can be ours, or one has parts', async () => {
    const store = new LossyStore({ clock });
    await using tree = await FileTree.make({ root: { kind: 'bucket', store, prefix: '' }, clock });
    const other = await store.startUpload('f', {}, never);
    store.losses = 1;
    await tree.write('f', Buffer.alloc(20 * MiB));
    expect(store.openUploads).toBe(2);
    await store.uploadPart(other, 1, Buffer.from('theirs'), never);
    const [, unheard] = await store.listUploads('f', never);
    if (unheard !== undefined) await store.abortUpload(unheard, never);
    store.losses = 1;
    await tree.write('f', Buffer.alloc(21 * MiB));
    expect(await store.listParts(other, never)).toHaveLength(1);
  });
});
