/**
 * What one process keeps of objects, for all its mounts: blocks in memory under one budget, and on
 * the local disk where `--cache` says so.
 */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { decodeJwt } from '../auth/jwt.ts';
import type { TokenSource } from '../auth/token-source.ts';
import { BlockCache } from '../cache/block-cache.ts';
import type { BlockDisk } from '../cache/block-disk.ts';
import { DiskCache } from '../cache/disk-cache.ts';
import { Endpoint } from '../cache/endpoint.ts';
import { MEMORY_BYTES, MemoryBudget } from '../cache/memory-budget.ts';
import type { Settings } from '../config/options.ts';
import { ensurePrivateDir } from '../config/paths.ts';
import type { CacheMode } from '../config/values.ts';
import { IndexStore } from '../fs/index-store.ts';
import type { ReadingParts } from '../fs/options.ts';
import { WritingMemory } from '../fs/writing-memory.ts';
import { GiB } from '../lib/bytes.ts';
import { keyBesideLogins } from './identity.ts';
import type { Surroundings } from './surroundings.ts';

/** What is kept on the local disk. */
export interface CacheUsage {
  readonly folder: string;
  readonly objects: number;
  /** Disk space in use. */
  readonly bytes: number;
  readonly quotaBytes: number;
  readonly pinnedBytes: number;
}

export interface ClearedCache {
  readonly folder: string;
  /** Disk space given back. */
  readonly bytes: number;
}

/** How much is kept, and where. */
export interface CachePlan {
  readonly memoryBytes: number;
  readonly mode: CacheMode;
  readonly folder: string;
  readonly quotaBytes: number;
  readonly encrypted: boolean;
}

/** Room on its file system that is left to others. */
const FREE_BYTES = GiB;

/** Pure. */
export function cachePlanOf(settings: Settings, { paths }: Pick<Surroundings, 'paths'>): CachePlan {
  return {
    memoryBytes: settings.memoryBytes ?? MEMORY_BYTES,
    mode: settings.cacheMode ?? 'minimal',
    folder: settings.cacheDir ?? paths.cacheDir,
    quotaBytes: settings.cacheBytes ?? 10 * GiB,
    encrypted: settings.cacheEncrypted ?? false,
  };
}

/** Memory for content, of all caches of a process that say the same size. */
export class ContentMemory implements AsyncDisposable {
  readonly budget: MemoryBudget;
  readonly writing: WritingMemory;

  constructor(bytes: number) {
    this.budget = new MemoryBudget(bytes);
    this.writing = new WritingMemory(this.budget);
  }

  /** Nothing is held but memory. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.resolve();
  }
}

export class ContentCache implements AsyncDisposable {
  readonly #plan: CachePlan;
  readonly #surroundings: Surroundings;
  readonly #blocks: BlockCache;
  readonly #writing: WritingMemory;
  readonly #endpoints = new Map<string, Endpoint>();
  readonly #end = new AbortController();
  #opening: Promise<DiskCache> | undefined;
  #disk: DiskCache | undefined;
  /** Whose everything is, as far as tokens say. */
  #owner = '';

  constructor(plan: CachePlan, surroundings: Surroundings, { budget, writing }: ContentMemory) {
    this.#plan = plan;
    this.#surroundings = surroundings;
    this.#blocks = new BlockCache({ budget, clock: surroundings.clock });
    this.#writing = writing;
  }

  /**
   * Opens the part on the disk for the person whose tokens these are; once.
   *
   * @throws WireError `config` when the folder is not safe to use, or no key can be kept.
   */
  async open(tokens: TokenSource, issuer: string, signal: AbortSignal): Promise<void> {
    const { mode } = this.#plan;
    if (mode === 'off') return;
    const { token } = await tokens.accessToken(0, signal);
    this.#owner = JSON.stringify([issuer, decodeJwt(token)?.subject ?? '']);
    if (mode === 'minimal') return;
    this.#opening ??= this.#openDisk(this.#owner, signal);
    this.#disk = await this.#opening;
  }

  /**
   * Where what is known of names at `place` is kept between mounts; undefined where it is not, or
   * cannot be.
   */
  async openIndex(
    place: string,
    listTtlMs: number,
    signal: AbortSignal,
  ): Promise<IndexStore | undefined> {
    const { mode, folder } = this.#plan;
    const { clock, log, uid } = this.#surroundings;
    if (mode === 'off') return undefined;
    // Names tell what a person works on: in an encrypted cache there are none.
    if (this.#plan.encrypted) return undefined;
    const names = join(folder, 'wire-names');
    const name = createHash('sha256')
      .update(JSON.stringify([this.#owner, place]))
      .digest('hex');
    try {
      await ensurePrivateDir(names, uid, signal);
      return await IndexStore.open({
        folder: join(names, name.slice(0, 32)),
        listTtlMs,
        clock,
        log,
      });
    } catch (error) {
      signal.throwIfAborted();
      log.warn('names not kept', { folder: names, error });
      return undefined;
    }
  }

  /** What mounts at `endpoint` share. */
  reading(endpoint: string): ReadingParts {
    const known = this.#endpoints.get(endpoint) ?? new Endpoint(endpoint);
    this.#endpoints.set(endpoint, known);
    const disk = this.#disk;
    const shared = { blocks: this.#blocks, writing: this.#writing, endpoint: known };
    if (disk === undefined) return shared;
    const forReads = this.#plan.mode === 'full' ? disk : withoutReads(disk);
    return {
      ...shared,
      disk: forReads,
      keptWrites: disk,
      pins: disk.contents,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end.abort();
    await this.#opening?.catch(() => undefined);
    await this.#disk?.[Symbol.asyncDispose]();
    await this.#blocks[Symbol.asyncDispose]();
  }

  async #openDisk(owner: string, signal: AbortSignal): Promise<DiskCache> {
    const { folder, quotaBytes, encrypted } = this.#plan;
    const { clock, log } = this.#surroundings;
    const key = encrypted ? await keyBesideLogins('cache', this.#surroundings, signal) : undefined;
    const limits = { quotaBytes, freeBytes: FREE_BYTES };
    const disk = await DiskCache.open(
      { ...limits, folder, owner, clock, log, ...(key !== undefined && { key }) },
      signal,
    );
    disk.verify(this.#end.signal).catch((error: unknown) => {
      if (!this.#end.signal.aborted) log.warn('cache not verified', { error });
    });
    return disk;
  }
}

/** What is there is used; what is read is not added. */
function withoutReads(disk: BlockDisk): BlockDisk {
  return {
    open: async (object, signal) => {
      const opened = await disk.open(object, signal);
      return {
        has: (index) => opened.has(index),
        read: async (first, rooms) => await opened.read(first, rooms),
        write: async () => await Promise.resolve(),
        whole: () => opened.whole(),
        [Symbol.asyncDispose]: async () => await opened[Symbol.asyncDispose](),
      };
    },
    [Symbol.asyncDispose]: async () => await disk[Symbol.asyncDispose](),
  };
}

/** What is kept where `plan` says, of all identities. */
export async function cacheUsage(
  plan: CachePlan,
  surroundings: Surroundings,
  signal: AbortSignal,
): Promise<CacheUsage> {
  await using disk = await openForPeople(plan, surroundings, signal);
  const { objects, bytes, pinnedBytes, quotaBytes } = await disk.contents.usage(signal);
  return { folder: plan.folder, objects, bytes, pinnedBytes, quotaBytes };
}

/** Removes it. */
export async function clearCache(
  plan: CachePlan,
  surroundings: Surroundings,
  signal: AbortSignal,
): Promise<ClearedCache> {
  await using disk = await openForPeople(plan, surroundings, signal);
  const { bytes } = await disk.contents.clearAll(signal);
  return { folder: plan.folder, bytes };
}

/** Nothing is read or written through it: whose it is does not matter. */
async function openForPeople(
  { folder, quotaBytes }: CachePlan,
  { clock, log }: Surroundings,
  signal: AbortSignal,
): Promise<DiskCache> {
  const limits = { quotaBytes, freeBytes: FREE_BYTES };
  return await DiskCache.open({ ...limits, folder, owner: '', clock, log }, signal);
}
