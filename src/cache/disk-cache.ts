/**
 * Blocks of object versions on a local disk, under a quota, shared by all processes of a user.
 *
 * Each version has a sparse file with its blocks where they are in the object, and a record that
 * proves them (`disk-record.ts`). Blocks are written first and recorded second, and given only
 * when their bytes are what the record proves: whatever a crash, a full disk or another program
 * leaves there is at worst not found. Nothing is ever synced. An identity sees its own only.
 */
import { join } from 'node:path';
import { LRUCache } from 'lru-cache';
import { KiB } from '../lib/bytes.ts';
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import type { BlockDisk, DiskObject, ObjectIdentity } from './block-disk.ts';
import type { CheckedBlocks } from './disk-checks.ts';
import { DiskContents } from './disk-contents.ts';
import { codeOf } from './disk-files.ts';
import { makePrivate, prepareFolder } from './disk-folder.ts';
import { nameOf, shardOf } from './disk-names.ts';
import { type DiskLease, nothingKept, OpenObject } from './disk-object.ts';
import { DiskPins } from './disk-pins.ts';
import { type DiskLimits, DiskQuota } from './disk-quota.ts';
import { type DiskSeal, diskSeal } from './disk-seal.ts';
import { DiskTrouble } from './disk-trouble.ts';
import { DiskTurns } from './disk-turns.ts';
import { DiskVerifier } from './disk-verifier.ts';
import { type DiskCounts, DiskVersion, type VersionContext } from './disk-version.ts';
import type { VersionPlace } from './disk-version-files.ts';
import { DiskWrites } from './disk-writes.ts';

export interface DiskCacheOptions extends DiskLimits {
  /** Made if need be; what else is in it is left alone. */
  readonly folder: string;
  /** Whose blocks these are: nobody else sees them. Opaque. */
  readonly owner: string;
  /** 32 bytes: everything is sealed with them. Absent: blocks lie there in clear. */
  readonly key?: Uint8Array;
  /** Default 128 KiB. */
  readonly blockBytes?: number;
  readonly clock: Clock;
  readonly log: Log;
}

const BLOCK_BYTES = 128 * KiB;
/** Each has two descriptors; of more objects at once nothing is kept. */
const MAX_OPEN = 512;
/** Calls of the thread pool: the other places are for writes, names and the staging of files. */
const MAX_READS = 3;
/** Of objects that were open: which of their blocks are known to be right. */
const REMEMBERED_BYTES = 1024 * KiB;
const REMEMBERED_LEAST_BYTES = 256;

interface Shared {
  readonly version: DiskVersion;
  readonly loaded: Promise<void>;
  uses: number;
}

export class DiskCache implements BlockDisk {
  /** For `wire cache`; works on a folder that others use. */
  readonly contents: DiskContents;
  readonly #blockBytes: number;
  readonly #ownFolder: string;
  readonly #seal: DiskSeal;
  readonly #quota: DiskQuota;
  readonly #context: VersionContext;
  readonly #writes = new DiskWrites();
  readonly #verifier: DiskVerifier;
  readonly #counts: DiskCounts = { hits: 0, misses: 0, damaged: 0, dropped: 0 };
  readonly #open = new Map<string, Shared>();
  readonly #remembered = new LRUCache<string, CheckedBlocks>({
    maxSize: REMEMBERED_BYTES,
    sizeCalculation: ({ checked }) => REMEMBERED_LEAST_BYTES + checked.bytes,
  });
  #isClosed = false;

  /**
   * @throws WireError `config` when the folder is not safe to use, or cannot be used at all;
   *   `signal.reason`.
   */
  static async open(options: DiskCacheOptions, signal: AbortSignal): Promise<DiskCache> {
    const root = await prepareFolder(options.folder, options.clock, signal);
    const cache = new DiskCache(root, options);
    await makePrivate(cache.#ownFolder);
    return cache;
  }

  private constructor(root: string, options: DiskCacheOptions) {
    const { folder, owner, key, clock, log, quotaBytes, freeBytes } = options;
    const trouble = new DiskTrouble(log, clock);
    const isOpen = (id: string): boolean => this.#open.has(id);
    this.#blockBytes = options.blockBytes ?? BLOCK_BYTES;
    this.#seal = diskSeal(owner, key);
    this.#ownFolder = join(root, this.#seal.folder);
    this.#quota = new DiskQuota({ root, clock, trouble, isOpen, quotaBytes, freeBytes });
    const pins = new DiskPins(this.#ownFolder, this.#seal);
    this.#context = {
      blockBytes: this.#blockBytes,
      seal: this.#seal,
      quota: this.#quota,
      trouble,
      pins,
      reads: new DiskTurns(MAX_READS),
      counts: this.#counts,
      nowMs: () => clock.now(),
      makeShard: async (path) => await this.#makeShard(path, folder, clock),
    };
    this.#verifier = new DiskVerifier(clock, async (object) => await this.#borrow(object));
    const { blockBytes } = this.#context;
    const shared = { root, seal: this.#seal, quota: this.#quota, pins, clock, blockBytes };
    this.contents = new DiskContents({ ...shared, quotaBytes, counts: this.#counts });
  }

  async open(object: ObjectIdentity, signal: AbortSignal): Promise<DiskObject> {
    signal.throwIfAborted();
    const lease = await this.#borrow(object);
    if (lease === undefined) return nothingKept;
    if (lease.version.needsChecks) this.#verifier.add(object);
    return new OpenObject(lease, this.#writes, this.#counts);
  }

  /**
   * Checks objects that were opened when all of their blocks were there and not all were checked,
   * so that a later open has `whole`. Runs until `signal` aborts.
   */
  async verify(signal: AbortSignal): Promise<void> {
    await this.#verifier.run(signal);
  }

  /** Settles when no write and no eviction is under way. */
  async settled(): Promise<void> {
    await this.#writes.settled();
    await this.#quota.settled();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    await this.#writes.settled();
    await this.#quota[Symbol.asyncDispose]();
    // Whoever still has an object open closes its files when done.
  }

  /** Undefined when nothing can be kept of it. */
  async #borrow(object: ObjectIdentity): Promise<DiskLease | undefined> {
    const blocks = Math.ceil(object.bytes / this.#blockBytes);
    const digest = this.#seal.digest(object, this.#blockBytes);
    const id = `${this.#seal.folder}/${nameOf(digest)}`;
    const known = this.#open.get(id);
    const hasRoom = known !== undefined || this.#open.size < MAX_OPEN;
    if (this.#isClosed || blocks === 0 || !hasRoom) return undefined;
    const shared = known ?? this.#load(id, object, digest, blocks);
    const lease = this.#leaseOf(shared);
    await shared.loaded;
    return lease;
  }

  #load(id: string, object: ObjectIdentity, digest: Buffer, blocks: number): Shared {
    const seal = this.#seal.blocks(digest);
    const name = nameOf(digest);
    const place: VersionPlace = {
      object,
      digest,
      name,
      shard: join(this.#ownFolder, shardOf(name)),
      isInline: blocks === 1,
      slotBytes: seal.slotBytes,
      blocks,
    };
    const version = new DiskVersion(id, place, seal, this.#context);
    const shared = { version, loaded: version.load(this.#remembered.get(id)), uses: 0 };
    this.#open.set(id, shared);
    return shared;
  }

  #leaseOf(shared: Shared): DiskLease {
    const { version } = shared;
    shared.uses += 1;
    return {
      version,
      again: () => this.#leaseOf(shared),
      end: async () => {
        shared.uses -= 1;
        if (shared.uses > 0) return;
        this.#open.delete(version.id);
        const checked = await version.close();
        if (checked !== undefined) this.#remembered.set(version.id, checked);
      },
    };
  }

  /** Also where the whole folder was removed under us. */
  async #makeShard(path: string, folder: string, clock: Clock): Promise<void> {
    try {
      await makePrivate(path);
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') throw error;
      await prepareFolder(folder, clock, new AbortController().signal);
      await makePrivate(this.#ownFolder);
      await makePrivate(path);
    }
  }
}
