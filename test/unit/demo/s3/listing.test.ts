import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ListingQuery, listPage } from '../../../../src/demo/s3/listing.ts';
import { ObjectIndex } from '../../../../src/demo/s3/object-index.ts';

const bytewise = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));

const key = fc.string({
  unit: fc.constantFrom('a', 'b', '/', '-', 'é', '\u{1F600}', '\uFF5E'),
  minLength: 1,
  maxLength: 6,
});

function indexOf(keys: readonly string[]): ObjectIndex<{ key: string }> {
  const index = new ObjectIndex<{ key: string }>();
  for (const each of keys) index.set({ key: each });
  return index;
}

const plain = { objectsHideBelow: false, fullPageIsTruncated: false };

/** The whole listing at once: sort, filter, fold. */
function reference(keys: readonly string[], { prefix, delimiter, after }: ListingQuery): string[] {
  const names = keys
    .filter((each) => each.startsWith(prefix) && (after === undefined || bytewise(each, after) > 0))
    .sort(bytewise)
    .map((each) => {
      const at = delimiter === '' ? -1 : each.indexOf(delimiter, prefix.length);
      return at < 0 ? each : each.slice(0, at + delimiter.length);
    });
  return [...new Set(names)];
}

/** All pages, each name with its page's order checked. */
function walk(index: ObjectIndex<{ key: string }>, query: ListingQuery): string[] {
  const names: string[] = [];
  let after = query.after;
  for (let pages = 0; pages < 1000; pages += 1) {
    const page = listPage(index, { ...query, ...(after !== undefined && { after }) });
    const shown = [...page.entries.map((each) => each.key), ...page.commonPrefixes];
    expect(shown.length).toBeLessThanOrEqual(query.limit);
    names.push(...shown.sort(bytewise));
    if (!page.truncated) return names;
    expect(page.last).toBe(shown.at(-1));
    after = page.last;
  }
  throw new Error('the listing does not end');
}

describe('listPage', () => {
  it('gives, page by page, what sorting and folding everything gives', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(key, { maxLength: 80, size: 'max' }),
        fc.constantFrom('', 'a', 'a/', 'é', 'b/a'),
        fc.constantFrom('', '/', 'a', '-', '//'),
        fc.integer({ min: 1, max: 7 }),
        fc.boolean(),
        (keys, prefix, delimiter, limit, fullPageIsTruncated) => {
          const query = { ...plain, prefix, delimiter, limit, fullPageIsTruncated };
          expect(walk(indexOf(keys), query)).toEqual(reference(keys, query));
        },
      ),
      { numRuns: 500 },
    );
  });

  it('starts after any key, also one that is not there', () => {
    fc.assert(
      fc.property(fc.uniqueArray(key, { maxLength: 60, size: 'max' }), key, (keys, after) => {
        const query = { ...plain, prefix: '', delimiter: '', limit: 5, after };
        expect(walk(indexOf(keys), query)).toEqual(reference(keys, query));
      }),
      { numRuns: 300 },
    );
  });

  it('says after the last full page that nothing is left, unless the dialect never does', () => {
    const index = indexOf(['a', 'b']);
    const query = { ...plain, prefix: '', delimiter: '', limit: 2 };
    expect(listPage(index, query).truncated).toBe(false);
    const full = listPage(index, { ...query, fullPageIsTruncated: true });
    expect(full.truncated).toBe(true);
    const next = listPage(index, { ...query, fullPageIsTruncated: true, after: 'b' });
    expect(next).toEqual({ entries: [], commonPrefixes: [], truncated: false });
  });

  it('gives nothing for a page of no keys', () => {
    const page = listPage(indexOf(['a']), { ...plain, prefix: '', delimiter: '', limit: 0 });
    expect(page).toEqual({ entries: [], commonPrefixes: [], truncated: false });
  });

  it('hides a/b below an object a where objects hide, except in listings of deeper folders', () => {
    const index = indexOf(['a', 'a-b', 'a/', 'a/b', 'a/y/z', 'c/d', 'e/', 'e/f']);
    const list = (prefix: string, delimiter = ''): string[] =>
      walk(index, { ...plain, prefix, delimiter, limit: 2, objectsHideBelow: true });
    expect(list('')).toEqual(['a', 'a-b', 'a/', 'c/d', 'e/', 'e/f']);
    expect(list('', '/')).toEqual(['a', 'a-b', 'a/', 'c/', 'e/']);
    expect(list('a/')).toEqual(['a/']);
    expect(list('a/y/')).toEqual(['a/y/z']);
  });

  it('folds folders without looking at each key in them', () => {
    let looked = 0;
    const index = indexOf(Array.from({ length: 20_000 }, (_, i) => `d${i % 10}/${i}`));
    const counting = {
      get: (name: string) => index.get(name),
      seek: (name: string) => {
        const cursor = index.seek(name);
        return {
          get entry() {
            looked += 1;
            return cursor.entry;
          },
          advance: () => cursor.advance(),
          skipPrefix: (prefix: string) => cursor.skipPrefix(prefix),
        };
      },
    };
    const page = listPage(counting, { ...plain, prefix: '', delimiter: '/', limit: 1000 });
    expect(page.commonPrefixes).toHaveLength(10);
    expect(looked).toBeLessThan(30);
  });
});
