import type { OpenFlags } from './filesystem.ts';
import type { HandleId } from './ids.ts';
import type { Listing } from './listing.ts';
import type { DirectoryNode, FileNode, FileUse } from './nodes.ts';
import { newPosition, type PinnedVersion, type ReadPosition } from './pinned-version.ts';
import { badHandle } from './refusals.ts';
import type { StagedFile } from './staged-file.ts';

/** One open(2) of a file. */
export class FileHandle implements FileUse {
  readonly type = 'file';
  readonly node: FileNode;
  readonly access: OpenFlags['access'];
  readonly append: boolean;
  readonly pinned: PinnedVersion | undefined;
  readonly position: ReadPosition = newPosition();
  backed = false;
  /** The local content it reads and writes; undefined while it reads `pinned`. */
  staged: StagedFile | undefined;

  constructor(node: FileNode, flags: OpenFlags, pinned: PinnedVersion | undefined) {
    this.node = node;
    this.access = flags.access;
    this.append = flags.append;
    this.pinned = pinned;
    this.staged = pinned === undefined ? node.staged : undefined;
  }
}

/** One opendir(3). */
export class DirectoryHandle {
  readonly type = 'directory';
  readonly node: DirectoryNode;
  /** What its cookies count in; made anew when it is read from the start again. */
  listing: Listing | undefined;

  constructor(node: DirectoryNode) {
    this.node = node;
  }
}

/** All open handles. Ids are never reused. */
export class HandleTable {
  readonly #handles = new Map<HandleId, FileHandle | DirectoryHandle>();
  #last = 0;

  get size(): number {
    return this.#handles.size;
  }

  add(handle: FileHandle | DirectoryHandle): HandleId {
    this.#last += 1;
    const id = this.#last as HandleId;
    this.#handles.set(id, handle);
    return id;
  }

  /** @throws FsError EBADF when `id` is not an open file. */
  file(id: HandleId): FileHandle {
    const handle = this.#handles.get(id);
    if (handle?.type !== 'file') throw badHandle;
    return handle;
  }

  /** @throws FsError EBADF when `id` is not an open directory. */
  directory(id: HandleId): DirectoryHandle {
    const handle = this.#handles.get(id);
    if (handle?.type !== 'directory') throw badHandle;
    return handle;
  }

  find(id: HandleId): FileHandle | DirectoryHandle | undefined {
    return this.#handles.get(id);
  }

  remove(id: HandleId): void {
    this.#handles.delete(id);
  }
}
