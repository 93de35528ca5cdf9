/**
 * What a mount has promised and not done yet: its journal, what saves in the background, and what
 * earlier lives have left of both.
 */
import { mkdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Clock } from '../lib/clock.ts';
import type { AttributeStore } from './attributes.ts';
import { DiskRoom } from './disk-room.ts';
import type { InodeTable } from './inode-table.ts';
import type { DeleteIntent, NotedIntent, SaveIntent, UploadIntent } from './journal/intents.ts';
import { Journal } from './journal/journal.ts';
import { keptName, localUser } from './kept-names.ts';
import { writeLeftContent } from './left-content.ts';
import { nodeOfDelete, showLeft } from './left-files.ts';
import { LeftWork, leaveFolder } from './left-work.ts';
import { finishDelete, finishMove } from './move-recovery.ts';
import type { FileNode } from './nodes.ts';
import { decodeMetadata } from './object-metadata.ts';
import { type ObjectFileSystemOptions, storeOf } from './options.ts';
import type { Remains } from './remains.ts';
import type { StagingArea } from './staging-area.ts';
import type { UploadNotes } from './upload-notes.ts';
import type { Uploader } from './uploader.ts';
import { WriteBack } from './write-back.ts';
import type { Writer } from './writer.ts';

/** The journal of this life; undefined where nobody says whose it would be. */
export function journalFor(
  { life, writeBack, clock, log }: ObjectFileSystemOptions,
  { own: folder }: StagingArea,
): Journal | undefined {
  if (life === undefined) return undefined;
  return new Journal({ folder, life, durable: writeBack === 'durable', clock, log });
}

/** Where uploads are written down. */
export function uploadNotesFor(
  staging: StagingArea,
  journal: Journal | undefined,
  clock: Clock,
): UploadNotes {
  if (journal === undefined) return staging;
  return {
    note: async ({ bucket, key }) => {
      const intent: UploadIntent = { kind: 'upload', bucket, key, notedMs: clock.now() };
      const noted = await journal.note(intent);
      return {
        begun: async (uploadId) => await noted.change({ ...intent, uploadId }),
        forget: async () => await noted.forget(),
      };
    },
  };
}

export function writeBackFor(
  { writeBack: mode = 'off', stagingDir, clock, log }: ObjectFileSystemOptions,
  journal: Journal | undefined,
  attributes: AttributeStore,
  writer: () => Writer,
): WriteBack {
  return new WriteBack({
    ...{ mode, journal, clock, log },
    metadataOf: (node) => attributes.metadataOf(node),
    save: async (node, signal) => await writer().saveLater(node, signal),
    room: new DiskRoom(stagingDir, clock),
  });
}

export interface PendingWorkParts {
  readonly options: ObjectFileSystemOptions;
  readonly nodes: InodeTable;
  readonly attributes: AttributeStore;
  readonly uploader: Uploader;
  readonly writer: Writer;
  readonly writeBack: WriteBack;
  readonly remains: Remains;
}

/** Looks after what earlier lives have left; undefined where nobody says whose that may be. */
export function leftWorkFor(parts: PendingWorkParts): LeftWork | undefined {
  const { options, uploader, writeBack, remains } = parts;
  const { life, stagingDir, root, clock, log } = options;
  if (life === undefined) return undefined;
  return new LeftWork({
    ...{ life, stagingDir, clock, log },
    storeOf: (bucket) => storeOf(root, bucket),
    adopt: async (noted, intent, folder) => {
      const node = await shown(parts, noted, intent, folder);
      writeBack.adopt(node, noted, intent, folder);
    },
    keep: async (noted, intent, folder) => await keep(parts, noted, intent, folder),
    finishMove: async (store, move, signal) => await finishMove(store, move, log, signal),
    hide: (noted, gone) => hide(parts, noted, gone),
    finishDelete: async (store, gone, signal) => {
      if (await remains.end({ store, key: gone.key })) return false;
      await finishDelete(store, gone, signal);
      return true;
    },
    giveUpUpload: async (store, upload, signal) => await uploader.giveUpLeft(store, upload, signal),
  });
}

/** Ends a journal, after all that writes into it. */
export async function endJournal(journal: Journal): Promise<void> {
  await journal[Symbol.asyncDispose]();
  await leaveFolder(journal.folder);
}

async function shown(
  { options, nodes, attributes, writer }: PendingWorkParts,
  noted: NotedIntent,
  intent: SaveIntent,
  folder: string,
): Promise<FileNode> {
  const restore: Writer['restore'] = async (node, record) => await writer.restore(node, record);
  const node = await showLeft({ root: options.root, nodes, restore }, noted, intent, folder);
  const { mode, uid, gid, mtimeMs, xattrs } = decodeMetadata(intent.metadata);
  const changes = {
    ...(mode !== undefined && { mode }),
    ...(uid !== undefined && { uid }),
    ...(gid !== undefined && { gid }),
    ...(mtimeMs !== undefined && { mtimeMs }),
  };
  const nowMs = options.clock.now();
  if (Object.keys(changes).length > 0) attributes.change(node, changes, nowMs);
  if (xattrs !== undefined) attributes.setXattrs(node, xattrs, nowMs);
  return node;
}

function hide(
  { options, nodes, remains }: PendingWorkParts,
  noted: NotedIntent,
  gone: DeleteIntent,
): void {
  const node = nodeOfDelete({ root: options.root, nodes }, gone);
  if (node === undefined) return;
  // Only its ETag is asked for.
  remains.adopt(node, { etag: gone.etag, bytes: 0, modifiedMs: 0 }, noted);
  node.unlinked = true;
  nodes.detach(node);
}

async function keep(
  { options, writer }: PendingWorkParts,
  noted: NotedIntent,
  intent: SaveIntent,
  folder: string,
): Promise<void> {
  const kept = join(options.stagingDir, 'kept');
  await mkdir(kept, { recursive: true, mode: 0o700 });
  const name = basename(intent.key);
  const target = join(kept, keptName(name, 'unsaved', localUser(), options.clock.now()));
  const missing = await writeLeftContent(target, noted, intent, folder);
  if (missing > 0) options.log.error('kept-in-part', { name, missing });
  writer.leftAside(name, target);
}
