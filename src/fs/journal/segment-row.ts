/**
 * The files of a journal, in their order: only the last one grows, and the first one goes when
 * nothing in it is needed, so that no record that takes another back ever goes before that one.
 */
import { randomInt } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Log } from '../../lib/log.ts';
import type { Background } from '../background.ts';
import type { Life } from './life.ts';
import type { FileHead } from './record.ts';
import { SEGMENT_BYTES, Segment } from './segment.ts';

export interface SegmentRowOptions {
  /** Made with the first file. */
  readonly folder: string;
  readonly life: Life;
  /** Syncs are waited for. */
  readonly durable: boolean;
  readonly log: Log;
  readonly background: Background;
  /** A file was made: its name is to reach the disk too. */
  readonly named: () => void;
}

/** `journal-<order>.log` */
const SEGMENT_NAME = /^journal-\d{8,}\.log$/;

export class SegmentRow {
  readonly #options: SegmentRowOptions;
  readonly #segments: Segment[] = [];
  #spare: Segment | undefined;
  #current: Segment | undefined;
  #lastOrder = 0;

  constructor(options: SegmentRowOptions) {
    this.#options = options;
  }

  /** Oldest first. */
  get all(): readonly Segment[] {
    return this.#segments;
  }

  /** Takes up files of an earlier life, which grow no more. */
  adopt(segments: readonly Segment[]): void {
    this.#segments.push(...segments);
    this.#lastOrder = Math.max(0, ...segments.map((segment) => segment.order));
  }

  /** The file that grows; another, of which `begun` hears, when it is long enough. */
  current(begun: () => void): Segment {
    const { folder, life, durable } = this.#options;
    if (this.#current !== undefined && this.#current.bytes < SEGMENT_BYTES) return this.#current;
    const next = this.#takeSpare() ?? this.#make(folder);
    try {
      const json = JSON.stringify({ ...life, durable });
      next.append({ type: 'life', id: 0, json }, [], durable);
    } catch (error) {
      next.remove();
      throw error;
    }
    this.#current = next;
    this.#segments.push(next);
    begun();
    return next;
  }

  /** Lets files go in which nothing is needed: from the first on, and none out of turn. */
  shed(): void {
    for (let [first] = this.#segments; first?.users === 0; [first] = this.#segments) {
      if (first === this.#current) return;
      this.#segments.shift();
      this.#recycle(first);
    }
  }

  dropSpare(): void {
    this.#takeSpare()?.remove();
  }

  /** @param isDone files without anything that is still promised are removed. */
  close(isDone: boolean): void {
    for (const segment of this.#segments) {
      if (isDone && segment.users === 0) segment.remove();
      else segment.close();
    }
    this.#segments.length = 0;
    this.#current = undefined;
  }

  #make(folder: string): Segment {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const head = this.#nextHead();
    this.#options.named();
    return Segment.create(pathOf(folder, head), head);
  }

  #nextHead(): FileHead {
    this.#lastOrder += 1;
    // Never 0: what was never written is no salt.
    return { order: this.#lastOrder, salt: randomInt(1, 2 ** 32) };
  }

  #takeSpare(): Segment | undefined {
    const spare = this.#spare;
    this.#spare = undefined;
    return spare;
  }

  /** Keeps one file for the next turn: to go over what is there is much quicker than to grow. */
  #recycle(segment: Segment): void {
    const { durable, folder, log, background } = this.#options;
    if (!durable || this.#spare !== undefined || segment.bytes < SEGMENT_BYTES) {
      segment.remove();
      return;
    }
    const head = this.#nextHead();
    background.start(async () => {
      try {
        await segment.reuse(pathOf(folder, head), head);
      } catch (error) {
        log.warn('journal-file-not-reused', { error });
        segment.remove();
        return;
      }
      // Its turn has passed when another was made meanwhile.
      if (head.order === this.#lastOrder && this.#spare === undefined) this.#spare = segment;
      else segment.remove();
    });
  }
}

/** Whether a file of that name is part of a journal. */
export function isSegmentName(name: string): boolean {
  return SEGMENT_NAME.test(name);
}

function pathOf(folder: string, { order }: FileHead): string {
  return join(folder, `journal-${String(order).padStart(8, '0')}.log`);
}
