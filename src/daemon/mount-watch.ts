/** What one mount is seen to do: operations of programs, requests of its store. */
import { OperationTimes } from '../fuse/operation-times.ts';
import type { Clock } from '../lib/clock.ts';
import type { HistogramSummary } from '../lib/histogram.ts';
import { StoreTimes } from './store-watch.ts';

/** One kind of operation or request, for `wire status`. Counts since the mount was made. */
export interface TimedWork extends HistogramSummary {
  readonly name: string;
  /** How many were refused, by errno or by kind; absent where none was. */
  readonly errors?: Readonly<Record<string, number>>;
}

/** Bytes, and bytes a second over the last ten. */
export interface Flow {
  readonly bytes: number;
  readonly bytesPerSecond: number;
}

export interface Traffic {
  /** To the store. */
  readonly sent: Flow;
  readonly received: Flow;
  /** By programs; what the kernel serves by itself is not seen. */
  readonly readBytes: number;
  readonly writtenBytes: number;
}

/** What of it `wire status` tells. */
export interface WatchedWork {
  readonly operations: readonly TimedWork[];
  readonly requests: readonly TimedWork[];
  readonly traffic: Traffic;
}

export class MountWatch {
  readonly operations: OperationTimes;
  readonly requests: StoreTimes;
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.operations = new OperationTimes(() => clock.monotonic());
    this.requests = new StoreTimes(clock);
  }

  get figures(): WatchedWork {
    const nowMs = this.#clock.monotonic();
    const { sent, received } = this.requests;
    const { readBytes, writtenBytes } = this.operations;
    return {
      operations: this.operations.all.map(timedWork),
      requests: this.requests.all.map(timedWork),
      traffic: {
        sent: { bytes: sent.total, bytesPerSecond: Math.round(sent.perSecond(nowMs)) },
        received: { bytes: received.total, bytesPerSecond: Math.round(received.perSecond(nowMs)) },
        readBytes,
        writtenBytes,
      },
    };
  }
}

function timedWork({
  name,
  times,
  errors,
}: {
  readonly name: string;
  readonly times: { summary(): HistogramSummary };
  readonly errors: ReadonlyMap<string, number>;
}): TimedWork {
  return {
    name,
    ...times.summary(),
    ...(errors.size > 0 && { errors: Object.fromEntries(errors) }),
  };
}
