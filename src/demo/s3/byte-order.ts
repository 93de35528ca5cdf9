/**
 * UTF-8 byte order of keys held as JavaScript strings.
 *
 * UTF-16 order differs from it in one place only: surrogates (code points from U+10000) come after
 * U+E000..U+FFFF in UTF-8 and before them in UTF-16.
 */
const FIRST_SURROGATE = 0xd800;
const AFTER_SURROGATES = 0xe000;

/** Rank of a UTF-16 code unit in code point order. */
function rank(unit: number): number {
  if (unit < FIRST_SURROGATE) return unit;
  return unit < AFTER_SURROGATES ? unit + 0x2000 : unit - 0x800;
}

/** Negative, zero or positive, as `a` sorts before, with or after `b`. */
export function compareKeys(a: string, b: string): number {
  const common = Math.min(a.length, b.length);
  for (let i = 0; i < common; i += 1) {
    const left = a.charCodeAt(i);
    const right = b.charCodeAt(i);
    if (left !== right) return rank(left) - rank(right);
  }
  return a.length - b.length;
}

/** First of `count` positions for which `isAt` holds; `isAt` turns true once and stays so. */
export function firstWhere(count: number, isAt: (position: number) => boolean): number {
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (isAt(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}
