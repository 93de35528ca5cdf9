/** A bucket that outlives the mounts of it, which may be killed at any moment. */
import { cp, mkdtemp, readdir, readFile, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { Life } from '../../../src/fs/journal/life.ts';
import { newLeftName } from '../../../src/fs/staging-owner.ts';
import type { WriteBackMode } from '../../../src/fs/write-back.ts';
import type { StoreErrorKind } from '../../../src/store/errors.ts';
import { FaultyObjectStore } from '../../../src/store/faulty-object-store.ts';
import { FakeClock } from '../../fixtures/fake-clock.ts';
import { ownLife } from '../../fixtures/journal-intents.ts';
import { MemoryObjectStore } from '../../fixtures/memory-object-store.ts';
import { FileTree } from './file-tree.ts';

/** For a busy disk. */
const DISK_MS = 15_000;

/** A mount, and where it keeps what is not in the bucket. */
export interface Mount {
  readonly tree: FileTree;
  readonly folder: string;
  /** Its process was killed: nothing more of it gets through. */
  isCut: boolean;
}

/** A bucket that outlives the mounts of it, and may be away. */
export class World implements AsyncDisposable {
  readonly clock = new FakeClock();
  readonly store = new MemoryObjectStore({ clock: this.clock, contentEtags: true });
  /** What the store says to whatever would change it; undefined: it does it. */
  says: StoreErrorKind | undefined;
  /** Where it says so; undefined: everywhere. */
  saysOf: string | undefined;
  /** It does it, and nobody hears of it. */
  isDeaf = false;
  readonly #folders: string[] = [];
  readonly #mounts: Mount[] = [];

  /** A mount that begins with what is in `folder`. */
  async mount(
    options: {
      readonly writeBack?: WriteBackMode;
      readonly folder?: string;
      readonly life?: Life;
    } = {},
  ): Promise<Mount> {
    const { writeBack = 'on', life = ownLife, folder = await this.#newFolder() } = options;
    const cut = { isCut: false };
    const changes = new Set(['put', 'copy', 'delete', 'startUpload', 'completeUpload', 'head']);
    const store = new FaultyObjectStore(
      this.store,
      ({ method, key }) => {
        if (cut.isCut) return { stall: true };
        if (this.isDeaf && (method === 'put' || method === 'completeUpload'))
          return { lostAnswer: 'unreachable' };
        if (this.says === undefined || !changes.has(method)) return undefined;
        return key === (this.saysOf ?? key) ? { error: this.says } : undefined;
      },
      this.clock,
    );
    const root = { kind: 'bucket', store, prefix: '' } as const;
    const tree = await FileTree.make({
      ...{ clock: this.clock, writeBack, life, stagingDir: folder, root },
    });
    const mount = Object.assign(cut, { tree, folder });
    this.#mounts.push(mount);
    await tree.fs.shown;
    return mount;
  }

  /** The folder as SIGKILL would leave it just now, for the next mount to find. */
  async crash(mount: Mount): Promise<string> {
    const { folder } = mount;
    mount.isCut = true;
    const copy = await this.#newFolder();
    await cp(folder, copy, { recursive: true });
    for (const name of await readdir(copy)) {
      if (name !== 'kept') await rename(join(copy, name), join(copy, newLeftName()));
    }
    return copy;
  }

  async until(done: () => boolean): Promise<void> {
    const started = performance.now();
    while (!done() && performance.now() - started < DISK_MS) await this.clock.advance(1000);
    expect(done()).toBe(true);
  }

  async saved({ tree }: Mount): Promise<void> {
    await this.until(() => tree.fs.state.unsavedFiles === 0);
  }

  async #newFolder(): Promise<string> {
    const folder = await mkdtemp(join(tmpdir(), 'wire-write-back-test-'));
    this.#folders.push(folder);
    return join(folder, 'place');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.says = undefined;
    this.isDeaf = false;
    for (const mount of this.#mounts) {
      mount.isCut = false;
      await mount.tree[Symbol.asyncDispose]();
    }
    for (const folder of this.#folders) await rm(folder, { recursive: true, force: true });
  }
}

/** What was put aside. */
export async function kept({ folder }: Mount): Promise<string[]> {
  const names = await readdir(join(folder, 'kept')).catch(() => []);
  return await Promise.all(
    names.map(async (name) => await readFile(join(folder, 'kept', name), 'utf8')),
  );
}
