/**
 * Finds known secrets in a text, also as servers and libraries quote them: in percent-encoding, in
 * the escapes of JSON, inside base64 (`Authorization: Basic`). What it has learned it keeps only as
 * salted digests, so that it neither prolongs a secret's life nor shows one in a heap dump.
 *
 * How: a window of a few characters slides over the text (Rabin and Karp); where its code is the
 * code of a secret's beginning, the digest of what stands there decides. A text without secrets
 * costs one table look-up a character.
 */
import { createHash, randomBytes } from 'node:crypto';

/** Takes the place of a secret in a text. */
export const REDACTED = '[secret]';

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
  readonly code: number;
  readonly length: number;
  readonly digest: string;
}

/** Part of a text, `end` not included. */
interface Span {
  readonly start: number;
  readonly end: number;
}

/** A decoded text, with the place in the original of each of its characters. */
interface Decoded {
  readonly text: string;
  readonly spans: readonly Span[];
}

export class Redactor {
  readonly #salt = randomBytes(16);
  readonly #capacity: number;
  /** By digest, in the order of learning. */
  readonly #known = new Map<string, Fingerprint>();
  /** By the code of the first characters. */
  readonly #byCode = new Map<number, readonly Fingerprint[]>();
  readonly #filter = new Uint8Array(FILTER_BITS / 8);

  constructor(capacity: number = DEFAULT_CAPACITY) {
    this.#capacity = capacity;
  }

  /** How many secrets are known. */
  get size(): number {
    return this.#known.size;
  }

  /** Values of fewer than 8 characters, blanks at their ends aside, are not learned. */
  learn(value: string): void {
    if (value.trim().length < WINDOW) return;
    const digest = this.#digest(value);
    const known = this.#known.get(digest);
    const fingerprint = known ?? { code: codeOf(value), length: value.length, digest };
    this.#known.delete(digest);
    this.#known.set(digest, fingerprint);
    if (known !== undefined) return;
    const { code } = fingerprint;
    this.#byCode.set(code, [...(this.#byCode.get(code) ?? []), fingerprint]);
    this.#filter[filterByte(code)] = (this.#filter[filterByte(code)] ?? 0) | filterBit(code);
    if (this.#known.size > this.#capacity) this.#forgetOldest();
  }

  /** `text` with every known secret, and every text of a secret's shape, blanked. */
  clean(text: string): string {
    return blankShapes(this.#known.size === 0 ? text : blank(text, this.#spans(text)));
  }

  #spans(text: string): readonly Span[] {
    const spans = [...this.#find(text)];
    if (/%[0-9a-f]{2}/i.test(text)) spans.push(...this.#findIn(percentDecoded(text)));
    if (text.includes('\\')) spans.push(...this.#findIn(unescaped(text)));
    for (const run of text.matchAll(base64Run)) {
      if (this.#isEncoded(run[0])) spans.push({ start: run.index, end: run.index + run[0].length });
    }
    return spans;
  }

  #findIn(decoded: Decoded): readonly Span[] {
    return this.#find(decoded.text).map(({ start, end }) => ({
      start: decoded.spans[start]?.start ?? 0,
      end: decoded.spans[end - 1]?.end ?? 0,
    }));
  }

  /** Whether `run` has a secret in it, whichever of its characters begins a group of four. */
  #isEncoded(run: string): boolean {
    return [0, 1, 2, 3].some((skip) => {
      return this.#find(Buffer.from(run.slice(skip), 'base64').toString('utf8')).length > 0;
    });
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
      for (const { length, digest } of this.#byCode.get(code) ?? []) {
        if (start + length > text.length) continue;
        if (this.#digest(text.slice(start, start + length)) !== digest) continue;
        spans.push({ start, end: start + length });
      }
    }
    return spans;
  }

  #forgetOldest(): void {
    const [oldest] = this.#known.values();
    if (oldest === undefined) return;
    this.#known.delete(oldest.digest);
    const others = (this.#byCode.get(oldest.code) ?? []).filter((other) => other !== oldest);
    // Its bit of the filter stays: that costs a look-up, and nothing else.
    if (others.length === 0) this.#byCode.delete(oldest.code);
    else this.#byCode.set(oldest.code, others);
  }

  #digest(value: string): string {
    return createHash('sha256').update(this.#salt).update(value).digest('base64');
  }
}

function codeOf(value: string): number {
  let code = 0;
  for (let at = 0; at < WINDOW; at++) code = (Math.imul(code, BASE) + value.charCodeAt(at)) | 0;
  return code;
}

function filterByte(code: number): number {
  return (code & (FILTER_BITS - 1)) >> 3;
}

function filterBit(code: number): number {
  return 1 << (code & 7);
}

/** Both alphabets of RFC 4648; shorter ones cannot hold a secret. */
const base64Run = /[A-Za-z0-9+/_-]{11,}/g;

/** What `text` says between its percent-encodings (RFC 3986 section 2.1), a `+` being itself. */
function percentDecoded(text: string): Decoded {
  return decodedBy(text, /(?:%[0-9a-f]{2})+/gi, (run) =>
    Buffer.from(run.replaceAll('%', ''), 'hex').toString('utf8'),
  );
}

/** `text` without the escapes of a JSON string (RFC 8259 section 7). */
function unescaped(text: string): Decoded {
  return decodedBy(text, /\\(?:u[0-9a-fA-F]{4}|["\\/bfnrt])/g, (run) => {
    return JSON.parse(`"${run}"`) as string;
  });
}

/** A character of a decoded run spans the whole run: what is blanked then is a little too much. */
function decodedBy(text: string, runs: RegExp, decode: (run: string) => string): Decoded {
  const spans: Span[] = [];
  let decoded = '';
  let at = 0;
  const keep = (end: number): void => {
    decoded += text.slice(at, end);
    for (; at < end; at++) spans.push({ start: at, end: at + 1 });
  };
  for (const { 0: run, index } of text.matchAll(runs)) {
    keep(index);
    const characters = decode(run);
    decoded += characters;
    const span = { start: index, end: index + run.length };
    spans.push(...Array.from({ length: characters.length }, () => span));
    at = span.end;
  }
  keep(text.length);
  return { text: decoded, spans };
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

/** A JWT in its compact form (RFC 7519): its header is an object, so base64url of `{"` or `{ `. */
const jwt = /\bey[JA][\w-]{8,}\.[\w-]{4,}(?:\.[\w-]*){0,3}/g;
/** Query and header names of AWS Signature Version 4 whose values give access. */
const amz = /(\bX-Amz-(?:Signature|Security-Token)(?:=|%3D|"?\s*:\s*"?))[^\s"'&<>,]+/gi;
/** Fields of OAuth 2, RFC 7591 and STS whose values are secrets, in JSON, a form or XML. */
const field =
  /(\b(?:(?:access|refresh|id|registration_access)_token|client_secret|device_code|WebIdentityToken|SecretAccessKey|SessionToken)\\?["']?\s*[:=>]\s*\\?["']?)[^\s"'\\&<>,;:]{8,}/gi;

/** Secrets that were never made a `Secret`: in what a server wrote of its own accord. */
function blankShapes(text: string): string {
  return text
    .replace(jwt, REDACTED)
    .replace(amz, `$1${REDACTED}`)
    .replace(field, (found, name: string) =>
      found.slice(name.length).startsWith(REDACTED) ? found : `${name}${REDACTED}`,
    );
}
