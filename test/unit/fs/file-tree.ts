/** Drives an `ObjectFileSystem` by path, keeping lookup counts as the kernel does. */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { FsError, toErrno } from '../../../src/fs/errno.ts';
import type {
  AttributeChanges,
  Attributes,
  Dirent,
  Entry,
  NewNode,
  OpenFlags,
  ReadBytes,
  RequestContext,
} from '../../../src/fs/filesystem.ts';
import { type HandleId, type InodeNumber, ROOT_INODE } from '../../../src/fs/ids.ts';
import { ObjectFileSystem } from '../../../src/fs/object-filesystem.ts';
import type { ObjectFileSystemOptions } from '../../../src/fs/options.ts';
import { silentLog } from '../../../src/lib/log.ts';
import { type FaultScript, FaultyObjectStore } from '../../../src/store/faulty-object-store.ts';
import { FakeClock } from '../../fixtures/fake-clock.ts';
import { MemoryObjectStore } from '../../fixtures/memory-object-store.ts';

export const LIST_TTL_MS = 1000;

export function contextOf(signal: AbortSignal = new AbortController().signal): RequestContext {
  return { uid: 1000, gid: 1000, pid: 1, signal };
}

const usualFlags: OpenFlags = { access: 'read', truncate: false, append: false, exclusive: false };

type Changes = Partial<ObjectFileSystemOptions> & { readonly clock?: FakeClock };

/** A file system over a bucket in memory, and what a test needs to drive it. */
export class FileTree implements AsyncDisposable {
  readonly clock: FakeClock;
  readonly store: MemoryObjectStore;
  readonly stagingDir: string;
  readonly fs: ObjectFileSystem;
  context: RequestContext = contextOf();
  readonly #inodes = new Map<HandleId, InodeNumber>();

  static async make(changes: Changes = {}): Promise<FileTree> {
    const stagingDir = await mkdtemp(path.join(tmpdir(), 'wire-fs-test-'));
    return new FileTree(stagingDir, changes);
  }

  private constructor(stagingDir: string, changes: Changes) {
    this.clock = changes.clock ?? new FakeClock();
    this.store = new MemoryObjectStore({ clock: this.clock });
    this.stagingDir = stagingDir;
    this.fs = new ObjectFileSystem({
      root: { kind: 'bucket', store: this.store, prefix: '' },
      readOnly: false,
      uid: 1000,
      gid: 1000,
      fileMode: 0o644,
      directoryMode: 0o755,
      stagingDir,
      memoryBytes: 16 * 1024 * 1024,
      listTtlMs: LIST_TTL_MS,
      clock: this.clock,
      log: silentLog,
      ...changes,
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.fs[Symbol.asyncDispose]();
    await rm(this.stagingDir, { recursive: true, force: true });
  }

  /** Makes all knowledge of the bucket too old. */
  async expire(): Promise<void> {
    await this.clock.advance(LIST_TTL_MS + 1);
  }

  async entry(file: string): Promise<Entry> {
    const { parent, name } = await this.split(file);
    return await this.fs.lookup(parent, name, this.context);
  }

  async inode(file: string): Promise<InodeNumber> {
    return file === '' ? ROOT_INODE : (await this.entry(file)).inode;
  }

  async split(file: string): Promise<{ parent: InodeNumber; name: Uint8Array }> {
    const parts = file.split('/');
    const name = Buffer.from(parts.pop() ?? '');
    if (parts.length === 0) return { parent: ROOT_INODE, name };
    const { inode, attributes } = await this.entry(parts.join('/'));
    // The kernel itself refuses to look below a file.
    if (attributes.type !== 'directory') throw new FsError('ENOTDIR', 'walk through a file');
    return { parent: inode, name };
  }

  async stat(file: string): Promise<Attributes> {
    const inode = await this.inode(file);
    return (await this.fs.getattr(inode, undefined, this.context)).attributes;
  }

  async open(file: string, flags: Partial<OpenFlags> = {}): Promise<HandleId> {
    const inode = await this.inode(file);
    const { handle } = await this.fs.open(inode, { ...usualFlags, ...flags }, this.context);
    this.#inodes.set(handle, inode);
    return handle;
  }

  async create(file: string, flags: Partial<OpenFlags> = {}): Promise<HandleId> {
    const { parent, name } = await this.split(file);
    const all = { ...usualFlags, access: 'read-write', ...flags } as const;
    const { handle, entry } = await this.fs.create(parent, name, 0o644, all, this.context);
    this.#inodes.set(handle, entry.inode);
    return handle;
  }

  /** The inode that `handle` was opened on. */
  inodeOf(handle: HandleId): InodeNumber {
    return this.#inodes.get(handle) ?? ROOT_INODE;
  }

  async readHandle(handle: HandleId, offset = 0, bytes = 1 << 26): Promise<Buffer> {
    return joined(await this.fs.read(handle, offset, bytes, this.context));
  }

  async writeHandle(handle: HandleId, offset: number, bytes: Uint8Array | string): Promise<void> {
    await this.fs.write(handle, offset, Buffer.from(bytes as string), this.context);
  }

  /** close(2) of the only descriptor. The handle is gone also when it throws. */
  async close(handle: HandleId): Promise<void> {
    try {
      await this.fs.flush(handle, this.context);
    } finally {
      await this.fs.release(handle, this.context);
    }
  }

  async write(file: string, bytes: Uint8Array | string): Promise<void> {
    const handle = await this.create(file, { truncate: true });
    await this.writeHandle(handle, 0, bytes);
    await this.close(handle);
  }

  async read(file: string): Promise<string> {
    const handle = await this.open(file);
    try {
      return (await this.readHandle(handle)).toString();
    } finally {
      await this.close(handle);
    }
  }

  async mkdir(file: string): Promise<Entry> {
    const { parent, name } = await this.split(file);
    return await this.fs.mkdir(parent, name, 0o755, this.context);
  }

  async symlink(file: string, target: string): Promise<Entry> {
    const { parent, name } = await this.split(file);
    return await this.fs.symlink(parent, name, Buffer.from(target), this.context);
  }

  async mknod(file: string, node: Partial<NewNode> & Pick<NewNode, 'type'>): Promise<Entry> {
    const { parent, name } = await this.split(file);
    const all = { mode: 0o644, device: { major: 0, minor: 0 }, ...node };
    return await this.fs.mknod(parent, name, all, this.context);
  }

  async readlink(file: string): Promise<string> {
    const inode = await this.inode(file);
    return Buffer.from(await this.fs.readlink(inode, this.context)).toString();
  }

  async getxattr(file: string, name: string): Promise<string> {
    const inode = await this.inode(file);
    const value = await this.fs.getxattr(inode, Buffer.from(name), this.context);
    return Buffer.from(value).toString();
  }

  async setxattr(file: string, name: string, value: string, flags = {}): Promise<void> {
    const inode = await this.inode(file);
    const all = { create: false, replace: false, ...flags };
    await this.fs.setxattr(inode, Buffer.from(name), Buffer.from(value), all, this.context);
  }

  async removexattr(file: string, name: string): Promise<void> {
    await this.fs.removexattr(await this.inode(file), Buffer.from(name), this.context);
  }

  async listxattr(file: string): Promise<string[]> {
    const names = this.fs.listxattr(await this.inode(file));
    return names.map((name) => Buffer.from(name).toString()).sort();
  }

  async unlink(file: string): Promise<void> {
    const { parent, name } = await this.split(file);
    await this.fs.unlink(parent, name, this.context);
  }

  async rmdir(file: string): Promise<void> {
    const { parent, name } = await this.split(file);
    await this.fs.rmdir(parent, name, this.context);
  }

  async rename(from: string, to: string, flags = {}): Promise<void> {
    const source = await this.split(from);
    const target = await this.split(to);
    const all = { noReplace: false, exchange: false, ...flags };
    const { fs, context } = this;
    await fs.rename(source.parent, source.name, target.parent, target.name, all, context);
  }

  async setattr(file: string, changes: AttributeChanges): Promise<Attributes> {
    const inode = await this.inode(file);
    return (await this.fs.setattr(inode, undefined, changes, this.context)).attributes;
  }

  /** Names in the order told, without '.' and '..'. */
  async list(file = ''): Promise<string[]> {
    const names = (await this.dirents(file)).map(({ name }) => Buffer.from(name).toString());
    return names.filter((name) => name !== '.' && name !== '..');
  }

  async dirents(file = '', room = Infinity): Promise<Dirent[]> {
    const { handle } = this.fs.opendir(await this.inode(file));
    const dirents: Dirent[] = [];
    try {
      for (let before = -1; before !== dirents.length; ) {
        before = dirents.length;
        let left = room;
        const fill = (dirent: Dirent): boolean => {
          if (left === 0) return false;
          left -= 1;
          dirents.push(dirent);
          return true;
        };
        await this.fs.readdir(handle, dirents.at(-1)?.cookie ?? 0, fill, this.context);
      }
    } finally {
      this.fs.releasedir(handle);
    }
    return dirents;
  }
}

export function joined(bytes: ReadBytes): Buffer {
  return bytes instanceof Uint8Array ? Buffer.from(bytes) : Buffer.concat(bytes);
}

/** The errno that `work` ends with, or 'ok'. */
export async function errnoOf(work: () => unknown): Promise<string> {
  try {
    await work();
    return 'ok';
  } catch (error) {
    return toErrno(error);
  }
}

/** What was put aside. */
export async function kept(tree: FileTree): Promise<string[]> {
  const folder = path.join(tree.stagingDir, 'kept');
  const names = await readdir(folder).catch(() => []);
  return await Promise.all(
    names.map(async (name) => await readFile(path.join(folder, name), 'utf8')),
  );
}

export interface FailingTree extends AsyncDisposable {
  readonly tree: FileTree;
  /** The store behind the failing one. */
  readonly store: MemoryObjectStore;
  readonly clock: FakeClock;
}

/** A file system over a store that fails as told. */
export async function failingTree(script: FaultScript): Promise<FailingTree> {
  const clock = new FakeClock();
  const store = new MemoryObjectStore({ clock, contentEtags: true });
  const faulty = new FaultyObjectStore(store, script, clock);
  const tree = await FileTree.make({ root: { kind: 'bucket', store: faulty, prefix: '' }, clock });
  return {
    tree,
    store,
    clock,
    [Symbol.asyncDispose]: async () => await tree[Symbol.asyncDispose](),
  };
}

/** An object as text. */
export function text(store: MemoryObjectStore, key: string): string | undefined {
  const bytes = store.bytesOf(key);
  return bytes === undefined ? undefined : Buffer.from(bytes).toString();
}
