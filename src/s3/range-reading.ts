/**
 * A ranged read on its way: how far it has got, and what an answer must be like to carry it on.
 * Every answer is checked against what was asked for before a byte of it goes on.
 */
import type { Extent } from '../lib/bytes.ts';
import type { AnswerHead } from '../net/http1/answer-head.ts';
import { StoreError } from '../store/errors.ts';
import type { ETag, ObjectVersion, ReadSink } from '../store/object-store.ts';
import { parseContentRange, sameEtag } from './s3-encoding.ts';

export interface ReadTarget {
  readonly bucket: string;
  readonly key: string;
  readonly etag: ETag;
  /** A clause for people. */
  readonly tried: string;
}

/** What an answer holds, by its head. */
export interface PromisedRange {
  /** The range is all of the object. */
  readonly whole: boolean;
}

export class RangeReading {
  readonly target: ReadTarget;
  readonly #sink: ReadSink;
  #at: number;
  #end: number;
  #version: ObjectVersion | undefined;

  constructor(target: ReadTarget, extent: Extent, sink: ReadSink) {
    this.target = target;
    this.#sink = sink;
    this.#at = extent.start;
    this.#end = extent.end;
  }

  /** What is still missing; its end lies inside the object as soon as an answer has come. */
  get missing(): Extent {
    return { start: this.#at, end: this.#end };
  }

  /** All before it is in the sink. */
  get at(): number {
    return this.#at;
  }

  /** Bytes that are missing; as good as known once an answer has come. */
  get left(): number {
    return this.#end - this.#at;
  }

  /**
   * Takes the head of an answer to a request for what was missing then and is missing now.
   *
   * @throws StoreError `precondition-failed` for another version, `unavailable` for anything else
   *   that was not asked for.
   */
  accept({ status, headers, framing }: AnswerHead): PromisedRange {
    const etag = headers.get('etag') ?? '';
    if (etag === '') throw this.broken('no ETag');
    if (!sameEtag(etag, this.target.etag)) throw this.#changed();
    if (framing.by === 'close') throw this.broken('a body without a length');
    const length = framing.by === 'length' ? framing.bytes : undefined;
    const header = headers.get('content-range');
    const range = status === 206 ? parseContentRange(header ?? '') : wholeOf(header, length);
    const told = `the range ${header ?? `of ${length ?? 'unknown'} bytes`}`;
    if (range === undefined) throw this.broken(told);
    const { extent, bytes } = range;
    const end = Math.min(this.#end, bytes);
    const fits = extent.start === this.#at && extent.end === end && extent.start < end;
    if (!fits || (length ?? end - this.#at) !== end - this.#at) throw this.broken(told);
    if ((this.#version?.bytes ?? bytes) !== bytes) throw this.broken('another length');
    this.#end = end;
    this.#version ??= { etag: this.target.etag, bytes, modifiedMs: modifiedMsOf(headers) };
    return { whole: extent.start === 0 && end === bytes };
  }

  /** The sink's room. */
  room(): Uint8Array {
    return this.#sink.room();
  }

  /** So many bytes of that room are right. */
  filled(bytes: number): void {
    this.#at += bytes;
    this.#sink.filled(bytes);
  }

  /** The version that was read. @throws StoreError `unavailable` unless all of it has come. */
  finish(): ObjectVersion {
    if (this.#version !== undefined && this.#at === this.#end) return this.#version;
    throw this.broken('fewer bytes than promised');
  }

  /** What came is not what was asked for: it may be asked again. */
  broken(answer: string): StoreError {
    return new StoreError('unavailable', this.target.tried, { code: answer });
  }

  /** A server that does not know If-Match tells it this way. */
  #changed(): StoreError {
    const detail = { code: 'another version came' };
    return new StoreError('precondition-failed', this.target.tried, detail);
  }
}

/** What an answer with status 200 holds: the whole object, if it says how long that is. */
function wholeOf(
  range: string | undefined,
  length: number | undefined,
): ReturnType<typeof parseContentRange> {
  if (range !== undefined) return parseContentRange(range);
  return length === undefined ? undefined : { extent: { start: 0, end: length }, bytes: length };
}

function modifiedMsOf(headers: ReadonlyMap<string, string>): number {
  const modifiedMs = Date.parse(headers.get('last-modified') ?? '');
  return Number.isNaN(modifiedMs) ? 0 : modifiedMs;
}
