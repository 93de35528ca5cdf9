import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { elapsed, Histogram, microseconds } from '../../../src/lib/histogram.ts';

const LONGEST_US = 2 ** 31 - 1;
/** As real ones: most are short, some are very long. */
const times = fc.array(
  fc.oneof(fc.integer({ min: 0, max: 100 }), fc.integer({ min: 0, max: LONGEST_US })),
  { minLength: 1, maxLength: 400, size: 'max' },
);

function histogramOf(all: readonly number[]): Histogram {
  const histogram = new Histogram();
  for (const us of all) histogram.record(us);
  return histogram;
}

describe('Histogram', () => {
  it('tells each quantile to an eighth, and count, sum and longest exactly', () => {
    fc.assert(
      fc.property(times, fc.double({ min: 0.001, max: 1, noNaN: true }), (all, quantile) => {
        const histogram = histogramOf(all);
        const sorted = all.toSorted((a, b) => a - b);
        const exactMs = (sorted[Math.ceil(quantile * sorted.length) - 1] ?? 0) / 1000;
        const toldMs = histogram.quantileMs(quantile);
        expect(toldMs).toBeGreaterThanOrEqual(exactMs);
        expect(toldMs).toBeLessThanOrEqual(exactMs * 1.125);
        const { count, sumMs, maxMs, p50Ms, p99Ms } = histogram.summary();
        expect(count).toBe(all.length);
        expect(sumMs).toBe(all.reduce((sum, us) => sum + us, 0) / 1000);
        expect(maxMs).toBe((sorted.at(-1) ?? 0) / 1000);
        expect(p50Ms).toBeLessThanOrEqual(p99Ms);
        expect(p99Ms).toBeLessThanOrEqual(maxMs);
      }),
    );
  });

  it('counts exactly at powers of two, as the buckets of a metric are cut', () => {
    fc.assert(
      fc.property(times, fc.integer({ min: 3, max: 31 }), (all, power) => {
        const us = 2 ** power;
        expect(histogramOf(all).countBelow(us)).toBe(all.filter((time) => time < us).length);
      }),
    );
  });

  it('knows nothing of nothing', () => {
    expect(new Histogram().summary()).toEqual({
      ...{ count: 0, sumMs: 0, p50Ms: 0, p99Ms: 0, maxMs: 0 },
    });
  });

  it('takes a clock that went back for no time at all', () => {
    expect(histogramOf([-5]).summary()).toMatchObject({ count: 1, sumMs: 0, maxMs: 0 });
  });
});

describe('elapsed', () => {
  it('is right for half an hour, however long the process has run', () => {
    const start = fc.double({ min: 0, max: 1e10, noNaN: true });
    fc.assert(
      fc.property(start, fc.integer({ min: 0, max: 2_000_000_000 }), (startMs, us) => {
        const measured = elapsed(microseconds(startMs), microseconds(startMs + us / 1000));
        // Doubles of some days in ms still tell single µs, give or take one.
        expect(Math.abs(measured - us)).toBeLessThanOrEqual(2);
      }),
    );
  });
});
