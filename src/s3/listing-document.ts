/**
 * The document that answers ListObjectsV2. Names that are not known are passed over, as S3 adds to
 * it now and then; what is known must make sense, or it is no listing.
 */
import type { ListPage, ObjectSummary } from '../store/object-store.ts';
import { decodeListedSpan } from './listed-key.ts';
import { decodeListedKey } from './s3-encoding.ts';
import { readOnce, readTime } from './xml-fields.ts';
import { BadXmlError, XmlReader, xmlName } from './xml-reader.ts';

const ROOT = xmlName('ListBucketResult');
const CONTENTS = xmlName('Contents');
const PREFIXES = xmlName('CommonPrefixes');
const ENCODING = xmlName('EncodingType');
const TRUNCATED = xmlName('IsTruncated');
const NEXT = xmlName('NextContinuationToken');
const KEY = xmlName('Key');
const ETAG = xmlName('ETag');
const SIZE = xmlName('Size');
const MODIFIED = xmlName('LastModified');
const PREFIX = xmlName('Prefix');
const METADATA = xmlName('UserMetadata');

const METADATA_PREFIX = 'x-amz-meta-';
const ZERO = 0x30;
/** Fewer digits than a double holds exactly. */
const MOST_DIGITS = 15;
/**
 * The page that `document` tells of.
 *
 * @throws BadXmlError when it is not a whole listing, or none.
 */
export function readListing(document: Buffer): ListPage {
  // How keys are written is told behind them by some servers: what was asked for is presumed.
  const reading = new ListingReading(document, true);
  if (reading.encoding === 'url') return reading.page();
  if (reading.encoding === '') return new ListingReading(document, false).page();
  throw new BadXmlError('an unknown encoding of keys');
}

class ListingReading {
  readonly #document: Buffer;
  readonly #reader: XmlReader;
  readonly #decodes: boolean;
  #encoding: string | undefined;
  readonly #objects: ObjectSummary[] = [];
  readonly #prefixes: string[] = [];
  #badKey = false;
  #isTruncated: boolean | undefined;
  #next: string | undefined;

  constructor(document: Buffer, decodes: boolean) {
    this.#document = document;
    this.#reader = new XmlReader(document);
    this.#decodes = decodes;
    const reader = this.#reader;
    if (!reader.enter() || !reader.is(ROOT)) throw new BadXmlError('another document');
    while (reader.enter()) this.#readField();
    if (reader.enter()) throw new BadXmlError('two documents');
  }

  /** How keys are written; '': as they are. */
  get encoding(): string {
    return this.#encoding ?? '';
  }

  page(): ListPage {
    if (this.#badKey) throw new BadXmlError('a broken key');
    const page = { objects: this.#objects, prefixes: this.#prefixes };
    const next = this.#next;
    if (this.#isTruncated !== true) return page;
    // Half a listing must not pass for a whole one.
    if (next === undefined || next === '') throw new BadXmlError('a listing without its rest');
    return { ...page, next };
  }

  #readField(): void {
    const reader = this.#reader;
    if (reader.is(CONTENTS)) this.#objects.push(this.#object());
    else if (reader.is(PREFIXES)) this.#readPrefixes();
    else if (reader.is(ENCODING)) this.#encoding = readOnce(this.#encoding, reader.text());
    else if (reader.is(TRUNCATED))
      this.#isTruncated = readOnce(this.#isTruncated, yesOrNo(reader.text()));
    else if (reader.is(NEXT)) this.#next = readOnce(this.#next, reader.text());
    else reader.skip();
  }

  #object(): ObjectSummary {
    const reader = this.#reader;
    let key: string | undefined;
    let etag: string | undefined;
    let bytes: number | undefined;
    let modifiedMs: number | undefined;
    let metadata: Readonly<Record<string, string>> | undefined;
    while (reader.enter()) {
      if (reader.is(KEY)) key = readOnce(key, this.#key());
      else if (reader.is(ETAG)) etag = readOnce(etag, reader.text());
      else if (reader.is(SIZE)) bytes = readOnce(bytes, this.#number());
      else if (reader.is(MODIFIED)) modifiedMs = readOnce(modifiedMs, readTime(reader.text()));
      else if (reader.is(METADATA)) metadata = readOnce(metadata, this.#metadata());
      else reader.skip();
    }
    if (key === undefined || bytes === undefined)
      throw new BadXmlError('an object without its size');
    const object = { key, etag: etag ?? '', bytes, modifiedMs: modifiedMs ?? 0 };
    return metadata === undefined ? object : { ...object, metadata };
  }

  /** MinIO's: an element for each header. */
  #metadata(): Readonly<Record<string, string>> {
    const reader = this.#reader;
    const metadata: [string, string][] = [];
    while (reader.enter()) {
      const name = reader.name().toLowerCase();
      if (name.startsWith(METADATA_PREFIX)) {
        metadata.push([name.slice(METADATA_PREFIX.length), reader.text()]);
      } else reader.skip();
    }
    return Object.fromEntries(metadata);
  }

  #readPrefixes(): void {
    const reader = this.#reader;
    while (reader.enter()) {
      if (reader.is(PREFIX)) this.#prefixes.push(this.#key());
      else reader.skip();
    }
  }

  #key(): string {
    const span = this.#reader.plainText();
    const key =
      span === undefined ? this.#oddKey() : decodeListedSpan(this.#document, span, this.#decodes);
    if (key === undefined) this.#badKey = true;
    return key ?? '';
  }

  /** One that holds more than its bytes say at first sight. */
  #oddKey(): string | undefined {
    const text = this.#reader.text();
    try {
      return this.#decodes ? decodeListedKey(text) : text;
    } catch {
      return undefined;
    }
  }

  #number(): number {
    const span = this.#reader.plainText();
    const digits = span === undefined ? 0 : span.end - span.start;
    if (span === undefined || digits === 0 || digits > MOST_DIGITS) throw badNumber();
    let number = 0;
    for (let at = span.start; at < span.end; at += 1) {
      const digit = (this.#document[at] ?? 0) - ZERO;
      if (digit < 0 || digit > 9) throw badNumber();
      number = number * 10 + digit;
    }
    return number;
  }
}

function yesOrNo(text: string): boolean {
  if (text !== 'true' && text !== 'false') throw new BadXmlError('neither true nor false');
  return text === 'true';
}

function badNumber(): BadXmlError {
  return new BadXmlError('a broken size');
}
