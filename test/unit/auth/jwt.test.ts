import { describe, expect, it } from 'vitest';
import { toClaims } from '../../../src/auth/jwt.ts';

describe('the times of a token', () => {
  it.each([8.65e12, -8.65e12, 1e300, Number.NaN, '1', null])(
    'that no calendar has say nothing: %s',
    (exp) => expect(toClaims({ exp }).expiresAtMs).toBeUndefined(),
  );

  it.each([0, -1, 1.5, 8.64e12])('can be shown: %s', (exp) => {
    const { expiresAtMs = Number.NaN } = toClaims({ exp });
    expect(new Date(expiresAtMs).toISOString()).toBe(new Date(exp * 1000).toISOString());
  });
});
