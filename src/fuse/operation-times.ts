/**
 * How often a kernel asked for each operation, how long it waited and what it was refused. A time
 * begins when the batch with the request was read and ends when the reply was written: what
 * requests of one batch wait for each other is part of it. A reply costs one look at the clock, a
 * batch another; nothing is allocated but once for each operation.
 *
 * What the kernel does by itself (its page cache, passthrough) is seen by nobody here.
 */
import type { Errno } from '../fs/errno.ts';
import { elapsed, Histogram, microseconds } from '../lib/histogram.ts';
import { opcodes } from './protocol/abi.ts';

/** One operation that was asked for. */
export interface OperationTime {
  /** As the kernel calls it: `READ`. */
  readonly name: string;
  readonly times: Histogram;
  /** Refusals by their errno. */
  readonly errors: ReadonlyMap<Errno, number>;
}

/** All that are known are below this; others are refused, and shown nowhere. */
const OPCODES = 64;

/** What programs ask for, by opcode: the handshake and the end are the kernel's own. */
const names: ReadonlyMap<number, string> = new Map(
  Object.entries(opcodes)
    .filter(([name]) => name !== 'INIT' && name !== 'DESTROY')
    .map(([name, opcode]) => [opcode, name]),
);

export class OperationTimes {
  /** Bytes that READs were answered with, and that WRITEs brought. */
  readBytes = 0;
  writtenBytes = 0;
  readonly #now: () => number;
  readonly #times: (Histogram | undefined)[] = Array.from({ length: OPCODES });
  readonly #errors = new Map<number, Map<Errno, number>>();

  /** `now`: monotonic ms. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** As `microseconds`: when requests of a batch have come. */
  moment(): number {
    return microseconds(this.#now());
  }

  /** A request that came at `arrived` has its reply; `bytes`: of content. */
  answered(opcode: number, arrived: number, bytes: number): void {
    this.#record(opcode, arrived);
    if (opcode === opcodes.READ) this.readBytes += bytes;
    else if (opcode === opcodes.WRITE) this.writtenBytes += bytes;
  }

  refused(opcode: number, arrived: number, errno: Errno): void {
    this.#record(opcode, arrived);
    const errors = this.#errors.get(opcode) ?? new Map<Errno, number>();
    errors.set(errno, (errors.get(errno) ?? 0) + 1);
    if (opcode < OPCODES) this.#errors.set(opcode, errors);
  }

  /** Those that came at least once, by opcode. */
  get all(): readonly OperationTime[] {
    return this.#times.flatMap((times, at) => {
      const name = names.get(at);
      if (times === undefined || name === undefined) return [];
      return [{ name, times, errors: this.#errors.get(at) ?? new Map<Errno, number>() }];
    });
  }

  #record(opcode: number, arrived: number): void {
    if (opcode >= OPCODES) return;
    const times = (this.#times[opcode] ??= new Histogram());
    times.record(elapsed(arrived, this.moment()));
  }
}
