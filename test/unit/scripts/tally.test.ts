import { describe, expect, it } from 'vitest';
import { addTallies, readTally } from '../../../scripts/tally.ts';

describe('the line that counts tests', () => {
  it('is read, and no other line is taken for it', () => {
    expect(readTally('12 passed, 1 failed, 3 skipped')).toEqual({
      passed: 12,
      failed: 1,
      skipped: 3,
    });
    expect(readTally(' 12 passed, 1 failed, 3 skipped')).toBeUndefined();
    expect(readTally('Tests 12 passed (12)')).toBeUndefined();
  });

  it('adds up over several runs', () => {
    const one = { passed: 1, failed: 2, skipped: 3 };
    expect(addTallies(one, { passed: 10, failed: 20, skipped: 30 })).toEqual({
      passed: 11,
      failed: 22,
      skipped: 33,
    });
  });
});
