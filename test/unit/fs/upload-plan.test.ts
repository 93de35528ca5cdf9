import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ExtentMap } from '../../../src/fs/extents.ts';
import {
  GRID_PARTS,
  gridPart,
  gridParts,
  MAX_PART_BYTES,
  MAX_PARTS,
  MIN_PART_BYTES,
  type PlannedPart,
  planUpload,
  SINGLE_PUT_BYTES,
} from '../../../src/fs/upload-plan.ts';
import { GiB, KiB, MiB } from '../../../src/lib/bytes.ts';

const TiB = 1024 * GiB;

/** Fails unless `parts` keep S3's rules and tile `bytes`. */
function check(parts: readonly PlannedPart[], bytes: number): void {
  expect(parts.length).toBeLessThanOrEqual(MAX_PARTS);
  let at = 0;
  for (const [nth, { start, end }] of parts.entries()) {
    if (start !== at || end <= start) throw new Error(`part ${nth} does not follow: ${start}`);
    const isShort = end - start < MIN_PART_BYTES && nth < parts.length - 1;
    if (isShort || end - start > MAX_PART_BYTES) throw new Error(`part ${nth}: ${end - start}`);
    at = end;
  }
  expect(at).toBe(bytes);
}

function bytesFrom(parts: readonly PlannedPart[], from: PlannedPart['from']): number {
  return parts
    .filter((part) => part.from === from)
    .reduce((sum, { start, end }) => sum + end - start, 0);
}

const size = fc.oneof(
  fc.nat(40 * MiB),
  fc.nat(2 * GiB),
  fc.double({ min: 0, max: 1, noNaN: true }).map((share) => Math.floor(share * 5 * TiB)),
);
const change = fc.record({
  op: fc.constantFrom('write' as const, 'zero' as const, 'truncate' as const),
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  bytes: fc.oneof(fc.nat(10), fc.nat(20 * MiB), fc.nat(3 * GiB)),
});

describe('the plan of an upload', () => {
  it('keeps to the rules of S3 for any content, and copies only what is as in the base', () => {
    fc.assert(
      fc.property(size, fc.array(change, { maxLength: 60, size: 'max' }), (base, changes) => {
        const map = ExtentMap.ofBase(base);
        for (const { op, at, bytes } of changes) {
          const start = Math.floor(at * base);
          if (op === 'truncate') map.truncate(Math.min(start + bytes, 5 * TiB));
          else map[op](start, Math.min(start + bytes, 5 * TiB));
        }
        const plan = planUpload(map.pieces(), map.bytes);
        if (plan.kind === 'put') {
          expect(map.bytes).toBeLessThanOrEqual(SINGLE_PUT_BYTES);
          return;
        }
        check(plan.parts, map.bytes);
        for (const { start, end, from } of plan.parts) {
          if (from === 'here') continue;
          const piece = map.at(start);
          expect(piece?.from).toBe('base');
          expect(piece?.end).toBeGreaterThanOrEqual(end);
        }
      }),
      { numRuns: 400 },
    );
  });

  it('keeps to them for a file that was changed in a hundred thousand places', () => {
    const map = ExtentMap.ofBase(5 * TiB);
    const every = (5 * TiB) / 100_000;
    for (let at = 0; at < 100_000; at += 1)
      map.write(Math.floor(at * every), Math.floor(at * every) + 1);
    const plan = planUpload(map.pieces(), map.bytes);
    if (plan.kind === 'parts') check(plan.parts, map.bytes);
    expect(plan.kind).toBe('parts');
  });

  it('sends one part of 5 MiB for a byte that was changed in a long file', () => {
    for (const at of [0, 3 * MiB, 512 * MiB + 1, GiB - 1]) {
      const map = ExtentMap.ofBase(GiB);
      map.write(at, at + 1);
      const plan = planUpload(map.pieces(), GiB);
      const parts = plan.kind === 'parts' ? plan.parts : [];
      check(parts, GiB);
      expect(parts.filter(({ from }) => from === 'here')).toHaveLength(1);
      expect(bytesFrom(parts, 'here')).toBeLessThanOrEqual(8 * MiB);
    }
  });

  it('sends nothing of a long file that was cut, and the new bytes alone of one that grew', () => {
    const cut = ExtentMap.ofBase(GiB);
    cut.truncate(GiB / 2 + 1);
    const shorter = planUpload(cut.pieces(), cut.bytes);
    expect(shorter.kind === 'parts' && bytesFrom(shorter.parts, 'here')).toBe(0);
    const grown = ExtentMap.ofBase(GiB);
    grown.write(GiB, GiB + 3);
    const longer = planUpload(grown.pieces(), grown.bytes);
    expect(longer.kind === 'parts' && bytesFrom(longer.parts, 'here')).toBe(3);
  });

  it('makes one request of what is short, unless most of it can be copied', () => {
    expect(planUpload(ExtentMap.ofBase(7 * MiB).pieces(), 7 * MiB).kind).toBe('put');
    const map = ExtentMap.ofBase(15 * MiB);
    map.write(15 * MiB, 15 * MiB + 1);
    expect(planUpload(map.pieces(), map.bytes).kind).toBe('parts');
    expect(planUpload(map.pieces(), map.bytes, false).kind).toBe('put');
  });

  it('cuts a file that is written in order alike, however long it becomes', () => {
    const sizes = [17 * MiB, 80 * GiB, 200 * GiB, 5 * TiB, 20 * GiB + 3 * KiB + 1];
    for (const bytes of sizes) {
      const parts = gridParts(bytes);
      check(parts, bytes);
      for (const [at, { start, end }] of parts.slice(0, GRID_PARTS).entries()) {
        const part = gridPart(at + 1);
        expect([start, end]).toEqual([part?.start, Math.min(part?.end ?? 0, bytes)]);
      }
    }
    expect(gridPart(GRID_PARTS + 1)).toBeUndefined();
    expect(gridPart(1)).toEqual({ start: 0, end: 8 * MiB });
  });
});
