import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import {
  type Failures,
  renewalAgeMs,
  renewalWaitMs,
  reserveMs,
  retryDelayMs,
  stepFor,
} from '../../../src/sts/renewal.ts';

const none: Failures = { count: 0, sinceMs: 0, delayMs: 0 };
const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const life = fc.integer({ min: 1000, max: 43_200_000 });

describe('the renewal of a lease', () => {
  it('is due between 70 and 80 % of its life, before its reserve', () => {
    fc.assert(
      fc.property(life, random, (lifeMs, chance) => {
        const age = renewalAgeMs(lifeMs, chance);
        expect(age / lifeMs).toBeGreaterThanOrEqual(0.6999);
        expect(age / lifeMs).toBeLessThanOrEqual(0.8001);
        expect(lifeMs - age).toBeGreaterThan(reserveMs(lifeMs));
      }),
    );
  });

  it('never hands out a lease within its reserve', () => {
    const share = fc.double({ min: -1, max: 1, noNaN: true });
    fc.assert(
      fc.property(
        life,
        share,
        random,
        fc.integer({ min: 0, max: 9 }),
        (lifeMs, left, chance, count) => {
          const leftMs = lifeMs * left;
          const view = { lifeMs, leftMs, renewAtAgeMs: renewalAgeMs(lifeMs, chance) };
          const step = stepFor(view, { count, sinceMs: 0, delayMs: 500 });
          const served = step === 'serve' || step === 'serve-and-renew';
          expect(served).toBe(leftMs > reserveMs(lifeMs));
        },
      ),
    );
  });

  it('keeps back 30 s of an hour and half a second of 5 s', () => {
    expect(reserveMs(3_600_000)).toBe(30_000);
    expect(reserveMs(5000)).toBe(500);
  });

  it('is waited for until it is due, or the pause after a failure is over', () => {
    const view = { lifeMs: 1000, leftMs: 900, renewAtAgeMs: 750 };
    expect(renewalWaitMs(view, none)).toBe(650);
    expect(renewalWaitMs({ ...view, leftMs: 100 }, none)).toBe(0);
    expect(renewalWaitMs({ ...view, leftMs: 100 }, { count: 1, sinceMs: 200, delayMs: 500 })).toBe(
      300,
    );
    expect(renewalWaitMs(undefined, none)).toBe(0);
  });

  it('rests after a failure, but not for somebody who waits longer than a second', () => {
    const resting: Failures = { count: 9, sinceMs: 999, delayMs: 50_000 };
    expect(stepFor(undefined, resting)).toBe('refuse');
    expect(stepFor(undefined, { ...resting, sinceMs: 1001 })).toBe('renew');
    const due = { lifeMs: 1000, leftMs: 200, renewAtAgeMs: 750 };
    expect(stepFor(due, resting)).toBe('serve');
    expect(stepFor(due, none)).toBe('serve-and-renew');
  });

  it('is tried again within bounds that double from 1 s to 60 s', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1000 }), random, (count, chance) => {
        const bound = Math.min(1000 * 2 ** Math.min(count - 1, 20), 60_000);
        expect(retryDelayMs(count, chance)).toBeLessThanOrEqual(bound);
        expect(retryDelayMs(count, chance)).toBeGreaterThanOrEqual(250);
      }),
    );
    expect(retryDelayMs(1, 0.999)).toBeCloseTo(999);
    expect(retryDelayMs(99, 0.999)).toBeCloseTo(59_940);
  });
});
