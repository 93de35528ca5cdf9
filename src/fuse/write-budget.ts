/**
 * Bounds the payloads of WRITEs that were handed to the file system and are not done. Requests are
 * always read, so that everything else goes on: a WRITE beyond the bound is kept here, in order,
 * and its writer with it, who waits for the reply. So what is kept is bounded too: one WRITE of
 * each writing thread, and as many asynchronous ones as INIT allows in the background.
 */
import type { PendingRequest } from './pending-request.ts';

interface Waiting {
  readonly request: PendingRequest;
  readonly start: () => void;
}

export class WriteBudget {
  readonly #limitBytes: number;
  readonly #waiting: Waiting[] = [];
  #bytes = 0;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  /** Bytes that the file system has not finished with. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Whether `bytes` more would be too many, or others came first. One alone always may. */
  mustWait(bytes: number): boolean {
    return this.#waiting.length > 0 || !this.#fits(bytes);
  }

  take(bytes: number): void {
    this.#bytes += bytes;
  }

  /** Gives back and starts, in order, what there is room for now. */
  give(bytes: number): void {
    this.#bytes -= bytes;
    for (;;) {
      const next = this.#waiting[0];
      if (next === undefined || !this.#fits(next.request.keptBytes)) return;
      this.#waiting.shift();
      next.start();
    }
  }

  postpone(request: PendingRequest, start: () => void): void {
    this.#waiting.push({ request, start });
  }

  /** Takes `request` out of those that wait. False when it is not among them. */
  cancel(request: PendingRequest): boolean {
    const at = this.#waiting.findIndex((waiting) => waiting.request === request);
    if (at >= 0) this.#waiting.splice(at, 1);
    return at >= 0;
  }

  #fits(bytes: number): boolean {
    return this.#bytes === 0 || this.#bytes + bytes <= this.#limitBytes;
  }
}
