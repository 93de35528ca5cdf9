/** Which local content a handle reads and writes. */
import type { FileHandle } from './handle-table.ts';
import { isOvertaken } from './nodes.ts';
import { staleFile } from './refusals.ts';
import type { StagedFile } from './staged-file.ts';

/**
 * The local content that `handle` reads and writes; undefined when it reads its pinned version.
 *
 * @throws FsError ESTALE when the file is another version by now.
 */
export function contentOf(handle: FileHandle): StagedFile | undefined {
  const { node, pinned } = handle;
  if (handle.staged === undefined && node.staged !== undefined && pinned !== undefined) {
    if (node.staged.versions.has(pinned.version.etag)) handle.staged = node.staged;
  }
  if (handle.staged !== undefined) {
    if (handle.staged !== node.staged || isOvertaken(node)) throw staleFile;
    return handle.staged;
  }
  if (!node.removed && node.version?.etag !== pinned?.version.etag) throw staleFile;
  return undefined;
}
