import { LRUCache } from 'lru-cache';
import { LoadSlots, type Turn } from './load-slots.ts';
import { SingleFlight } from './single-flight.ts';

/** Block `index` of one version of an object. */
export interface BlockId {
  /** Names bytes that never change: the caller makes it of bucket, key and ETag. */
  readonly object: string;
  /** Counts blocks of `blockBytes` from the object's start. */
  readonly index: number;
}

export interface BlockCacheOptions {
  readonly blockBytes: number;
  /** Most bytes kept; up to `maxLoads` blocks under way come on top. */
  readonly maxBytes: number;
  /** Loads under way at once; default 16. */
  readonly maxLoads?: number;
  /** Gets one block: `blockBytes` long, less for an object's last. Its buffer must be its own. */
  readonly load: (id: BlockId, signal: AbortSignal) => Promise<Uint8Array>;
}

const DEFAULT_MAX_LOADS = 16;

/**
 * Blocks of object versions in memory, least recently used out first. An entry never needs
 * validation, since its name holds the version. Errors are not kept: the next reader asks again.
 */
export class BlockCache implements AsyncDisposable {
  readonly blockBytes: number;
  readonly #load: BlockCacheOptions['load'];
  readonly #kept: LRUCache<string, Uint8Array>;
  readonly #loads = new SingleFlight<string, Uint8Array>();
  readonly #slots: LoadSlots;
  /** Loads that wait for a slot, by key. */
  readonly #turns = new Map<string, Turn>();
  /** Loads started ahead of their reader, by object. */
  readonly #ahead = new Map<string, { readonly controller: AbortController; loads: number }>();
  /** More loads ahead than this would push each other out before they are read. */
  readonly #maxAhead: number;
  #aheadLoads = 0;

  constructor({ blockBytes, maxBytes, load, maxLoads = DEFAULT_MAX_LOADS }: BlockCacheOptions) {
    this.blockBytes = blockBytes;
    this.#load = load;
    this.#slots = new LoadSlots(maxLoads);
    this.#maxAhead = Math.floor(maxBytes / blockBytes / 2);
    this.#kept = new LRUCache({
      maxSize: maxBytes,
      sizeCalculation: (block) => Math.max(block.byteLength, 1),
    });
  }

  /** Bytes kept now. */
  get bytes(): number {
    return this.#kept.calculatedSize;
  }

  /**
   * The bytes of a block, at once when they are here. They are shared: nobody may change them.
   *
   * @throws `signal.reason` as soon as `signal` aborts; whatever the load threw.
   */
  get(id: BlockId, signal: AbortSignal): Uint8Array | Promise<Uint8Array> {
    const key = keyOf(id);
    const kept = this.#kept.get(key);
    if (kept !== undefined) return kept;
    this.#turns.get(key)?.hurry();
    return this.#join(key, id, true, signal);
  }

  /**
   * Starts a load that nobody waits for yet. Does nothing when the block is here or on its way, or
   * when too many loads are ahead already; a failure is silent, and the reader's own try tells.
   */
  prefetch(id: BlockId): void {
    const key = keyOf(id);
    if (this.#aheadLoads >= this.#maxAhead || this.#kept.has(key) || this.#loads.has(key)) return;
    const ahead = this.#ahead.get(id.object) ?? { controller: new AbortController(), loads: 0 };
    this.#ahead.set(id.object, ahead);
    ahead.loads += 1;
    this.#aheadLoads += 1;
    const settled = (): void => {
      ahead.loads -= 1;
      this.#aheadLoads -= 1;
      if (ahead.loads === 0 && this.#ahead.get(id.object) === ahead) this.#ahead.delete(id.object);
    };
    this.#join(key, id, false, ahead.controller.signal).then(settled, settled);
  }

  /** Forgets an object's blocks and ends its loads ahead; who waits for one still gets it. */
  drop(object: string): void {
    this.#ahead.get(object)?.controller.abort();
    this.#ahead.delete(object);
    for (const key of [...this.#kept.keys()]) {
      if (objectOf(key) === object) this.#kept.delete(key);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#loads[Symbol.asyncDispose]();
    this.#kept.clear();
  }

  async #join(key: string, id: BlockId, urgent: boolean, signal: AbortSignal): Promise<Uint8Array> {
    const work = async (loadSignal: AbortSignal): Promise<Uint8Array> =>
      await this.#loadInSlot(key, id, urgent, loadSignal);
    return await this.#loads.join(key, work, signal);
  }

  async #loadInSlot(
    key: string,
    id: BlockId,
    urgent: boolean,
    signal: AbortSignal,
  ): Promise<Uint8Array> {
    let mine: Turn | undefined;
    const queued = (turn: Turn): void => {
      mine = turn;
      this.#turns.set(key, turn);
    };
    const left = (): void => {
      if (mine !== undefined && this.#turns.get(key) === mine) this.#turns.delete(key);
    };
    const load = async (): Promise<Uint8Array> => await this.#load(id, signal);
    const block = await this.#slots.run(urgent, queued, load, signal).finally(left);
    this.#kept.set(key, block);
    return block;
  }
}

/** Index first, so that any object name is allowed. */
function keyOf({ object, index }: BlockId): string {
  return `${index} ${object}`;
}

function objectOf(key: string): string {
  return key.slice(key.indexOf(' ') + 1);
}
