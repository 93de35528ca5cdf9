/**
 * Where each byte of a file that is being changed comes from: bytes that were written here
 * (`local`), the version the file began as (`base`), or nowhere (`hole`: zeros).
 *
 * Invariant: the pieces tile `[0, bytes)` without gap or overlap, none is empty, and no two
 * neighbours are of the same kind, so that their number is that of the places where it changes.
 *
 * A map is owned by one file and changed in place. A change costs a binary search, and moving the
 * pieces behind it; going on where the last one ended costs nothing.
 */
import type { Extent } from '../lib/bytes.ts';

export type PieceKind = 'local' | 'base' | 'hole';

/** A range of a file that comes from one place. */
export interface Piece extends Extent {
  readonly from: PieceKind;
}

/** What an `ExtentMap` is written down as: holes are what is not told. */
export type EncodedExtents = readonly (readonly [
  start: number,
  end: number,
  from: 'local' | 'base',
])[];

export class ExtentMap {
  #pieces: Piece[] = [];
  #bytes = 0;
  readonly #totals: Record<PieceKind, number> = { local: 0, base: 0, hole: 0 };

  /** A file that is as the first `bytes` of its base. */
  static ofBase(bytes: number): ExtentMap {
    const map = new ExtentMap();
    map.#paint(0, bytes, 'base');
    return map;
  }

  /**
   * @param bytes length of the whole, with a hole at its end.
   * @throws RangeError when `encoded` is no such map: out of order, or beyond `bytes`.
   */
  static decode(encoded: EncodedExtents, bytes: number): ExtentMap {
    const map = new ExtentMap();
    let at = 0;
    for (const [start, end, from] of encoded) {
      const isNext = Number.isSafeInteger(start) && Number.isSafeInteger(end) && start >= at;
      if (!isNext || end <= start || end > bytes) throw new RangeError('not a map of extents');
      map.#paint(start, end, from);
      at = end;
    }
    map.truncate(bytes);
    return map;
  }

  copy(): ExtentMap {
    return ExtentMap.decode(this.encode(), this.#bytes);
  }

  encode(): EncodedExtents {
    const told: (readonly [number, number, 'local' | 'base'])[] = [];
    for (const { start, end, from } of this.#pieces) {
      if (from !== 'hole') told.push([start, end, from]);
    }
    return told;
  }

  /** Length of the file. */
  get bytes(): number {
    return this.#bytes;
  }

  /** How many pieces there are. */
  get count(): number {
    return this.#pieces.length;
  }

  /** How many bytes come from there. */
  total(from: PieceKind): number {
    return this.#totals[from];
  }

  /** `[start, end)` was written here; a file that ends before it grows. */
  write(start: number, end: number): void {
    this.#paint(start, end, 'local');
  }

  /** `[start, end)` is zeros; a file that ends before it grows. */
  zero(start: number, end: number): void {
    this.#paint(start, end, 'hole');
  }

  /** Cuts the file, or makes it longer by a hole. */
  truncate(bytes: number): void {
    if (bytes >= this.#bytes) {
      this.#paint(this.#bytes, bytes, 'hole');
      return;
    }
    const first = this.#indexOf(bytes);
    const cut = this.#pieces[first];
    for (const { start, end, from } of this.#pieces.splice(first))
      this.#totals[from] -= end - start;
    if (cut !== undefined && cut.start < bytes) this.#insert(first, 0, [{ ...cut, end: bytes }]);
    this.#bytes = bytes;
  }

  /** The pieces of `[start, end)`, cut to it, as far as the file goes. */
  *pieces(start = 0, end: number = this.#bytes): Generator<Piece> {
    const stop = Math.min(end, this.#bytes);
    for (let at = this.#indexOf(start); at < this.#pieces.length; at += 1) {
      const piece = this.#pieces[at];
      if (piece === undefined || piece.start >= stop) return;
      const from = Math.max(piece.start, start);
      if (from >= stop) return;
      yield { start: from, end: Math.min(piece.end, stop), from: piece.from };
    }
  }

  /** The piece that holds `offset`, whole; undefined at and beyond the end. */
  at(offset: number): Piece | undefined {
    return this.#pieces[this.#indexOf(offset)];
  }

  /** Start of the next data or hole at or after `offset`, as lseek(2) has it; undefined: none. */
  seek(offset: number, whence: 'data' | 'hole'): number | undefined {
    if (offset >= this.#bytes) return undefined;
    for (const { start, from } of this.pieces(offset)) {
      if ((from === 'hole') === (whence === 'hole')) return start;
    }
    return whence === 'hole' ? this.#bytes : undefined;
  }

  /** Makes `[start, end)` a piece of the kind `from`. */
  #paint(start: number, end: number, from: PieceKind): void {
    if (start >= end) return;
    if (start > this.#bytes) this.#paint(this.#bytes, start, 'hole');
    const first = this.#indexOf(start);
    const head = this.#pieces[first];
    if (head?.from === from && head.end >= end) return;
    const last = this.#lastBefore(end, first);
    const tail = this.#pieces[last];
    const painted: Piece[] = [];
    if (head !== undefined && head.start < start) painted.push({ ...head, end: start });
    painted.push({ start, end, from });
    if (tail !== undefined && tail.end > end) painted.push({ ...tail, start: end });
    this.#insert(first, last - first + 1, painted);
    this.#bytes = Math.max(this.#bytes, end);
  }

  /** Puts `pieces` where `count` others are from `at`, and joins them with their neighbours. */
  #insert(at: number, count: number, pieces: readonly Piece[]): void {
    const before = this.#pieces[at - 1];
    const after = this.#pieces[at + count];
    const from = before?.from === pieces[0]?.from ? at - 1 : at;
    const to = after?.from === pieces.at(-1)?.from ? at + count + 1 : at + count;
    const joined: Piece[] = [];
    const all = [...this.#pieces.slice(from, at), ...pieces, ...this.#pieces.slice(at + count, to)];
    for (const piece of all) {
      const last = joined.at(-1);
      if (last?.from === piece.from) joined[joined.length - 1] = { ...last, end: piece.end };
      else joined.push(piece);
    }
    for (const gone of this.#pieces.splice(from, to - from, ...joined)) {
      this.#totals[gone.from] -= gone.end - gone.start;
    }
    for (const piece of joined) this.#totals[piece.from] += piece.end - piece.start;
  }

  /** Index of the piece that holds `offset`; of the one that would come next, at the end. */
  #indexOf(offset: number): number {
    if (offset >= this.#bytes) return this.#pieces.length;
    return this.#lastBefore(offset + 1, 0);
  }

  /** Index of the last piece from `low` that begins before `end`; `low - 1` when none does. */
  #lastBefore(end: number, low: number): number {
    let from = low;
    let to = this.#pieces.length;
    while (from < to) {
      const middle = (from + to) >>> 1;
      if ((this.#pieces[middle]?.start ?? 0) < end) from = middle + 1;
      else to = middle;
    }
    return from - 1;
  }
}
