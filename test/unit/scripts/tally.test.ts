import { describe, expect, it } from 'vitest';
import { addTallies, tallyIn, tallyLine } from '../../../scripts/tally.ts';

describe('the line that counts tests', () => {
  it('is read, and no other line is taken for it', () => {
    expect(tallyIn('12 passed, 1 failed, 3 skipped')).toEqual({
      passed: 12,
      failed: 1,
      skipped: 3,
    });
    expect(tallyIn(' 12 passed, 1 failed, 3 skipped')).toBeUndefined();
    expect(tallyIn('Tests 12 passed (12)')).toBeUndefined();
  });

  it('is read as it was written', () => {
    const tally = { passed: 12, failed: 1, skipped: 3 };
    expect(tallyIn(tallyLine(tally))).toEqual(tally);
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
