import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  initialReadahead,
  nextReadahead,
  type ReadaheadState,
} from '../../../src/cache/readahead.ts';
import { type Extent, KiB, MiB } from '../../../src/lib/bytes.ts';

const fileBytes = 256 * MiB;
const maxBytes = 16 * MiB;
const options = { fileBytes, maxBytes };

function extent(start: number, bytes: number): Extent {
  return { start, end: start + bytes };
}

/** A reader that has read the first `bytes` in order, 128 KiB at a time. */
function afterReading(bytes: number): ReadaheadState {
  let state = initialReadahead;
  for (let at = 0; at < bytes; at += 128 * KiB) {
    ({ state } = nextReadahead(state, extent(at, 128 * KiB), options));
  }
  return state;
}

const anyRead = fc
  .record({ start: fc.nat(300 * MiB), bytes: fc.integer({ min: 1, max: 4 * MiB }) })
  .map(({ start, bytes }) => extent(start, bytes));

describe('nextReadahead', () => {
  it('fetches the first MiB behind the first read of a file', () => {
    const { fetch } = nextReadahead(initialReadahead, extent(0, 128 * KiB), options);
    expect(fetch).toEqual(extent(128 * KiB, MiB));
  });

  it('doubles the window up to its cap while the reader goes on', () => {
    const windows = new Set<number>();
    let state = initialReadahead;
    for (let at = 0; at < 64 * MiB; at += 128 * KiB) {
      ({ state } = nextReadahead(state, extent(at, 128 * KiB), options));
      windows.add(state.windowBytes / MiB);
    }
    expect([...windows]).toEqual([1, 2, 4, 8, 16]);
  });

  it('never fetches further ahead than the cap, nor behind the file, nor the same twice in a row', () => {
    const histories = fc.array(anyRead, { maxLength: 60, size: 'max' });
    fc.assert(
      fc.property(histories, fc.nat(8 * MiB), fc.nat(300 * MiB), (reads, cap, length) => {
        let state = initialReadahead;
        for (const read of reads) {
          const step = nextReadahead(state, read, { fileBytes: length, maxBytes: cap });
          if (step.fetch !== undefined) {
            expect(step.fetch.start).toBeLessThan(step.fetch.end);
            expect(step.fetch.end).toBeLessThanOrEqual(length);
            expect(step.fetch.end - step.state.position).toBeLessThanOrEqual(cap);
            expect(step.fetch.start).toBeGreaterThanOrEqual(Math.min(read.end, length));
          }
          state = step.state;
          const again = nextReadahead(state, read, { fileBytes: length, maxBytes: cap });
          if (step.fetch !== undefined && again.fetch !== undefined) {
            expect(again.fetch.start).toBeGreaterThanOrEqual(step.fetch.end);
          }
        }
      }),
      { numRuns: 500 },
    );
  });

  it('keeps a sequential reader inside what is fetched, whatever the sizes of its reads', () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 512 * KiB }), {
      minLength: 20,
      maxLength: 200,
      size: 'max',
    });
    fc.assert(
      fc.property(sizes, fc.integer({ min: MiB, max: 64 * MiB }), (bytes, length) => {
        let state = initialReadahead;
        let at = 0;
        for (const [turn, size] of bytes.entries()) {
          const end = Math.min(at + size, length);
          if (turn > 0) expect(state.fetchedTo).toBeGreaterThanOrEqual(end);
          ({ state } = nextReadahead(state, extent(at, size), { fileBytes: length, maxBytes }));
          at = end;
        }
      }),
    );
  });

  it('fetches each byte of a sequential read once, without a gap', () => {
    let state = initialReadahead;
    let fetchedTo = 128 * KiB;
    for (let at = 0; at < fileBytes; at += 128 * KiB) {
      const step = nextReadahead(state, extent(at, 128 * KiB), options);
      if (step.fetch !== undefined) {
        expect(step.fetch.start).toBe(fetchedTo);
        fetchedTo = step.fetch.end;
      }
      state = step.state;
    }
    expect(fetchedTo).toBe(fileBytes);
  });

  it('fetches nothing extra for reads that jump', () => {
    // No two neighbours nearer than 2 MiB, and none at the start.
    const jumps = fc.array(fc.integer({ min: 1, max: 120 }), { maxLength: 60, size: 'max' });
    fc.assert(
      fc.property(jumps, (places) => {
        let state = initialReadahead;
        let before = 0;
        for (const place of places) {
          if (place === before) continue;
          before = place;
          const step = nextReadahead(state, extent(place * 2 * MiB, 4 * KiB), options);
          expect(step.fetch).toBeUndefined();
          state = step.state;
        }
      }),
    );
  });

  it('takes up a sequence in the middle of a file at its second read', () => {
    const jump = nextReadahead(initialReadahead, extent(100 * MiB, 128 * KiB), options);
    expect(jump.fetch).toBeUndefined();
    const next = nextReadahead(jump.state, extent(100 * MiB + 128 * KiB, 128 * KiB), options);
    expect(next.fetch).toEqual(extent(100 * MiB + 256 * KiB, MiB));
  });

  it('keeps the window over a forward skip into what is fetched', () => {
    const state = afterReading(8 * MiB);
    const { state: after } = nextReadahead(state, extent(state.fetchedTo - MiB, 4 * KiB), options);
    expect(after.windowBytes).toBeGreaterThanOrEqual(state.windowBytes);
  });

  it('keeps the window and the place over a small step back', () => {
    const state = afterReading(8 * MiB);
    const back = nextReadahead(state, extent(state.position - MiB, 4 * KiB), options);
    expect(back.state.position).toBe(state.position);
    expect(back.state.windowBytes).toBe(state.windowBytes);
  });

  it('keeps the window when the kernel sends two reads in the wrong order', () => {
    const state = afterReading(8 * MiB);
    const late = nextReadahead(state, extent(state.position + 128 * KiB, 128 * KiB), options);
    const early = nextReadahead(late.state, extent(state.position, 128 * KiB), options);
    expect(early.state.windowBytes).toBeGreaterThanOrEqual(state.windowBytes);
    expect(early.state.position).toBe(late.state.position);
  });

  it('forgets the window at a jump', () => {
    const state = afterReading(8 * MiB);
    const far = nextReadahead(state, extent(200 * MiB, 4 * KiB), options);
    expect(far).toMatchObject({ state: { windowBytes: 0 }, fetch: undefined });
  });

  it('with a cap of 0 fetches nothing', () => {
    const step = nextReadahead(initialReadahead, extent(0, 4 * KiB), { fileBytes, maxBytes: 0 });
    expect(step.fetch).toBeUndefined();
  });
});
