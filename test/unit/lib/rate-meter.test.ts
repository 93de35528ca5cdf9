import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RateMeter } from '../../../src/lib/rate-meter.ts';

describe('RateMeter', () => {
  it('tells what went by in ten seconds, and forgets it afterwards', () => {
    const meter = new RateMeter();
    for (let second = 100; second < 110; second += 1) meter.add(50, second * 1000);
    expect(meter.perSecond(110_000)).toBe(50);
    expect(meter.perSecond(115_000)).toBe(25);
    expect(meter.perSecond(120_000)).toBe(0);
    expect(meter.total).toBe(500);
  });

  it('agrees with the list of all that was added, whatever the pauses', () => {
    const steps = fc.array(
      fc.tuple(fc.integer({ min: 0, max: 15_000 }), fc.integer({ min: 0, max: 1e6 })),
      { size: 'max', maxLength: 100 },
    );
    fc.assert(
      fc.property(steps, (all) => {
        const meter = new RateMeter();
        const added: [number, number][] = [];
        let nowMs = 5_000;
        for (const [passedMs, amount] of all) {
          nowMs += passedMs;
          meter.add(amount, nowMs);
          added.push([nowMs, amount]);
          const second = Math.floor(nowMs / 1000);
          const recent = added.filter(([atMs]) => second - Math.floor(atMs / 1000) <= 10);
          const sum = recent.reduce((so, [, each]) => so + each, 0);
          expect(meter.perSecond(nowMs)).toBeCloseTo((sum * 1000) / (10_000 + (nowMs % 1000)), 6);
        }
      }),
    );
  });
});
