import { describe, expect, it } from 'vitest';
import type { InodeNumber } from '../../../src/fs/ids.ts';
import { FileNode } from '../../../src/fs/nodes.ts';
import { SaveQueue } from '../../../src/fs/save-queue.ts';
import { silentLog } from '../../../src/lib/log.ts';
import { StoreError, type StoreErrorKind } from '../../../src/store/errors.ts';
import { FakeClock } from '../../fixtures/fake-clock.ts';

/** Saves that a test answers. */
class Saves implements AsyncDisposable {
  readonly clock = new FakeClock();
  readonly begun: string[] = [];
  /** What each save ends as; absent: well. */
  readonly refusals = new Map<string, StoreErrorKind>();
  /** Saves wait until it is called, where it is there. */
  held: Promise<void> | undefined;
  most = 0;
  /** There is memory for more. */
  mayHold = true;
  #running = 0;
  readonly queue: SaveQueue = new SaveQueue({
    clock: this.clock,
    log: silentLog,
    random: () => 1,
    mayHold: () => this.mayHold,
    save: async (node) => {
      this.begun.push(node.name);
      this.#running += 1;
      this.most = Math.max(this.most, this.#running);
      await this.held;
      this.#running -= 1;
      const refusal = this.refusals.get(node.name) ?? this.refusals.get('*');
      if (refusal === undefined) this.queue.done(node, true);
      else this.queue.failed(node, refused(refusal));
    },
  });

  add(name: string): FileNode {
    const node = new FileNode(this.begun.length as InodeNumber, undefined, name);
    this.queue.add(node);
    return node;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.queue[Symbol.asyncDispose]();
  }
}

function refused(kind: StoreErrorKind): StoreError {
  return new StoreError(kind, 'save', { code: 'Test' });
}

describe('saving in the background', () => {
  it('saves the oldest first, many at a time', async () => {
    await using saves = new Saves();
    let release = (): void => undefined;
    saves.held = new Promise((resolve) => {
      release = resolve;
    });
    const names = Array.from({ length: 100 }, (_, at) => `f${at}`);
    for (const name of names) saves.add(name);
    await saves.clock.advance(200);
    expect(saves.begun).toEqual(names.slice(0, saves.most));
    expect(saves.most).toBeGreaterThanOrEqual(16);
    expect(saves.most).toBeLessThanOrEqual(32);
    release();
    await saves.clock.advance(10);
    expect(saves.begun).toEqual(names);
    expect(saves.queue.size).toBe(0);
  });

  it('holds back while others come, for a second at most and only while there is memory', async () => {
    await using saves = new Saves();
    for (let ms = 0; ms < 900; ms += 50) {
      saves.add(`f${ms}`);
      await saves.clock.advance(50);
    }
    expect(saves.begun).toEqual([]);
    for (let ms = 900; ms < 1500; ms += 50) {
      saves.add(`f${ms}`);
      await saves.clock.advance(50);
    }
    expect(saves.begun).toContain('f0');
    expect(saves.begun).not.toContain('f1000');
    saves.mayHold = false;
    saves.add('last');
    await saves.clock.advance(150);
    saves.add('still coming');
    expect(saves.queue.size).toBe(1);
  });

  it('tries again after a fault of its own, and leaves the process free meanwhile', async () => {
    const clock = new FakeClock();
    let faults = 0;
    let isBroken = true;
    const save = (saved: FileNode): Promise<void> => {
      if (isBroken) {
        faults += 1;
        throw new Error('a fault');
      }
      queue.done(saved, true);
      return Promise.resolve();
    };
    await using queue = new SaveQueue({ clock, log: silentLog, random: () => 1, save });
    queue.add(new FileNode(1 as InodeNumber, undefined, 'f'));
    await clock.advance(10_000);
    expect(faults).toBeGreaterThan(1);
    expect(faults).toBeLessThan(20);
    isBroken = false;
    await clock.advance(10_000);
    expect(queue.size).toBe(0);
  });

  it('sends a file that is written again and again once a second', async () => {
    await using saves = new Saves();
    const node = saves.add('f');
    for (let at = 0; at < 100; at += 1) {
      await saves.clock.advance(50);
      saves.queue.add(node);
    }
    await saves.clock.advance(2000);
    expect(saves.begun.length).toBeGreaterThan(3);
    expect(saves.begun.length).toBeLessThan(8);
    expect(saves.queue.size).toBe(0);
  });

  it('lets one ask for all while the store is away, less and less often', async () => {
    for (const kind of ['unreachable', 'unavailable'] as const) {
      await using saves = new Saves();
      saves.refusals.set('*', kind);
      for (let at = 0; at < 50; at += 1) saves.add(`f${at}`);
      await saves.clock.advance(200);
      const first = saves.begun.length;
      await saves.clock.advance(3_600_000);
      // Once a minute, after those that were under way when it began.
      expect(saves.begun.length - first).toBeGreaterThan(50);
      expect(saves.begun.length - first).toBeLessThan(80);
      expect(saves.queue.trouble).toMatchObject({ kind });
      saves.refusals.clear();
      await saves.clock.advance(61_000);
      expect(saves.queue.size).toBe(0);
      expect(saves.queue.trouble).toBeUndefined();
    }
  });

  it('looks each second whether somebody has logged in', async () => {
    await using saves = new Saves();
    saves.refusals.set('*', 'login-expired');
    saves.add('a');
    saves.add('b');
    await saves.clock.advance(60_000);
    expect(saves.begun.length).toBeGreaterThan(50);
    saves.refusals.clear();
    await saves.clock.advance(1100);
    expect(saves.queue.size).toBe(0);
  });

  it('goes on with the others while one fails again and again', async () => {
    await using saves = new Saves();
    saves.refusals.set('bad', 'unavailable');
    saves.add('bad');
    for (let at = 0; at < 40; at += 1) saves.add(`f${at}`);
    await saves.clock.advance(5000);
    expect(saves.queue.size).toBe(1);
    const tries = saves.begun.filter((name) => name === 'bad').length;
    expect(tries).toBeLessThan(6);
    saves.refusals.clear();
    await saves.clock.advance(61_000);
    expect(saves.queue.size).toBe(0);
  });

  it('ends with what is under way, and starts nothing more', async () => {
    const saves = new Saves();
    saves.add('a');
    await saves.clock.advance(100);
    saves.add('b');
    await saves[Symbol.asyncDispose]();
    saves.add('c');
    await saves.clock.advance(10_000);
    expect(saves.begun).toEqual(['a']);
    expect(saves.clock.sleeping).toBe(0);
  });
});
