/** What programs do with directories that they have open. */
import type { FillDirents, FillEntries, MaybePromise, RequestContext } from './filesystem.ts';
import { DirectoryHandle } from './handle-table.ts';
import type { HandleId } from './ids.ts';
import type { DirectoryNode } from './nodes.ts';
import type { FileSystemParts } from './parts.ts';

export class OpenDirectories {
  readonly #parts: FileSystemParts;

  constructor(parts: FileSystemParts) {
    this.#parts = parts;
  }

  open(node: DirectoryNode): HandleId {
    node.opens += 1;
    return this.#parts.handles.add(new DirectoryHandle(node));
  }

  names(
    handle: HandleId,
    cookie: number,
    fill: FillDirents,
    context: RequestContext,
  ): MaybePromise<void> {
    const { handles, lister } = this.#parts;
    return lister.names(handles.directory(handle), cookie, fill, context);
  }

  entries(
    handle: HandleId,
    cookie: number,
    fill: FillEntries,
    context: RequestContext,
  ): MaybePromise<void> {
    const { handles, lister } = this.#parts;
    return lister.entries(handles.directory(handle), cookie, fill, context);
  }

  close(handle: HandleId): void {
    const { handles, nodes } = this.#parts;
    const { node } = handles.directory(handle);
    handles.remove(handle);
    node.opens -= 1;
    nodes.release(node);
  }

  /** Returns when the bucket has all names in it, and what was accepted of them. */
  async sync(handle: HandleId, signal: AbortSignal): Promise<void> {
    const { handles, writer, saver } = this.#parts;
    const { node } = handles.directory(handle);
    await writer.saveIn(node, signal);
    await saver.settle(node, signal);
  }
}
