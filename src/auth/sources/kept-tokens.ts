/** Keeps the newest access token of a source that makes them, and asks once for all who wait. */
import type { Clock } from '../../lib/clock.ts';
import { Deadline } from '../../lib/deadline.ts';
import { settledWithin } from '../../lib/patience.ts';
import { SharedWork } from '../../lib/shared-work.ts';
import { isLivelyEnough, UNKNOWN_LIFE_MS } from '../token-life.ts';
import type { AccessToken, TokenSource } from '../token-source.ts';

/** Gets a token; `minLifeMs` is what those who wait need at most. */
export type FetchToken = (minLifeMs: number, signal: AbortSignal) => Promise<AccessToken>;

interface Kept {
  readonly token: AccessToken;
  readonly deadline: Deadline;
}

export class KeptTokens implements TokenSource, AsyncDisposable {
  readonly #clock: Clock;
  readonly #partingMs: number;
  readonly #work: SharedWork<AccessToken>;
  #kept: Kept | undefined;
  #wantedLifeMs = 0;
  /** The fetch under way; never rejects. */
  #fetching: Promise<unknown> = Promise.resolve();

  /**
   * @param partingMs how long who gives up waits for an answer that is on its way, where that may
   *   hold more than an access token.
   */
  constructor(fetchToken: FetchToken, clock: Clock, partingMs = 0) {
    this.#clock = clock;
    this.#partingMs = partingMs;
    this.#work = new SharedWork(async (signal) => {
      try {
        const fetching = fetchToken(this.#wantedLifeMs, signal);
        this.#fetching = fetching.catch(() => undefined);
        const token = await fetching;
        this.#keep(token);
        return token;
      } finally {
        this.#wantedLifeMs = 0;
      }
    });
  }

  async accessToken(minLifeMs: number, signal: AbortSignal): Promise<AccessToken> {
    signal.throwIfAborted();
    const kept = this.#kept;
    if (kept !== undefined) {
      const { deadline, token } = kept;
      if (isLivelyEnough(deadline.leftMs(), deadline.lifeMs, minLifeMs)) return token;
    }
    this.#wantedLifeMs = Math.max(this.#wantedLifeMs, minLifeMs);
    try {
      return await this.#work.run(signal);
    } catch (error) {
      if (signal.aborted) await this.#part();
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#part();
  }

  async #part(): Promise<void> {
    if (this.#partingMs === 0) return;
    await settledWithin(this.#fetching, this.#partingMs, this.#clock);
  }

  #keep(token: AccessToken): void {
    const { expiresAtMs } = token;
    const leftMs = expiresAtMs === undefined ? UNKNOWN_LIFE_MS : expiresAtMs - this.#clock.now();
    this.#kept = { token, deadline: new Deadline(this.#clock, leftMs) };
  }
}
