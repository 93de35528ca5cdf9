/** A request's body: unframed, counted, verified against everything the request says about it. */
import { createHash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import {
  announcedChecksum,
  type Checksum,
  checksumHeader,
  startChecksum,
  wellFormed,
} from './checksums.ts';
import { decodeChunks } from './chunked-body.ts';
import { S3Error } from './errors.ts';
import type { Content } from './object-data.ts';
import type { Quirks } from './quirks.ts';
import type { Payload } from './signature.ts';

/** Largest XML body taken: DeleteObjects with 1,000 keys of 1,024 escaped bytes. */
const MAX_XML_BYTES = 8 * 1024 * 1024;
/** S3's limit for one PUT. */
const MAX_PUT_BYTES = 5 * 1024 ** 3;

/** Where bodies are kept. */
export interface Receiver {
  receive(pieces: AsyncIterable<Buffer>, see: (piece: Buffer) => void): Promise<Content>;
}

export interface ReceivedBody {
  readonly content: Content;
  readonly md5Hex: string;
  readonly checksum?: Checksum;
}

export interface RequestBodyOptions {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly payload: Payload;
  readonly quirks: Quirks;
  /** Slows and counts the bytes as they come off the wire. */
  readonly shape: (pieces: AsyncIterable<Buffer>) => AsyncIterable<Buffer>;
}

export class RequestBody {
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #payload: Payload;
  readonly #quirks: Quirks;
  readonly #shape: RequestBodyOptions['shape'];
  readonly #trailers = new Map<string, string>();

  constructor(options: RequestBodyOptions) {
    this.#request = options.request;
    this.#response = options.response;
    this.#payload = options.payload;
    this.#quirks = options.quirks;
    this.#shape = options.shape;
  }

  /** The whole body as text. @throws S3Error */
  async text(): Promise<string> {
    const pieces: Buffer[] = [];
    let size = 0;
    const received = await this.#receive({
      receive: async (source, see) => {
        for await (const piece of source) {
          see(piece);
          size += piece.length;
          if (size > MAX_XML_BYTES) throw new S3Error('MalformedXML');
          pieces.push(piece);
        }
        return Buffer.concat(pieces);
      },
    });
    return received.content.toString('utf8');
  }

  /** Keeps the body in `receiver`. @throws S3Error, and then nothing is kept */
  async keep(receiver: Receiver): Promise<ReceivedBody> {
    return await this.#receive(receiver, (content) => content.release());
  }

  async #receive<T>(
    receiver: {
      receive(pieces: AsyncIterable<Buffer>, see: (piece: Buffer) => void): Promise<T>;
    },
    discard?: (content: T) => void,
  ): Promise<{ content: T; md5Hex: string; checksum?: Checksum }> {
    const announced = this.#quirks.checksums
      ? announcedChecksum((n) => this.#header(n))
      : undefined;
    const md5 = createHash('md5');
    const sha256 = this.#payload.kind === 'sha256' ? createHash('sha256') : undefined;
    const checksum = announced && startChecksum(announced.name);
    const content = await receiver.receive(this.#pieces(), (piece) => {
      md5.update(piece);
      sha256?.update(piece);
      checksum?.update(piece);
    });
    try {
      const md5Hex = this.#checkMd5(md5.digest());
      if (this.#payload.kind === 'sha256' && sha256?.digest('hex') !== this.#payload.hex) {
        throw new S3Error(this.#quirks.wrongSha256);
      }
      if (announced === undefined || checksum === undefined) return { content, md5Hex };
      const { name } = announced;
      const value = checksum.digest().toString('base64');
      const expected =
        announced.value ?? wellFormed(name, this.#trailers.get(checksumHeader(name)));
      if (value !== expected) throw new S3Error(this.#quirks.wrongChecksum);
      return { content, md5Hex, checksum: { name, type: 'FULL_OBJECT', value } };
    } catch (error) {
      discard?.(content);
      throw error;
    }
  }

  #header(name: string): string | undefined {
    const value = this.#request.headers[name];
    return Array.isArray(value) ? value[0] : value;
  }

  #checkMd5(digest: Buffer): string {
    const expected = this.#header('content-md5');
    if (expected !== undefined) {
      const bytes = Buffer.from(expected, 'base64');
      if (bytes.length !== digest.length) throw new S3Error('InvalidDigest');
      if (!bytes.equals(digest)) throw new S3Error('BadDigest');
    }
    return digest.toString('hex');
  }

  #pieces(): AsyncIterable<Buffer> {
    const contentLength = this.#header('content-length');
    const framed = this.#request.headers['transfer-encoding'] !== undefined;
    const chunked = this.#payload.kind === 'chunked';
    if (contentLength === undefined && framed && (!chunked || this.#quirks.chunkedNeedsLength)) {
      throw new S3Error('MissingContentLength');
    }
    const decoded = Number(this.#header('x-amz-decoded-content-length') ?? Number.NaN);
    if (chunked && !Number.isSafeInteger(decoded)) throw new S3Error('MissingContentLength');
    const size = chunked ? decoded : Number(contentLength ?? 0);
    if (size > MAX_PUT_BYTES) throw new S3Error('EntityTooLarge');
    if (this.#request.headers.expect !== undefined) this.#response.writeContinue();
    // A refused body is read to its end by Node, so that the client hears the refusal.
    const pieces = this.#request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>;
    const raw = this.#shape(pieces);
    if (this.#payload.kind !== 'chunked') return raw;
    return decodeChunks(raw, decoded, this.#payload.seal, this.#trailers);
  }
}
