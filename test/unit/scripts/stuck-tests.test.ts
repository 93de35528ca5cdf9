import { describe, expect, it } from 'vitest';
import { Silences } from '../../../scripts/stuck-tests.ts';

describe('the watch on silent test files', () => {
  it('finds the file that has not been heard of, and none that has', () => {
    const silences = new Silences();
    silences.heard('a', 0);
    silences.heard('b', 0);
    silences.heard('b', 500);
    expect(silences.since(100)).toBe('a');
    expect(silences.since(-1)).toBeUndefined();
  });

  it('is not misled by a result that is told after the end of its file', () => {
    const silences = new Silences();
    silences.heard('a', 0);
    silences.ended('a');
    silences.heard('a', 10);
    expect(silences.since(1000)).toBeUndefined();
  });
});
