/**
 * Walks through what is stored in the cache folder. Only folders and files of our names are looked
 * at; links are not followed.
 */
import { type Dirent, lstatSync, type Stats } from 'node:fs';
import { chmod, readdir, unlink, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { codeOf, isOwn } from './disk-files.ts';
import { isOwnerName, isShardName, objectNameOf, recordPath } from './disk-names.ts';

/** All files of one object version. */
export interface StoredObject {
  /** `<identity>/<name>`. */
  readonly id: string;
  readonly name: string;
  readonly shard: string;
  /** Whether there is a record; without one, files are remains or being made. */
  readonly hasRecord: boolean;
  /** Names of its other files, in `shard`. */
  readonly others: readonly string[];
  /** Room on the disk. */
  readonly bytes: number;
  /** When it was last used, ms since the epoch; the clock may have been set since. */
  readonly usedMs: number;
  readonly pinned: boolean;
}

/** A sticky record is of a pinned object: one `lstat` tells, also to whom its names are sealed. */
const PINNED = 0o1000;
const PLAIN_MODE = 0o600;
/**
 * A `stat` of what the kernel knows takes 2 us, a promise for it ten times as much. After so many
 * objects, of two files at most, others have their turn: the mount goes on answering.
 */
const SLICE_OBJECTS = 256;
/** `st_blocks` counts in these (stat(2)). */
const SECTOR_BYTES = 512;

/**
 * Objects of the identity's folder `owner`, or of all. `onFolder` is told the room that each folder
 * takes itself.
 */
export async function* storedObjects(
  root: string,
  owner: string | undefined,
  signal: AbortSignal,
  onFolder: (bytes: number) => void = () => undefined,
): AsyncGenerator<StoredObject> {
  let seen = 0;
  for (const ownerName of owner === undefined ? await folders(root, isOwnerName) : [owner]) {
    for (const shardName of await folders(join(root, ownerName), isShardName)) {
      const shard = join(root, ownerName, shardName);
      onFolder(bytesOf(factsOf(shard)));
      for (const [name, files] of await objectFiles(shard)) {
        seen += 1;
        if (seen % SLICE_OBJECTS === 0) await turn(undefined, { signal });
        yield storedObject(`${ownerName}/${name}`, name, shard, files);
      }
    }
  }
}

/** Removes an object's files; an interrupted removal leaves remains without a record. */
export async function removeStored(object: StoredObject): Promise<void> {
  // The record first: data alone is never believed.
  if (object.hasRecord) await removeFile(recordPath(object.shard, object.name));
  for (const file of object.others) await removeFile(join(object.shard, file));
}

export async function pinStored(object: StoredObject, pinned: boolean): Promise<void> {
  await forgiving(async () => await chmod(recordPath(object.shard, object.name), pinMode(pinned)));
}

export function pinMode(pinned: boolean): number {
  return pinned ? PLAIN_MODE | PINNED : PLAIN_MODE;
}

export async function setUsed(object: StoredObject, usedMs: number): Promise<void> {
  const seconds = usedMs / 1000;
  const record = recordPath(object.shard, object.name);
  await forgiving(async () => await utimes(record, seconds, seconds));
}

export async function removeFile(path: string): Promise<void> {
  await forgiving(async () => await unlink(path));
}

/** Another process may have removed it first. */
async function forgiving(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
  }
}

function storedObject(
  id: string,
  name: string,
  shard: string,
  files: readonly string[],
): StoredObject {
  const record = `${name}.record`;
  const others = files.filter((file) => file !== record);
  const facts = factsOf(join(shard, record));
  const otherFacts = others.map((file) => factsOf(join(shard, file)));
  let bytes = bytesOf(facts);
  for (const other of otherFacts) bytes += bytesOf(other);
  const newest = Math.max(...otherFacts.map((other) => other?.mtimeMs ?? 0), 0);
  return {
    id,
    name,
    shard,
    hasRecord: facts !== undefined,
    others: others.filter((_file, place) => otherFacts[place] !== undefined),
    bytes,
    usedMs: facts?.mtimeMs ?? newest,
    pinned: facts !== undefined && (facts.mode & PINNED) !== 0,
  };
}

/** Undefined when it is gone, or no file or folder of ours. */
function factsOf(path: string): Stats | undefined {
  const facts = lstatSync(path, { throwIfNoEntry: false });
  return facts !== undefined && (facts.isDirectory() || isOwn(facts)) ? facts : undefined;
}

function bytesOf(facts: Stats | undefined): number {
  return (facts?.blocks ?? 0) * SECTOR_BYTES;
}

async function folders(parent: string, isOurs: (name: string) => boolean): Promise<string[]> {
  const entries = await entriesOf(parent);
  return entries
    .filter((entry) => entry.isDirectory() && isOurs(entry.name))
    .map(({ name }) => name);
}

async function objectFiles(shard: string): Promise<ReadonlyMap<string, readonly string[]>> {
  const found = new Map<string, string[]>();
  for (const entry of await entriesOf(shard)) {
    const object = entry.isFile() ? objectNameOf(entry.name) : undefined;
    if (object === undefined) continue;
    const files = found.get(object.name);
    if (files === undefined) found.set(object.name, [entry.name]);
    else files.push(entry.name);
  }
  return found;
}

async function entriesOf(folder: string): Promise<readonly Dirent[]> {
  try {
    return await readdir(folder, { withFileTypes: true });
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return [];
    throw error;
  }
}
