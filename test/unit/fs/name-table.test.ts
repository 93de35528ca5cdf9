import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Found } from '../../../src/fs/directory-source.ts';
import { NameTable } from '../../../src/fs/name-table.ts';
import { compareKeys } from '../../../src/store/keys.ts';

const HASH = '0123456789abcdef0123456789abcdef';
const etags = [
  `"${HASH}"`,
  `"${HASH}-1"`,
  `"${HASH}-10000"`,
  `"${HASH}-01"`,
  `"${HASH}-0"`,
  `"${HASH}-"`,
  `"${HASH}-99999"`,
  `"${HASH.toUpperCase()}"`,
  HASH,
  `W/"${HASH}"`,
  `"${HASH}0"`,
  '""',
  '',
];
const found: fc.Arbitrary<Found | undefined> = fc.oneof(
  fc.constant(undefined),
  fc.constant({ type: 'directory' } as const),
  fc.record({
    type: fc.constant('file' as const),
    version: fc.record({
      etag: fc.constantFrom(...etags),
      bytes: fc.nat(2 ** 40),
      modifiedMs: fc.double({ noNaN: true }),
    }),
  }),
);
const name = fc.oneof(
  fc.constantFrom('a', 'b', '__proto__', 'caf\u00e9', '\u{1f600}', 'n'.repeat(255)),
  fc.nat(3000).map((nth) => `file-${nth}`),
);
const step = fc.record({ name, found, seq: fc.nat(), erase: fc.boolean() });

describe('a table of names', () => {
  it('says of each name what was said last, however many there are', () => {
    const history = fc.array(step, { maxLength: 2000, size: 'max' });
    fc.assert(
      fc.property(history, (steps) => {
        let table = new NameTable();
        const model = new Map<string, { found: Found | undefined; seq: number }>();
        for (const one of steps) {
          const said = { seq: one.seq, atMs: one.seq / 2, group: one.seq % 7 };
          table.put(table.rowOf(one.name), one.found, said);
          model.set(one.name, { found: one.found, seq: one.seq });
          if (!one.erase) continue;
          table.erase(table.rowOf(one.name));
          model.delete(one.name);
        }
        for (let nth = 0; nth < 2; nth += 1) {
          expect(table.said).toBe(model.size);
          for (const [text, { found: last, seq }] of model) {
            const row = table.find(text);
            expect(table.nameAt(row)).toBe(text);
            expect(table.foundAt(row)).toEqual(last);
            expect([table.seqAt(row), table.atMsAt(row), table.groupAt(row)]).toEqual([
              seq,
              seq / 2,
              seq % 7,
            ]);
          }
          expect(table.find('not there')).toBe(-1);
          table = table.compacted();
        }
        expect(table.rows).toBe(model.size);
      }),
      { numRuns: 40 },
    );
  });
});

describe('the order of keys', () => {
  it('is that of their bytes', () => {
    const unit = fc.constantFrom('a', '/', '\u00e9', '\ud7ff', '\ue000', '\uffff', '\u{1f600}');
    const key = fc.string({ unit, maxLength: 4 });
    fc.assert(
      fc.property(key, key, (a, b) => {
        const bytes = Buffer.compare(Buffer.from(a), Buffer.from(b));
        expect(Math.sign(compareKeys(a, b))).toBe(bytes);
      }),
      { numRuns: 2000 },
    );
  });
});
