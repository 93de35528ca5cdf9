/**
 * How much all processes that share a cache folder may write. What they have taken stands in a file
 * there; each takes some at a time, under a short lock, and writes it without asking again. When
 * it is used up, one of them measures what is really there and evicts, under a lock of its own.
 *
 * Taken and not written (a process ended, blocks overlapped) is found again by the next measuring.
 */
import { constants } from 'node:fs';
import { open, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { KiB, MiB } from '../lib/bytes.ts';
import type { Clock } from '../lib/clock.ts';
import { type EvictionContext, evict, type Measured, measure } from './disk-eviction.ts';
import { codeOf } from './disk-files.ts';
import { evictionLockPath, lockPath } from './disk-folder.ts';
import { tryLock, withLock } from './disk-lock.ts';
import type { DiskTrouble } from './disk-trouble.ts';

export interface DiskLimits {
  /** Room on the disk that all blocks of the folder may take, with their records. */
  readonly quotaBytes: number;
  /** Room on its file system that is left to others; a little more is, for blocks under way. */
  readonly freeBytes: number;
}

export interface DiskQuotaOptions extends DiskLimits {
  readonly root: string;
  readonly clock: Clock;
  readonly trouble: DiskTrouble;
  readonly isOpen: EvictionContext['isOpen'];
}

/** Taken at a time, of the quota: with so many processes at once it is still kept. */
const STEPS = 128;
const MAX_STEP_BYTES = 64 * MiB;
const MIN_STEP_BYTES = 64 * KiB;
/** Eviction begins so many steps before the end, so that nobody has to wait for it. */
const STEPS_AHEAD = 4;
/** What is left of the quota when it has ended: it need not begin again soon. */
const EVICT_TO = 0.9;
/** When nothing more can be removed, it is not tried again for so long. */
const FUTILE_MS = 30_000;

const USAGE = 'usage';

export class DiskQuota implements AsyncDisposable {
  readonly #options: DiskQuotaOptions;
  readonly #stepBytes: number;
  readonly #closing = new AbortController();
  #allowance = 0;
  #refilling: Promise<void> | undefined;
  #evicting: Promise<void> | undefined;
  #futileUntilMs = Number.NEGATIVE_INFINITY;

  constructor(options: DiskQuotaOptions) {
    this.#options = options;
    const step = Math.min(Math.floor(options.quotaBytes / STEPS), MAX_STEP_BYTES);
    this.#stepBytes = Math.max(step, MIN_STEP_BYTES);
  }

  /**
   * Whether `bytes` more may be written now.
   *
   * @throws Error with a `code` when the folder cannot be used.
   */
  async take(bytes: number): Promise<boolean> {
    if (this.#allowance < bytes) {
      this.#refilling ??= this.#refill(Math.max(bytes, this.#stepBytes)).finally(() => {
        this.#refilling = undefined;
      });
      await this.#refilling;
    }
    if (this.#allowance < bytes) return false;
    this.#allowance -= bytes;
    return true;
  }

  /** What is stored, by looking. */
  async measure(signal: AbortSignal): Promise<Measured> {
    return await measure(this.#context(), signal);
  }

  /** Counts again after something was removed. */
  async recount(signal: AbortSignal): Promise<void> {
    this.#futileUntilMs = Number.NEGATIVE_INFINITY;
    const { root, clock } = this.#options;
    const count = async (): Promise<void> => await this.#makeRoom(signal);
    await withLock(evictionLockPath(root), clock, count, signal);
  }

  /** Settles when no eviction is under way. */
  async settled(): Promise<void> {
    await this.#refilling?.catch(() => undefined);
    await this.#evicting;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    await this.settled();
  }

  async #refill(wanted: number): Promise<void> {
    if ((await this.#taken()) === undefined) {
      this.#startEvicting();
      await this.#evicting;
    }
    const free = await this.#free();
    using lock = tryLock(lockPath(this.#options.root));
    const taken = await this.#taken();
    if (lock === undefined || taken === undefined) return;
    const left = Math.min(this.#options.quotaBytes - taken, free - this.#options.freeBytes);
    if (left < wanted + STEPS_AHEAD * this.#stepBytes) this.#startEvicting();
    if (left < wanted) return;
    await this.#setTaken(taken + wanted);
    this.#allowance += wanted;
  }

  #startEvicting(): void {
    const { clock, trouble } = this.#options;
    if (this.#evicting !== undefined || clock.monotonic() < this.#futileUntilMs) return;
    const { signal } = this.#closing;
    this.#evicting = this.#evictAlone(signal)
      .catch((error: unknown) => {
        if (!signal.aborted) trouble.note(error);
      })
      .finally(() => {
        this.#evicting = undefined;
      });
  }

  async #evictAlone(signal: AbortSignal): Promise<void> {
    using alone = tryLock(evictionLockPath(this.#options.root));
    if (alone !== undefined) await this.#makeRoom(signal);
  }

  /** Under the lock of eviction. */
  async #makeRoom(signal: AbortSignal): Promise<void> {
    const { quotaBytes, freeBytes, clock, root } = this.#options;
    const before = await this.#taken();
    const context = this.#context();
    const { bytes, ages } = await measure(context, signal);
    const ahead = STEPS_AHEAD * this.#stepBytes;
    const over = bytes > quotaBytes - ahead ? bytes - quotaBytes * EVICT_TO : 0;
    const free = (await this.#free()) - freeBytes;
    const missing = free < ahead ? 2 * ahead - free : 0;
    const wanted = Math.ceil(Math.max(over, missing, 0));
    const freed = wanted === 0 ? 0 : await evict(context, ages, wanted, signal);
    if (freed < wanted) this.#futileUntilMs = clock.monotonic() + FUTILE_MS;
    const correct = async (): Promise<void> => {
      const meanwhile = Math.max(0, ((await this.#taken()) ?? 0) - (before ?? 0));
      await this.#setTaken(Math.max(0, bytes - freed + meanwhile));
    };
    await withLock(lockPath(root), clock, correct, signal);
  }

  #context(): EvictionContext {
    const { root, clock, isOpen } = this.#options;
    return { root, nowMs: clock.now(), isOpen };
  }

  #path(name: string): string {
    return join(this.#options.root, name);
  }

  /** Bytes that this process's user could still write on that file system. */
  async #free(): Promise<number> {
    const { bavail, bsize } = await statfs(this.#options.root);
    return bavail * bsize;
  }

  /** Undefined when nobody has counted yet. */
  async #taken(): Promise<number | undefined> {
    try {
      await using file = await open(this.#path(USAGE), constants.O_RDONLY | constants.O_NOFOLLOW);
      const text = await file.readFile('utf8');
      return /^\d{1,16}\n$/.test(text) ? Number(text) : undefined;
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return undefined;
      throw error;
    }
  }

  /** Under the short lock. One write of always the same length: nobody sees half of it. */
  async #setTaken(bytes: number): Promise<void> {
    const { O_CREAT, O_NOFOLLOW, O_WRONLY } = constants;
    await using file = await open(this.#path(USAGE), O_WRONLY | O_CREAT | O_NOFOLLOW, 0o600);
    await file.write(`${String(bytes).padStart(16, '0')}\n`, 0);
  }
}
