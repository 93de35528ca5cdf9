/**
 * The life of a process that mounts for the one who waits for it, in the foreground: all mounts
 * ready or none; then until every one of them has ended. What ends them: `unmount` over the control
 * socket, or umount(8) from outside: that mount; signals: see `stopper.ts`.
 *
 * Before all are ready, any signal undoes what was begun.
 */
import { LinkedAbort } from '../lib/abort.ts';
import type { Clock } from '../lib/clock.ts';
import { WireError } from '../lib/wire-error.ts';
import { type KeptMount, leaveAll } from './kept-mount.ts';
import type { MountStatus } from './mount.ts';
import { LeftInJournal } from './mount-trouble.ts';
import type { Mounts } from './mounts.ts';
import type { StopSignal, StopSignals } from './stop-signals.ts';
import { Stopper } from './stopper.ts';

/** What the one who started the mounts is told. */
export interface MountEvents {
  ready(mounts: readonly MountStatus[]): void;
  /** Something went wrong and the mounts go on. */
  trouble(error: WireError): void;
  /** Something that a person should know, in one line. */
  warn?(line: string): void;
}

/** Who else hears of it: whoever keeps notes, or started this process as a service. */
export interface MountLife {
  began?(mounts: readonly KeptMount[]): void;
  stopping?(name: StopSignal): void;
}

/** Makes the mounts: all of them, or it throws and none is there. */
export type Begin = (signal: AbortSignal) => Promise<readonly KeptMount[]>;

/** Runs until every mount has ended. */
export class MountProcess {
  readonly #mounts: Mounts;
  readonly #events: MountEvents;
  readonly #life: MountLife;
  readonly #clock: Clock;

  constructor(mounts: Mounts, clock: Clock, events: MountEvents, life: MountLife = {}) {
    this.#mounts = mounts;
    this.#clock = clock;
    this.#events = events;
    this.#life = life;
  }

  /**
   * Mounts by `begin`, serves until all have ended.
   *
   * @throws WireError of the first that could not be mounted; `interrupted` by a signal before
   *   they were ready; `not-saved` when one ended with something unsaved. What is in the journal by
   *   then is only warned of when SIGTERM or SIGHUP left no more time: it is as safe as can be.
   */
  async run(begin: Begin, signals: StopSignals, signal: AbortSignal): Promise<void> {
    const mounts = this.#mounts;
    let ready = false;
    let isHurried = false;
    using starting = new LinkedAbort(signal);
    const trouble = (error: WireError): void => this.#events.trouble(error);
    const stopper = new Stopper(
      { mounts: () => mounts.living, trouble, clock: this.#clock },
      signal,
    );
    const listening = signals.listen((name) => {
      if (!ready) {
        starting.abort(interruption());
        return;
      }
      isHurried ||= name !== 'SIGINT';
      this.#life.stopping?.(name);
      stopper.hear(name);
    });
    try {
      const added = await begin(starting.signal);
      // Too late for the start to notice.
      if (starting.signal.aborted) {
        await leaveAll(added);
        starting.signal.throwIfAborted();
      }
      ready = true;
      this.#life.began?.(added);
      this.#events.ready(added.map((mount) => mount.status));
      mounts.tell(added, (line) => this.#events.warn?.(line));
      const problems = await this.#ends(added);
      await stopper.done();
      this.#tell(
        problems.filter((found) => found !== undefined),
        isHurried,
      );
    } finally {
      listening[Symbol.dispose]();
    }
  }

  /** @throws the first that is not warned of. */
  #tell(problems: readonly WireError[], isHurried: boolean): void {
    for (const problem of problems) {
      if (!isHurried || !(problem instanceof LeftInJournal)) throw problem;
      this.#events.warn?.(problem.message);
    }
  }

  /** Of all mounts, those included that took the place of others meanwhile. */
  async #ends(first: readonly KeptMount[]): Promise<readonly (WireError | undefined)[]> {
    const problems: (WireError | undefined)[] = [];
    for (let some = first; some.length > 0; some = this.#mounts.living) {
      problems.push(...(await Promise.all(some.map(async (mount) => await mount.ended))));
    }
    return problems;
  }
}

function interruption(): WireError {
  return new WireError('interrupted', {
    tried: 'mount',
    answered: 'interrupted before it was ready',
  });
}
