import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Option, type OptionName, options } from '../../../src/config/options.ts';
import { settingText } from '../../../src/config/setting-text.ts';

const names = Object.keys(options) as OptionName[];

/** What `parse` makes of what was written. */
function again(name: OptionName, value: unknown): unknown {
  const { parse }: Option<unknown> = options[name];
  const parsed = parse(settingText(name, value));
  return parsed.ok ? parsed.value : parsed.fault;
}

describe('a setting as text', () => {
  it.each(names)('is what its option reads again: the default of %s', (name) => {
    const { fallback }: Option<unknown> = options[name];
    if (fallback !== undefined) expect(again(name, fallback)).toEqual(fallback);
    for (const word of options[name].parse.words ?? []) {
      const parsed = options[name].parse(word);
      if (!parsed.ok) throw new Error(parsed.fault);
      expect(again(name, parsed.value)).toEqual(parsed.value);
    }
  });

  it('loses nothing of a size or a time', () => {
    const size = fc.integer({ min: 8 * 2 ** 20, max: 2 ** 49 });
    const number = fc.integer({ min: 0, max: 10_000_000 });
    fc.assert(
      fc.property(size, number, number, (bytes, ms, seconds) => {
        expect(again('memoryBytes', bytes)).toBe(bytes);
        expect(again('listTtlMs', ms)).toBe(ms);
        expect(again('durationSeconds', seconds + 1)).toBe(seconds + 1);
      }),
      { numRuns: 500 },
    );
  });

  it.each([
    ['cacheBytes', 10 * 2 ** 30, '10G'],
    ['cacheBytes', 1_500_000, '1500000'],
    ['capacityBytes', 2 ** 50, '1024T'],
    ['listTtlMs', 1500, '1500ms'],
    ['listTtlMs', 0, '0s'],
    ['durationSeconds', 3600, '1h'],
    ['durationSeconds', 90, '90s'],
    ['scopes', ['openid', 'email'], 'openid email'],
    ['posix', true, 'on'],
    ['metrics', 9345, '9345'],
    ['metrics', 'off', 'off'],
    ['endpoint', 'https://s3.example', 'https://s3.example'],
  ] as const)('of %s %j is %s', (name, value, text) => {
    expect(settingText(name, value)).toBe(text);
  });
});
