import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatCountdown, formatTaken, formatUntil } from '../../../src/cli/times.ts';
import { formatBytes } from '../../../src/lib/bytes.ts';

/** Modules of the page are JavaScript as browsers take it. */
async function pageModule(name: string): Promise<Record<string, unknown>> {
  const url = new URL(`../../../page/${name}`, import.meta.url).href;
  return (await import(url)) as Record<string, unknown>;
}

type Words = Record<string, (...args: readonly number[]) => string>;

describe('figures on the page', () => {
  it('read as those of the commands do', async () => {
    const words = (await pageModule('words.js')) as Words;
    const amount = fc.oneof(
      fc.nat({ max: 2 ** 31 - 1 }),
      fc.double({ min: 0, max: 1e15, noNaN: true }),
    );
    fc.assert(
      fc.property(amount, fc.nat(), (value, now) => {
        const at = Math.floor(value % 4e12);
        expect(words['formatBytes']?.(value)).toBe(formatBytes(value));
        expect(words['formatTaken']?.(value)).toBe(formatTaken(value));
        expect(words['formatCountdown']?.(at)).toBe(formatCountdown(at));
        expect(words['formatUntil']?.(at, now * 1000)).toBe(formatUntil(at, now * 1000));
      }),
    );
  });

  it('name what others wrote in one line, in the order it was written', async () => {
    const words = await pageModule('words.js');
    const printable = words['printable'] as (text: string) => string;
    expect(printable('a\x1b[31m\n\u202eb\u2066ü')).toBe('a?[31m??b?ü');
  });
});
