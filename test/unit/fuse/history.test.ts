import { describe, expect, it } from 'vitest';
import { type Access, unexplained, unfair } from '../../fixtures/history.ts';

const write = (value: string, start: number, end: number): Access => ({
  kind: 'write',
  value,
  start,
  end,
});
const read = (value: string, start: number, end: number): Access => ({
  kind: 'read',
  value,
  start,
  end,
});

describe('what programs saw of one value', () => {
  it('is explained when some order of overlapping accesses gives it', () => {
    const history = [write('a', 0, 1), write('b', 2, 9), write('c', 3, 8), read('a', 4, 5)];
    expect(unexplained([...history, read('c', 5.5, 6), read('b', 7, 10)])).toBeUndefined();
  });

  it.each([
    ['nobody wrote it', [write('a', 0, 1), read('x', 2, 3)], 'read x, which nobody wrote'],
    ['it came later', [write('a', 5, 6), read('a', 2, 3)], 'read a before it was written'],
    [
      'it was written over',
      [write('a', 0, 1), write('b', 2, 3), read('a', 4, 5)],
      'b came while a held',
    ],
    [
      'an older value was read after a newer one',
      [write('a', 0, 1), write('b', 2, 9), read('b', 3, 4), read('a', 5, 6), read('b', 7, 8)],
      'a and b held at the same time',
    ],
    [
      'two were read in turn',
      [
        write('a', 0, 10),
        write('b', 0, 10),
        read('a', 1, 2),
        read('b', 3, 4),
        read('a', 5, 6),
        read('b', 7, 8),
      ],
      'a and b held at the same time',
    ],
  ])('is not when %s', (_, history, why) => {
    expect(unexplained(history)).toBe(why);
  });
});

describe('what only one can have', () => {
  const attempt = (by: string, won: boolean, start: number, end: number) => ({
    by,
    won,
    start,
    end,
  });

  it('is had by one, and refused to others not before', () => {
    expect(unfair([attempt('x', false, 1, 3), attempt('y', true, 2, 4)])).toBeUndefined();
    expect(unfair([attempt('x', false, 0, 1), attempt('y', true, 2, 4)])).toContain('before');
    expect(unfair([attempt('x', true, 0, 1), attempt('y', true, 2, 4)])).toBe('x and y had it');
    expect(unfair([attempt('x', false, 0, 1)])).toBe('nobody had it');
  });
});
