/**
 * How large V8's young generation is: 4 MiB of room for new objects. What is under way when it is
 * full is copied, and grows old when it is copied twice.
 *
 * - 1 MiB, with which a process begins, is full after seven small files, of which sixteen are under
 *   way: a fifth of the time went into the collector, and all of it grew old (70 MB in ten seconds).
 * - 16 MiB, to which it grows by itself, keeps short-lived buffers for so long that a mount that
 *   reads or writes long files takes 20 MB more.
 *
 * Its bounds can be set on the command line of node alone, so it is held by its factor of growth:
 * V8 grows it when much has survived, and makes it small again when nothing happens.
 */
import { PerformanceObserver } from 'node:perf_hooks';
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';
import { MiB } from '../lib/bytes.ts';

/** From 1 MiB at once to 4. */
const GROWTH = 4;
const NO_GROWTH = 1;
/** V8 counts both halves of it, of which one is empty. */
const GROWN_BYTES = 2 * GROWTH * MiB;

/** Of the whole process: there is one. */
export class YoungGeneration implements Disposable {
  readonly #observer = new PerformanceObserver(() => this.#look());
  #factor: number | undefined;

  /** Holds it at its size until disposed. */
  hold(): void {
    this.#observer.observe({ entryTypes: ['gc'] });
    this.#look();
  }

  [Symbol.dispose](): void {
    this.#observer.disconnect();
    this.#set(NO_GROWTH);
  }

  /** After a collection: V8 may have made it larger or smaller. */
  #look(): void {
    const space = getHeapSpaceStatistics().find(({ space_name: name }) => name === 'new_space');
    const isGrown = space === undefined || space.space_size >= GROWN_BYTES;
    this.#set(isGrown ? NO_GROWTH : GROWTH);
  }

  #set(factor: number): void {
    if (factor === this.#factor) return;
    this.#factor = factor;
    setFlagsFromString(`--semi-space-growth-factor=${factor}`);
  }
}
