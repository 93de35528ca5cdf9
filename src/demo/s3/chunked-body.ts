/**
 * The `aws-chunked` framing: `SIZE-IN-HEX[;chunk-signature=...]\r\n DATA \r\n`, a chunk of size 0,
 * then trailers. Signed chunks are each chained to the signature before them.
 * Source: S3 User Guide, "Signature calculations for the Authorization header: multiple chunks".
 */
import { createHash } from 'node:crypto';
import { S3Error } from './errors.ts';

/** Checks the chain of chunk signatures. */
export interface ChunkSeal {
  /** @throws S3Error SignatureDoesNotMatch */
  checkChunk(sha256Hex: string, signature: string): void;
  /** @throws S3Error SignatureDoesNotMatch */
  checkTrailer(sha256Hex: string, signature: string): void;
}

/** A chunk's head or a trailer line that is longer is no chunk's head. */
const MAX_LINE_BYTES = 16 * 1024;
const emptySha256 = createHash('sha256').digest('hex');

/** Takes lines and counted bytes from a stream of pieces. */
class Pieces {
  readonly #source: AsyncIterator<Buffer>;
  #held: Buffer = Buffer.alloc(0);

  constructor(source: AsyncIterable<Buffer>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** Up to and without `\r\n`; undefined at the end of the stream. */
  async line(): Promise<string | undefined> {
    let end = this.#held.indexOf('\r\n');
    while (end < 0) {
      if (this.#held.length > MAX_LINE_BYTES) throw new S3Error('IncompleteBody');
      const more = await this.#source.next();
      if (more.done === true) return undefined;
      this.#held = this.#held.length === 0 ? more.value : Buffer.concat([this.#held, more.value]);
      end = this.#held.indexOf('\r\n');
    }
    const text = this.#held.toString('latin1', 0, end);
    this.#held = this.#held.subarray(end + 2);
    return text;
  }

  /** The next bytes as they come, `count` together. */
  async *take(count: number): AsyncGenerator<Buffer> {
    for (let left = count; left > 0; ) {
      if (this.#held.length === 0) {
        const more = await this.#source.next();
        if (more.done === true) throw new S3Error('IncompleteBody');
        this.#held = more.value;
      }
      const piece = this.#held.subarray(0, left);
      this.#held = this.#held.subarray(piece.length);
      left -= piece.length;
      if (piece.length > 0) yield piece;
    }
  }

  async close(): Promise<void> {
    await this.#source.return?.();
  }
}

/**
 * The bytes inside `framed`; afterwards `trailers` holds the trailing headers by lower-case name.
 *
 * @throws S3Error IncompleteBody when the framing or `decodedBytes` does not fit,
 *   SignatureDoesNotMatch when `seal` refuses a chunk
 */
export async function* decodeChunks(
  framed: AsyncIterable<Buffer>,
  decodedBytes: number,
  seal: ChunkSeal | undefined,
  trailers: Map<string, string>,
): AsyncGenerator<Buffer> {
  const pieces = new Pieces(framed);
  try {
    let left = decodedBytes;
    for (;;) {
      const { size, signature } = parseHead(await pieces.line());
      left -= size;
      if (left < 0) throw new S3Error('IncompleteBody');
      if (size === 0) {
        seal?.checkChunk(emptySha256, signature);
        break;
      }
      const hash = seal === undefined ? undefined : createHash('sha256');
      for await (const piece of pieces.take(size)) {
        hash?.update(piece);
        yield piece;
      }
      if (hash !== undefined) seal?.checkChunk(hash.digest('hex'), signature);
      if ((await pieces.line()) !== '') throw new S3Error('IncompleteBody');
    }
    if (left !== 0) throw new S3Error('IncompleteBody');
    await readTrailers(pieces, seal, trailers);
  } finally {
    await pieces.close();
  }
}

function parseHead(line: string | undefined): { size: number; signature: string } {
  const match = /^([0-9a-fA-F]{1,12})(?:;chunk-signature=([0-9a-f]{64}))?$/.exec(line ?? '');
  if (match?.[1] === undefined) throw new S3Error('IncompleteBody');
  return { size: Number.parseInt(match[1], 16), signature: match[2] ?? '' };
}

async function readTrailers(
  pieces: Pieces,
  seal: ChunkSeal | undefined,
  trailers: Map<string, string>,
): Promise<void> {
  let signed = '';
  for (let line = await pieces.line(); line !== undefined; line = await pieces.line()) {
    if (line === '') continue;
    const colon = line.indexOf(':');
    const name = line.slice(0, colon).trim().toLowerCase();
    const value = line.slice(colon + 1).trim();
    trailers.set(name, value);
    if (name !== 'x-amz-trailer-signature') signed += `${name}:${value}\n`;
  }
  if (seal === undefined || signed === '') return;
  const sha256 = createHash('sha256').update(signed).digest('hex');
  seal.checkTrailer(sha256, trailers.get('x-amz-trailer-signature') ?? '');
}
