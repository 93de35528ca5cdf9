/** The open files of one object version: found in the cache folder, or made there. */
import { fchmodSync, fstatSync, futimesSync, lstatSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import type { ObjectIdentity } from './block-disk.ts';
import {
  closeFile,
  createOwn,
  isOwn,
  type OwnFile,
  openOwn,
  readInto,
  truncateFile,
  writeFrom,
} from './disk-files.ts';
import { dataPath, newGeneration, newRecordPath, recordPath } from './disk-names.ts';
import {
  decodeHead,
  encodeHead,
  FIRST_LOOK_BYTES,
  headBytes,
  type RecordHead,
} from './disk-record.ts';
import { pinMode, removeFile } from './disk-walk.ts';

/** Where an object version's files are, and what they must say. */
export interface VersionPlace {
  readonly object: ObjectIdentity;
  readonly digest: Buffer;
  readonly name: string;
  /** Folder of its files. */
  readonly shard: string;
  /** Whether its only block lies in the record, and there is no other file. */
  readonly isInline: boolean;
  readonly slotBytes: number;
  readonly blocks: number;
}

export interface VersionFiles {
  readonly record: number;
  /** The descriptor of the blocks, which may be `record`. */
  readonly data: number;
  /** Where in it the first block begins. */
  readonly dataAt: number;
  readonly slotsAt: number;
  readonly generation: string;
}

/** Read of a record in one go. */
const SLOTS_READ_BYTES = 64 * 1024;

/**
 * Undefined when there are none, or none that fit together.
 *
 * @throws ForeignFileError; Error with a `code`.
 */
export async function openVersion(place: VersionPlace): Promise<VersionFiles | undefined> {
  const record = await openOwn(recordPath(place.shard, place.name));
  if (record === undefined) return undefined;
  let files: VersionFiles | undefined;
  try {
    const head = await readHead(record.descriptor);
    if (head !== undefined && place.digest.equals(head.digest)) {
      files = await joinData(place, record, head);
    }
    return files;
  } finally {
    if (files === undefined) await closeFile(record.descriptor);
  }
}

/** Undefined for what is no record. */
export async function readHead(record: number): Promise<RecordHead | undefined> {
  let start: Buffer = Buffer.alloc(FIRST_LOOK_BYTES);
  const got = await readInto(record, [start], 0);
  start = start.subarray(0, got);
  const bytes = headBytes(start);
  if (bytes === undefined || bytes <= start.byteLength) return decodeHead(start);
  const rest = Buffer.alloc(bytes - start.byteLength);
  await readInto(record, [rest], start.byteLength);
  return decodeHead(Buffer.concat([start, rest]));
}

async function joinData(
  place: VersionPlace,
  record: OwnFile,
  head: RecordHead,
): Promise<VersionFiles | undefined> {
  const { shard, name, isInline, object, blocks, slotBytes } = place;
  const { generation, bytes: slotsAt } = head;
  const found = { record: record.descriptor, slotsAt, generation };
  if (isInline) {
    return { ...found, data: record.descriptor, dataAt: slotsAt + blocks * slotBytes };
  }
  const data = await openOwn(dataPath(shard, name, generation));
  if (data === undefined) return undefined;
  // The kernel may serve this file as the object: it ends where that does.
  if (data.stats.size === object.bytes) return { ...found, data: data.descriptor, dataAt: 0 };
  await closeFile(data.descriptor);
  return undefined;
}

/** Gives all slots that `files` have, in order, to `onSlot`; those without a block may be left out. */
export async function readSlots(
  place: VersionPlace,
  files: VersionFiles,
  onSlot: (index: number, slot: Uint8Array) => void,
): Promise<void> {
  const { slotBytes, blocks } = place;
  const perRead = Math.floor(SLOTS_READ_BYTES / slotBytes);
  for (let first = 0; first < blocks; first += perRead) {
    const wanted = Buffer.alloc(Math.min(perRead, blocks - first) * slotBytes);
    const got = await readInto(files.record, [wanted], files.slotsAt + first * slotBytes);
    for (let at = 0; at + slotBytes <= got; at += slotBytes) {
      onSlot(first + at / slotBytes, wanted.subarray(at, at + slotBytes));
    }
    // A record ends with its last slot.
    if (got < wanted.byteLength) return;
  }
}

/** What a new version's files begin with. */
export interface Beginning {
  readonly text: Buffer;
  readonly pinned: boolean;
  /** Slot and stored bytes of the only block, for an object that is inline. */
  readonly inline?: readonly Uint8Array[];
}

/**
 * Makes files of a version in place of any that are there. Undefined when its name is too long, or
 * something that is not ours has it.
 *
 * @throws Error with a `code`: ENOENT when the shard's folder is missing.
 */
export async function createVersion(
  place: VersionPlace,
  { text, pinned, inline }: Beginning,
): Promise<VersionFiles | undefined> {
  const { shard, name, digest } = place;
  const generation = newGeneration();
  const head = encodeHead({ generation, digest, text });
  if (head === undefined || !isFreeOrOwn(recordPath(shard, name))) return undefined;
  const opened: { readonly descriptor: number; readonly path: string }[] = [];
  const create = async (path: string): Promise<number> => {
    const descriptor = await createOwn(path);
    opened.push({ descriptor, path });
    return descriptor;
  };
  try {
    // The data first: a record never names a file that is not there yet.
    const data = place.isInline ? undefined : await create(dataPath(shard, name, generation));
    if (data !== undefined) await truncateFile(data, place.object.bytes);
    const record = await create(newRecordPath(shard, name, generation));
    await writeFrom(record, [head, ...(inline ?? [])], 0);
    // Also where the person's umask takes rights away.
    fchmodSync(record, pinMode(pinned));
    await rename(newRecordPath(shard, name, generation), recordPath(shard, name));
    const slotsAt = head.byteLength;
    const inlineAt = slotsAt + place.blocks * place.slotBytes;
    return {
      record,
      data: data ?? record,
      dataAt: data === undefined ? inlineAt : 0,
      slotsAt,
      generation,
    };
  } catch (error) {
    for (const { descriptor, path } of opened) {
      await closeFile(descriptor);
      await removeFile(path).catch(() => undefined);
    }
    throw error;
  }
}

export async function closeVersion({ record, data }: VersionFiles): Promise<void> {
  await closeFile(record);
  if (data !== record) await closeFile(data);
}

/** Takes the blocks away whose record has lost its name: nobody else will find them. */
export async function removeData(place: VersionPlace, { generation }: VersionFiles): Promise<void> {
  if (!place.isInline) await removeFile(dataPath(place.shard, place.name, generation));
}

export function setPinned({ record }: VersionFiles, pinned: boolean): void {
  fchmodSync(record, pinMode(pinned));
}

/** Whether the files still have their names: what was evicted keeps nothing for anybody. */
export function isNamed({ record }: VersionFiles): boolean {
  return fstatSync(record).nlink > 0;
}

/** Writes down when a version was last used: its record's mtime. */
export function touch({ record }: VersionFiles, nowMs: number): void {
  futimesSync(record, nowMs / 1000, nowMs / 1000);
}

/** Tells whether a file was changed since, by whomever. */
export function fingerprint({ data }: VersionFiles): string {
  const { dev, ino, size, mtimeMs, ctimeMs } = fstatSync(data);
  return `${dev} ${ino} ${size} ${mtimeMs} ${ctimeMs}`;
}

/** Renaming over something takes it away: only what is ours. */
function isFreeOrOwn(path: string): boolean {
  const facts = lstatSync(path, { throwIfNoEntry: false });
  return facts === undefined || isOwn(facts);
}
