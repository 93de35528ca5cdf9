/**
 * As process 1 of a container, wire inherits every process there whose parent has ended, and has to
 * take note of their ends: otherwise they stay as zombies until no process can be made any more.
 */
import { readdir, readFile } from 'node:fs/promises';
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import { loadAddon } from '../lib/native-addon.ts';

/** What of the addon is used here; see native/linux/service.h. */
interface ChildAddon {
  /** Absent in an addon of an earlier version. */
  readonly reapChild?: (pid: number) => number;
}

export interface OrphanReaperOptions {
  readonly pid: number;
  readonly clock: Clock;
  readonly log: Log;
  /** Children of this process that have ended. Default: by /proc. */
  readonly zombies?: () => Promise<readonly number[]>;
  /** Takes note of the end of one. Default: waitpid(2) by the addon. */
  readonly reap?: (pid: number) => void;
}

/** Between two looks. A zombie costs an entry in a table: there is no hurry. */
const LOOK_MS = 2_000;

export class OrphanReaper implements AsyncDisposable {
  readonly #options: OrphanReaperOptions;
  readonly #ended = new AbortController();
  readonly #looking: Promise<void>;

  /** Does nothing in any process but the first. */
  constructor(options: OrphanReaperOptions) {
    this.#options = options;
    this.#looking = options.pid === 1 ? this.#look() : Promise.resolve();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended.abort();
    await this.#looking;
  }

  /** Never rejects. */
  async #look(): Promise<void> {
    const { clock, log, zombies = zombiesOfThis, reap = reapByAddon } = this.#options;
    const { signal } = this.#ended;
    let before = new Set<number>();
    try {
      while (!signal.aborted) {
        await clock.sleep(LOOK_MS, signal);
        const now = await zombies();
        // Node waits for those that it started, and is told of their end at once: what was there at
        // the look before is none of them. Taken from it, it would wait for ever.
        for (const pid of now) if (before.has(pid)) reap(pid);
        before = new Set(now);
      }
    } catch (error) {
      if (!signal.aborted) log.warn('orphans are not looked after', { error });
    }
  }
}

async function zombiesOfThis(): Promise<readonly number[]> {
  const names = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(
    names.map(async (name) => {
      const text = await readFile(`/proc/${name}/stat`, 'latin1').catch(() => '');
      return isZombieOf(process.pid, text) ? [Number(name)] : [];
    }),
  );
  return found.flat();
}

/** By proc_pid_stat(5): `pid (name) state parent …`; the name may hold anything. */
function isZombieOf(parent: number, text: string): boolean {
  const [state, ppid] = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return state === 'Z' && Number(ppid) === parent;
}

function reapByAddon(pid: number): void {
  (loadAddon() as ChildAddon).reapChild?.(pid);
}
