import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ReadaheadLimits, ReadaheadStep } from '../../../src/cache/readahead.ts';
import { Streams } from '../../../src/cache/streams.ts';
import { type Extent, KiB, MiB } from '../../../src/lib/bytes.ts';

const usual: ReadaheadLimits = {
  fileBytes: 256 * MiB,
  maxBytes: 24 * MiB,
  partBytes: MiB,
  grainBytes: 4 * KiB,
};

function extent(start: number, bytes: number): Extent {
  return { start, end: start + bytes };
}

/** A reader, and which of its bytes were asked for: what a store without delay would have sent. */
class Rig {
  readonly streams = new Streams();
  readonly asked: Extent[] = [];
  limits: ReadaheadLimits = usual;
  /** Whether what was asked for comes at once, or always too late. */
  late = false;

  read(start: number, bytes: number): ReadaheadStep | undefined {
    const end = Math.min(start + bytes, this.limits.fileBytes);
    const to = this.heldTo(start, end);
    const absentAt = to < end ? to : undefined;
    const stalled = absentAt !== undefined || this.late;
    if (!stalled && this.streams.coast(start, end)) return undefined;
    const step = this.streams.follow({ start, end, stalled, absentAt }, this.limits);
    if (step?.fetch !== undefined) this.asked.push(step.fetch);
    return step;
  }

  /** Reads on from `start`, 128 KiB at a time, as the kernel does. */
  run(start: number, bytes: number): ReadaheadStep | undefined {
    let last: ReadaheadStep | undefined;
    for (let at = start; at < start + bytes; at += 128 * KiB)
      last = this.read(at, 128 * KiB) ?? last;
    return last;
  }

  holds(start: number, end: number): boolean {
    return this.heldTo(start, end) >= end;
  }

  /** Where the first of `[start, end)` is that was not asked for. */
  heldTo(start: number, end: number): number {
    let at = start;
    for (let grown = true; grown && at < end; ) {
      grown = false;
      for (const each of this.asked) {
        if (each.start > at || each.end <= at) continue;
        at = each.end;
        grown = true;
      }
    }
    return at;
  }

  get askedBytes(): number {
    return this.asked.reduce((sum, { start, end }) => sum + end - start, 0);
  }
}

describe('reading ahead', () => {
  it('asks for 1 MiB and the read-ahead of the kernel with the first read of a file', () => {
    const rig = new Rig();
    expect(rig.read(0, 128 * KiB)?.fetch).toEqual(extent(0, MiB + 128 * KiB));
    expect(new Rig().read(0, 4 * KiB)?.fetch).toEqual(extent(0, MiB + 128 * KiB));
  });

  it('asks for a large first read and a MiB beyond it', () => {
    expect(new Rig().read(0, 4 * MiB)?.fetch?.end).toBeGreaterThanOrEqual(4 * MiB);
  });

  it('keeps its window while the reader waits for nothing', () => {
    const rig = new Rig();
    expect(rig.run(0, 64 * MiB)?.stream.windowBytes).toBe(MiB);
  });

  it('doubles the window, up to its limit, when the reader has to wait for what it brought', () => {
    const rig = new Rig();
    rig.late = true;
    const windows = new Set<number>();
    for (let at = 0; at < 200 * MiB; at += 128 * KiB) {
      windows.add((rig.read(at, 128 * KiB)?.stream.windowBytes ?? 0) / MiB);
    }
    expect([...windows]).toEqual([1, 2, 4, 8, 16, 24]);
  });

  it('does not double it again for what was asked for before', () => {
    const rig = new Rig();
    rig.run(0, 4 * MiB);
    rig.late = true;
    const before = rig.asked.at(-1)?.end ?? 0;
    expect(rig.read(4 * MiB, 128 * KiB)?.stream.windowBytes).toBe(2 * MiB);
    for (let at = 4 * MiB + 128 * KiB; at + 128 * KiB <= before; at += 128 * KiB) {
      expect(rig.read(at, 128 * KiB)?.stream.windowBytes).toBe(2 * MiB);
    }
  });

  it('shrinks the window to what memory allows, and when what it asked for was lost', () => {
    const rig = new Rig();
    rig.late = true;
    rig.run(0, 64 * MiB);
    rig.limits = { ...usual, maxBytes: 512 * KiB };
    expect(rig.read(64 * MiB, 128 * KiB)?.stream.windowBytes).toBe(512 * KiB);
    rig.asked.length = 0;
    const lost = rig.read(64 * MiB + 128 * KiB, 128 * KiB);
    expect(lost?.stream.windowBytes).toBe(256 * KiB);
    expect(lost?.fetch?.start).toBe(64 * MiB + 128 * KiB);
  });

  it('asks for each byte of a sequential read once, without a gap, whatever the sizes', () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 2 * MiB }), {
      minLength: 5,
      maxLength: 100,
      size: 'max',
    });
    fc.assert(
      fc.property(
        sizes,
        fc.boolean(),
        fc.integer({ min: MiB, max: 64 * MiB }),
        (bytes, late, length) => {
          const rig = new Rig();
          rig.limits = { ...usual, fileBytes: length };
          rig.late = late;
          let at = 0;
          for (const size of bytes) {
            if (at >= length) break;
            rig.read(at, size);
            at += size;
            expect(rig.holds(0, Math.min(at, length))).toBe(true);
          }
          let next = 0;
          for (const { start, end } of rig.asked) {
            expect(start).toBe(next);
            expect(end).toBeLessThanOrEqual(length);
            next = end;
          }
        },
      ),
    );
  });

  it('asks for what is read, never behind the file and never further ahead than memory allows', () => {
    const anyRead = fc.record({
      start: fc.nat(40 * MiB),
      bytes: fc.oneof(
        fc.constantFrom(4 * KiB, 128 * KiB, MiB),
        fc.integer({ min: 1, max: 4 * MiB }),
      ),
      onward: fc.boolean(),
    });
    const histories = fc.array(anyRead, { maxLength: 60, size: 'max' });
    const limits = fc.record({
      fileBytes: fc.integer({ min: 1, max: 40 * MiB }),
      maxBytes: fc.constantFrom(0, 128 * KiB, MiB, 24 * MiB),
      partBytes: fc.constantFrom(128 * KiB, MiB, 8 * MiB),
      grainBytes: fc.constantFrom(4 * KiB, 128 * KiB),
    });
    fc.assert(
      fc.property(histories, limits, fc.boolean(), (reads, most, late) => {
        const rig = new Rig();
        rig.limits = most;
        rig.late = late;
        let end = 0;
        for (const { start: anywhere, bytes, onward } of reads) {
          const start = (onward ? end : anywhere) % most.fileBytes;
          end = Math.min(start + bytes, most.fileBytes);
          const fetch = rig.read(start, bytes)?.fetch;
          expect(rig.holds(start, end)).toBe(true);
          if (fetch === undefined) continue;
          expect(fetch.start).toBeLessThan(fetch.end);
          expect(fetch.start).toBeGreaterThanOrEqual(0);
          expect(fetch.end).toBeLessThanOrEqual(most.fileBytes);
          // Blocks are whole, and the stream may stand a little before or behind this read.
          const furthest = Math.max(end, start + MiB) + most.maxBytes + MiB + 128 * KiB;
          expect(fetch.end).toBeLessThanOrEqual(furthest);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('asks for whole pages and no more at random, where the server is fast', () => {
    const rig = new Rig();
    expect(rig.read(100 * MiB + 10, 100)?.fetch).toEqual(extent(100 * MiB, 4 * KiB));
    expect(rig.read(50 * MiB + 4090, 100)?.fetch).toEqual(extent(50 * MiB, 8 * KiB));
    expect(rig.read(10 * MiB, 64 * KiB)?.fetch).toEqual(extent(10 * MiB, 64 * KiB));
  });

  it('asks for a block at random where shorter answers take longer, and not for two', () => {
    const rig = new Rig();
    rig.limits = { ...usual, grainBytes: 128 * KiB };
    expect(rig.read(100 * MiB + 40 * KiB, 4 * KiB)?.fetch).toEqual(extent(100 * MiB, 128 * KiB));
    expect(rig.read(50 * MiB + 124 * KiB, 4 * KiB)?.fetch).toEqual(extent(50 * MiB, 128 * KiB));
  });

  it('fetches nothing extra for reads that jump', () => {
    // No two neighbours nearer than 2 MiB, and none at the start.
    const jumps = fc.uniqueArray(fc.integer({ min: 1, max: 120 }), { maxLength: 60, size: 'max' });
    fc.assert(
      fc.property(jumps, (places) => {
        const rig = new Rig();
        for (const place of places) rig.read(place * 2 * MiB, 4 * KiB);
        expect(rig.askedBytes).toBe(places.length * 4 * KiB);
      }),
    );
  });

  it('sees at its second read that a stream in the middle of a file is in order', () => {
    const rig = new Rig();
    expect(rig.read(100 * MiB, 128 * KiB)?.stream.windowBytes).toBe(0);
    const second = rig.read(100 * MiB + 128 * KiB, 128 * KiB);
    expect(second?.fetch).toEqual(extent(100 * MiB + 128 * KiB, MiB + 128 * KiB));
  });

  it('fetches little for two pages side by side, and more as the run goes on', () => {
    const rig = new Rig();
    rig.read(100 * MiB, 4 * KiB);
    expect(rig.read(100 * MiB + 4 * KiB, 4 * KiB)?.stream.windowBytes).toBe(128 * KiB);
    rig.late = true;
    const run = rig.run(100 * MiB + 8 * KiB, 4 * MiB);
    expect(run?.stream.windowBytes).toBeGreaterThan(MiB);
  });

  it('sees that a stream that jumped about is in order again', () => {
    const rig = new Rig();
    for (let place = 60; place > 0; place -= 1) rig.read(place * 3 * MiB, 4 * KiB);
    rig.late = true;
    expect(rig.run(200 * MiB, 8 * MiB)?.stream.windowBytes).toBeGreaterThan(MiB);
  });

  it('follows several streams at once, each with a window of its own', () => {
    const rig = new Rig();
    const starts = [0, 50, 100, 150].map((at) => at * MiB);
    for (let at = 0; at < 8 * MiB; at += 128 * KiB) {
      for (const start of starts) rig.read(start + at, 128 * KiB);
    }
    // Each asks for what it reads, and about its window beyond that.
    expect(rig.askedBytes).toBeLessThanOrEqual(starts.length * (8 * MiB + 2 * MiB));
    for (const start of starts) expect(rig.holds(start, start + 8 * MiB)).toBe(true);
    expect(rig.asked.length).toBeLessThan(starts.length * 12);
  });

  it('takes reads that the kernel sends in the wrong order for one stream', () => {
    const inOrder = new Rig();
    const shuffled = new Rig();
    for (const rig of [inOrder, shuffled]) rig.run(0, MiB);
    for (let at = MiB; at < 16 * MiB; at += 512 * KiB) {
      for (const step of [0, 1, 2, 3]) inOrder.read(at + step * 128 * KiB, 128 * KiB);
      for (const step of [2, 0, 3, 1]) shuffled.read(at + step * 128 * KiB, 128 * KiB);
    }
    expect(Math.abs(shuffled.askedBytes - inOrder.askedBytes)).toBeLessThanOrEqual(MiB);
    expect(shuffled.asked.length).toBeLessThanOrEqual(inOrder.asked.length + 1);
  });

  it('keeps the window over a step back of up to 1 MiB', () => {
    const rig = new Rig();
    rig.run(0, 8 * MiB);
    const asked = rig.askedBytes;
    rig.read(7 * MiB, 4 * KiB);
    expect(rig.askedBytes).toBe(asked);
    expect(rig.run(8 * MiB, MiB)?.stream.windowBytes).toBe(MiB);
  });

  it('leaves out what a skip of up to 16 MiB jumps over, and reads on from there', () => {
    const rig = new Rig();
    rig.late = true;
    rig.run(0, 16 * MiB);
    const to = rig.asked.at(-1)?.end ?? 0;
    const step = rig.read(to + 10 * MiB, 128 * KiB);
    expect(step?.stream.windowBytes).toBeGreaterThan(MiB);
    expect(step?.fetch?.start).toBe(to + 10 * MiB);
  });

  it('takes a stream that only skips for a random one', () => {
    const rig = new Rig();
    rig.run(0, 8 * MiB);
    for (let at = 10 * MiB; at < 200 * MiB; at += 10 * MiB) rig.read(at, 4 * KiB);
    expect(rig.read(210 * MiB, 4 * KiB)?.fetch).toEqual(extent(210 * MiB, 4 * KiB));
  });

  it('reads nothing ahead when there is no memory for it', () => {
    const rig = new Rig();
    rig.limits = { ...usual, maxBytes: 0 };
    for (let at = 0; at < MiB; at += 128 * KiB) {
      expect(rig.read(at, 128 * KiB)?.fetch).toEqual(extent(at, 128 * KiB));
    }
  });
});
