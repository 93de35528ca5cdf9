/** What programs do with files that they have open. */
import type { AllocationFlags, MaybePromise, ReadBytes, RequestContext } from './filesystem.ts';
import type { FileHandle, HandleTable } from './handle-table.ts';
import type { HandleId } from './ids.ts';
import { contentOf } from './local-content.ts';
import type { FileSystemParts } from './parts.ts';
import type { Reader } from './reader.ts';
import { badHandle, staleFile } from './refusals.ts';
import type { Writer } from './writer.ts';

export class OpenFiles {
  readonly #parts: FileSystemParts;
  readonly #handles: HandleTable;
  readonly #reader: Reader;
  readonly #writer: Writer;

  constructor(parts: FileSystemParts) {
    this.#parts = parts;
    this.#handles = parts.handles;
    this.#reader = parts.reader;
    this.#writer = parts.writer;
  }

  read(
    handle: HandleId,
    offset: number,
    bytes: number,
    context: RequestContext,
  ): MaybePromise<ReadBytes> {
    const file = this.#handles.file(handle);
    if (file.access === 'write') throw badHandle;
    const staged = contentOf(file);
    if (staged !== undefined)
      return staged.read(offset, bytes, file.position, () => context.signal);
    if (file.pinned === undefined) throw staleFile;
    const extent = { start: offset, end: offset + bytes };
    return this.#reader.read(file.pinned, extent, file.position, () => context.signal);
  }

  write(
    handle: HandleId,
    offset: number,
    bytes: Uint8Array,
    context: RequestContext,
  ): MaybePromise<void> {
    const file = this.#writable(handle);
    return context.fromPages === true
      ? this.#writer.writePages(file, offset, bytes, context.signal)
      : this.#writer.write(file, offset, bytes, () => context.signal);
  }

  seek(handle: HandleId, offset: number, whence: 'data' | 'hole'): number {
    return this.#writer.seek(this.#handles.file(handle), offset, whence);
  }

  async allocate(
    handle: HandleId,
    offset: number,
    bytes: number,
    flags: AllocationFlags,
    signal: AbortSignal,
  ): Promise<void> {
    await this.#writer.allocate(this.#writable(handle), offset, bytes, flags, signal);
  }

  flush(handle: HandleId, signal: AbortSignal): MaybePromise<void> {
    const file = this.#handles.file(handle);
    // Who only reads has nothing to save, and must not end what others are writing.
    return file.access === 'read' ? undefined : this.#writer.flush(file, signal);
  }

  /** Returns when the bucket has content and attributes. */
  async fsync(handle: HandleId, signal: AbortSignal): Promise<void> {
    const file = this.#handles.file(handle);
    await this.#writer.fsync(file, signal);
    await this.#parts.saver.settle(file.node, signal);
  }

  #writable(handle: HandleId): FileHandle {
    const file = this.#handles.file(handle);
    if (file.access === 'read') throw badHandle;
    return file;
  }
}
