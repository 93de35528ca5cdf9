/**
 * Buckets that need no storage: names, ETags and bytes are computed from the position. Listing a
 * page costs the page, at any depth; reading copies from one pattern in memory.
 */
import { createHash } from 'node:crypto';
import type { Extent } from '../../lib/bytes.ts';
import { compareKeys, firstWhere } from './byte-order.ts';
import { type Blob, Content } from './object-data.ts';
import { type Cursor, isPast, type OrderedEntries } from './object-index.ts';
import type { StoredObject } from './stored-object.ts';

export interface SyntheticSpec {
  readonly name: string;
  /** Number of objects. */
  readonly keys: number;
  /** `flat`: `object-00000042`; otherwise `dir-0007/object-00000042`, filled one after the other. */
  readonly layout: 'flat' | { readonly directories: number };
  readonly objectBytes: number;
}

/** A prime just over 1 MiB: a block out of place never looks right. */
const PATTERN_BYTES = 1_048_583;
/** Seed of the pattern; any fixed one does. */
const PATTERN_SEED = 0x9e3779b9;
const createdMs = Date.UTC(2026, 0, 1);

/** Marsaglia's xorshift32: random enough that no two places look alike. */
function makePattern(): Buffer {
  const pattern = Buffer.allocUnsafeSlow(PATTERN_BYTES);
  let state = PATTERN_SEED | 0;
  for (let i = 0; i < PATTERN_BYTES; i += 1) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    pattern[i] = state & 255;
  }
  return pattern;
}

/** The same bytes for every object, begun at a place that depends on its key. */
export class SyntheticPattern {
  readonly #bytes = makePattern();

  /** Byte `extent` of the object `key`. */
  read(key: string, extent: Extent): Buffer {
    return Buffer.concat([...this.pieces(key, extent)]);
  }

  *pieces(key: string, { start, end }: Extent): Generator<Buffer> {
    const shift = createHash('md5').update(key).digest().readUInt32LE() % PATTERN_BYTES;
    for (let at = start; at < end; ) {
      const from = (shift + at) % PATTERN_BYTES;
      const piece = this.#bytes.subarray(from, Math.min(from + end - at, PATTERN_BYTES));
      at += piece.length;
      yield piece;
    }
  }
}

export class SyntheticEntries implements OrderedEntries<StoredObject> {
  readonly #spec: SyntheticSpec;
  readonly #pattern: SyntheticPattern;
  readonly #perDirectory: number;

  constructor(spec: SyntheticSpec, pattern: SyntheticPattern) {
    this.#spec = spec;
    this.#pattern = pattern;
    const directories = spec.layout === 'flat' ? 1 : spec.layout.directories;
    this.#perDirectory = Math.max(1, Math.ceil(spec.keys / directories));
  }

  get(key: string): StoredObject | undefined {
    const number = /object-(\d{8,})$/.exec(key)?.[1];
    const position = Number(number ?? Number.NaN);
    if (!(position < this.#spec.keys) || this.key(position) !== key) return undefined;
    return this.object(position);
  }

  seek(key: string): Cursor<StoredObject> {
    const { keys } = this.#spec;
    const first = firstWhere(keys, (i) => compareKeys(this.key(i), key) >= 0);
    return new SyntheticCursor(this, keys, first);
  }

  key(position: number): string {
    const name = `object-${String(position).padStart(8, '0')}`;
    if (this.#spec.layout === 'flat') return name;
    const directory = Math.floor(position / this.#perDirectory);
    return `dir-${String(directory).padStart(6, '0')}/${name}`;
  }

  /** First position of the directory after that of `position`: what folding skips to. */
  nextDirectory(position: number): number {
    return (Math.floor(position / this.#perDirectory) + 1) * this.#perDirectory;
  }

  object(position: number): StoredObject {
    const key = this.key(position);
    const { objectBytes } = this.#spec;
    const pattern = this.#pattern;
    return {
      key,
      content: Content.of(patternBlob(key, pattern), objectBytes),
      etag: createHash('md5').update(`${key}:${objectBytes}`).digest('hex'),
      modifiedMs: createdMs,
      headers: { 'content-type': 'binary/octet-stream' },
    };
  }
}

/** Objects below this are given in one buffer. */
const PEEK_BYTES = 64 * 1024;

function patternBlob(key: string, pattern: SyntheticPattern): Blob {
  return {
    // eslint-disable-next-line @typescript-eslint/require-await -- the interface is asynchronous
    async *pieces(extent) {
      yield* pattern.pieces(key, extent);
    },
    peek: (extent) =>
      extent.end - extent.start <= PEEK_BYTES ? pattern.read(key, extent) : undefined,
    retain: () => undefined,
    release: () => undefined,
  };
}

class SyntheticCursor implements Cursor<StoredObject> {
  readonly #entries: SyntheticEntries;
  readonly #keys: number;
  #position: number;

  constructor(entries: SyntheticEntries, keys: number, position: number) {
    this.#entries = entries;
    this.#keys = keys;
    this.#position = position;
  }

  get entry(): StoredObject | undefined {
    return this.#position < this.#keys ? this.#entries.object(this.#position) : undefined;
  }

  advance(): void {
    this.#position += 1;
  }

  skipPrefix(prefix: string): void {
    const here = this.#position;
    const next = Math.min(this.#entries.nextDirectory(here), this.#keys);
    const isWholeRest = this.#entries.key(next - 1).startsWith(prefix);
    if (
      here < next &&
      isWholeRest &&
      (next === this.#keys || isPast(this.#entries.key(next), prefix))
    ) {
      this.#position = next;
      return;
    }
    this.#position =
      here + firstWhere(this.#keys - here, (i) => isPast(this.#entries.key(here + i), prefix));
  }
}
