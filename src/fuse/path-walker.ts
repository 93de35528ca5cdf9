/**
 * A file system by path over one by inode, for transports that speak in paths.
 *
 * Each operation walks from the root by lookups and gives every reference back before it answers:
 * nothing is remembered between two operations but open handles. That costs one lookup for each
 * name of a path, which the file system answers from what it knows.
 *
 * Invariant: after an operation the file system counts as many references as before it.
 */
import { FsError } from '../fs/errno.ts';
import type {
  AttributeChanges,
  Attributes,
  CreatedFile,
  Dirent,
  Entry,
  FileSystem,
  FileSystemStatistics,
  OpenedFile,
  OpenFlags,
  ReadBytes,
  RequestContext,
} from '../fs/filesystem.ts';
import { type HandleId, type InodeNumber, ROOT_INODE } from '../fs/ids.ts';

/** An open file or directory. */
export interface WalkedHandle {
  readonly handle: HandleId;
  readonly inode: InodeNumber;
}

export class PathWalker {
  readonly #fileSystem: FileSystem;

  constructor(fileSystem: FileSystem) {
    this.#fileSystem = fileSystem;
  }

  async getattr(path: string, context: RequestContext): Promise<Attributes> {
    return await this.#at(path, context, async (inode) => {
      const { attributes } = await this.#fileSystem.getattr(inode, undefined, context);
      return attributes;
    });
  }

  async getattrOf(open: WalkedHandle, context: RequestContext): Promise<Attributes> {
    const { attributes } = await this.#fileSystem.getattr(open.inode, open.handle, context);
    return attributes;
  }

  async setattr(path: string, changes: AttributeChanges, context: RequestContext): Promise<void> {
    await this.#at(path, context, async (inode) => {
      await this.#fileSystem.setattr(inode, undefined, changes, context);
    });
  }

  async setattrOf(
    open: WalkedHandle,
    changes: AttributeChanges,
    context: RequestContext,
  ): Promise<void> {
    await this.#fileSystem.setattr(open.inode, open.handle, changes, context);
  }

  async mkdir(path: string, mode: number, context: RequestContext): Promise<void> {
    await this.#atParent(path, context, async (parent, name) => {
      this.#giveBack(await this.#fileSystem.mkdir(parent, name, mode, context));
    });
  }

  async unlink(path: string, context: RequestContext): Promise<void> {
    await this.#atParent(path, context, async (parent, name) => {
      await this.#fileSystem.unlink(parent, name, context);
    });
  }

  async rmdir(path: string, context: RequestContext): Promise<void> {
    await this.#atParent(path, context, async (parent, name) => {
      await this.#fileSystem.rmdir(parent, name, context);
    });
  }

  async rename(from: string, to: string, context: RequestContext): Promise<void> {
    await this.#atParent(from, context, async (parent, name) => {
      await this.#atParent(to, context, async (newParent, newName) => {
        const flags = { noReplace: false, exchange: false };
        await this.#fileSystem.rename(parent, name, newParent, newName, flags, context);
      });
    });
  }

  /** EINVAL where there are no symbolic links. */
  async readlink(path: string, context: RequestContext): Promise<Uint8Array> {
    return await this.#at(path, context, async (inode) => {
      const target = await this.#fileSystem.readlink?.(inode, context);
      if (target === undefined) throw new FsError('EINVAL', 'read a symbolic link');
      return target;
    });
  }

  /** EPERM where there are no symbolic links. */
  async symlink(target: Uint8Array, path: string, context: RequestContext): Promise<void> {
    await this.#atParent(path, context, async (parent, name) => {
      const made = await this.#fileSystem.symlink?.(parent, name, target, context);
      if (made === undefined) throw new FsError('EPERM', 'make a symbolic link');
      this.#giveBack(made);
    });
  }

  async open(path: string, flags: OpenFlags, context: RequestContext): Promise<WalkedHandle> {
    return await this.#at(path, context, async (inode) => {
      const { handle } = await this.#fileSystem.open(inode, flags, context);
      return { handle, inode };
    });
  }

  async create(
    path: string,
    mode: number,
    flags: OpenFlags,
    context: RequestContext,
  ): Promise<WalkedHandle> {
    return await this.#atParent(path, context, async (parent, name) => {
      const made: CreatedFile = await this.#fileSystem.create(parent, name, mode, flags, context);
      // The open handle keeps the inode known.
      this.#giveBack(made.entry);
      return { handle: made.handle, inode: made.entry.inode };
    });
  }

  async read(
    open: WalkedHandle,
    offset: number,
    bytes: number,
    context: RequestContext,
  ): Promise<ReadBytes> {
    return await this.#fileSystem.read(open.handle, offset, bytes, context);
  }

  async write(
    open: WalkedHandle,
    offset: number,
    bytes: Uint8Array,
    context: RequestContext,
  ): Promise<void> {
    await this.#fileSystem.write(open.handle, offset, bytes, context);
  }

  async flush(open: WalkedHandle, context: RequestContext): Promise<void> {
    await this.#fileSystem.flush(open.handle, context);
  }

  async fsync(open: WalkedHandle, dataOnly: boolean, context: RequestContext): Promise<void> {
    await this.#fileSystem.fsync(open.handle, dataOnly, context);
  }

  async release(open: WalkedHandle, context: RequestContext): Promise<void> {
    await this.#fileSystem.release(open.handle, context);
  }

  /** All names of a directory, without '.' and '..'. */
  async list(path: string, context: RequestContext): Promise<readonly Uint8Array[]> {
    return await this.#at(path, context, async (inode) => {
      const opened: OpenedFile = await this.#fileSystem.opendir(inode, context);
      const names: Uint8Array[] = [];
      try {
        await this.#listOpened(opened.handle, names, context);
      } finally {
        await this.#fileSystem.releasedir(opened.handle, context);
      }
      return names.filter((name) => !isDots(name));
    });
  }

  /** A call may tell a part, as getdents(2) does: the one that tells nothing is the last. */
  async #listOpened(handle: HandleId, names: Uint8Array[], context: RequestContext): Promise<void> {
    let cookie = 0;
    for (let known = -1; known < names.length; ) {
      known = names.length;
      const take = (dirent: Dirent): boolean => {
        cookie = dirent.cookie;
        names.push(dirent.name);
        return true;
      };
      await this.#fileSystem.readdir(handle, cookie, take, context);
    }
  }

  async statfs(path: string, context: RequestContext): Promise<FileSystemStatistics> {
    return await this.#at(
      path,
      context,
      async (inode) => await this.#fileSystem.statfs(inode, context),
    );
  }

  /** Does `work` on the inode of `path`, which is known until it is done. */
  async #at<T>(
    path: string,
    context: RequestContext,
    work: (inode: InodeNumber) => Promise<T>,
  ): Promise<T> {
    return await this.#walk(namesOf(path), context, work);
  }

  /** Does `work` on the directory of `path`'s last name. */
  async #atParent<T>(
    path: string,
    context: RequestContext,
    work: (parent: InodeNumber, name: Uint8Array) => Promise<T>,
  ): Promise<T> {
    const names = namesOf(path);
    const last = names.pop();
    if (last === undefined) throw new FsError('EBUSY', 'change the root');
    return await this.#walk(names, context, async (parent) => await work(parent, last));
  }

  async #walk<T>(
    names: readonly Uint8Array[],
    context: RequestContext,
    work: (inode: InodeNumber) => Promise<T>,
  ): Promise<T> {
    let held: Entry | undefined;
    try {
      for (const name of names) {
        const parent: InodeNumber = held?.inode ?? ROOT_INODE;
        const next = await this.#fileSystem.lookup(parent, name, context);
        if (held !== undefined) this.#giveBack(held);
        held = next;
      }
      return await work(held?.inode ?? ROOT_INODE);
    } finally {
      if (held !== undefined) this.#giveBack(held);
    }
  }

  #giveBack({ inode }: Entry): void {
    this.#fileSystem.forget(inode, 1);
  }
}

function namesOf(path: string): Uint8Array[] {
  return path
    .split('/')
    .filter((name) => name !== '')
    .map((name) => Buffer.from(name));
}

function isDots(name: Uint8Array): boolean {
  return name[0] === 0x2e && (name.length === 1 || (name.length === 2 && name[1] === 0x2e));
}
