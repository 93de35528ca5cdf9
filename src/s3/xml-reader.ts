/**
 * Reads an XML document from its bytes, one element after the other, in one pass and without a
 * text or an object for what nobody asks for. Strict: what is not well-formed is refused, and so
 * are DTDs, of which no answer of a store has any use. Attributes are passed over; a prefix before
 * a name counts for nothing.
 */
import { isUtf8 } from 'node:buffer';

/** The document cannot be read. */
export class BadXmlError extends Error {
  override readonly name = 'BadXmlError';
}

/** What a name is compared with, made once. */
export function xmlName(name: string): Uint8Array {
  return Buffer.from(name, 'latin1');
}

/** A piece of a document. */
export interface XmlSpan {
  readonly start: number;
  readonly end: number;
}

const TAB = 0x09;
const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
const BANG = 0x21;
const QUOTE = 0x22;
const AMPERSAND = 0x26;
const APOSTROPHE = 0x27;
const SLASH = 0x2f;
const COLON = 0x3a;
const LESS = 0x3c;
const EQUALS = 0x3d;
const GREATER = 0x3e;
const QUESTION = 0x3f;

/** Elements inside each other, at most: listings have four. */
const MOST_DEPTH = 16;

const CDATA = xmlName('<![CDATA[');
const QUOTE_ENTITY = xmlName('&quot;');
const markups = [
  { start: xmlName('<!--'), end: '-->' },
  { start: xmlName('<?'), end: '?>' },
  { start: CDATA, end: ']]>' },
] as const;

export class XmlReader {
  readonly #bytes: Buffer;
  #at = 0;
  /** Where the names of the elements we are in begin and end. */
  readonly #open: number[] = [];
  /** Behind the prefix of the innermost name. */
  #nameStart = 0;
  #nameEnd = 0;
  /** The element entered last was `<Name/>`, and is not left yet. */
  #isEmpty = false;
  /** Of the text read last. */
  #isPlain = true;

  /** @throws BadXmlError unless `bytes` are UTF-8. */
  constructor(bytes: Buffer) {
    if (!isUtf8(bytes)) throw new BadXmlError('no UTF-8');
    this.#bytes = bytes;
    const hasMark = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
    this.#at = hasMark ? 3 : 0;
  }

  /**
   * Enters the next element inside of the one entered last; false when there is none: that one is
   * left then. At the end of the document there is none either.
   */
  enter(): boolean {
    if (this.#isEmpty) {
      this.#leaveEmpty();
      return false;
    }
    for (;;) {
      this.#skipSpace();
      if (this.#at >= this.#bytes.length) {
        if (this.#open.length > 0) throw cutOff();
        return false;
      }
      if (this.#bytes[this.#at] !== LESS) throw new BadXmlError('text between elements');
      const next = this.#bytes[this.#at + 1];
      if (next === SLASH) {
        this.#leave();
        return false;
      }
      if (next === BANG || next === QUESTION) {
        if (this.#begins(CDATA)) throw new BadXmlError('text between elements');
        this.#skipMarkup();
        continue;
      }
      this.#enterElement();
      return true;
    }
  }

  /** Whether the element entered last has that name. */
  is(name: Uint8Array): boolean {
    const bytes = this.#bytes;
    const start = this.#nameStart;
    if (this.#nameEnd - start !== name.length) return false;
    for (let nth = 0; nth < name.length; nth += 1) {
      if (bytes[start + nth] !== name[nth]) return false;
    }
    return true;
  }

  /** The name of the element entered last. */
  name(): string {
    return this.#bytes.toString('utf8', this.#nameStart, this.#nameEnd);
  }

  /** Leaves the element entered last, with all in it. */
  skip(): void {
    const depth = this.#open.length;
    while (this.#open.length >= depth) {
      if (!this.#isEmpty) this.#skipText();
      this.enter();
    }
  }

  /** Reads the text of the element entered last, and leaves it. */
  text(): string {
    const span = this.plainText();
    if (span !== undefined) return this.#bytes.toString('latin1', span.start, span.end);
    const quoted = this.#quotedText();
    if (quoted !== undefined) return quoted;
    let text = '';
    for (;;) {
      const { start, end } = this.#textSpan();
      text += unescaped(this.#bytes.toString('utf8', start, end));
      if (this.#begins(CDATA)) text += this.#cdata();
      else if (this.#bytes[end + 1] === SLASH) break;
      else this.#skipMarkup();
    }
    this.#leave();
    return text;
  }

  /**
   * As `text`, when that is all ASCII without anything to be replaced: where it is. Else nothing
   * is read.
   */
  plainText(): XmlSpan | undefined {
    if (this.#isEmpty) {
      const at = this.#at;
      this.#leaveEmpty();
      return { start: at, end: at };
    }
    const before = this.#at;
    const span = this.#textSpan();
    if (this.#isPlain && this.#bytes[span.end + 1] === SLASH) {
      this.#leave();
      return span;
    }
    this.#at = before;
    return undefined;
  }

  /** As `text`, when that is all ASCII between two `&quot;`, as ETags are; else nothing is read. */
  #quotedText(): string | undefined {
    const bytes = this.#bytes;
    const before = this.#at;
    if (!this.#begins(QUOTE_ENTITY)) return undefined;
    this.#at += QUOTE_ENTITY.length;
    const start = this.#at;
    while (isPlainByte(bytes[this.#at])) this.#at += 1;
    const end = this.#at;
    if (this.#begins(QUOTE_ENTITY)) {
      this.#at += QUOTE_ENTITY.length;
      if (bytes[this.#at] === LESS && bytes[this.#at + 1] === SLASH) {
        this.#leave();
        return `"${bytes.toString('latin1', start, end)}"`;
      }
    }
    this.#at = before;
    return undefined;
  }

  /** The text up to the next markup, and goes there. */
  #textSpan(): XmlSpan {
    const bytes = this.#bytes;
    const start = this.#at;
    const { length } = bytes;
    let at = start;
    let isPlain = true;
    for (; at < length; at += 1) {
      const byte = bytes[at] ?? 0;
      if (byte === LESS) break;
      if (byte >= 0x80 || byte === AMPERSAND || byte < SPACE) isPlain = false;
    }
    if (at === length) throw cutOff();
    this.#at = at;
    this.#isPlain = isPlain;
    return { start, end: at };
  }

  #skipText(): void {
    for (;;) {
      const at = this.#bytes.indexOf(LESS, this.#at);
      if (at === -1) throw cutOff();
      this.#at = at;
      const next = this.#bytes[at + 1];
      if (next !== BANG && next !== QUESTION) return;
      this.#skipMarkup();
    }
  }

  #cdata(): string {
    const start = this.#at + CDATA.length;
    const end = this.#bytes.indexOf(']]>', start);
    if (end === -1) throw cutOff();
    this.#at = end + 3;
    return withLineEnds(this.#bytes.toString('utf8', start, end));
  }

  #enterElement(): void {
    const bytes = this.#bytes;
    const start = this.#at + 1;
    const end = this.#nameFrom(start);
    let at = end;
    for (; bytes[at] !== GREATER && bytes[at] !== SLASH; at = this.#afterAttribute(at)) {
      if (!isSpace(bytes[at])) throw new BadXmlError('a broken tag');
      while (isSpace(bytes[at])) at += 1;
      if (bytes[at] === GREATER || bytes[at] === SLASH) break;
    }
    this.#isEmpty = bytes[at] === SLASH;
    if (this.#isEmpty) at += 1;
    if (bytes[at] !== GREATER) throw new BadXmlError('a broken tag');
    this.#at = at + 1;
    if (this.#open.length >= MOST_DEPTH * 2)
      throw new BadXmlError('too many elements in each other');
    this.#open.push(start, end);
  }

  /** Where the name that begins at `start` ends; notes it without its prefix. */
  #nameFrom(start: number): number {
    const bytes = this.#bytes;
    let at = start;
    this.#nameStart = start;
    for (let byte = bytes[at]; isNameByte(byte); byte = bytes[at]) {
      at += 1;
      if (byte === COLON) this.#nameStart = at;
    }
    if (at === this.#nameStart) throw new BadXmlError('a tag without a name');
    this.#nameEnd = at;
    return at;
  }

  #afterAttribute(start: number): number {
    const bytes = this.#bytes;
    let at = start;
    while (isNameByte(bytes[at])) at += 1;
    const nameEnd = at;
    while (isSpace(bytes[at])) at += 1;
    if (nameEnd === start || bytes[at] !== EQUALS) throw new BadXmlError('a broken attribute');
    at += 1;
    while (isSpace(bytes[at])) at += 1;
    const quote = bytes[at];
    if (quote !== QUOTE && quote !== APOSTROPHE) throw new BadXmlError('a broken attribute');
    const end = bytes.indexOf(quote, at + 1);
    const less = bytes.subarray(at, end === -1 ? undefined : end).includes(LESS);
    if (end === -1 || less) throw new BadXmlError('a broken attribute');
    return end + 1;
  }

  /** The end tag of the element we are in comes here. */
  #leave(): void {
    const bytes = this.#bytes;
    const end = this.#open.pop();
    const start = this.#open.pop();
    if (start === undefined || end === undefined) throw new BadXmlError('an end without a start');
    let at = this.#at + 2;
    for (let nth = start; nth < end; nth += 1, at += 1) {
      if (bytes[at] !== bytes[nth]) throw new BadXmlError('an end of another element');
    }
    while (isSpace(bytes[at])) at += 1;
    if (bytes[at] !== GREATER) throw new BadXmlError('an end of another element');
    this.#at = at + 1;
  }

  #leaveEmpty(): void {
    this.#isEmpty = false;
    this.#open.length -= 2;
  }

  #begins(what: Uint8Array): boolean {
    for (let nth = 0; nth < what.length; nth += 1) {
      if (this.#bytes[this.#at + nth] !== what[nth]) return false;
    }
    return true;
  }

  /** Passes over a comment, a CDATA section or a processing instruction. */
  #skipMarkup(): void {
    for (const { start, end } of markups) {
      if (!this.#begins(start)) continue;
      const at = this.#bytes.indexOf(end, this.#at + start.length);
      if (at === -1) throw cutOff();
      this.#at = at + end.length;
      return;
    }
    throw new BadXmlError('an element inside of a text, or a DTD');
  }

  #skipSpace(): void {
    const bytes = this.#bytes;
    while (isSpace(bytes[this.#at])) this.#at += 1;
  }
}

function isSpace(byte: number | undefined): boolean {
  return byte === SPACE || byte === LF || byte === CR || byte === TAB;
}

/** Stands for itself in a text. */
function isPlainByte(byte: number | undefined): boolean {
  return byte !== undefined && byte >= SPACE && byte < 0x80 && byte !== LESS && byte !== AMPERSAND;
}

/** Whatever does not end a name; which other characters may be in one nobody minds. */
function isNameByte(byte: number | undefined): boolean {
  if (byte === undefined || byte <= SPACE) return false;
  return (
    byte !== SLASH &&
    byte !== GREATER &&
    byte !== EQUALS &&
    byte !== LESS &&
    byte !== QUOTE &&
    byte !== APOSTROPHE &&
    byte !== AMPERSAND
  );
}

const named: Readonly<Record<string, string>> = {
  ...{ amp: '&', lt: '<', gt: '>' },
  ...{ quot: '"', apos: "'" },
};
const numbered = /^#(?:x([0-9A-Fa-f]{1,6})|(\d{1,7}))$/;

/** Text with its references replaced (XML 1.0 §4.1, §4.6). */
function unescaped(text: string): string {
  const plain = withLineEnds(text);
  let result = '';
  let at = 0;
  for (let from = plain.indexOf('&'); from >= 0; from = plain.indexOf('&', at)) {
    const end = plain.indexOf(';', from);
    result += plain.slice(at, from) + characterOf(plain.slice(from + 1, Math.max(end, from + 1)));
    at = end + 1;
  }
  return at === 0 ? plain : result + plain.slice(at);
}

/** What a reference stands for. @throws BadXmlError */
function characterOf(name: string): string {
  if (Object.hasOwn(named, name)) return named[name] ?? '';
  const [, hex, decimal] = numbered.exec(name) ?? [];
  const point = hex === undefined ? Number(decimal) : Number.parseInt(hex, 16);
  const isCharacter = point > 0 && point <= 0x10ffff && (point < 0xd800 || point > 0xdfff);
  if (!isCharacter) throw new BadXmlError('an unknown entity');
  return String.fromCodePoint(point);
}

/** XML 1.0 §2.11. */
function withLineEnds(text: string): string {
  return text.includes('\r') ? text.replaceAll(/\r\n?/g, '\n') : text;
}

function cutOff(): BadXmlError {
  return new BadXmlError('cut off');
}
