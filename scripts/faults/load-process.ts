/** `load-process.js`: programs under load, in a process that outlives the mount they use. */
import { stat } from 'node:fs/promises';
import { serveParent } from '../../bench/child-program.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { Random } from '../../test/fixtures/random.ts';
import type { Told } from './beliefs.ts';
import { LoadReader } from './load-reader.ts';
import { LoadWriter } from './load-writer.ts';
import type { PlantedFile } from './planted.ts';
import { type CallReport, type LongCall, WatchedCalls } from './watched-calls.ts';

export interface LoadOrder {
  /** Holds a folder `w0`… for each writer, and what was planted. */
  readonly root: string;
  readonly seed: number;
  readonly writers: number;
  readonly readers: number;
  readonly writesBack: boolean;
  readonly planted: readonly PlantedFile[];
}

export interface LoadReport extends CallReport {
  /** Of each writer. */
  readonly told: readonly Told[];
}

/** After a call that found no mount. */
const PAUSE_MS = 100;

class Load {
  readonly #order: LoadOrder;
  readonly #calls = new WatchedCalls();
  readonly #writers: readonly LoadWriter[];
  readonly #stop = new AbortController();
  readonly #running: Promise<unknown>;

  constructor(order: LoadOrder) {
    const { root, seed, writers, readers, writesBack, planted } = order;
    this.#order = order;
    this.#writers = Array.from({ length: writers }, (_, nth) => {
      return new LoadWriter(root, nth, writesBack, new Random(seed * 131 + nth), this.#calls);
    });
    const reading = Array.from({ length: readers }, (_, nth) => {
      return new LoadReader(root, planted, new Random(seed * 131 + 50 + nth), this.#calls);
    });
    const all = [...this.#writers, ...reading];
    this.#running = Promise.all(all.map(async (each) => await this.#goOn(each)));
    this.#running.catch(() => undefined); // awaited at the end
  }

  get longest(): LongCall | null {
    return this.#calls.longest;
  }

  /** Nobody begins anything more. */
  stop(): void {
    this.#stop.abort();
  }

  /** All is well again: each writer must be able to write once more. */
  async finish(): Promise<LoadReport> {
    this.stop();
    await this.#running;
    const failed = await Promise.all(this.#writers.map(async (each) => await each.finish()));
    this.#calls.wrong.push(...failed.filter((why) => why !== undefined));
    return { ...this.#calls.report, told: this.#writers.map(({ beliefs }) => beliefs.told) };
  }

  async #goOn(program: { step(): Promise<void> }): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      const there = await stat(this.#order.root).catch(() => undefined);
      if (there === undefined) await systemClock.sleep(PAUSE_MS, signal).catch(() => undefined);
      else await program.step();
    }
  }
}

let load: Load | undefined;
await serveParent('ready', {
  start(order: LoadOrder): void {
    load = new Load(order);
  },
  longest(): LongCall | null {
    return load?.longest ?? null;
  },
  stop(): void {
    load?.stop();
  },
  async finish(): Promise<LoadReport | undefined> {
    return await load?.finish();
  },
});
// Calls may still be under way, some of them on a mount that answers nobody any more.
process.kill(process.pid, 'SIGKILL');
