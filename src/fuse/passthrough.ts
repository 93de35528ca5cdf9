/**
 * Which files the kernel reads and writes itself (FUSE passthrough, Linux 6.9, root only).
 *
 * The kernel refuses to mix (EIO): while an inode is open through us it cannot be opened with a
 * backing file, nor the other way round, nor with another one. So the first open of an inode
 * decides, and its way holds until the last handle is released. We hear of a release after the
 * kernel has done it, so we may take an inode for open that is not: then the way stays a little
 * longer, which is allowed.
 */
import type { CreatedFile, OpenedFile } from '../fs/filesystem.ts';
import type { HandleId, InodeNumber } from '../fs/ids.ts';
import { createdForm, openedFileForm, type ReplyForm } from './reply-form.ts';
import type { BackingFiles } from './transport.ts';

/** In an OPEN reply: not with a backing file. The kernel's ids start at 1. */
const NO_BACKING = 0;

interface Way {
  readonly backingId: number;
  handles: number;
}

export class Passthrough {
  readonly #backing: BackingFiles;
  readonly #ways = new Map<InodeNumber, Way>();
  readonly #inodes = new Map<HandleId, InodeNumber>();

  constructor(backing: BackingFiles) {
    this.#backing = backing;
  }

  /** The answer to CREATE. */
  readonly createdForm: ReplyForm<CreatedFile> = {
    encode: (writer, at, file) => writer.created(at, file, this.opened(file.entry.inode, file)),
    takeBack: (fileSystem, file, request) => {
      this.released(file.handle);
      return createdForm.takeBack?.(fileSystem, file, request);
    },
  };

  /** The answer to OPEN of `inode`. */
  openedForm(inode: InodeNumber): ReplyForm<OpenedFile> {
    return {
      encode: (writer, at, file) => writer.opened(at, file, this.opened(inode, file)),
      takeBack: (fileSystem, file, request) => {
        this.released(file.handle);
        return openedFileForm.takeBack?.(fileSystem, file, request);
      },
    };
  }

  /** Notes that `file` is a handle of `inode`. Returns the backing id to tell, or 0. */
  opened(inode: InodeNumber, { handle, backing }: OpenedFile): number {
    this.#inodes.set(handle, inode);
    const way = this.#ways.get(inode);
    if (way !== undefined) {
      way.handles += 1;
      return way.backingId;
    }
    const backingId = backing === undefined ? undefined : this.#backing.open(backing);
    const chosen = { backingId: backingId ?? NO_BACKING, handles: 1 };
    this.#ways.set(inode, chosen);
    return chosen.backingId;
  }

  /** The handle is gone, or its OPEN reply never arrived. */
  released(handle: HandleId): void {
    const inode = this.#inodes.get(handle);
    const way = inode === undefined ? undefined : this.#ways.get(inode);
    if (inode === undefined || way === undefined) return;
    this.#inodes.delete(handle);
    way.handles -= 1;
    if (way.handles > 0) return;
    this.#ways.delete(inode);
    if (way.backingId !== NO_BACKING) this.#backing.close(way.backingId);
  }
}
