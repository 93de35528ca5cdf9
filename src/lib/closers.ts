/** Gives one acquired thing back. */
export type Close = () => Promise<void> | void;

/**
 * Releases what was acquired, last first (Node 20 has no AsyncDisposableStack).
 * Every closer runs even if an earlier one threw; the first error is thrown at the end.
 */
export class Closers implements AsyncDisposable {
  readonly #stack: Close[] = [];

  /** Remembers how to give `resource` back, and returns it. */
  use<T extends AsyncDisposable>(resource: T): T {
    this.defer(async () => await resource[Symbol.asyncDispose]());
    return resource;
  }

  defer(close: Close): void {
    this.#stack.push(close);
  }

  /** Takes over the closers so far: this object then closes nothing. */
  move(): Closers {
    const moved = new Closers();
    moved.#stack.push(...this.#stack.splice(0));
    return moved;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const errors: unknown[] = [];
    for (let close = this.#stack.pop(); close !== undefined; close = this.#stack.pop()) {
      try {
        await close();
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length > 0) throw errors[0];
  }
}
