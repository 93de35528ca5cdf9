/** Which known word somebody meant who typed another. Pure. */

/** More edits than this make another word. */
const MAX_EDITS = 2;

/**
 * The known word that is the fewest edits (a letter put in, left out, replaced, or two swapped)
 * away from `word`; undefined where none is near.
 */
export function nearestWord(word: string, known: readonly string[]): string | undefined {
  let nearest: string | undefined;
  // Of a short word two edits leave nothing.
  let fewest = Math.min(MAX_EDITS, Math.floor(word.length / 3)) + 1;
  for (const candidate of known) {
    if (Math.abs(candidate.length - word.length) >= fewest) continue;
    const edits = editsBetween(word, candidate);
    if (edits < fewest) [nearest, fewest] = [candidate, edits];
  }
  return nearest;
}

/** Optimal string alignment distance, a row of its table at a time. */
function editsBetween(a: string, b: string): number {
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      const straight = (last[j - 1] ?? 0) + same;
      let least = Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, straight);
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (swapped) least = Math.min(least, (before[j - 2] ?? 0) + 1);
      row.push(least);
    }
    [before, last] = [last, row];
  }
  return last[b.length] ?? 0;
}
