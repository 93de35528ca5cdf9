/** Files that an earlier life has accepted and not saved, as nodes of this one. */
import { join } from 'node:path';
import type { ContentRecord } from './content-record.ts';
import { foundDirectory } from './directory-source.ts';
import type { InodeTable } from './inode-table.ts';
import type { DeleteIntent, NotedIntent, SaveIntent } from './journal/intents.ts';
import type { DirectoryNode, FileNode } from './nodes.ts';
import type { FileSystemRoot } from './options.ts';
import type { StagedFile } from './staged-file.ts';

export interface LeftFilesParts {
  readonly root: FileSystemRoot;
  readonly nodes: InodeTable;
  /** As `Writer.restore`. */
  readonly restore: (node: FileNode, record: ContentRecord) => Promise<StagedFile>;
}

/**
 * Shows the file of `intent` with its content; `folder` is where that is, unless it is inline.
 *
 * @throws Error when the content cannot be read, or the mount does not show the key.
 */
export async function showLeft(
  { root, nodes, restore }: LeftFilesParts,
  noted: NotedIntent,
  intent: SaveIntent,
  folder: string,
): Promise<FileNode> {
  const { base, bytes, extents } = intent;
  const content =
    intent.content === 'inline'
      ? { inline: await noted.content() }
      : { file: join(folder, intent.content.file) };
  const path = pathOf(root, intent);
  const name = path.pop();
  if (name === undefined) throw new Error(`${intent.key} is not in this mount`);
  let parent: DirectoryNode = nodes.root;
  for (const part of path) {
    const node = nodes.bind(parent, part, foundDirectory);
    if (node.type !== 'directory') throw new Error(`${part} is no directory`);
    parent.directory.addLocal(part, 'directory');
    parent = node;
  }
  const node = nodes.addFile(parent, name);
  node.version = base;
  try {
    // Who made it by O_EXCL has been told that it is his.
    const record = { base, exclusive: false, bytes, extents, content };
    const staged = await restore(node, record);
    // Whether an upload had arrived when that life ended nobody knows.
    staged.sentBefore = true;
    staged.mayBeGone = intent.mayBeGone === true;
    for (const { isPresent, isOther = false, ...sent } of intent.sent ?? []) {
      if (isOther) staged.mayBeReplacedBy(sent);
      else if (isPresent) staged.mayBeStored(sent);
      else staged.mayHaveBeenStored(sent);
    }
    return node;
  } catch (error) {
    nodes.detach(node);
    throw error;
  }
}

/** A file that an earlier life has unlinked, as `Remains` needs it; undefined: the mount has none. */
export function nodeOfDelete(
  { root, nodes }: Pick<LeftFilesParts, 'root' | 'nodes'>,
  intent: DeleteIntent,
): FileNode | undefined {
  const path = pathOf(root, intent);
  const name = path.pop();
  if (name === undefined) return undefined;
  let parent: DirectoryNode = nodes.root;
  for (const part of path) {
    const node = nodes.bind(parent, part, foundDirectory);
    if (node.type !== 'directory') return undefined;
    parent = node;
  }
  return parent.children.has(name) ? undefined : nodes.addFile(parent, name);
}

/** Names from the root on; none where the mount does not show the key. */
function pathOf(
  root: FileSystemRoot,
  { bucket, key }: Pick<SaveIntent, 'bucket' | 'key'>,
): string[] {
  if (root.kind === 'buckets') return [bucket, ...key.split('/')];
  if (root.store.bucket !== bucket || !key.startsWith(root.prefix)) return [];
  return key.slice(root.prefix.length).split('/');
}
