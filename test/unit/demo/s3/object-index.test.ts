import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareKeys } from '../../../../src/demo/s3/byte-order.ts';
import { ObjectIndex } from '../../../../src/demo/s3/object-index.ts';

const bytewise = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));

const key = fc.oneof(
  fc.string({
    unit: fc.constantFrom('a', 'b', '/', '\u{1F600}', '\uFF5E', '\uE000', 'é', '\uD7FF'),
  }),
  fc.string({ unit: 'binary' }),
);

describe('compareKeys', () => {
  it('orders as the bytes of UTF-8 do, astral characters and private use included', () => {
    fc.assert(
      fc.property(key, key, (a, b) => {
        expect(Math.sign(compareKeys(a, b))).toBe(bytewise(a, b));
      }),
    );
    expect(compareKeys('\uFF5E', '\u{1F600}')).toBeLessThan(0);
  });
});

describe('ObjectIndex', () => {
  const step = fc.record({ add: fc.boolean(), n: fc.nat(1500) });
  const name = (n: number): string => `${n % 7 === 0 ? '\u{1F600}' : 'k'}${n}`;

  it('holds what a plain map holds, in byte order, through splits and removals', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 3000, size: 'max' }), (steps) => {
        const index = new ObjectIndex<{ key: string; at: number }>();
        const truth = new Map<string, number>();
        for (const [at, { add, n }] of steps.entries()) {
          const before = truth.get(name(n));
          if (add) truth.set(name(n), at);
          else truth.delete(name(n));
          const old = add ? index.set({ key: name(n), at }) : index.delete(name(n));
          expect(old?.at).toBe(before);
        }
        const sorted = [...truth].sort(([a], [b]) => bytewise(a, b));
        expect([...index].map((each) => [each.key, each.at])).toEqual(sorted);
        expect(index.size).toBe(truth.size);
      }),
      { numRuns: 30 },
    );
  });

  it('seeks the first key at or after, and skips a prefix without ever going back', () => {
    fc.assert(
      fc.property(fc.uniqueArray(key, { maxLength: 60 }), key, key, (keys, from, prefix) => {
        const index = new ObjectIndex<{ key: string }>();
        for (const each of keys) index.set({ key: each });
        const rest = keys.sort(bytewise).filter((each) => bytewise(each, from) >= 0);
        const cursor = index.seek(from);
        expect(cursor.entry?.key).toBe(rest[0]);
        cursor.skipPrefix(prefix);
        const isPast = (each: string): boolean =>
          !each.startsWith(prefix) && bytewise(each, prefix) > 0;
        expect(cursor.entry?.key).toBe(rest.find(isPast));
      }),
    );
  });
});
