/**
 * Work that nobody waits for, and that nobody misses if it fails: who wants its result asks for it
 * again. Its owner ends it, and waits until nothing of it is under way.
 */
export class Background implements AsyncDisposable {
  readonly #end = new AbortController();
  readonly #running = new Set<Promise<void>>();

  start(work: (signal: AbortSignal) => Promise<void>): void {
    if (this.#end.signal.aborted) return;
    const running = work(this.#end.signal)
      .catch(() => undefined)
      .finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end.abort();
    await Promise.all(this.#running);
  }
}
