/**
 * Ends mounts as signals ask:
 *
 * - SIGINT: all, unless one is in use or not saved: then that is told and the mount goes on;
 * - SIGTERM, SIGHUP: all, each within its time; what is in use is taken away from its users, for
 *   more patience would end in SIGKILL, and what is not saved by then stays in the journal;
 * - a second signal: all, at once.
 */
import { LinkedAbort } from '../lib/abort.ts';
import type { Clock } from '../lib/clock.ts';
import { WireError } from '../lib/wire-error.ts';
import type { KeptMount } from './kept-mount.ts';
import type { StopSignal } from './stop-signals.ts';

/** Under the 90 s after which systemd sends SIGKILL (systemd-system.conf(5), DefaultTimeoutStopSec). */
export const STOP_TIMEOUT_MS = 60_000;

/** What of the time is for letting go: closing, noting what is left, taking the mount away. */
const LEAVING_PART = 0.2;
const LEAVING_MOST_MS = 5_000;

export interface StopperOptions {
  /** Those that live, as they are at any time. */
  readonly mounts: () => readonly KeptMount[];
  /** Something went wrong and the mounts go on. */
  readonly trouble: (error: WireError) => void;
  readonly clock: Clock;
}

export class Stopper {
  readonly #options: StopperOptions;
  readonly #signal: AbortSignal;
  #heard = 0;
  #stopping: Promise<void> | undefined;
  #leaving: Promise<unknown> | undefined;

  constructor(options: StopperOptions, signal: AbortSignal) {
    this.#options = options;
    this.#signal = signal;
  }

  hear(name: StopSignal): void {
    this.#heard += 1;
    if (this.#heard > 1) this.#leave();
    else this.#stopping = this.#stop(name);
  }

  /** What signals began has come to its end. */
  async done(): Promise<void> {
    await this.#stopping;
    await this.#leaving;
  }

  async #stop(name: StopSignal): Promise<void> {
    const patient = name === 'SIGINT';
    await Promise.all(
      this.#options.mounts().map(async (mount) => {
        try {
          if (patient) await mount.stop('wait', this.#signal);
          else await this.#stopInTime(mount);
        } catch (error) {
          // An end that left something unsaved is told by `ended`; only what goes on is told here.
          if (!this.#options.mounts().includes(mount) || this.#leaving !== undefined) return;
          if (patient) this.#options.trouble(asWireError(error));
          else await mount.leave();
        }
      }),
    );
  }

  /** @throws as `KeptMount.stop`; the reason of the abort when its time is up. */
  async #stopInTime(mount: KeptMount): Promise<void> {
    const limitMs = mount.order.spec.stopTimeoutMs ?? STOP_TIMEOUT_MS;
    const savingMs = limitMs - Math.min(limitMs * LEAVING_PART, LEAVING_MOST_MS);
    using saving = new LinkedAbort(this.#signal);
    const stopped = new AbortController();
    this.#options.clock.sleep(savingMs, stopped.signal).then(
      () => saving.abort(noTime(mount.mountPoint)),
      () => undefined,
    );
    try {
      await mount.stop('wait', saving.signal);
    } finally {
      stopped.abort();
    }
  }

  #leave(): void {
    this.#leaving ??= Promise.all(this.#options.mounts().map(async (mount) => await mount.leave()));
  }
}

function noTime(mountPoint: string): WireError {
  const answered = 'there was no more time';
  return new WireError('not-saved', { tried: `unmount ${mountPoint}`, answered });
}

function asWireError(error: unknown): WireError {
  if (error instanceof WireError) return error;
  return new WireError('internal', { tried: 'unmount', answered: String(error) }, { cause: error });
}
