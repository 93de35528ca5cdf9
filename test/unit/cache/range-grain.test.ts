import { describe, expect, it } from 'vitest';
import {
  askedAtRandom,
  type GrainState,
  grainAfter,
  initialGrain,
  nextGrain,
} from '../../../src/cache/range-grain.ts';
import { KiB, MiB } from '../../../src/lib/bytes.ts';

/** The bytes asked for by `count` reads of 4 KiB at a server that answers in `ms`. */
function reads(
  ms: (bytes: number) => number,
  count: number,
): { asked: number[]; state: GrainState } {
  let state = initialGrain;
  const asked: number[] = [];
  for (let at = 0; at < count; at += 1) {
    const bytes = nextGrain(state);
    asked.push(bytes);
    state = grainAfter(askedAtRandom(state), bytes, ms(bytes));
  }
  return { asked, state };
}

describe('the smallest range worth asking for', () => {
  it('is 4 KiB where short answers are as fast as long ones', () => {
    for (const ms of [() => 1.5, () => 21, (bytes: number) => 0.5 + bytes / 100_000]) {
      const { asked, state } = reads(ms, 1000);
      expect(state.grainBytes).toBe(4 * KiB);
      // With what it costs to find out, less than half as much again.
      expect(asked.reduce((sum, bytes) => sum + bytes, 0)).toBeLessThan(1000 * 6 * KiB);
    }
  });

  it('is a block where short answers are held back, as by stock RGW, after a few reads', () => {
    const { asked } = reads((bytes) => (bytes < 64 * KiB ? 44 : 2), 200);
    expect(asked.slice(0, 3)).toEqual([4 * KiB, 4 * KiB, 4 * KiB]);
    expect(asked.slice(8, 120).every((bytes) => bytes === 128 * KiB)).toBe(true);
  });

  it('is learnt again when the server changes', () => {
    let held = true;
    let state = initialGrain;
    for (let at = 0; at < 2000; at += 1) {
      if (at === 500) held = false;
      const bytes = nextGrain(state);
      state = grainAfter(askedAtRandom(state), bytes, bytes < 64 * KiB && held ? 44 : 2);
      if (at === 499) expect(state.grainBytes).toBe(128 * KiB);
    }
    expect(state.grainBytes).toBe(4 * KiB);
  });

  it('is not learnt from long requests, nor from one slow answer', () => {
    let state = reads(() => 2, 50).state;
    state = grainAfter(state, 4 * KiB, 500);
    state = grainAfter(state, 8 * MiB, 1);
    expect(state.grainBytes).toBe(4 * KiB);
  });
});
