/** The judges of the fault campaign and of the soak: what they let pass, and what not. */
import { describe, expect, it } from 'vitest';
import { versionOf } from '../../../scripts/crash/content.ts';
import type { Present } from '../../../scripts/crash/truth.ts';
import { Beliefs, wrongIn } from '../../../scripts/faults/beliefs.ts';
import { FaultRules, requestKind } from '../../../scripts/faults/fault-rules.ts';
import { drawRound } from '../../../scripts/faults/plan.ts';
import { trendOf } from '../../../scripts/soak/slope.ts';
import { Random } from '../../fixtures/random.ts';

const one = versionOf(Buffer.from('one'), false);
const two = versionOf(Buffer.from('two'), false);
const other = versionOf(Buffer.from('other'), false);

function wrong(beliefs: Beliefs, found: Readonly<Record<string, NonNullable<Present>>>): number {
  return wrongIn(beliefs.told, new Map(Object.entries(found))).length;
}

describe('what a program knows of its files', () => {
  it('is exactly one thing after a call that was acknowledged', () => {
    const beliefs = new Beliefs();
    beliefs.know('a', one);
    expect(wrong(beliefs, { a: one })).toBe(0);
    expect(wrong(beliefs, { a: two })).toBe(1);
    expect(wrong(beliefs, {})).toBe(1);
  });

  it('is what was there or what was tried after a call that failed, and nothing else', () => {
    const beliefs = new Beliefs();
    beliefs.know('a', one);
    beliefs.doubt('a', [two]);
    expect(wrong(beliefs, { a: one })).toBe(0);
    expect(wrong(beliefs, { a: two })).toBe(0);
    expect(wrong(beliefs, { a: other })).toBe(1);
    expect(wrong(beliefs, {})).toBe(1);
    beliefs.know('a', two);
    expect(wrong(beliefs, { a: one })).toBe(1);
  });

  it('is at one name at least after a rename that failed', () => {
    const beliefs = new Beliefs();
    beliefs.know('a', one);
    beliefs.doubtMove('a', 'b');
    expect(wrong(beliefs, { a: one })).toBe(0);
    expect(wrong(beliefs, { b: one })).toBe(0);
    expect(wrong(beliefs, { a: one, b: one })).toBe(0);
    expect(wrong(beliefs, {})).toBe(1);
  });

  it('has no place for what nobody wrote', () => {
    expect(wrong(new Beliefs(), { x: one })).toBe(1);
  });
});

describe('a round', () => {
  const all = { clock: true, disk: true, expireLeases: true };

  it('is the same for the same seed, and another for another', () => {
    expect(drawRound(5, all)).toEqual(drawRound(5, all));
    expect(drawRound(5, all)).not.toEqual(drawRound(6, all));
  });

  it('meets every kind of fault within a few hundred seeds, and only those that can be had', () => {
    const kinds = (abilities: typeof all): Set<string> => {
      const seeds = Array.from({ length: 400 }, (_, seed) => seed);
      return new Set(
        seeds.flatMap((seed) => drawRound(seed, abilities).faults.map(({ fault }) => fault.on)),
      );
    };
    expect([...kinds(all)].toSorted()).toEqual([
      'clock',
      'disk',
      'iam',
      'lease',
      'login',
      'process',
      'requests',
      'store',
    ]);
    const few = { ...all, clock: false, disk: false, expireLeases: false };
    expect([...kinds(few)].toSorted()).toEqual(['iam', 'login', 'process', 'requests', 'store']);
  });
});

describe('requests on their way', () => {
  it('are told apart by what they are for', () => {
    expect(requestKind('POST', '/', true)).toBe('sts');
    expect(requestKind('GET', '/b?list-type=2&prefix=a', false)).toBe('list');
    expect(requestKind('GET', '/b/k?uploadId=1', false)).toBe('list');
    expect(requestKind('GET', '/b/d/k', false)).toBe('read');
    expect(requestKind('PUT', '/b/d/k?partNumber=1', false)).toBe('write');
  });

  it('are hit by no damage that nobody could notice', () => {
    const rules = new FaultRules(new Random(1));
    const fault = { kind: 'corrupt', body: 'request' } as const;
    rules.add({ on: 'requests', of: 'any', oneIn: 1, fault });
    const unsigned = { kind: 'write', method: 'PUT', url: '/b/k', isBodySigned: false } as const;
    expect(rules.take(unsigned)).toBeUndefined();
    expect(rules.take({ ...unsigned, isBodySigned: true })).toEqual(fault);
    expect(rules.counts.get('corrupt request')).toBe(1);
  });
});

describe('the trend of a figure', () => {
  const samples = (value: (nth: number) => number): { atMs: number; value: number }[] =>
    Array.from({ length: 100 }, (_, nth) => ({ atMs: nth * 1000, value: value(nth) }));

  it('is nothing where it only goes up and down, or has one peak', () => {
    expect(trendOf(samples((nth) => 100 + (nth % 10)))?.growth).toBeCloseTo(0, 0);
    expect(trendOf(samples((nth) => (nth === 60 ? 5000 : 100)))?.growth).toBe(0);
    expect(trendOf(samples((nth) => Math.min(200, 50 + nth * 10)))?.growth).toBe(0);
  });

  it('is what it has grown by where it grows', () => {
    expect(trendOf(samples((nth) => 100 + nth))?.growth).toBeCloseTo(74, 0);
  });
});
