import { describe, expect, it } from 'vitest';
import { formatBytes, GiB, KiB, MiB } from '../../../src/lib/bytes.ts';

describe('formatBytes', () => {
  it.each([
    [0, '0 B'],
    [1023, '1023 B'],
    [1.5 * KiB, '1.5 KiB'],
    [100 * MiB, '100.0 MiB'],
    [5 * 1024 * GiB, '5.0 TiB'],
    [5000 * 1024 * GiB, '4.9 PiB'],
  ])('shows %d as %s', (bytes, shown) => {
    expect(formatBytes(bytes)).toBe(shown);
  });
});
