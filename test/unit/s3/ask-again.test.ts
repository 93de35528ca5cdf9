import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  afterExtra,
  afterRequest,
  firstExtra,
  noWaits,
  quietLimitMs,
  withWait,
} from '../../../src/s3/ask-again.ts';

describe('a range on which nothing comes', () => {
  it.each([
    ['nothing is known', [], 1000],
    ['answers are quick', [5, 10, 200], 1000],
    [
      'nineteen of twenty come within 400 ms',
      [...Array.from({ length: 19 }, () => 400), 9000],
      1750,
    ],
    ['all take 2 s', [2000, 2000, 2000], 8000],
  ])('is waited for, when %s, for as long as is usual four times over', (_, waits, limit) => {
    const known = waits.reduce(withWait, noWaits);
    const limitMs = quietLimitMs(known);
    expect(limitMs).toBeGreaterThanOrEqual(limit === 1750 ? 1600 : limit);
    expect(limitMs).toBeLessThanOrEqual(limit);
  });

  it('is judged by the last 64 answers', () => {
    const slow = Array.from({ length: 64 }, () => 3000).reduce(withWait, noWaits);
    expect(quietLimitMs(slow)).toBe(12_000);
    const quick = Array.from({ length: 64 }, () => 10).reduce(withWait, slow);
    expect(quietLimitMs(quick)).toBe(1000);
    expect(quick.samples).toHaveLength(64);
  });
});

describe('extra requests', () => {
  it('are one at the start, and never more than one in twenty, or nine at once', () => {
    const history = fc.array(fc.boolean(), { maxLength: 2000, size: 'max' });
    fc.assert(
      fc.property(history, (stalls) => {
        let extra = firstExtra;
        let [requests, extras, inARow] = [0, 0, 0];
        for (const stalled of stalls) {
          if (stalled) {
            const after = afterExtra(extra);
            if (after === undefined) continue;
            extra = after;
            extras += 1;
            inARow += 1;
          } else {
            extra = afterRequest(extra);
            requests += 1;
            inARow = 0;
          }
          expect(extras).toBeLessThanOrEqual(Math.max(1, requests / 20 + 1e-6));
          expect(inARow).toBeLessThanOrEqual(9);
        }
      }),
    );
  });

  it('are there when they are needed, after requests enough', () => {
    let extra = firstExtra;
    for (let times = 0; times < 1000; times += 1) extra = afterRequest(extra);
    let extras = 0;
    for (let next = afterExtra(extra); next !== undefined; next = afterExtra(next)) extras += 1;
    expect(extras).toBe(8);
  });
});
