/**
 * One mount that is kept: when its session breaks off although nobody wanted that (the connection
 * is cut off by fusectl, the session ends by a defect), it is mounted again, with growing pauses and
 * a bounded number of times. Other mounts are not touched by that. What was unmounted, by whomever,
 * has ended as it should.
 *
 * Between the break and the repair the kernel answers ENOTCONN: the folder below is never in sight.
 */
import { raceAbort } from '../lib/abort.ts';
import { WireError } from '../lib/wire-error.ts';
import { type LiveMount, type MountStatus, type Repairs, startMount } from './mount.ts';
import type {
  Attachment,
  FileProgress,
  FileVerb,
  MountParts,
  MountSpec,
  RightsStatus,
} from './mount-parts.ts';
import type { MountWatch } from './mount-watch.ts';
import { isPassedDescriptor } from './passed-descriptor.ts';

/** A mount, and what it is made with. */
export interface MountOrder {
  readonly spec: MountSpec;
  readonly parts: MountParts;
}

/** Before the first attempt, the second, …: there are as many. Two minutes in all. */
const pausesMs: readonly number[] = [0, 500, 1000, 2000, 5000, 10_000, 20_000, 30_000, 60_000];
/** What has lived so long since its repair is sound: the attempts are counted anew. */
const SOUND_MS = 5 * 60_000;
/** A mount that breaks off at once each time is repaired so often in a row. */
const MAX_IN_A_ROW = 5;

export class KeptMount {
  /** Over for good. Resolves to what could not be saved, or to why it cannot be kept. */
  readonly ended: Promise<WireError | undefined>;
  readonly order: MountOrder;
  readonly #attachedTo: (attached: Attachment) => void;
  /** Aborts a repair. */
  readonly #stopping = new AbortController();
  #live: LiveMount;
  #repairing = false;
  #repairs: Repairs | undefined;
  #inARow = 0;
  #gaveUp = false;

  private constructor(
    order: MountOrder,
    live: LiveMount,
    attachedTo: (attached: Attachment) => void,
  ) {
    this.order = order;
    this.#live = live;
    this.#attachedTo = attachedTo;
    this.ended = this.#keep();
  }

  /** As `startMount`. */
  static async start(
    order: MountOrder,
    attachedTo: (attached: Attachment) => void,
    signal: AbortSignal,
  ): Promise<KeptMount> {
    const live = await startMount(order.spec, order.parts, attachedTo, signal);
    return new KeptMount(order, live, attachedTo);
  }

  get mountPoint(): string {
    return this.#live.mountPoint;
  }

  get status(): MountStatus {
    return {
      ...this.#live.status,
      ...(this.#repairing && { state: 'repairing' }),
      ...(this.#repairs !== undefined && { repairs: this.#repairs }),
    };
  }

  get watch(): MountWatch {
    return this.#live.watch;
  }

  get concerns(): readonly string[] {
    return this.#live.concerns;
  }

  /** The kernel still has it, dead: whoever mounts there again takes it away. */
  get gaveUp(): boolean {
    return this.#gaveUp;
  }

  async verifyRights(): Promise<RightsStatus | undefined> {
    return await this.#live.verifyRights();
  }

  async tend(
    verb: FileVerb,
    path: readonly string[],
    progress: (done: FileProgress) => void,
    signal: AbortSignal,
  ): Promise<FileProgress> {
    return await this.#live.tend(verb, path, progress, signal);
  }

  /** As `LiveMount.stop`. A mount that is being repaired is given up, and taken away. */
  async stop(mode: 'wait' | 'lazy', signal: AbortSignal): Promise<void> {
    if (!this.#repairing) {
      await this.#live.stop(mode, signal);
      // It may have broken off at that very moment.
      this.#stopping.abort();
      return;
    }
    this.#stopping.abort();
    const problem = await raceAbort(this.ended, signal);
    if (problem !== undefined) throw problem;
  }

  /** As `LiveMount.leave`. */
  async leave(): Promise<void> {
    this.#stopping.abort();
    await this.#live.leave();
  }

  async #keep(): Promise<WireError | undefined> {
    for (;;) {
      const startedMs = this.#clock.monotonic();
      const live = this.#live;
      const problem = await this.#unlessBroken(live);
      if (!live.brokeOff) return problem;
      if (this.#clock.monotonic() - startedMs > SOUND_MS) this.#inARow = 0;
      const trouble = await this.#repair();
      this.#repairing = false;
      if (trouble === undefined) continue;
      if (this.#stopping.signal.aborted) return problem;
      this.#gaveUp = true;
      return trouble;
    }
  }

  /** From the moment it breaks off it counts as being repaired, also while the rest is saved. */
  async #unlessBroken(live: LiveMount): Promise<WireError | undefined> {
    void live.broken.then((broken) => {
      this.#repairing = broken;
    });
    return await live.ended;
  }

  get #clock(): MountParts['clock'] {
    return this.order.parts.clock;
  }

  /** Resolves to why it is not mounted again, or to undefined when it is. */
  async #repair(): Promise<WireError | undefined> {
    const { signal } = this.#stopping;
    const { parts } = this.order;
    const { mountPoint } = this;
    this.#inARow += 1;
    if (isPassedDescriptor(mountPoint)) return cannotRepair(mountPoint);
    if (this.#inARow > MAX_IN_A_ROW) return brokeTooOften(mountPoint);
    let trouble: WireError | undefined;
    for (const pauseMs of pausesMs) {
      try {
        await this.#clock.sleep(pauseMs * this.#inARow, signal);
        this.#live = await startMount(this.order.spec, parts, this.#attachedTo, signal);
        this.#note();
        parts.log.warn('mounted again after its session broke off', { mountPoint });
        return undefined;
      } catch (error) {
        trouble = asWireError(error);
        if (signal.aborted) break;
        this.#note(trouble.message);
        parts.log.error('not mounted again', { mountPoint, error });
      }
    }
    if (signal.aborted) await this.#takeAway();
    return trouble;
  }

  #note(trouble?: string): void {
    const { count } = this.#repairs ?? { count: 0 };
    this.#repairs =
      trouble === undefined
        ? { count: count + 1, latestMs: this.#clock.now() }
        : { count, latestMs: this.#clock.now(), trouble };
  }

  /** Somebody wants it gone. */
  async #takeAway(): Promise<void> {
    const { parts } = this.order;
    const { signal } = new AbortController();
    await parts.takeAway?.(this.mountPoint, signal).catch((error: unknown) => {
      parts.log.warn('dead mount not taken away', { mountPoint: this.mountPoint, error });
    });
  }
}

/** As `KeptMount.leave`, of all of them, and waits for their ends. */
export async function leaveAll(mounts: readonly KeptMount[]): Promise<void> {
  await Promise.all(
    mounts.map(async (mount) => {
      await mount.leave();
      await mount.ended;
    }),
  );
}

/** The descriptor that was passed is of no use any more. */
function cannotRepair(mountPoint: string): WireError {
  const next = 'have it mounted again by whoever passed the descriptor';
  const answered = 'its session broke off';
  return new WireError('internal', { tried: `keep ${mountPoint} mounted`, answered, next });
}

function brokeTooOften(mountPoint: string): WireError {
  return new WireError('internal', {
    tried: `keep ${mountPoint} mounted`,
    answered: `it broke off again and again, ${MAX_IN_A_ROW} times in a row`,
    next: `see the log, then run: wire remount ${mountPoint}`,
  });
}

function asWireError(error: unknown): WireError {
  if (error instanceof WireError) return error;
  return new WireError(
    'internal',
    { tried: 'mount again', answered: String(error) },
    { cause: error },
  );
}
