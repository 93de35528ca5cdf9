import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  childDirectory,
  childKey,
  fitsKey,
  isDirectoryKey,
  isShownPart,
  nameOfPart,
  partOfName,
  rootDirectory,
  shownPart,
} from '../../../src/store/keys.ts';

function bytes(text: string): Uint8Array {
  return Buffer.from(text, 'utf8');
}

/** Names as hostile programs give them: any bytes, also the dangerous ones. */
const anyName = fc.oneof(
  fc.uint8Array({ maxLength: 300, size: 'max' }),
  fc.string({ unit: 'binary', maxLength: 100 }).map(bytes),
  fc
    .constantFrom('', '.', '..', '...', 'a/b', '../x', 'a\0b', '\u{feff}x', ' ', '%2e%2e')
    .map(bytes),
);

const directory = fc
  .array(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }).filter(isShownPart), {
    maxLength: 5,
  })
  .map((parts) => parts.map((part) => `${part}/`).join(''));

describe('key rules', () => {
  it('every name that is taken comes back from its key byte for byte', () => {
    fc.assert(
      fc.property(anyName, directory, (name, dir) => {
        const named = partOfName(name);
        if (!named.ok) return;
        expect(shownPart(dir, childKey(dir, named.part))).toBe(named.part);
        expect(shownPart(dir, childDirectory(dir, named.part))).toBe(named.part);
        expect(Buffer.from(nameOfPart(named.part))).toEqual(Buffer.from(name));
      }),
      { numRuns: 2000 },
    );
  });

  it('no name leads out of its directory, or deeper than one level', () => {
    fc.assert(
      fc.property(anyName, directory, (name, dir) => {
        const named = partOfName(name);
        if (!named.ok) return;
        const parts = childKey(dir, named.part).split('/');
        expect(parts).toHaveLength(dir.split('/').length);
        expect(childKey(dir, named.part).startsWith(dir)).toBe(true);
        expect(parts.some((part) => part === '..' || part === '.' || part === '')).toBe(false);
      }),
      { numRuns: 2000 },
    );
  });

  it('every key that a listing shows is reached by its name', () => {
    const keys = fc.oneof(fc.string({ unit: 'binary' }), fc.string({ unit: 'grapheme' }));
    fc.assert(
      fc.property(directory, keys, (dir, rest) => {
        const shown = shownPart(dir, `${dir}${rest}`);
        if (shown === undefined) return;
        expect(partOfName(nameOfPart(shown))).toEqual({ ok: true, part: shown });
        expect([childKey(dir, shown), childDirectory(dir, shown)]).toContain(`${dir}${rest}`);
      }),
      { numRuns: 2000 },
    );
  });

  it.each([
    [Buffer.from([0x61, 0xff]), 'not-utf8'],
    [Buffer.from([0xed, 0xa0, 0x80]), 'not-utf8'],
    [bytes('é'.repeat(128)), 'too-long'],
    [bytes(''), 'reserved'],
    [bytes('.'), 'reserved'],
    [bytes('..'), 'reserved'],
    [bytes('a/b'), 'reserved'],
    [bytes('a\0'), 'reserved'],
  ])('refuses the name %j as %s', (name, why) => {
    expect(partOfName(name)).toEqual({ ok: false, why });
  });

  it('takes a name of 255 bytes, a byte order mark and both forms of an accent as they are', () => {
    for (const name of ['x'.repeat(255), '\u{feff}a', 'e\u0301', '\u00e9', ' ', '%2F', 'a+b']) {
      expect(partOfName(bytes(name))).toEqual({ ok: true, part: name });
    }
  });

  it.each([
    ['', 'a', 'a'],
    ['', 'a/', 'a'],
    ['d/', 'd/x', 'x'],
    ['d/', 'd/x/', 'x'],
    ['d/', 'd/', undefined], // its own marker
    ['d/', 'd//', undefined], // an empty part
    ['', '/', undefined],
    ['d/', 'd/.', undefined],
    ['d/', 'd/../', undefined],
    ['d/', 'd/a\0b', undefined],
    ['d/', `d/${'é'.repeat(128)}`, undefined],
    ['d/', 'd/x/y', undefined],
    ['d/', 'e/x', undefined],
    ['d/', 'd/\ud800', undefined],
  ])('in %j the key %j shows as %j', (dir, key, part) => {
    expect(shownPart(dir, key)).toBe(part);
  });

  it.each([
    ['', ''],
    ['/', ''],
    ['a', 'a/'],
    ['a/', 'a/'],
    ['/a/b/', 'a/b/'],
    ['a b/ü', 'a b/ü/'],
    ['//', undefined],
    ['a//b', undefined],
    ['a/../b', undefined],
    ['./a', undefined],
    ['..', undefined],
  ])('the prefix %j roots a mount at %j', (prefix, root) => {
    expect(rootDirectory(prefix)).toBe(root);
  });

  it('tells directory markers from files, and keys that fit from those that do not', () => {
    expect(['', 'a/', 'a'].map(isDirectoryKey)).toEqual([true, true, false]);
    expect(['é'.repeat(512), `${'é'.repeat(512)}x`].map(fitsKey)).toEqual([true, false]);
  });
});
