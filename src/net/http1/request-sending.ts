/**
 * A request on its way out. A long body goes in pieces, each when the one before has left for the
 * kernel: over TLS all that is written is encrypted at once, into memory; how a slow line gets on is
 * seen; and an answer that comes early, a refusal, ends it.
 */
import type { Socket } from 'node:net';
import { KiB } from '../../lib/bytes.ts';
import type { HttpRequest } from './http-exchange.ts';

/** A request so short goes out as one piece: to copy it costs less than to send two. */
const JOINED_BYTES = 16 * KiB;
/** One write(2) takes no more on Linux while its buffer grows; 32 pieces of a part cost 1 ms. */
const PIECE_BYTES = 256 * KiB;

export class RequestSending {
  readonly #socket: Socket;
  readonly #request: HttpRequest;
  readonly #moved: () => void;
  #at = 0;
  #ended = false;

  /** @param moved called when a piece has left, and more is to follow. */
  constructor(socket: Socket, request: HttpRequest, moved: () => void) {
    this.#socket = socket;
    this.#request = request;
    this.#moved = moved;
  }

  /** All of it was handed to the socket. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Head and first piece in one write. */
  start(): void {
    const { head, body } = this.#request;
    if (body === undefined || body.byteLength === 0) {
      this.#ended = true;
      this.#socket.write(head, 'latin1');
      return;
    }
    if (head.length + body.byteLength <= JOINED_BYTES) {
      this.#ended = true;
      this.#socket.write(joined(head, body));
      return;
    }
    this.#socket.cork();
    this.#socket.write(head, 'latin1');
    this.#sendPiece(body);
    this.#socket.uncork();
  }

  #sendPiece(body: Uint8Array): void {
    const piece = body.subarray(this.#at, this.#at + PIECE_BYTES);
    this.#at += piece.byteLength;
    this.#ended = this.#at >= body.byteLength;
    if (this.#ended) this.#socket.write(piece);
    else this.#socket.write(piece, (error) => this.#wentOut(error, body));
  }

  /** A socket that was destroyed reports an error here. */
  #wentOut(error: Error | null | undefined, body: Uint8Array): void {
    if (error != null || this.#socket.destroyed) return;
    this.#moved();
    this.#sendPiece(body);
  }
}

function joined(head: string, body: Uint8Array): Buffer {
  const whole = Buffer.allocUnsafe(head.length + body.byteLength);
  whole.write(head, 'latin1');
  whole.set(body, head.length);
  return whole;
}
