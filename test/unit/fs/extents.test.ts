import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ExtentMap, type PieceKind } from '../../../src/fs/extents.ts';

const offset = fc.nat(40);
const change = fc.oneof(
  fc.record({
    op: fc.constantFrom('write' as const, 'zero' as const),
    start: offset,
    bytes: offset,
  }),
  fc.record({ op: fc.constant('truncate' as const), bytes: offset }),
);
type Change = typeof change extends fc.Arbitrary<infer T> ? T : never;

/** The same, a kind for each byte. */
function changed(bytes: readonly PieceKind[], step: Change): PieceKind[] {
  const all = [...bytes];
  const grow = (to: number): void => {
    while (all.length < to) all.push('hole');
  };
  if (step.op === 'truncate') {
    grow(step.bytes);
    return all.slice(0, step.bytes);
  }
  if (step.bytes === 0) return all;
  grow(step.start + step.bytes);
  return all.fill(step.op === 'write' ? 'local' : 'hole', step.start, step.start + step.bytes);
}

function spread(map: ExtentMap, start?: number, end?: number): PieceKind[] {
  return [...map.pieces(start, end)].flatMap((piece) =>
    Array.from({ length: piece.end - piece.start }, () => piece.from),
  );
}

describe('the map of extents', () => {
  it('tells of every byte where it comes from, after any changes', () => {
    fc.assert(
      fc.property(
        fc.nat(30),
        fc.array(change, { maxLength: 40, size: 'max' }),
        offset,
        offset,
        (base, steps, start, end) => {
          const map = ExtentMap.ofBase(base);
          let bytes: PieceKind[] = Array.from({ length: base }, () => 'base');
          for (const step of steps) {
            if (step.op === 'truncate') map.truncate(step.bytes);
            else map[step.op](step.start, step.start + step.bytes);
            bytes = changed(bytes, step);
          }
          expect(map.bytes).toBe(bytes.length);
          expect(spread(map)).toEqual(bytes);
          expect(spread(map, start, end)).toEqual(bytes.slice(start, Math.max(start, end)));
          const pieces = [...map.pieces()];
          expect(pieces).toHaveLength(map.count);
          expect(pieces.every(({ from }, at) => from !== pieces[at - 1]?.from)).toBe(true);
          for (const kind of ['local', 'base', 'hole'] as const) {
            expect(map.total(kind)).toBe(bytes.filter((from) => from === kind).length);
          }
          expect(map.at(start)?.from).toBe(bytes[start]);
          const hole = bytes.indexOf('hole', start);
          const ends = hole < 0 ? bytes.length : hole;
          expect(map.seek(start, 'hole')).toBe(start < bytes.length ? ends : undefined);
          const data = bytes.findIndex((from, at) => at >= start && from !== 'hole');
          expect(map.seek(start, 'data')).toBe(data < 0 ? undefined : data);
          const again = ExtentMap.decode(map.encode(), map.bytes);
          expect(spread(again)).toEqual(bytes);
        },
      ),
      { numRuns: 500 },
    );
  });

  it('is refused when what was written down cannot be one', () => {
    for (const encoded of [
      [[5, 4, 'local']],
      [
        [0, 4, 'local'],
        [3, 5, 'base'],
      ],
      [[0, 11, 'base']],
      [[-1, 2, 'local']],
      [[0, 1.5, 'local']],
    ] as const) {
      expect(() => ExtentMap.decode(encoded, 10)).toThrow(RangeError);
    }
  });
});
