import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nearestWord } from '../../../src/config/nearest-word.ts';

const known = ['endpoint', 'issuer', 'role', 'cache', 'cache-dir', 'ca', 'acl', 'scopes'];

describe('the word that was meant', () => {
  it.each([
    ['endpiont', 'endpoint'],
    ['endpont', 'endpoint'],
    ['endpooint', 'endpoint'],
    ['isuer', 'issuer'],
    ['cach', 'cache'],
    ['cache_dir', 'cache-dir'],
    ['scope', 'scopes'],
    ['colour', undefined],
    ['xx', undefined],
    ['', undefined],
  ])('by %j is %j', (typed, meant) => {
    expect(nearestWord(typed, known)).toBe(meant);
  });

  it('is the word itself where it is known, and one of the known ones otherwise', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[a-z-]{0,12}$/), (typed) => {
        const meant = nearestWord(typed, known);
        expect(meant === undefined || known.includes(meant)).toBe(true);
        if (typed.length >= 3) expect(nearestWord(typed, [...known, typed])).toBe(typed);
      }),
      { numRuns: 500 },
    );
  });
});
