import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { firstPace, nextPace, type PollAnswer, waitMs } from '../../../src/auth/device-poll.ts';

const answers = fc.array(fc.constantFrom<PollAnswer>('pending', 'slow-down', 'trouble'), {
  maxLength: 100,
  size: 'max',
});

describe('the pace of polling', () => {
  it.each([
    [undefined, 5000],
    [0, 5000],
    [-1, 5000],
    [Number.NaN, 5000],
    [1e9, 5000],
    [2, 2400],
    [10, 12_000],
  ])('with interval %s starts at %i ms', (interval, ms) => {
    expect(waitMs(firstPace(interval))).toBe(ms);
  });

  it('keeps a fifth more than a named interval, two fifths once told to slow down', () => {
    const named = firstPace(10);
    expect(waitMs(named)).toBe(12_000);
    expect(waitMs(nextPace(named, 'slow-down'))).toBe(21_000);
    expect(waitMs(nextPace(firstPace(undefined), 'slow-down'))).toBe(14_000);
  });

  it('is never faster than the server asked, and slows down for good', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 60 }), answers, (interval, history) => {
        let pace = firstPace(interval);
        let asked = interval * 1000;
        for (const answer of history) {
          pace = nextPace(pace, answer);
          if (answer === 'slow-down') asked += 5000;
          expect(waitMs(pace)).toBeGreaterThanOrEqual(asked);
          expect(waitMs(pace)).toBeLessThanOrEqual(Math.max(asked * 1.4 + 1, 30_000));
        }
      }),
    );
  });

  it('recovers with the first answer after troubles', () => {
    let pace = firstPace(undefined);
    for (let i = 0; i < 20; i += 1) pace = nextPace(pace, 'trouble');
    expect(waitMs(pace)).toBe(30_000);
    expect(waitMs(nextPace(pace, 'pending'))).toBe(5000);
  });
});
