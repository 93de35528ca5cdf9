/**
 * Faults that a test plants: how slow the line is and what goes wrong next. A planted fault waits
 * for the operation it names (any, if it names none) and is used up by it.
 */
import type { Clock } from '../../lib/clock.ts';

/** Which requests a planted fault is for. */
export interface FaultTarget {
  /** `GetObject`, `UploadPart`, `AssumeRoleWithWebIdentity`, ...; absent: any. */
  readonly operation?: string;
}

export interface PlannedFailure extends FaultTarget {
  readonly status: number;
  readonly code: string;
}

export interface PlannedStall extends FaultTarget {
  /** Body bytes sent before the silence; absent: silent before the status line. */
  readonly afterBytes?: number;
}

/** What goes wrong with one request. */
export type Fault =
  | { readonly kind: 'fail'; readonly status: number; readonly code: string }
  | { readonly kind: 'reset' }
  | { readonly kind: 'truncate'; readonly afterBytes: number }
  | { readonly kind: 'stall'; readonly ms: number; readonly afterBytes?: number }
  | { readonly kind: 'corrupt' };

interface Planted {
  readonly fault: Fault;
  readonly operation: string | undefined;
  left: number;
}

/** A second's allowance passes in steps of this part, so that slow lines flow rather than jump. */
const STEPS_PER_SECOND = 20;
const MIN_STEP_BYTES = 1024;

export class Faults {
  /** Wait before every answer. */
  latencyMs = 0;
  /** Shared by all bodies, each way; Infinity: as fast as can be. */
  bytesPerSecond: number = Number.POSITIVE_INFINITY;
  /** More than this is answered with 503 SlowDown. */
  requestsPerSecond: number = Number.POSITIVE_INFINITY;
  readonly #clock: Clock;
  readonly #planted: Planted[] = [];
  #lineFreeAtMs = 0;
  #allowance = 0;
  #allowanceAtMs: number | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The next `count` requests fail with this status and code, before anything is done. */
  failNext(count: number, { operation, status, code }: PlannedFailure): void {
    this.#plant(count, { kind: 'fail', status, code }, operation);
  }

  /** The next `count` bodies end after `afterBytes`, with the connection. */
  truncateNext(
    count: number,
    afterBytes: number,
    target: FaultTarget = { operation: 'GetObject' },
  ): void {
    this.#plant(count, { kind: 'truncate', afterBytes }, target.operation);
  }

  /** The next `count` requests get a reset connection for an answer. */
  resetNext(count: number, target: FaultTarget = {}): void {
    this.#plant(count, { kind: 'reset' }, target.operation);
  }

  /** The next `count` requests meet a silence of `ms`. */
  stallNext(count: number, ms: number, { operation, afterBytes }: PlannedStall = {}): void {
    const fault = { kind: 'stall', ms, ...(afterBytes !== undefined && { afterBytes }) } as const;
    this.#plant(count, fault, operation);
  }

  /** One byte in the middle of each of the next `count` bodies is wrong. */
  corruptNext(count: number, target: FaultTarget = { operation: 'GetObject' }): void {
    this.#plant(count, { kind: 'corrupt' }, target.operation);
  }

  /** Takes every fault and limit away. */
  clear(): void {
    this.#planted.length = 0;
    this.latencyMs = 0;
    this.bytesPerSecond = Number.POSITIVE_INFINITY;
    this.requestsPerSecond = Number.POSITIVE_INFINITY;
    this.#lineFreeAtMs = 0;
    this.#allowanceAtMs = undefined;
  }

  /** Uses up the fault that waits for `operation`, oldest first. */
  take(operation: string): Fault | undefined {
    const at = this.#planted.findIndex((each) => (each.operation ?? operation) === operation);
    const planted = this.#planted[at];
    if (planted === undefined) return undefined;
    planted.left -= 1;
    if (planted.left <= 0) this.#planted.splice(at, 1);
    return planted.fault;
  }

  /** Counts one request against `requestsPerSecond`; a second's worth may come at once. */
  admits(): boolean {
    const rate = this.requestsPerSecond;
    if (rate === Number.POSITIVE_INFINITY) return true;
    const now = this.#clock.monotonic();
    const earned = ((now - (this.#allowanceAtMs ?? now - 1000)) / 1000) * rate;
    this.#allowance = Math.min(
      rate,
      (this.#allowanceAtMs === undefined ? 0 : this.#allowance) + earned,
    );
    this.#allowanceAtMs = now;
    if (this.#allowance < 1) return false;
    this.#allowance -= 1;
    return true;
  }

  /** `pieces` at the line's rate. */
  pace(pieces: AsyncIterable<Buffer>, signal: AbortSignal): AsyncIterable<Buffer> {
    return this.bytesPerSecond === Number.POSITIVE_INFINITY ? pieces : this.#paced(pieces, signal);
  }

  get isPaced(): boolean {
    return this.bytesPerSecond !== Number.POSITIVE_INFINITY;
  }

  async *#paced(pieces: AsyncIterable<Buffer>, signal: AbortSignal): AsyncGenerator<Buffer> {
    for await (const piece of pieces) {
      const step = Math.max(MIN_STEP_BYTES, Math.floor(this.bytesPerSecond / STEPS_PER_SECOND));
      for (let at = 0; at < piece.length; at += step) {
        const cut = piece.subarray(at, at + step);
        await this.#occupyLine(cut.length, signal);
        yield cut;
      }
    }
  }

  async #occupyLine(bytes: number, signal: AbortSignal): Promise<void> {
    const now = this.#clock.monotonic();
    const startMs = Math.max(now, this.#lineFreeAtMs);
    this.#lineFreeAtMs = startMs + (bytes / this.bytesPerSecond) * 1000;
    await this.#clock.sleep(this.#lineFreeAtMs - now, signal);
  }

  #plant(count: number, fault: Fault, operation: string | undefined): void {
    if (count > 0) this.#planted.push({ fault, operation, left: count });
  }
}
