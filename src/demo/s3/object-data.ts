/**
 * Bytes of objects. A `Content` is a list of slices of blobs; copies and completed uploads share
 * the blobs of their sources, so no byte is written twice. A blob counts its holders and gives its
 * storage back with the last one.
 */
import type { Extent } from '../../lib/bytes.ts';

/** Immutable bytes somewhere. */
export interface Blob {
  /**
   * The bytes of `extent` in pieces. A piece may be overwritten when the one after its successor
   * is asked for, so at most one may be kept while the next is read.
   */
  pieces(extent: Extent): AsyncIterable<Buffer>;
  /** The bytes of `extent` at once, for blobs that are in memory. */
  peek(extent: Extent): Buffer | undefined;
  retain(): void;
  release(): void;
}

interface Slice {
  readonly blob: Blob;
  readonly extent: Extent;
}

const nothing = Buffer.alloc(0);

/** Holds its blobs until `release`. */
export class Content {
  readonly size: number;
  readonly #slices: readonly Slice[];

  private constructor(slices: readonly Slice[]) {
    this.#slices = slices;
    this.size = slices.reduce((sum, { extent }) => sum + extent.end - extent.start, 0);
  }

  /** Takes over the one hold on `blob` that its maker had. */
  static of(blob: Blob, size: number): Content {
    return new Content(size === 0 ? [] : [{ blob, extent: { start: 0, end: size } }]);
  }

  /** One after the other. Holds the blobs anew: the given ones stay held too. */
  static concat(contents: readonly Content[]): Content {
    const joined = new Content(contents.flatMap((content) => content.#slices));
    joined.retain();
    return joined;
  }

  /** Bytes `extent` of this, held on their own. */
  slice(extent: Extent): Content {
    const cut = new Content(this.#within(extent));
    cut.retain();
    return cut;
  }

  retain(): void {
    for (const { blob } of this.#slices) blob.retain();
  }

  release(): void {
    for (const { blob } of this.#slices) blob.release();
  }

  /** The bytes at once where one blob in memory has them all. */
  peek(extent: Extent): Buffer | undefined {
    if (extent.start === extent.end) return nothing;
    const [slice, ...more] = this.#within(extent);
    return more.length === 0 ? slice?.blob.peek(slice.extent) : undefined;
  }

  /** See `Blob.pieces`. */
  async *pieces(extent: Extent): AsyncGenerator<Buffer> {
    for (const { blob, extent: within } of this.#within(extent)) yield* blob.pieces(within);
  }

  /** All bytes in one buffer of the caller's own. */
  async read(extent: Extent = { start: 0, end: this.size }): Promise<Buffer> {
    const whole = Buffer.allocUnsafe(extent.end - extent.start);
    let at = 0;
    for await (const piece of this.pieces(extent)) at += piece.copy(whole, at);
    return whole;
  }

  #within(wanted: Extent): Slice[] {
    const found: Slice[] = [];
    let base = 0;
    for (const { blob, extent } of this.#slices) {
      const start = Math.max(wanted.start - base, 0) + extent.start;
      const end = Math.min(wanted.end - base + extent.start, extent.end);
      if (start < end) found.push({ blob, extent: { start, end } });
      base += extent.end - extent.start;
    }
    return found;
  }
}

/** Bytes kept in memory; nothing to give back. */
export function memoryBlob(bytes: Buffer): Blob {
  return {
    // eslint-disable-next-line @typescript-eslint/require-await -- the interface is asynchronous
    async *pieces({ start, end }) {
      yield bytes.subarray(start, end);
    },
    peek: ({ start, end }) => bytes.subarray(start, end),
    retain: () => undefined,
    release: () => undefined,
  };
}
