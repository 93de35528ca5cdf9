/**
 * Programs that walk through the tree, and the listings that run ahead of them. Which directories
 * a program reads tells that it walks (`walk-detector.ts`); then all that lies below their parent
 * is listed at once (`walk-ahead.ts`), where each directory would have taken a request of its own.
 *
 * What this mount changes is never contradicted: a directory in which it changed a name since the
 * listing began is asked for by itself, and moving a directory ends all listings that tell of it.
 */
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import { StoreError } from '../store/errors.ts';
import {
  type DirectoryPage,
  type Foresight,
  type PageRequest,
  type Place,
  placeNow,
  type Sequence,
} from './directory-source.ts';
import { WalkAhead } from './walk-ahead.ts';
import { disappointed, noticeOpening, noWalks, type WalkState } from './walk-detector.ts';

export interface WalksOptions {
  readonly clock: Clock;
  readonly listTtlMs: number;
  readonly log: Log;
  readonly sequence: Sequence;
}

/** Walkers served at once; each holds a few pages at most. */
const MOST_WALKS = 4;
/** A listing that told fewer directories whole, before the walker was elsewhere, was no use. */
const FEWEST_SERVED = 2;
/** How long a refusal to list without delimiter is believed. */
const DENIED_MS = 300_000;
/** Refusals after which a bucket is asked no more: its policy wants a delimiter everywhere. */
const MOST_DENIED = 3;

export class Walks implements Foresight, AsyncDisposable {
  readonly #options: WalksOptions;
  #state: WalkState = noWalks;
  /** The one used last comes last. */
  #walks: readonly WalkAhead[] = [];
  /** When the store refused to list below which directory, monotonic. */
  readonly #denied = new Map<string, number>();

  constructor(options: WalksOptions) {
    this.#options = options;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#walks.map(async (walk) => await walk.close()));
  }

  async page(
    place: Place,
    request: PageRequest,
    signal: AbortSignal,
  ): Promise<DirectoryPage | undefined> {
    const isWalk = request.continuation === undefined && this.#notice(place);
    const walk = this.#covering(place) ?? (isWalk ? this.#begin(place) : undefined);
    if (walk === undefined) return undefined;
    this.#walks = [...this.#walks.filter((other) => other !== walk), walk];
    const page = await walk.page(place.key, request, signal);
    if (walk.failure !== undefined) this.#failed(walk);
    return page;
  }

  changed(place: () => Place): void {
    if (this.#walks.length === 0) return;
    const at = placeNow(place);
    for (const walk of this.#walks) if (isBelow(at, walk.top)) walk.distrust(at.key);
  }

  moved(place: () => Place): void {
    if (this.#walks.length === 0) return;
    const at = placeNow(place);
    for (const walk of this.#walks) if (isBelow(at, walk.top) || isBelow(walk.top, at)) walk.end();
  }

  /** Whether a walk goes through the parent of `place`. */
  #notice({ store, key }: Place): boolean {
    const parent = parentOf(key);
    if (parent === undefined) return false;
    const opening = {
      parent: `${store.bucket}/${parent}`,
      name: key.slice(parent.length, -1),
      atMs: this.#options.clock.monotonic(),
    };
    const { state, isWalk } = noticeOpening(this.#state, opening);
    this.#state = state;
    return isWalk;
  }

  #covering({ store, key }: Place): WalkAhead | undefined {
    return this.#walks.find((walk) => walk.top.store === store && walk.covers(key));
  }

  /** A listing that tells of `place` next: one that the walker left behind, or a new one. */
  #begin(place: Place): WalkAhead | undefined {
    this.#walks = this.#walks.filter((walk) => !walk.isUsedUp);
    const { store, key } = place;
    const behind = this.#walks.find((walk) => walk.top.store === store && walk.isBefore(key));
    if (behind !== undefined) {
      if (behind.served >= FEWEST_SERVED) behind.jump(key);
      else this.#giveUp(behind, parentOf(key) ?? '');
      return behind.ended ? undefined : behind;
    }
    const top = { store, key: parentOf(key) ?? '' };
    if (this.#isDenied(top)) return undefined;
    const { clock, listTtlMs, sequence } = this.#options;
    const nowMs = (): number => clock.monotonic();
    const left = (atMs: number): number => atMs + listTtlMs - clock.monotonic();
    if (this.#walks.length >= MOST_WALKS) this.#walks[0]?.end();
    this.#walks = this.#walks.filter(({ ended }) => !ended);
    const walk = new WalkAhead(key, { top, sequence, nowMs, left });
    this.#walks = [...this.#walks, walk];
    return walk;
  }

  #giveUp(walk: WalkAhead, parent: string): void {
    walk.end();
    this.#state = disappointed(this.#state, `${walk.top.store.bucket}/${parent}`);
  }

  /** Whoever asked for a directory asks for it by itself, and hears what is wrong. */
  #failed({ failure, top }: WalkAhead): void {
    if (!(failure instanceof StoreError) || failure.kind !== 'access-denied') return;
    const name = nameOf(top);
    if (this.#denied.has(name)) return;
    this.#denied.set(name, this.#options.clock.monotonic());
    this.#options.log.warn('walk-refused', { below: name, error: failure });
  }

  #isDenied(top: Place): boolean {
    const oldest = this.#options.clock.monotonic() - DENIED_MS;
    for (const [name, atMs] of this.#denied) if (atMs < oldest) this.#denied.delete(name);
    if (this.#denied.has(nameOf(top))) return true;
    const bucket = `${top.store.bucket}/`;
    const inBucket = [...this.#denied.keys()].filter((name) => name.startsWith(bucket));
    return inBucket.length >= MOST_DENIED;
  }
}

function nameOf({ store, key }: Place): string {
  return `${store.bucket}/${key}`;
}

/** The directory above `key`; undefined for that of a whole bucket. */
function parentOf(key: string): string | undefined {
  return key === '' ? undefined : key.slice(0, key.lastIndexOf('/', key.length - 2) + 1);
}

function isBelow(place: Place | undefined, top: Place | undefined): place is Place {
  if (place === undefined || top === undefined) return false;
  return place.store === top.store && place.key.startsWith(top.key);
}
