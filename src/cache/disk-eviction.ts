/**
 * Which objects go when room is needed: the ones least recently used, the pinned never.
 *
 * The folder is walked twice, first to add up bytes by age and then to remove all that is older
 * than the age this gives, so that no list of objects is held in memory.
 */
import type { Stats } from 'node:fs';
import { lstat, open } from 'node:fs/promises';
import { join } from 'node:path';
import { codeOf } from './disk-files.ts';
import { recordPath } from './disk-names.ts';
import { decodeHead, FIRST_LOOK_BYTES } from './disk-record.ts';
import {
  removeFile,
  removeStored,
  type StoredObject,
  setUsed,
  storedObjects,
} from './disk-walk.ts';

export interface EvictionContext {
  readonly root: string;
  readonly nowMs: number;
  /** Whether this process has the object `id` open: removing it would give no room back yet. */
  readonly isOpen: (id: string) => boolean;
}

export interface Measured {
  /** Room on the disk that everything takes. */
  readonly bytes: number;
  readonly objects: number;
  readonly pinnedBytes: number;
  /** Bytes that may go, by age. */
  readonly ages: AgeLedger;
}

/** Files without a record are of a process that has ended, once they are so old. */
const REMAINS_AGE_MS = 60_000;
/** Ages within this of one another count as the same: 1 %. */
const BUCKETS_PER_DOUBLING = 64;

/** Bytes by age, in buckets that grow with it: what there is of objects takes 20 KiB to know. */
export class AgeLedger {
  readonly #bytes: number[] = [];

  add(ageMs: number, bytes: number): void {
    const bucket = bucketOf(ageMs);
    this.#bytes[bucket] = (this.#bytes[bucket] ?? 0) + bytes;
  }

  /** The youngest bucket that must go for `bytes` of room; -1 when all of them are not enough. */
  cutoff(bytes: number): number {
    let sum = 0;
    for (let bucket = this.#bytes.length - 1; bucket >= 0; bucket -= 1) {
      sum += this.#bytes[bucket] ?? 0;
      if (sum >= bytes) return bucket;
    }
    return -1;
  }
}

/** Adds up what is stored, and clears away what interrupted work left behind. */
export async function measure(context: EvictionContext, signal: AbortSignal): Promise<Measured> {
  const { root, nowMs, isOpen } = context;
  const ages = new AgeLedger();
  let [bytes, objects, pinnedBytes] = [0, 0, 0];
  const onFolder = (own: number): void => {
    bytes += own;
  };
  for await (const object of storedObjects(root, undefined, signal, onFolder)) {
    if (await areRemains(object, nowMs)) continue;
    await removeStale(object, nowMs);
    // A clock that was ahead would keep it for ever.
    if (object.usedMs > nowMs + REMAINS_AGE_MS) await setUsed(object, nowMs);
    bytes += object.bytes;
    objects += 1;
    if (object.pinned) pinnedBytes += object.bytes;
    else if (!isOpen(object.id)) ages.add(nowMs - object.usedMs, object.bytes);
  }
  return { bytes, objects, pinnedBytes, ages };
}

/** Removes what was used least recently until `bytes` are free; returns how many are. */
export async function evict(
  context: EvictionContext,
  ages: AgeLedger,
  bytes: number,
  signal: AbortSignal,
): Promise<number> {
  const { root, nowMs, isOpen } = context;
  const cutoff = ages.cutoff(bytes);
  let freed = 0;
  // All older ones first: those as old as the cutoff go only as far as they must.
  for (const least of [cutoff + 1, cutoff]) {
    for await (const object of storedObjects(root, undefined, signal)) {
      if (freed >= bytes) return freed;
      const bucket = bucketOf(nowMs - object.usedMs);
      if (bucket < least || object.pinned || isOpen(object.id)) continue;
      await removeStored(object);
      freed += object.bytes;
    }
  }
  return freed;
}

/** Whether an object had no record and is gone now. */
async function areRemains(object: StoredObject, nowMs: number): Promise<boolean> {
  if (object.hasRecord || Math.abs(nowMs - object.usedMs) < REMAINS_AGE_MS) return false;
  await removeStored(object);
  return true;
}

/** Beside a record there is at most its data; all else is of a process that lost a race, or died. */
async function removeStale(object: StoredObject, nowMs: number): Promise<void> {
  const { hasRecord, others, shard, name } = object;
  if (!hasRecord || (others.length <= 1 && !others.some((file) => file.endsWith('.new')))) return;
  const generation = await generationOf(recordPath(shard, name));
  for (const file of others) {
    if (generation !== undefined && file === `${name}.${generation}.data`) continue;
    const path = join(shard, file);
    const facts = await factsOf(path);
    if (facts !== undefined && Math.abs(nowMs - facts.mtimeMs) >= REMAINS_AGE_MS) {
      await removeFile(path);
    }
  }
}

async function generationOf(record: string): Promise<string | undefined> {
  await using file = await open(record, 'r').catch(() => undefined);
  const head = Buffer.alloc(FIRST_LOOK_BYTES * 5);
  const read = await file?.read(head, 0, head.byteLength, 0);
  return decodeHead(head.subarray(0, read?.bytesRead ?? 0))?.generation;
}

async function factsOf(path: string): Promise<Stats | undefined> {
  try {
    return await lstat(path);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

function bucketOf(ageMs: number): number {
  return ageMs < 1 ? 0 : 1 + Math.floor(Math.log2(ageMs) * BUCKETS_PER_DOUBLING);
}
