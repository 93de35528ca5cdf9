/**
 * Finds known secrets in a text, also as servers and libraries quote them: in percent-encoding and
 * the escapes of JSON and XML, up to three times over, in hex, inside base64 (`Authorization:
 * Basic`), broken over lines. What it has learned it keeps only as salted digests, so that it
 * neither prolongs a secret's life nor shows one in a heap dump.
 *
 * How: a window of a few characters slides over the text (Rabin and Karp); where its code is the
 * code of a secret's beginning, and the code of the secret's end stands where it should, the digest
 * of what is between them decides. A text without secrets costs one table look-up a character. All
 * tokens of an issuer begin alike, so a beginning alone must not cost a digest for each of them.
 */
import { originOf, type Reading, readings, type Span } from './readings.ts';
import { blankShapes, REDACTED } from './secret-shapes.ts';

/** Shorter values would blank ordinary words, and are no secrets. */
const WINDOW = 8;
/** Some months of renewals; with more, the oldest are forgotten. */
const DEFAULT_CAPACITY = 4096;
/** Bits of the first look-up, 8 KiB: with a hundred secrets, 1 place in 655 needs a second one. */
const FILTER_BITS = 2 ** 16;

const BASE = 31;
/** BASE to the power of WINDOW, modulo 2^32: what the leaving character has grown to. */
const LEAVING = Array.from({ length: WINDOW }).reduce<number>((power) => Math.imul(power, BASE), 1);

/** A learned secret: enough to recognise it, not enough to know it. */
interface Fingerprint {
  /** Code of its first characters. */
  readonly head: number;
  /** Code of its last characters. */
  readonly tail: number;
  readonly length: number;
}

/** How many secrets have a tail, by length and tail. */
type Tails = Map<number, Map<number, number>>;

/** Letters that may spell a secret otherwise, and how they come in groups. */
interface Spelling {
  readonly runs: RegExp;
  readonly encoding: 'base64' | 'hex';
  readonly group: number;
}

/** Shorter runs cannot hold a secret. Base64: both alphabets of RFC 4648. */
const spellings: readonly Spelling[] = [
  { runs: /[A-Za-z0-9+/_-]{11,}/g, encoding: 'base64', group: 4 },
  { runs: /[0-9a-f]{16,}/gi, encoding: 'hex', group: 2 },
];

export class Redactor {
  #salt: Uint8Array | undefined;
  readonly #capacity: number;
  /** By digest, in the order of learning. */
  readonly #known = new Map<string, Fingerprint>();
  readonly #byHead = new Map<number, Tails>();
  readonly #filter = new Uint8Array(FILTER_BITS / 8);

  constructor(capacity: number = DEFAULT_CAPACITY) {
    this.#capacity = capacity;
  }

  /** How many secrets are known. */
  get size(): number {
    return this.#known.size;
  }

  /** Blanks at its ends are no part of a value; values of fewer than 8 characters are not learned. */
  learn(text: string): void {
    const value = text.trim();
    const { length } = value;
    if (length < WINDOW) return;
    const digest = this.#digest(value);
    const known = this.#known.get(digest);
    const head = codeAt(value, 0);
    const fingerprint = known ?? { head, tail: codeAt(value, length - WINDOW), length };
    this.#known.delete(digest);
    this.#known.set(digest, fingerprint);
    if (known !== undefined) return;
    this.#count(fingerprint, 1);
    this.#filter[filterByte(head)] = (this.#filter[filterByte(head)] ?? 0) | filterBit(head);
    if (this.#known.size > this.#capacity) this.#forgetOldest();
  }

  /** `text` with every known secret, and every text of a secret's shape, blanked. */
  clean(text: string): string {
    return blankShapes(this.#known.size === 0 ? text : blank(text, this.#spans(text)));
  }

  #spans(text: string): readonly Span[] {
    return readings(text).flatMap((reading) => this.#spansOf(reading));
  }

  #spansOf(reading: Reading): readonly Span[] {
    const spans = [...this.#find(reading.text)];
    for (const { runs, encoding, group } of spellings) {
      for (const { 0: run, index } of reading.text.matchAll(runs)) {
        // A secret may begin at any of the characters of a group.
        const skips = Array.from({ length: group }, (_, skip) => skip);
        const holds = skips.some((skip) => this.#holds(Buffer.from(run.slice(skip), encoding)));
        if (holds) spans.push({ start: index, end: index + run.length });
      }
    }
    return spans.map((span) => originOf(reading, span));
  }

  #holds(bytes: Buffer): boolean {
    return this.#find(bytes.toString('utf8')).length > 0;
  }

  #find(text: string): readonly Span[] {
    const spans: Span[] = [];
    let code = 0;
    for (let end = 1; end <= text.length; end++) {
      code = (Math.imul(code, BASE) + text.charCodeAt(end - 1)) | 0;
      const start = end - WINDOW;
      if (start < 0) continue;
      if (start > 0) code = (code - Math.imul(text.charCodeAt(start - 1), LEAVING)) | 0;
      if (((this.#filter[filterByte(code)] ?? 0) & filterBit(code)) === 0) continue;
      for (const [length, tails] of this.#byHead.get(code) ?? []) {
        const last = start + length - WINDOW;
        if (last + WINDOW > text.length || !tails.has(codeAt(text, last))) continue;
        if (this.#known.has(this.#digest(text.slice(start, start + length)))) {
          spans.push({ start, end: start + length });
        }
      }
    }
    return spans;
  }

  #forgetOldest(): void {
    const [oldest] = this.#known;
    if (oldest === undefined) return;
    const [digest, fingerprint] = oldest;
    this.#known.delete(digest);
    // Its bit of the filter stays: that costs a look-up, and nothing else.
    this.#count(fingerprint, -1);
  }

  /** Counts one secret more or less of these codes. */
  #count({ head, tail, length }: Fingerprint, by: 1 | -1): void {
    const tails: Tails = this.#byHead.get(head) ?? new Map<number, Map<number, number>>();
    const counts = tails.get(length) ?? new Map<number, number>();
    const count = (counts.get(tail) ?? 0) + by;
    if (count > 0) counts.set(tail, count);
    else counts.delete(tail);
    if (counts.size > 0) tails.set(length, counts);
    else tails.delete(length);
    if (tails.size > 0) this.#byHead.set(head, tails);
    else this.#byHead.delete(head);
  }

  #digest(value: string): string {
    // Loaded with the first secret: a command that has none starts 3 ms sooner.
    const { createHash, randomBytes } = process.getBuiltinModule('node:crypto');
    this.#salt ??= randomBytes(16);
    return createHash('sha256').update(this.#salt).update(value).digest('base64');
  }
}

/** Of the window that begins at `start`. */
function codeAt(text: string, start: number): number {
  let code = 0;
  for (let at = start; at < start + WINDOW; at++) {
    code = (Math.imul(code, BASE) + text.charCodeAt(at)) | 0;
  }
  return code;
}

function filterByte(code: number): number {
  return (code & (FILTER_BITS - 1)) >> 3;
}

function filterBit(code: number): number {
  return 1 << (code & 7);
}

function blank(text: string, found: readonly Span[]): string {
  if (found.length === 0) return text;
  let clean = '';
  let at = 0;
  for (const { start, end } of found.toSorted((a, b) => a.start - b.start)) {
    if (start >= at) clean += `${text.slice(at, start)}${REDACTED}`;
    at = Math.max(at, end);
  }
  return clean + text.slice(at);
}
