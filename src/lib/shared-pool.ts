/** Things that several users share, each made for its first user and given back by its last. */
import { raceAbort } from './abort.ts';

interface Shared<T> {
  readonly value: Promise<T>;
  /** Aborts the making when nobody waits for it any more. */
  readonly making: AbortController;
  users: number;
}

/** A share: dispose it to give it back. */
export interface Share<T> extends AsyncDisposable {
  readonly value: T;
}

export class SharedPool<T extends AsyncDisposable> {
  readonly #shared = new Map<string, Shared<T>>();
  /** What is being given back: a port or a file of it can be had again only afterwards. */
  readonly #closing = new Map<string, Promise<unknown>>();

  /** How many things are held. */
  get size(): number {
    return this.#shared.size;
  }

  /**
   * What is shared under `key`, made by `open` where there is none. A failure is that of everybody
   * who waits for it, and is not kept. One user's abort leaves the making to the others.
   */
  async share(
    key: string,
    open: (signal: AbortSignal) => Promise<T>,
    signal: AbortSignal,
  ): Promise<Share<T>> {
    signal.throwIfAborted();
    const shared = this.#shared.get(key) ?? begin(this.#afterEarlier(key, open));
    this.#shared.set(key, shared);
    shared.users += 1;
    try {
      const value = await raceAbort(shared.value, signal);
      let returned = false;
      const giveBack = async (): Promise<void> => {
        if (returned) return;
        returned = true;
        await this.#leave(key, shared);
      };
      return { value, [Symbol.asyncDispose]: giveBack };
    } catch (error) {
      if (!signal.aborted) this.#drop(key, shared);
      // Whoever aborts does not wait until what is being made is there to be given back.
      this.#leave(key, shared).catch(() => undefined);
      throw error;
    }
  }

  async #leave(key: string, shared: Shared<T>): Promise<void> {
    shared.users -= 1;
    if (shared.users > 0) return;
    this.#drop(key, shared);
    shared.making.abort();
    const closing = close(shared.value);
    const all = Promise.allSettled([this.#closing.get(key), closing]);
    this.#closing.set(key, all);
    await all;
    if (this.#closing.get(key) === all) this.#closing.delete(key);
    await closing;
  }

  /** Opens once what was shared under `key` before is given back. */
  #afterEarlier(
    key: string,
    open: (signal: AbortSignal) => Promise<T>,
  ): (signal: AbortSignal) => Promise<T> {
    const earlier = this.#closing.get(key);
    if (earlier === undefined) return open;
    return async (signal) => {
      await raceAbort(earlier, signal);
      return await open(signal);
    };
  }

  /** A failed one may have been replaced already. */
  #drop(key: string, shared: Shared<T>): void {
    if (this.#shared.get(key) === shared) this.#shared.delete(key);
  }
}

/** What could not be made need not be given back. */
async function close(making: Promise<AsyncDisposable>): Promise<void> {
  const value = await making.catch(() => undefined);
  await value?.[Symbol.asyncDispose]();
}

function begin<T>(open: (signal: AbortSignal) => Promise<T>): Shared<T> {
  const making = new AbortController();
  return { value: open(making.signal), making, users: 0 };
}
