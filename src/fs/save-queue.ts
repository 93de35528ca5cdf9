/**
 * Saves in the background: the oldest first, many at a time, until each has succeeded or its
 * content has ended. What fails is tried again after a while that grows (full jitter), and what is
 * refused as well: policies and quotas change. When the store cannot be reached, or nobody is logged
 * in, one asks for all: the others follow once it has succeeded. What waits is on the local disk, so
 * any number may.
 */
import { LinkedAbort } from '../lib/abort.ts';
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import { StoreError } from '../store/errors.ts';
import { isPassing } from './deletes.ts';
import type { FileNode } from './nodes.ts';

export interface SaveQueueOptions {
  readonly clock: Clock;
  readonly log: Log;
  /** In [0, 1), as `Math.random`. */
  readonly random: () => number;
  /**
   * Saves the content of a node, or gives it up. What comes of it is told by `done` and `failed`
   * before it settles; it may reject.
   */
  readonly save: (node: FileNode, signal: AbortSignal) => Promise<void>;
  /** Whether there is memory for more before it has to be saved; absent: nothing is held back. */
  readonly mayHold?: () => boolean;
}

/** Saved at once; their bytes are bounded by the uploader. */
const PARALLEL = 24;
/** Many a file is renamed, removed or written again at once: what has no object need not move one. */
const FIRST_DELAY_MS = 100;
/**
 * While files come one after the other they are only accepted, for as long as this after each came:
 * to save them at the same time would halve how fast programs get on, and nobody waits for it.
 */
const BURST_MS = 1000;
/** No more than that is held back; what takes memory is bounded by `mayHold`. */
const MOST_HELD = 2048;
/** A file that is written again and again is sent once in so long. */
const AGAIN_DELAY_MS = 1000;
const FIRST_RETRY_MS = 1000;
const LONGEST_RETRY_MS = 60_000;
/** A person has to change something first; each try may send all of a file for nothing. */
const LONGEST_REFUSED_RETRY_MS = 300_000;
/** Without credentials a look costs no request. */
const LOGIN_LOOK_MS = 1000;
/** Looked at for one that is due, of those that have waited longest. */
const LOOKED_AT = 256;

interface Waiting {
  readonly node: FileNode;
  /** When it came, by the monotonic clock. */
  readonly addedMs: number;
  /** By the monotonic clock. */
  dueMs: number;
  tries: number;
  failure: unknown;
}

export class SaveQueue implements AsyncDisposable {
  readonly #options: SaveQueueOptions;
  /** In order of their turns. Those being saved keep their place. */
  readonly #waiting = new Map<FileNode, Waiting>();
  readonly #running = new Map<FileNode, Promise<void>>();
  /** When content of the node was saved last: a weak trace of how often it changes. */
  readonly #savedMs = new WeakMap<FileNode, number>();
  readonly #closing = new AbortController();
  /** Failures in a row of the kind that others would meet too, and when to ask again. */
  #outage = { tries: 0, untilMs: 0 };
  #wake: (() => void) | undefined;
  #driving: Promise<void> | undefined;
  /** When the driver looks again by itself. */
  #restUntilMs = 0;
  /** When the last file came. */
  #addedMs = -Infinity;

  constructor(options: SaveQueueOptions) {
    this.#options = options;
  }

  /** Files that are not saved yet. */
  get size(): number {
    return this.#waiting.size;
  }

  /** Why saving does not get on just now. */
  get trouble(): unknown {
    const isOut = this.#outage.tries > 0;
    for (const { failure } of this.#waiting.values()) {
      if (failure !== undefined && (isOut || isRefusal(failure))) return failure;
    }
    return undefined;
  }

  has(node: FileNode): boolean {
    return this.#waiting.has(node);
  }

  /** There is something to save, perhaps anew. */
  add(node: FileNode): void {
    if (this.#closing.signal.aborted) return;
    const now = this.#options.clock.monotonic();
    const before = this.#waiting.get(node);
    this.#addedMs = now;
    if (before !== undefined) before.tries = 0;
    else {
      const savedMs = this.#savedMs.get(node) ?? -Infinity;
      const dueMs = now + (now - savedMs < AGAIN_DELAY_MS ? AGAIN_DELAY_MS : FIRST_DELAY_MS);
      this.#waiting.set(node, { node, addedMs: now, dueMs, tries: 0, failure: undefined });
      if (dueMs < this.#restUntilMs) this.#wake?.();
    }
    this.#begin();
  }

  /** Nothing of `node` is left to save. */
  done(node: FileNode, saved: boolean): void {
    if (!this.#waiting.delete(node)) return;
    if (!saved) return;
    this.#savedMs.set(node, this.#options.clock.monotonic());
    this.#recovered();
  }

  /** A save failed; it is to be tried again. */
  failed(node: FileNode, error: unknown): void {
    const waiting = this.#waiting.get(node);
    if (waiting === undefined) return;
    const now = this.#options.clock.monotonic();
    waiting.failure = error;
    waiting.tries += 1;
    const longestMs = isRefusal(error) ? LONGEST_REFUSED_RETRY_MS : LONGEST_RETRY_MS;
    waiting.dueMs = now + this.#pause(waiting.tries, longestMs);
    // Others have their turn before: this one may be the only one that fails.
    this.#waiting.delete(node);
    this.#waiting.set(node, waiting);
    if (isLoginEnd(error)) this.#outage = { tries: 1, untilMs: now + LOGIN_LOOK_MS };
    else if (isOutage(error)) {
      const tries = this.#outage.tries + 1;
      this.#outage = { tries, untilMs: now + this.#pause(tries, LONGEST_RETRY_MS) };
    }
    // Where all wait for one, this one may be it.
    if (this.#outage.tries > 0) waiting.dueMs = Math.min(waiting.dueMs, this.#outage.untilMs);
  }

  /** Ends it; what is being saved is broken off, what waits is its owner's again. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new Error('the file system was closed'));
    this.#wake?.();
    await this.#driving;
    await Promise.all(this.#running.values());
  }

  #recovered(): void {
    if (this.#outage.tries === 0) return;
    this.#outage = { tries: 0, untilMs: 0 };
    for (const waiting of this.#waiting.values()) waiting.dueMs = 0;
    this.#wake?.();
  }

  /** Full jitter: those who fail together do not come back together. */
  #pause(tries: number, longestMs: number): number {
    const most = Math.min(longestMs, FIRST_RETRY_MS * 2 ** Math.min(tries - 1, 10));
    return Math.max(this.#options.random() * most, FIRST_RETRY_MS / 4);
  }

  #begin(): void {
    this.#driving ??= this.#drive().finally(() => {
      this.#driving = undefined;
      if (this.#waiting.size > 0 && !this.#closing.signal.aborted) this.#begin();
    });
  }

  /** Never rejects. */
  async #drive(): Promise<void> {
    const { signal } = this.#closing;
    while (this.#waiting.size > 0 && !signal.aborted) {
      try {
        await this.#rest(this.#startDue(), signal);
      } catch (error) {
        if (this.#closing.signal.aborted) return;
        this.#options.log.error('saves-stopped', { error });
        // A fault that stays must not keep the process from everything else.
        await this.#options.clock.sleep(FIRST_RETRY_MS, signal).catch(() => undefined);
      }
    }
  }

  /** Starts what is due. Returns how long there is nothing to do; Infinity: until one has ended. */
  #startDue(): number {
    const now = this.#options.clock.monotonic();
    const most = this.#outage.tries > 0 ? 1 : PARALLEL;
    if (this.#outage.untilMs > now) return this.#outage.untilMs - now;
    let nextMs = Infinity;
    let looked = 0;
    for (const waiting of this.#waiting.values()) {
      if (this.#running.size >= most) return Infinity;
      if (this.#running.has(waiting.node)) continue;
      const leftMs = Math.max(waiting.dueMs - now, this.#heldFor(waiting, now));
      if (leftMs <= 0) this.#start(waiting);
      else {
        nextMs = Math.min(nextMs, leftMs);
        looked += 1;
        if (looked > LOOKED_AT) break;
      }
    }
    return nextMs;
  }

  /** How long a file is still held back because others are coming. */
  #heldFor({ addedMs, tries }: Waiting, now: number): number {
    const isQuiet = now - this.#addedMs >= FIRST_DELAY_MS;
    if (isQuiet || tries > 0 || this.#waiting.size > MOST_HELD) return 0;
    if (this.#options.mayHold?.() !== true) return 0;
    return Math.min(addedMs + BURST_MS, this.#addedMs + FIRST_DELAY_MS) - now;
  }

  #start(waiting: Waiting): void {
    const { node } = waiting;
    const { clock, save } = this.#options;
    const running = save(node, this.#closing.signal)
      .catch(() => undefined)
      .finally(() => {
        this.#running.delete(node);
        // Neither done nor failed: it was written again meanwhile, or is being written.
        if (this.#waiting.get(node) === waiting && waiting.dueMs <= clock.monotonic()) {
          this.#waiting.delete(node);
          this.#waiting.set(node, { ...waiting, dueMs: clock.monotonic() + AGAIN_DELAY_MS });
        }
        this.#wake?.();
      });
    this.#running.set(node, running);
  }

  /** Until `ms` have passed or somebody wakes it. */
  async #rest(ms: number, signal: AbortSignal): Promise<void> {
    this.#restUntilMs = this.#options.clock.monotonic() + ms;
    const woken = new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    try {
      await (ms === Infinity ? woken : this.#sleep(ms, woken, signal));
    } finally {
      this.#wake = undefined;
      this.#restUntilMs = 0;
    }
  }

  async #sleep(ms: number, woken: Promise<void>, signal: AbortSignal): Promise<void> {
    using sleep = new LinkedAbort(signal);
    const slept = this.#options.clock.sleep(ms, sleep.signal);
    try {
      await Promise.race([woken, slept]);
    } finally {
      sleep.abort(wokenEarly);
      slept.catch(() => undefined);
    }
  }
}

/** Made once: an abort without a reason makes one each time, with its stack. */
const wokenEarly = new Error('woken');

export function isLoginEnd(error: unknown): boolean {
  if (!(error instanceof StoreError)) return false;
  return error.kind === 'login-expired' || error.kind === 'credentials-expired';
}

/** It would be the same at once: somebody has to change something first. */
export function isRefusal(error: unknown): boolean {
  return error instanceof StoreError && !isPassing(error) && !isLoginEnd(error);
}

/** Others would meet the same. */
function isOutage(error: unknown): boolean {
  return (
    error instanceof StoreError && (error.kind === 'unreachable' || error.kind === 'unavailable')
  );
}
