/** The body of an answer on its way into a sink, by how its end is known. */
import { pour } from '../../lib/pour.ts';
import { type AnswerHead, BadAnswerError } from './answer-head.ts';

/** Takes the bytes of a body in their order; what it throws ends the exchange. */
export interface BodySink {
  /** Room for the next bytes, never empty while any are to come. */
  room(): Uint8Array;
  /** So many bytes of that room were filled, from its start. */
  filled(bytes: number): void;
}

export interface AnswerBody {
  readonly complete: boolean;
  /** The end of the connection is the end of the body. */
  readonly endsWithConnection: boolean;
  /** Room that the socket may write to by itself; undefined: its bytes have to be looked at. */
  room(): Uint8Array | undefined;
  /** So many bytes are in that room. */
  came(bytes: number): void;
  /** Takes what belongs to the body; returns how many bytes that were. */
  take(bytes: Uint8Array): number;
}

export function bodyOf({ framing }: AnswerHead, sink: BodySink): AnswerBody {
  switch (framing.by) {
    case 'length':
      return new LengthBody(sink, framing.bytes);
    case 'chunks':
      return new ChunkedBody(sink);
    case 'close':
      return new RestBody(sink);
  }
}

class LengthBody implements AnswerBody {
  readonly endsWithConnection = false;
  readonly #sink: BodySink;
  #left: number;

  constructor(sink: BodySink, bytes: number) {
    this.#sink = sink;
    this.#left = bytes;
  }

  get complete(): boolean {
    return this.#left === 0;
  }

  /** Never more than is left: what follows the body is not the sink's. */
  room(): Uint8Array {
    const room = this.#sink.room();
    return room.byteLength > this.#left ? room.subarray(0, this.#left) : room;
  }

  came(bytes: number): void {
    this.#left -= bytes;
    this.#sink.filled(bytes);
  }

  take(bytes: Uint8Array): number {
    const taken = Math.min(bytes.byteLength, this.#left);
    this.#left -= taken;
    pour(bytes.subarray(0, taken), this.#sink);
    return taken;
  }
}

/** Read to the end of the connection: only for the words of an error. */
class RestBody implements AnswerBody {
  readonly complete = false;
  readonly endsWithConnection = true;
  readonly #sink: BodySink;

  constructor(sink: BodySink) {
    this.#sink = sink;
  }

  room(): undefined {
    return undefined;
  }

  came(): void {
    throw new Error('no room was given');
  }

  take(bytes: Uint8Array): number {
    pour(bytes, this.#sink);
    return bytes.byteLength;
  }
}

/** Longest size line, and longest trailer line; nobody sends either longer than a few bytes. */
const LONGEST_LINE = 1024;
const MOST_TRAILERS = 32;
/** 13 hex digits stay below 2^53. */
const sizeLine = /^([0-9A-Fa-f]{1,13})(?:[\t ]*;[\t\x20-\x7e]*)?$/;

/** RFC 9112 §7.1. */
class ChunkedBody implements AnswerBody {
  readonly endsWithConnection = false;
  readonly #sink: BodySink;
  #expects: 'size' | 'bytes' | 'chunk-end' | 'trailer' | 'nothing' = 'size';
  #left = 0;
  #line = '';
  #trailers = 0;

  constructor(sink: BodySink) {
    this.#sink = sink;
  }

  get complete(): boolean {
    return this.#expects === 'nothing';
  }

  room(): undefined {
    return undefined;
  }

  came(): void {
    throw new Error('no room was given');
  }

  take(bytes: Uint8Array): number {
    let at = 0;
    while (at < bytes.byteLength && !this.complete) {
      at +=
        this.#expects === 'bytes'
          ? this.#takeBytes(bytes.subarray(at))
          : this.#takeLine(bytes.subarray(at));
    }
    return at;
  }

  #takeBytes(bytes: Uint8Array): number {
    const taken = Math.min(bytes.byteLength, this.#left);
    this.#left -= taken;
    if (this.#left === 0) this.#expects = 'chunk-end';
    pour(bytes.subarray(0, taken), this.#sink);
    return taken;
  }

  #takeLine(bytes: Uint8Array): number {
    const end = bytes.indexOf(0x0a);
    const taken = end === -1 ? bytes.byteLength : end + 1;
    if (this.#line.length + taken > LONGEST_LINE) throw new BadAnswerError('an endless chunk line');
    this.#line += Buffer.from(bytes.buffer, bytes.byteOffset, taken).toString('latin1');
    if (end === -1) return taken;
    const line = this.#line;
    this.#line = '';
    if (!line.endsWith('\r\n')) throw new BadAnswerError('a chunk line without its end');
    this.#read(line.slice(0, -2));
    return taken;
  }

  #read(line: string): void {
    if (this.#expects === 'chunk-end') {
      if (line !== '') throw new BadAnswerError('a chunk longer than its size');
      this.#expects = 'size';
    } else if (this.#expects === 'size') {
      const size = sizeLine.exec(line)?.[1];
      if (size === undefined) throw new BadAnswerError('a broken chunk size');
      this.#left = Number.parseInt(size, 16);
      this.#expects = this.#left === 0 ? 'trailer' : 'bytes';
    } else {
      this.#trailers += 1;
      if (this.#trailers > MOST_TRAILERS) throw new BadAnswerError('endless trailers');
      if (line === '') this.#expects = 'nothing';
    }
  }
}
