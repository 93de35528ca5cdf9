/** How fast bytes went of late, from what two looks at the status say. Knows no clock. */
import type { LiveMountStatus, Status } from '../status.ts';

/** Bytes a second: from the store, to the store, read by programs, written by programs. */
export type Rates = readonly [received: number, sent: number, read: number, written: number];

/** What went since the look before. */
export interface Sample {
  /** Ms since the epoch. */
  readonly atMs: number;
  /** By mount point; a mount where nothing moved is left out. */
  readonly mounts: Readonly<Record<string, Rates>>;
}

/** Five minutes of looks a second apart. */
export const SAMPLES = 300;

interface Seen {
  /** Another life of the same place counts from zero again. */
  readonly life: string;
  readonly totals: Rates;
}

export class Throughput {
  readonly #history: Sample[] = [];
  #seen = new Map<string, Seen>();
  #seenAtMs = 0;

  /** The oldest first; at most `SAMPLES`. */
  get history(): readonly Sample[] {
    return this.#history;
  }

  /** `nowMs`: monotonic; `atMs`: wall clock. */
  add(status: Status, nowMs: number, atMs: number): Sample {
    const spanMs = nowMs - this.#seenAtMs;
    const seen = new Map<string, Seen>();
    const mounts: Record<string, Rates> = {};
    for (const mount of status.mounts) {
      const now = seenOf(mount);
      if (now === undefined) continue;
      seen.set(mount.mountPoint, now);
      const before = this.#seen.get(mount.mountPoint);
      if (before?.life !== now.life || spanMs <= 0) continue;
      const rates = perSecond(before.totals, now.totals, spanMs);
      if (rates.some((rate) => rate > 0)) mounts[mount.mountPoint] = rates;
    }
    this.#seen = seen;
    this.#seenAtMs = nowMs;
    const sample = { atMs, mounts };
    this.#history.push(sample);
    if (this.#history.length > SAMPLES) this.#history.shift();
    return sample;
  }
}

function seenOf(mount: Status['mounts'][number]): Seen | undefined {
  if (!('source' in mount) || mount.work === undefined) return undefined;
  const { received, sent, readBytes, writtenBytes } = mount.work.traffic;
  return { life: lifeOf(mount), totals: [received.bytes, sent.bytes, readBytes, writtenBytes] };
}

function lifeOf({ pid, readySinceMs }: LiveMountStatus): string {
  return `${pid} ${readySinceMs}`;
}

function perSecond(before: Rates, now: Rates, spanMs: number): Rates {
  const rate = (at: 0 | 1 | 2 | 3): number =>
    Math.max(0, Math.round(((now[at] - before[at]) * 1000) / spanMs));
  return [rate(0), rate(1), rate(2), rate(3)];
}
