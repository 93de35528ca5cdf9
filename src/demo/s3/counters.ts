/** What the object server was asked, by operation: the truth that tests hold the mount against. */

export interface OperationCount {
  readonly requests: number;
  /** Answered with a status of 400 or more, or cut off by a fault. */
  readonly errors: number;
  /** Body bytes. */
  readonly bytesIn: number;
  readonly bytesOut: number;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

export class Counters {
  readonly #byOperation = new Map<string, Mutable<OperationCount>>();

  /** The count of `operation`, to be added to. */
  of(operation: string): Mutable<OperationCount> {
    let count = this.#byOperation.get(operation);
    if (count === undefined) {
      count = { requests: 0, errors: 0, bytesIn: 0, bytesOut: 0 };
      this.#byOperation.set(operation, count);
    }
    return count;
  }

  /** Requests of `operation` so far. */
  requests(operation: string): number {
    return this.#byOperation.get(operation)?.requests ?? 0;
  }

  /** A copy of all counts by operation, sorted. */
  snapshot(): Readonly<Record<string, OperationCount>> {
    const sorted = [...this.#byOperation].sort(([a], [b]) => (a < b ? -1 : 1));
    return Object.fromEntries(sorted.map(([name, count]) => [name, { ...count }]));
  }

  reset(): void {
    this.#byOperation.clear();
  }
}
