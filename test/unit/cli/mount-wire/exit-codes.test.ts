import { describe, expect, it } from 'vitest';
import { mountCode } from '../../../../src/cli/mount-wire/translation.ts';
import { exitCodeOf } from '../../../../src/lib/wire-error.ts';

describe('exit codes of mount.wire', () => {
  it('are those of mount(8), whatever wire ends with', () => {
    expect(mountCode(0)).toBe(0);
    const codes = Object.entries(exitCodeOf).map(([kind, code]) => [kind, mountCode(code)]);
    expect(Object.fromEntries(codes)).toMatchObject({
      usage: 1,
      config: 1,
      'no-fuse': 2,
      interrupted: 8,
      unreachable: 32,
      'login-expired': 32,
    });
    for (const [, code] of codes) expect([1, 2, 8, 32]).toContain(code);
  });
});
